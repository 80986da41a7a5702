package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/pprof"
	"time"
)

// workerArg is the first argument of a process that does what its parent says.
const workerArg = "wire-worker"

// Work does the work of a client or a server and reports true when this process was started for it; then main returns. In all other
// processes it does nothing.
func Work() bool {
	if len(os.Args) < 2 || os.Args[1] != workerArg {
		return false
	}
	if err := obey(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench worker:", err)
		os.Exit(1)
	}
	return true
}

// command is one line of a worker's input. One of its fields is set.
type command struct {
	Serve   *role         `json:"serve,omitempty"`
	Call    *role         `json:"call,omitempty"`
	Both    *role         `json:"both,omitempty"`
	Run     time.Duration `json:"run,omitempty"`
	Used    bool          `json:"used,omitempty"`
	Profile string        `json:"profile,omitempty"` // begins a CPU profile; the files have this prefix
}

type role struct {
	Peer    string
	Cell    Cell
	Setting setting
}

// answer is one line of a worker's output, for each command one.
type answer struct {
	Error   string   `json:"error,omitempty"`
	Address string   `json:"address,omitempty"`
	Segment *segment `json:"segment,omitempty"`
	Used    *Usage   `json:"used,omitempty"`
}

// worker is this process, as its parent sees it.
type worker struct {
	stop    func()
	load    *load
	profile *profile
}

// obey does what it is told until in ends.
func obey(in io.Reader, out io.Writer) (err error) {
	w := &worker{stop: func() {}}
	defer func() {
		err = errors.Join(err, w.profile.end())
		if w.load != nil {
			w.load.client.close()
		}
		w.stop()
	}()
	commands, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var c command
		if err := commands.Decode(&c); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		a, err := w.do(c)
		if err != nil {
			a.Error = err.Error()
		}
		if err := answers.Encode(a); err != nil {
			return err
		}
	}
}

func (w *worker) do(c command) (a answer, err error) {
	switch {
	case c.Serve != nil:
		p, err := peerNamed(c.Serve.Peer)
		if err != nil {
			return a, err
		}
		lis, err := net.Listen(c.Serve.Setting.Network, c.Serve.Setting.Address)
		if err != nil {
			return a, err
		}
		a.Address = lis.Addr().String()
		w.stop, err = p.serve(lis, c.Serve.Setting)
		return a, err
	case c.Call != nil:
		p, err := peerNamed(c.Call.Peer)
		if err != nil {
			return a, err
		}
		client, err := p.dial(c.Call.Setting, c.Call.Setting.connect)
		if err != nil {
			return a, err
		}
		w.load = &load{client: client, cell: c.Call.Cell}
		return a, nil
	case c.Both != nil:
		p, err := peerNamed(c.Both.Peer)
		if err != nil {
			return a, err
		}
		both := p.both
		if both == nil {
			both = func(s setting) (*client, func(), error) { return inMemory(p, s) }
		}
		client, stop, err := both(c.Both.Setting)
		if err != nil {
			return a, err
		}
		w.stop, w.load = stop, &load{client: client, cell: c.Both.Cell}
		return a, nil
	case c.Run > 0:
		s, err := w.load.run(c.Run)
		a.Segment = &s
		return a, err
	case c.Profile != "":
		w.profile, err = startProfile(c.Profile)
		return a, err
	case c.Used:
		u := Used()
		a.Used = &u
		return a, nil
	}
	return a, errors.New("an empty command")
}

func peerNamed(name string) (peer, error) {
	p, ok := peers()[name]
	if !ok {
		return p, fmt.Errorf("no peer is called %q", name)
	}
	return p, nil
}

// profile is a running CPU profile. All methods work on nil, which is none.
type profile struct {
	prefix string
	cpu    *os.File
}

func startProfile(prefix string) (*profile, error) {
	f, err := os.Create(prefix + ".cpu.pprof")
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &profile{prefix, f}, nil
}

// end writes the CPU profile, and what was allocated since the start of the process.
func (p *profile) end() error {
	if p == nil {
		return nil
	}
	pprof.StopCPUProfile()
	err := p.cpu.Close()
	f, ferr := os.Create(p.prefix + ".allocs.pprof")
	if ferr != nil {
		return errors.Join(err, ferr)
	}
	return errors.Join(err, pprof.Lookup("allocs").WriteTo(f, 0), f.Close())
}
