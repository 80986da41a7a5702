package migrate_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	harbourv1 "github.com/hanse-go/hanse/examples/migrate/proto/harbour/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// TestMigrate moves the harbour from grpc-go to Hanse and back while ships arrive, one service at a time: the new process starts beside
// the old one, its callers are moved over, the old one is told to end. No call may fail, in either order, in either direction.
func TestMigrate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot be asked to end by a signal on Windows")
	}
	h := newHarbour(t)
	for _, s := range []string{"tides", "berths", "pilots"} {
		h.move(s, "before")
	}
	h.receiveShips()
	for _, step := range []struct {
		name     string
		services []string
		to       string
	}{
		{"servers first", []string{"tides", "berths", "pilots"}, "after"},
		{"back, clients first", []string{"pilots", "berths", "tides"}, "before"},
		{"clients first", []string{"pilots", "berths", "tides"}, "after"},
		{"back, servers first", []string{"tides", "berths", "pilots"}, "before"},
	} {
		for _, s := range step.services {
			h.move(s, step.to)
			h.awaitCalls(100)
		}
		t.Logf("%-20s %6d calls, %d failed", step.name, h.ok.Load(), h.failed.Load())
	}
	h.end()
	if n := h.failed.Load(); n > 0 {
		t.Errorf("%d of %d calls failed; the first: %v", n, n+h.ok.Load(), h.first)
	}
}

// harbour is the three services as processes, and a load on the last of them.
type harbour struct {
	t       *testing.T
	bin     map[string]string
	env     []string
	running map[string]*process

	front      sync.RWMutex // held for reading by calls on their way
	pilots     *grpc.ClientConn
	ok, failed atomic.Int64
	once       sync.Once
	first      error
	stop       context.CancelFunc
	ships      sync.WaitGroup
}

type process struct {
	cmd  *exec.Cmd
	kind string
	addr string
	log  strings.Builder
}

// callers of each service, the nearest to the load last.
var callers = map[string][]string{"tides": {"berths", "pilots"}, "berths": {"pilots"}}

func newHarbour(t *testing.T) *harbour {
	h := &harbour{t: t, bin: map[string]string{}, running: map[string]*process{}, env: append(os.Environ(), "XDG_RUNTIME_DIR="+t.TempDir())}
	for _, kind := range []string{"before", "after"} {
		h.bin[kind] = filepath.Join(t.TempDir(), kind)
		if out, err := exec.Command("go", "build", "-o", h.bin[kind], "./"+kind).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	t.Cleanup(func() {
		for _, p := range h.running {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
			if t.Failed() {
				t.Logf("output of %s (%s):\n%s", p.cmd, p.addr, p.log.String())
			}
		}
	})
	return h
}

// move runs a service in the given way, and gives its callers the new address.
func (h *harbour) move(service, kind string) {
	var old []*process
	h.replace(service, kind, &old)
	for _, c := range callers[service] {
		if p := h.running[c]; p != nil {
			h.replace(c, p.kind, &old)
		}
	}
	if h.running["pilots"] != nil {
		h.sail()
	}
	for i := len(old) - 1; i >= 0; i-- { // callers end before what they call
		h.finish(old[i])
	}
}

func (h *harbour) replace(service, kind string, old *[]*process) {
	if p := h.running[service]; p != nil {
		*old = append(*old, p)
	}
	h.running[service] = h.start(service, kind)
}

func (h *harbour) start(service, kind string) *process {
	h.t.Helper()
	p := &process{kind: kind, addr: freeAddr(h.t)}
	var args []string
	if kind == "before" {
		args = []string{"-service", service, "-listen", p.addr}
	} else {
		args = []string{"--services", service, "--addr", p.addr}
	}
	for called, by := range callers {
		for _, c := range by {
			if c != service {
				continue
			}
			if kind == "before" {
				args = append(args, "-"+called, h.running[called].addr)
			} else {
				args = append(args, "--target", called+"="+h.running[called].addr)
			}
		}
	}
	p.cmd = exec.Command(h.bin[kind], args...)
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = h.env, &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	cc := dial(h.t, p.addr)
	defer cc.Close()
	if err := connected(cc); err != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		h.t.Fatalf("%s: %v\n%s", p.cmd, err, p.log.String())
	}
	return p
}

func (h *harbour) finish(p *process) {
	h.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		h.t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		h.t.Fatalf("%s: %v\n%s", p.cmd, err, p.log.String())
	}
}

// sail sends new calls to the pilots' present address, and returns when those to the former one are over.
func (h *harbour) sail() {
	cc := dial(h.t, h.running["pilots"].addr)
	h.front.Lock()
	cc, h.pilots = h.pilots, cc
	h.front.Unlock()
	if cc != nil {
		cc.Close()
	}
}

func (h *harbour) receiveShips() {
	ctx, stop := context.WithCancel(context.Background())
	h.stop = stop
	for range 8 {
		h.ships.Go(func() {
			for ctx.Err() == nil {
				if err := h.arrive(); err != nil {
					h.failed.Add(1)
					h.once.Do(func() { h.first = err })
				} else {
					h.ok.Add(1)
				}
			}
		})
	}
}

func (h *harbour) arrive() error {
	h.front.RLock()
	defer h.front.RUnlock()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	plan, err := harbourv1.NewPilotsClient(h.pilots).Plan(ctx, &harbourv1.PlanRequest{
		Ship: "Adler von Lübeck", LengthMetres: 78, DraughtCentimetres: 500, Arrival: timestamppb.New(time.Date(2026, 5, 1, 6, 0, 0, 0, time.UTC)),
	})
	if err == nil && plan.GetBerth().GetName() != "Salzspeicher" {
		err = fmt.Errorf("the plan says %v", plan)
	}
	return err
}

func (h *harbour) end() {
	h.stop()
	h.ships.Wait()
	h.pilots.Close()
	for _, s := range []string{"pilots", "berths", "tides"} {
		h.finish(h.running[s])
		delete(h.running, s)
	}
}

// awaitCalls waits until n more calls are done.
func (h *harbour) awaitCalls(n int64) {
	h.t.Helper()
	done := func() int64 { return h.ok.Load() + h.failed.Load() }
	goal, deadline := done()+n, time.Now().Add(30*time.Second)
	for tick := time.NewTicker(5 * time.Millisecond); ; <-tick.C {
		if done() >= goal {
			tick.Stop()
			return
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("%d of %d calls in 30 s", goal-done(), n)
		}
	}
}

func dial(t *testing.T, addr string) *grpc.ClientConn {
	t.Helper()
	cc, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	return cc
}

// connected waits until cc has reached its server.
func connected(cc *grpc.ClientConn) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for state := cc.GetState(); state != connectivity.Ready; state = cc.GetState() {
		cc.Connect()
		if state == connectivity.TransientFailure {
			cc.ResetConnectBackoff()
		}
		if !cc.WaitForStateChange(ctx, state) {
			return errors.New("nothing answers at " + cc.Target())
		}
	}
	return nil
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
