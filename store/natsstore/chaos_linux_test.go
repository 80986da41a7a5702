package natsstore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/store"
	"github.com/hanse-go/hanse/store/natsstore"
)

// resource is what the holders of a lock write to. It refuses old tokens.
type resource struct {
	t        *testing.T
	listener net.Listener
	conns    sync.WaitGroup

	mu      sync.Mutex
	newest  uint64
	holders map[uint64]int // process, by token
	last    int            // the process that wrote last
	taken   int            // writes
	refused int            // writes that came too late, of holders that had looked before
	late    int            // writes of holders that knew
	wrong   []string       // what must not be
}

func newResource(t *testing.T) *resource {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &resource{t: t, listener: listener, holders: make(map[uint64]int)}
	r.conns.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			r.conns.Go(func() { r.serve(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		r.conns.Wait()
	})
	return r
}

func (r *resource) serve(conn net.Conn) {
	defer conn.Close()
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		var what string
		var pid int
		var token uint64
		if _, err := fmt.Sscan(lines.Text(), &what, &pid, &token); err != nil {
			r.t.Error(err)
			return
		}
		fmt.Fprintln(conn, r.heed(what, pid, token))
	}
}

// heed takes a write, or refuses it.
func (r *resource) heed(what string, pid int, token uint64) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if what == "unaware" {
		r.wrong = append(r.wrong, fmt.Sprintf("process %d was refused with token %d, another has %d, and it believes that it holds the lock", pid, token, r.newest))
		return "noted"
	}
	if holder, ok := r.holders[token]; ok && holder != pid {
		r.wrong = append(r.wrong, fmt.Sprintf("processes %d and %d hold token %d", holder, pid, token))
	}
	switch {
	case token < r.newest && what == "late":
		r.late++
		return "refused"
	case token < r.newest:
		r.refused++
		return "refused"
	case what == "late": // nobody has the lock yet
		return "taken"
	}
	r.newest, r.holders[token], r.last = token, pid, pid
	r.taken++
	return "taken"
}

func (r *resource) state() (last, holders, taken int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last, len(r.holders), r.taken
}

// startChild starts a process that wants the lock. It dies with this one.
func startChild(t *testing.T, e *engine, r *resource) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+e.url(), resourceEnv+"="+r.listener.Addr().String())
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // also when it is stopped
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func end(cmd *exec.Cmd) {
	cmd.Process.Kill()
	cmd.Wait()
}

// chaosTime is how long holders are killed and stopped; HANSE_CHAOS changes it.
func chaosTime(t *testing.T) time.Duration {
	if text := os.Getenv("HANSE_CHAOS"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if testing.Short() {
		return 5 * time.Second
	}
	return 20 * time.Second
}

// TestHoldersAreKilledAndStopped kills and stops processes that hold a lock, or wait for it, and restarts the server. No two may hold it
// with the same token, and none may believe that it holds it after another has written.
func TestHoldersAreKilledAndStopped(t *testing.T) {
	e, r := newEngine(t), newResource(t)
	children := make(map[int]*exec.Cmd)
	for range 4 {
		c := startChild(t, e, r)
		children[c.Process.Pid] = c
	}
	defer func() {
		for _, c := range children {
			end(c)
		}
	}()
	discoverytest.Eventually(t, "somebody has the lock", func() bool { _, _, taken := r.state(); return taken > 0 })

	resume := make(map[int]time.Time) // of those that are stopped
	kills, stops, restarts, seen := 0, 0, 0, 0
	for until := time.Now().Add(chaosTime(t)); time.Now().Before(until); {
		time.Sleep(20*time.Millisecond + rand.N(100*time.Millisecond))
		for pid, at := range resume {
			if time.Now().After(at) {
				syscall.Kill(pid, syscall.SIGCONT)
				delete(resume, pid)
			}
		}
		holder, holders, _ := r.state()
		if holders == seen && rand.N(20) > 0 {
			continue // mostly when there is a new holder
		}
		seen = holders
		if _, stopped := resume[holder]; stopped || children[holder] == nil {
			continue
		}
		switch rand.N(8) {
		case 0:
			restarts++
			e.stop()
			e.start()
		case 1, 2:
			kills++
			end(children[holder])
			delete(children, holder)
			c := startChild(t, e, r)
			children[c.Process.Pid] = c
		default:
			stops++
			syscall.Kill(holder, syscall.SIGSTOP)
			resume[holder] = time.Now().Add(rand.N(3 * time.Second))
		}
	}
	for pid := range resume {
		syscall.Kill(pid, syscall.SIGCONT)
	}
	_, before, _ := r.state()
	discoverytest.Eventually(t, "the lock still goes round", func() bool { _, holders, _ := r.state(); return holders > before })

	r.mu.Lock()
	defer r.mu.Unlock()
	t.Logf("%d kills, %d stops, %d restarts of the server; %d holders wrote %d times; refused were %d that had looked before they were stopped and %d that knew it",
		kills, stops, restarts, len(r.holders), r.taken, r.refused, r.late)
	for _, wrong := range r.wrong {
		t.Error(wrong)
	}
	if kills+stops < 2 {
		t.Error("too little has happened")
	}
}

// TestStoppedHolderIsRefused holds that a holder which was stopped until another had the lock knows it when it goes on, and that its token is
// refused.
func TestStoppedHolderIsRefused(t *testing.T) {
	e, r := newEngine(t), newResource(t)
	child := startChild(t, e, r)
	defer end(child)
	discoverytest.Eventually(t, "the child has the lock", func() bool { _, _, taken := r.state(); return taken > 0 })

	host := &store.Client{Driver: &natsstore.Store{Conn: e.connect(), System: "chaos"}}
	for round := range 3 {
		discoverytest.Eventually(t, "the child has the lock again", func() bool { last, _, _ := r.state(); return last == child.Process.Pid })
		if err := syscall.Kill(child.Process.Pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		err := store.Lock(t.Context(), host, "chaos", func(ctx context.Context, token uint64) error {
			if r.heed("write", os.Getpid(), token) != "taken" {
				t.Error("the new holder was refused")
			}
			if err := syscall.Kill(child.Process.Pid, syscall.SIGCONT); err != nil {
				return err
			}
			tick := time.NewTicker(2 * time.Millisecond)
			defer tick.Stop()
			for range 100 { // whatever the old one does now
				if r.heed("write", os.Getpid(), token) != "taken" {
					return errors.New("the new holder was refused")
				}
				<-tick.C
			}
			return ctx.Err()
		})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, wrong := range r.wrong {
		t.Error(wrong)
	}
	if r.late+r.refused == 0 {
		t.Error("the old holder was never refused: it has not tried")
	}
}
