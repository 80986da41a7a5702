//go:build unix

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/discovery"
	greeterv1 "github.com/hanse-go/hanse/examples/hello/proto/greeter/v1"
)

// relay is a probe of the service back, and what it takes to start more of it.
type relay struct {
	t     *testing.T
	bin   string
	wrap  []string // the command that runs a program where its registry is
	env   map[string]string
	app   *hanse.App
	probe *probe
}

// newRelay finds back in a registry, which its programs know by a URL.
func newRelay(t *testing.T, reg *discovery.Local, url string, wrap ...string) *relay {
	t.Helper()
	r := &relay{t: t, bin: build(t, "relay"), wrap: wrap, app: &hanse.App{Registry: reg}, env: map[string]string{
		"HANSE_REGISTRY": url, "HANSE_SERVICES": "back", "HANSE_LOG_LEVEL": "info",
	}}
	t.Cleanup(func() { r.app.Close() })
	return r
}

func (r *relay) start() *program {
	r.t.Helper()
	command := append(append([]string{}, r.wrap...), r.bin)
	return run(r.t, command[0], r.env, command[1:]...)
}

// call begins a probe.
func (r *relay) call() {
	r.t.Helper()
	r.probe = probeBack(r.t, r.app)
}

func probeBack(t *testing.T, app *hanse.App) *probe {
	t.Helper()
	greeter := greeterv1.NewGreeterClient(app.Conn("back"))
	return startProbeOf(t, probeRate, 5*time.Second, func(ctx context.Context, info *hanse.CallInfo) error {
		_, err := greeter.Hello(ctx, &greeterv1.HelloRequest{Name: "probe"}, info)
		return err
	})
}

// answering waits until n instances answered calls that were due since a moment, and says how long that took.
func answering(t *testing.T, s *system, p *probe, n int, since time.Time) time.Duration {
	t.Helper()
	var took time.Duration
	s.await(t, fmt.Sprintf("%d instances answer", n), func() bool {
		seen := make(map[string]bool)
		for _, c := range p.between(since, time.Now()) {
			if c.err != nil {
				continue
			}
			if seen[c.instance] = true; len(seen) == n {
				took = c.due.Add(c.latency).Sub(since)
				return true
			}
		}
		return false
	})
	return took
}

// says waits until a program has printed a text, and reports whether it did in time.
func (p *program) says(text string, within time.Duration) bool {
	for deadline := time.Now().Add(within); !strings.Contains(p.out.String(), text); wait(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// lineWith returns the beginning of the first line that has a text, and that.
func lineWith(log, text string) string {
	for line := range strings.Lines(log) {
		before, _, found := strings.Cut(line, text)
		if !found {
			continue
		}
		if _, msg, ok := strings.Cut(before, "msg="); ok {
			before = msg
		}
		if r := []rune(before); len(r) > 60 {
			before = string(r[:60]) + "… "
		}
		return before + text
	}
	return ""
}

// smallDisk is a small file system in a mount namespace of its own, which ends with the test.
type smallDisk struct {
	dir  string // there
	seen string // from here
	wrap []string
}

// newSmallDisk makes one; the error says why this machine or this user cannot.
func newSmallDisk(t *testing.T, size string) (*smallDisk, error) {
	t.Helper()
	dir := filepath.Join(home, "disk")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tool := range []string{"unshare", "nsenter", "mount"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, err
		}
	}
	holder := exec.Command("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", `mount -t tmpfs -o "size=$1,mode=0700" none "$0" && echo ready && read _`, dir, size)
	stdin, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs output
	holder.Stderr = &errs
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		holder.Wait()
	})
	if n, err := io.ReadAtLeast(stdout, make([]byte, 6), 6); n < 6 {
		return nil, fmt.Errorf("no file system can be mounted here: %v, %s", err, strings.TrimSpace(errs.String()))
	}
	pid := strconv.Itoa(holder.Process.Pid)
	return &smallDisk{dir: dir, seen: filepath.Join("/proc", pid, "root", dir),
		wrap: []string{"nsenter", "--target", pid, "--user", "--mount", "--preserve-credentials", "--"}}, nil
}

// fill leaves no room on it.
func (d *smallDisk) fill(t *testing.T) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(d.seen, "filler"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for page := make([]byte, 4096); err == nil; {
		_, err = f.Write(page)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

func (d *smallDisk) clear(t *testing.T) {
	t.Helper()
	if err := os.Remove(filepath.Join(d.seen, "filler")); err != nil {
		t.Fatal(err)
	}
}

// leases returns the files of the instances on it.
func (d *smallDisk) leases(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(d.seen, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// chaosDisk fills the disk that the local registry is on.
func chaosDisk(t *testing.T, s *system, v *verdict) {
	disk, err := newSmallDisk(t, "64k")
	if err != nil {
		v.skip(err.Error())
	}
	const full = "no space left on device"
	r := newRelay(t, &discovery.Local{Dir: disk.seen}, "local:"+disk.dir, disk.wrap...)
	stays := r.start()
	s.await(t, "an instance is announced", func() bool { return len(disk.leases(t)) == 1 })
	lease := disk.leases(t)[0]
	leaves := r.start()
	r.call()
	answering(t, s, r.probe, 2, time.Now())

	disk.fill(t)
	late := r.start()
	select {
	case <-late.exited:
	case <-time.After(patience):
		t.Fatal("an instance that cannot be announced does not end")
	}
	v.hold(late.cmd.ProcessState.ExitCode() == 1 && strings.Contains(late.out.String(), full), "who cannot be announced says so and ends",
		"status %d, %s", late.cmd.ProcessState.ExitCode(), lineWith(late.out.String(), full))

	if err := os.Remove(lease); err != nil { // as those do who tidy up
		t.Fatal(err)
	}
	disk.fill(t)
	told := stays.says(full, 5*time.Second)
	v.hold(told, "who lost its file says so", "%s", lineWith(stays.out.String(), full))

	signal(t, leaves.cmd.Process.Pid, syscall.SIGTERM)
	select {
	case <-leaves.exited:
	case <-time.After(patience):
		t.Fatal("an instance does not end while the disk is full")
	}
	v.hold(leaves.cmd.ProcessState.ExitCode() == 0, "who leaves can leave", "status %d", leaves.cmd.ProcessState.ExitCode())
	wait(time.Second)

	disk.clear(t)
	cleared := time.Now()
	r.start()
	took := answering(t, s, r.probe, 2, cleared)
	s.await(t, "the file is there again", func() bool { _, err := os.Stat(lease); return err == nil })
	again := time.Since(cleared)
	v.hold(max(took, again) < 3*time.Second, "all is well 3 s after there is room", "who starts now is called after %v, the lost file is back after %v",
		took.Round(10*time.Millisecond), again.Round(10*time.Millisecond))
	calls := r.probe.end()
	failed, err := calls.failed()
	v.hold(failed == 0, "no failed call", "%d of %d failed (%v)", failed, len(calls), err)
}

// descriptors counts the open files of a process.
func descriptors(t *testing.T, pid int) int {
	t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// processorTime is what a process has used of processors.
func processorTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	kernel, _ := strconv.Atoi(fields[12])
	return time.Duration(user+kernel) * 10 * time.Millisecond // Linux tells it in hundredths of a second
}

// chaosDescriptors takes from a process the right to open one more file.
func chaosDescriptors(t *testing.T, s *system, v *verdict) {
	if _, err := exec.LookPath("prlimit"); err != nil {
		v.skip(err.Error())
	}
	const short = "too many open files"
	dir := filepath.Join(home, "run", "relay")
	r := newRelay(t, &discovery.Local{Dir: dir}, "local:"+dir)
	victim := r.start()
	r.start()
	r.call()
	answering(t, s, r.probe, 2, time.Now())
	pid := victim.cmd.Process.Pid
	var address string
	if err := (&discovery.Local{Dir: dir}).Watch(untilFound(t, pid, &address)); err != nil || address == "" {
		t.Fatal("the address of a process was not found", err)
	}
	limit := func(n string) {
		t.Helper()
		if out, err := exec.Command("prlimit", "--pid", strconv.Itoa(pid), "--nofile="+n+":").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}

	before := processorTime(t, pid)
	limit(strconv.Itoa(descriptors(t, pid)))
	for range 20 { // callers that it cannot take in
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	newcomer := &hanse.App{Registry: &discovery.Local{Dir: dir}}
	defer newcomer.Close()
	p := probeBack(t, newcomer)
	told := victim.says(short, 5*time.Second)
	wait(spell() / 2)
	used := processorTime(t, pid) - before
	lines := strings.Count(victim.out.String(), short)
	v.hold(told && lines <= 10, "a clear line, and no flood of them", "%d: %s", lines, lineWith(victim.out.String(), short))
	v.hold(used < spell()/4, "it does not spin", "%v of a processor in %v", used, spell()/2)

	limit("1024")
	raised := time.Now()
	took := answering(t, s, p, 2, raised)
	v.hold(took < 3*time.Second && lives(pid), "all is well 3 s after there are some", "a new caller reaches it after %v", took.Round(10*time.Millisecond))
	calls := append(r.probe.end(), p.end()...)
	failed, err := calls.failed()
	v.hold(failed == 0, "no failed call", "%d of %d failed, of callers that knew it and of a new one (%v)", failed, len(calls), err)
}

// untilFound are the arguments of a watch that ends when it has found where a process listens.
func untilFound(t *testing.T, pid int, address *string) (context.Context, string, func([]discovery.Instance)) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx, "back", func(list []discovery.Instance) {
		for _, i := range list {
			for _, e := range i.Endpoints {
				if tcp, ok := strings.CutPrefix(e, "tcp://"); ok && i.PID == pid {
					*address = tcp
					cancel()
				}
			}
		}
	}
}
