package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// process is a worker, as seen by its parent.
type process struct {
	cmd      *exec.Cmd
	in       io.WriteCloser
	commands *json.Encoder
	answers  *json.Decoder
}

// endTime is what a worker gets to write its profiles and end.
const endTime = 10 * time.Second

// start begins a worker on a core; -1 is any.
func start(ctx context.Context, procs, core int) (*process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, workerArg)
	cmd.Env = append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", procs))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	begin := cmd.Start
	if core >= 0 {
		begin = func() error { return startOn(cmd, core) }
	}
	if err := begin(); err != nil {
		return nil, err
	}
	return &process{cmd, in, json.NewEncoder(in), json.NewDecoder(out)}, nil
}

// tell gives a command and returns the answer. A worker that is silent for too long, because a call did not end at its deadline, prints
// its goroutines and ends.
func (p *process) tell(c command) (answer, error) {
	watchdog := time.AfterFunc(c.Run+3*callTimeout, func() {
		if p.cmd.Process.Signal(syscall.SIGQUIT) != nil {
			p.cmd.Process.Kill()
		}
	})
	defer watchdog.Stop()
	var a answer
	if err := p.commands.Encode(c); err != nil {
		return a, fmt.Errorf("worker: %w", err)
	}
	if err := p.answers.Decode(&a); err != nil {
		return a, fmt.Errorf("worker: %w", err)
	}
	if a.Error != "" {
		return a, errors.New(a.Error)
	}
	return a, nil
}

// end ends the worker. It may be called on nil.
func (p *process) end() error {
	if p == nil {
		return nil
	}
	p.in.Close()
	insist := time.AfterFunc(endTime, func() { p.cmd.Process.Kill() })
	defer insist.Stop()
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	return nil
}

// duo is a contender at work: a client process and a server process, or one that is both.
type duo struct {
	contender contender
	client    *process
	server    *process // nil: within the client's process
}

func (d *duo) end() error { return errors.Join(d.client.end(), d.server.end()) }

// turn lets the contender work for a while.
func (d *duo) turn(length time.Duration) (Round, error) {
	var before, after answer
	var err error
	if d.server != nil {
		if before, err = d.server.tell(command{Used: true}); err != nil {
			return Round{}, err
		}
	}
	a, err := d.client.tell(command{Run: length})
	if err != nil {
		return Round{}, err
	}
	r := Round{Units: a.Segment.Units, Took: a.Segment.Took, Client: a.Segment.Used, latency: a.Segment.Latency}
	if d.server != nil {
		if after, err = d.server.tell(command{Used: true}); err != nil {
			return Round{}, err
		}
		r.Server = after.Used.Sub(*before.Used)
	}
	return r, nil
}
