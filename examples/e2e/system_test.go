//go:build unix

package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long something may take on a machine that is busy.
const patience = 90 * time.Second

// services of the shop.
var services = []string{
	"cart", "catalog", "checkout", "currency", "email", "loyalty", "orders", "payment", "recommendation", "shipping", "stock", "storefront",
}

// system is the shop, run by hanse dev.
type system struct {
	t      *testing.T
	runs   []string // services
	out    output
	cmd    *exec.Cmd
	exited chan struct{}
}

// output collects what a command prints.
type output struct {
	mu sync.Mutex
	b  strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// dev runs hanse dev on the shop and waits until all is ready. It ends with the test, and before the deadline of all tests.
func dev(t *testing.T, args ...string) *system {
	t.Helper()
	return devOf(t, services, args...)
}

// devOf is dev for a shop of these services.
func devOf(t *testing.T, runs []string, args ...string) *system {
	t.Helper()
	s := devIn(t, "hanse", shopDir(), nil, args...)
	s.runs = runs
	s.allReady(t)
	return s
}

// devIn runs hanse dev, as a command of that name has it, on a folder.
func devIn(t *testing.T, bin, dir string, env []string, args ...string) *system {
	t.Helper()
	ctx := context.Background()
	if deadline, ok := t.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-20*time.Second))
		t.Cleanup(cancel)
	}
	s := &system{t: t, exited: make(chan struct{})}
	s.cmd = exec.CommandContext(ctx, bin, append([]string{"dev"}, append(args, dir)...)...)
	s.cmd.Dir, s.cmd.Env = home, append(os.Environ(), env...)
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.out
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(os.Interrupt) }
	s.cmd.WaitDelay = 10 * time.Second
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		s.cmd.Wait() // its error is in ProcessState
		close(s.exited)
	}()
	t.Cleanup(s.end)
	awaitWithin(t, building, "the system is ready", func() bool {
		select {
		case <-s.exited:
			t.Fatalf("hanse dev ended: %v", s.cmd.ProcessState)
		default:
		}
		return strings.Contains(s.out.String(), "Ctrl-C here ends all")
	})
	return s
}

// end presses Ctrl-C.
func (s *system) end() {
	var pids []int
	for _, i := range s.ps(s.t, "") {
		pids = append(pids, i.PID)
	}
	s.cmd.Process.Signal(os.Interrupt) // an error: it has ended
	select {
	case <-s.exited:
		if code := s.cmd.ProcessState.ExitCode(); code != 0 {
			s.t.Errorf("hanse dev ended with status %d", code)
		}
	case <-time.After(patience):
		s.t.Errorf("hanse dev does not end at Ctrl-C")
		s.cmd.Process.Kill()
		<-s.exited
	}
	for _, pid := range pids {
		s.await(s.t, fmt.Sprintf("process %d ends with hanse dev", pid), func() bool { return !lives(pid) })
	}
	if s.t.Failed() {
		s.t.Logf("hanse dev printed:\n%s", s.out.String())
	}
}

// lives reports whether a process runs.
func lives(pid int) bool {
	state, err := exec.Command("ps", "-o", "stat=", "-p", fmt.Sprint(pid)).Output()
	return err == nil && !strings.HasPrefix(strings.TrimSpace(string(state)), "Z")
}

// await polls until cond holds.
func (s *system) await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	await(t, what, cond)
}

// await polls until cond holds, which is up to other processes.
func await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	awaitWithin(t, patience, what, cond)
}

// building is how long it may take to build a system beside other work, with nothing in the build cache.
const building = 8 * time.Minute

func awaitWithin(t *testing.T, patience time.Duration, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}

// hanse runs a command in a folder that has nothing to do with the shop, and returns what it prints. It must succeed.
func (s *system) hanse(t *testing.T, args ...string) string {
	t.Helper()
	out, err := command(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// command runs a hanse command, from any goroutine.
func command(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "hanse", args...)
	cmd.Dir = filepath.Join(home, "data")
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("hanse %s: %w\n%s%s", strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String(), nil
}

// instance is a row of hanse ps --json.
type instance struct {
	Service   string
	Instance  string
	Version   string
	State     string
	PID       int
	Endpoints []string
	Started   time.Time
}

// ps returns the instances of a service, or of all.
func (s *system) ps(t *testing.T, service string) []instance {
	t.Helper()
	var list []instance
	if err := json.Unmarshal([]byte(s.hanse(t, "ps", "--json")), &list); err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(list, func(i instance) bool { return service != "" && i.Service != service })
}

// ready returns the instances of a service that are ready.
func (s *system) ready(t *testing.T, service string) []instance {
	t.Helper()
	return slices.DeleteFunc(s.ps(t, service), func(i instance) bool { return i.State != "ready" })
}

// allReady waits until each service has one instance, which is ready.
func (s *system) allReady(t *testing.T) {
	t.Helper()
	s.await(t, "one ready instance of each service", func() bool {
		var names []string
		for _, i := range s.ps(t, "") {
			if i.State == "ready" {
				names = append(names, i.Service)
			} else {
				names = append(names, i.Service+" "+i.State)
			}
		}
		slices.Sort(names)
		return slices.Equal(names, s.runs)
	})
}

// page returns the address of the storefront, as hanse dev printed it.
func (s *system) page(t *testing.T) string {
	t.Helper()
	return s.pageOf(t, "storefront")
}

// pageOf returns that of another service.
func (s *system) pageOf(t *testing.T, service string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^●\s+` + service + `\s.*(http://\S+)`).FindStringSubmatch(s.out.String())
	if m == nil {
		t.Fatalf("no address of %s in\n%s", service, s.out.String())
	}
	return m[1]
}
