//go:build unix

package e2e_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// wallClock is the time of day of programs that are built with it: their time.Now adds to the real one what a file says, in seconds. All
// else is as in Go: timers and what is measured go by the monotonic clock, as when an administrator or NTP sets the clock of a machine.
type wallClock struct {
	file string // 8 bytes
	env  []string
}

// jumpSource is a file that package time gets. It maps the file, so that a change is there at once and costs nothing.
const jumpSource = `package time

import (
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"
)

var wallJump struct {
	once sync.Once
	by   *atomic.Int64
}

func jump() int64 {
	wallJump.once.Do(func() {
		name, ok := syscall.Getenv("WALL_CLOCK_FILE")
		if !ok {
			return
		}
		fd, err := syscall.Open(name, syscall.O_RDONLY, 0)
		if err != nil {
			panic(err)
		}
		defer syscall.Close(fd)
		mem, err := syscall.Mmap(fd, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
		if err != nil {
			panic(err)
		}
		wallJump.by = (*atomic.Int64)(unsafe.Pointer(&mem[0]))
	})
	if wallJump.by == nil {
		return 0
	}
	return wallJump.by.Load()
}
`

// newWallClock writes what a build takes to follow another clock.
func newWallClock(t *testing.T) *wallClock {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	text, err := os.ReadFile(filepath.Join(source, "time.go"))
	if err != nil {
		t.Fatal(err)
	}
	const now = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	if strings.Count(string(text), now) != 1 {
		t.Fatalf("time.Now of %s is not what this test knows", runtime.Version())
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {
		filepath.Join(source, "time.go"): write("time.go", []byte(strings.Replace(string(text), now, now+"\tsec += jump()\n", 1))),
		filepath.Join(source, "jump.go"): write("jump.go", []byte(jumpSource)),
	}})
	if err != nil {
		t.Fatal(err)
	}
	w := &wallClock{file: write("clock", make([]byte, 8))}
	w.env = []string{"GOFLAGS=-overlay=" + write("overlay.json", overlay), "WALL_CLOCK_FILE=" + w.file}
	return w
}

// set lets the clock be off by d.
func (w *wallClock) set(t *testing.T, d time.Duration) {
	t.Helper()
	f, err := os.OpenFile(w.file, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(d/time.Second)), 0); err != nil {
		t.Fatal(err)
	}
}

// pages opens a page at a steady rate, on connections that are kept, and keeps what failed.
type pages struct {
	stop   chan struct{}
	all    sync.WaitGroup
	mu     sync.Mutex
	opened int
	failed []string
}

func openPages(address string, perSecond int) *pages {
	p := &pages{stop: make(chan struct{})}
	client := &http.Client{Timeout: timeout()}
	p.all.Go(func() {
		every := time.NewTicker(time.Second / time.Duration(perSecond))
		defer every.Stop()
		for {
			select {
			case <-p.stop:
				return
			case <-every.C:
				p.all.Go(func() {
					err := open(client, address)
					p.mu.Lock()
					defer p.mu.Unlock()
					if p.opened++; err != nil {
						p.failed = append(p.failed, err.Error())
					}
				})
			}
		}
	})
	return p
}

func open(client *http.Client, address string) error {
	resp, err := client.Get(address)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return err
}

// end ends it.
func (p *pages) end() (opened int, failed []string) {
	close(p.stop)
	p.all.Wait()
	return p.opened, p.failed
}

// chaosClock sets the clock of a whole system, with hanse dev, so far that every certificate has expired, and back beyond where it was.
func chaosClock(t *testing.T, _ *system, v *verdict) {
	clock := newWallClock(t)
	build := exec.Command("go", "build", "-o", filepath.Join(home, "bin", "hanse-clock"), "./cmd/hanse")
	build.Dir, build.Env = filepath.Join("..", ".."), append(os.Environ(), clock.env...)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Setenv("HANSE_SYSTEM", "clock")
	dir, err := filepath.Abs("relay")
	if err != nil {
		t.Fatal(err)
	}
	s := devIn(t, "hanse-clock", dir, clock.env)
	certificate := filepath.Join(home, "run", "hanse", "identity", "clock", "services", "back")
	// renewals counts how often the certificate changes in a time.
	renewals := func(d time.Duration) (n int) {
		last := contents(t, certificate)
		for end := time.Now().Add(d); time.Now().Before(end); wait(50 * time.Millisecond) {
			if now := contents(t, certificate); now != last {
				n, last = n+1, now
			}
		}
		return n
	}
	pids := func() (list []int) {
		for _, i := range s.ready(t, "") {
			list = append(list, i.PID)
		}
		slices.Sort(list)
		return list
	}
	p := openPages(s.pageOf(t, "front"), 50)
	wait(2 * time.Second)
	first := pids()
	most := 0
	for _, off := range []time.Duration{3 * time.Hour, -3 * time.Hour, 0} {
		clock.set(t, off)
		most = max(most, renewals(5*time.Second))
	}
	kept := slices.Equal(first, pids())
	clock.set(t, 30*time.Hour)
	wait(3 * time.Second)
	for _, name := range []string{"back", "front"} {
		s.hanse(t, "restart", name) // new connections with new certificates
	}
	opened, failed := p.end()
	v.hold(len(failed) == 0, "no failed call", "%d of %d failed %.1q", len(failed), opened, failed[:min(len(failed), 1)])
	v.hold(kept && len(first) == 2, "nobody is lost, nobody is started anew", "%d of 2 are those from before", len(first))
	v.hold(most == 1, "a jump renews a certificate once", "%d times at most", most)
	line := lineWith(s.out.String(), "certificates are made anew")
	v.hold(line != "", "a clear line", "%s", line)
}

// contents is what the files of a folder have in them.
func contents(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "[a-z]*.pem"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v, %v", dir, files, err)
	}
	var all strings.Builder
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}
