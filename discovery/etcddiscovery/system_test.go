//go:build unix

package etcddiscovery_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/etcddiscovery"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc/interop/grpc_testing"
)

// TestSystem runs a system of processes under load while its etcd is killed, comes back, and comes back without what it knew. No call may
// fail, and what starts afterwards must be found.
func TestSystem(t *testing.T) {
	away, afterwards := 4*time.Second, time.Second
	if os.Getenv("HANSE_ENGINES") != "" {
		away, afterwards = 30*time.Second, 12*time.Second // until what was kept in doubt is forgotten
	}
	server := startServer(t)
	url := "etcd://" + server.address + "/shop"
	opts := etcddiscovery.Options{System: "shop"}
	for _, name := range []string{"echo", "echo", "front", "front"} {
		startProgram(t, name, url)
	}
	announced := func(service string, n int) func() bool {
		return func() bool {
			return strings.Count(inEtcd(t, server, opts, service), "ready") == n
		}
	}
	eventually(t, "all are announced", func() bool { return announced("echo", 2)() && announced("front", 2)() })

	calls := newCalls(t, server.registry(opts))
	report := func(phase string) {
		ok, failed, by := calls.take()
		t.Logf("%-44s %6d calls, %d failed, answered by %d", phase, ok+failed, failed, by)
	}
	eventually(t, "calls are answered by both", func() bool { return calls.answerers() == 2 })
	report("in peace")

	server.kill()
	<-time.After(away)
	report(fmt.Sprintf("etcd killed for %v", away))

	server.start()
	back := time.Now()
	pid := startProgram(t, "echo", url)
	eventually(t, "a new one is called", func() bool { return calls.answeredBy(pid) })
	report(fmt.Sprintf("back; a new process was called after %v", time.Since(back).Round(10*time.Millisecond)))

	server.kill()
	server.wipe()
	server.start()
	wiped := time.Now()
	eventually(t, "all are announced again", func() bool { return announced("echo", 3)() && announced("front", 2)() })
	again := time.Since(wiped)
	report(fmt.Sprintf("wiped; all were announced after %v", again.Round(10*time.Millisecond)))
	began := time.Now()
	pid = startProgram(t, "echo", url)
	eventually(t, "a new one is called", func() bool { return calls.answeredBy(pid) })
	report(fmt.Sprintf("a new process was called after %v", time.Since(began).Round(10*time.Millisecond)))
	if again > 3*time.Second {
		t.Errorf("converged %v after the wipe", again)
	}
	<-time.After(afterwards)
	report(fmt.Sprintf("%v later", afterwards))
	if n := calls.allFailed(); n > 0 {
		t.Errorf("%d calls failed, the first with: %v", n, calls.firstErr)
	}
}

// startProgram runs a program until the test ends, and returns its process ID.
func startProgram(t *testing.T, name, registry string) string {
	t.Helper()
	lifeline, ours, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var out lockedLog
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), programVariable+"="+name, "HANSE_REGISTRY="+registry, "HANSE_LIFELINE=3", "HANSE_LOG_FORMAT=text",
		"XDG_RUNTIME_DIR="+runDir(t))
	cmd.ExtraFiles, cmd.Stdout, cmd.Stderr = []*os.File{lifeline}, &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = lifeline.Close()
	pid := fmt.Sprint(cmd.Process.Pid)
	t.Cleanup(func() {
		_ = ours.Close() // drain and exit
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s %s: %v", name, pid, err)
		}
		if t.Failed() {
			t.Logf("%s %s:\n%s", name, pid, out.String())
		}
	})
	return pid
}

// runDir is a folder for sockets, whose paths have to be short.
func runDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "etcd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Clean(dir)
}

// calls calls front a hundred times a second, whether or not earlier calls were answered, and counts.
type calls struct {
	mu         sync.Mutex
	ok, failed int
	all        int // that failed, ever
	firstErr   error
	by         []string // process IDs
}

func newCalls(t *testing.T, reg discovery.Registry) *calls {
	t.Helper()
	c := new(calls)
	client := &rpc.Client{Registry: reg}
	conn := rpc.NewConn("front")
	if err := conn.Bind(client); err != nil {
		t.Fatal(err)
	}
	stub := grpc_testing.NewTestServiceClient(conn)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				wg.Go(func() { c.call(stub) })
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		for _, closer := range []io.Closer{conn, client} {
			if err := closer.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return c
}

func (c *calls) call(stub grpc_testing.TestServiceClient) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	res, err := stub.UnaryCall(ctx, &grpc_testing.SimpleRequest{})
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.failed++
		c.all++
		if c.firstErr == nil {
			c.firstErr = err
		}
		return
	}
	c.ok++
	if pid := res.GetHostname(); !slices.Contains(c.by, pid) {
		c.by = append(c.by, pid)
	}
}

// take returns what was counted since the last time.
func (c *calls) take() (ok, failed, by int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ok, failed, by = c.ok, c.failed, len(c.by)
	c.ok, c.failed, c.by = 0, 0, nil
	return ok, failed, by
}

func (c *calls) answerers() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.by)
}

func (c *calls) answeredBy(pid string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.by, pid)
}

func (c *calls) allFailed() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all
}
