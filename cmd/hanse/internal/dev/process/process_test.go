//go:build unix

package process_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/process"
	"go.uber.org/goleak"
)

// The test binary is also its own children: the variable ROLE says which.
func TestMain(m *testing.M) {
	switch os.Getenv("ROLE") {
	case "":
		goleak.VerifyTestMain(m)
	case "hello":
		fmt.Print("one\r\ntwo\n")
		fmt.Fprint(os.Stderr, "three")
		os.Exit(7)
	case "service":
		service()
	case "guard":
		os.Unsetenv("ROLE")
		code, err := process.Guard(os.Args[1:])
		if err != nil {
			fmt.Println(err)
		}
		os.Exit(code)
	case "parent":
		parent()
	}
}

// service ends when it is told to, or when its lifeline ends, and says which.
func service() {
	n, _ := strconv.Atoi(os.Getenv("HANSE_LIFELINE"))
	life := os.NewFile(uintptr(n), "lifeline")
	sig := make(chan os.Signal, 2)
	signal.Notify(sig, syscall.SIGTERM, syscall.SIGINT)
	fmt.Println("running", os.Getpid())
	go func() {
		io.Copy(io.Discard, life)
		sig <- syscall.SIGHUP
	}()
	s := <-sig
	fmt.Println("ended by", s)
	os.Exit(0)
}

// parent starts a service and a foreign command, tells who they are and waits to be killed.
func parent() {
	lines := make(chan string, 10)
	for _, s := range []process.Spec{
		{Command: []string{os.Args[0]}, Env: env("service")},
		{Command: []string{"sh", "-c", "echo running $$; sleep 1000 & echo running $!; wait"}, Env: env("guard"), Foreign: true, Guard: []string{os.Args[0]}},
	} {
		s.Output = func(line string) { lines <- line }
		if _, err := process.Start(s); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	for line := range lines {
		fmt.Println(line)
	}
}

func env(role string) []string { return append(os.Environ(), "ROLE="+role) }

// start starts a child and returns its output as a channel, closed at its end.
func start(t *testing.T, s process.Spec) (*process.Process, <-chan string) {
	t.Helper()
	lines := make(chan string, 100)
	s.Output = func(line string) { lines <- line }
	p, err := process.Start(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Kill(); <-p.Done() })
	go func() { <-p.Done(); close(lines) }()
	return p, lines
}

func TestOutputAndExit(t *testing.T) {
	p, lines := start(t, process.Spec{Command: []string{os.Args[0]}, Env: env("hello")})
	var got []string
	for line := range lines {
		got = append(got, line)
	}
	if want := "one two three"; strings.Join(got, " ") != want {
		t.Errorf("output %q", got)
	}
	if e := p.Exit(); e.Code != 7 || e.Text != "exit status 7" {
		t.Errorf("exit %+v", e)
	}
}

func TestLongLines(t *testing.T) {
	const n = 200_000
	p, lines := start(t, process.Spec{Command: []string{"sh", "-c", fmt.Sprintf("head -c %d /dev/zero | tr '\\0' x", n)}, Env: os.Environ()})
	total, count := 0, 0
	for line := range lines {
		total += len(line)
		count++
	}
	if total != n || count != 4 {
		t.Errorf("%d bytes in %d lines", total, count)
	}
	if e := p.Exit(); e.Code != 0 {
		t.Errorf("exit %+v", e)
	}
}

func TestDrain(t *testing.T) {
	p, lines := start(t, process.Spec{Command: []string{os.Args[0]}, Env: env("service")})
	if line := <-lines; !strings.HasPrefix(line, "running") {
		t.Fatal(line)
	}
	p.Drain()
	p.Drain() // no second signal
	if line := <-lines; line != "ended by terminated" {
		t.Error(line)
	}
	if e := p.Exit(); e.Code != 0 {
		t.Errorf("exit %+v", e)
	}
}

func TestKill(t *testing.T) {
	p, lines := start(t, process.Spec{Command: []string{os.Args[0]}, Env: env("service")})
	<-lines
	p.Kill()
	if e := p.Exit(); e.Code != -1 || e.Text != "signal: killed" {
		t.Errorf("exit %+v", e)
	}
	p.Kill() // nobody
}

func TestForeignExit(t *testing.T) {
	p, _ := start(t, process.Spec{Command: []string{"sh", "-c", "[ -z \"$HANSE_LIFELINE\" ] && exit 5"}, Env: env("guard"), Foreign: true, Guard: []string{os.Args[0]}})
	if e := p.Exit(); e.Code != 5 {
		t.Errorf("exit %+v", e)
	}
}

func TestForeignMissing(t *testing.T) {
	p, lines := start(t, process.Spec{Command: []string{"/nowhere/prog"}, Env: env("guard"), Foreign: true, Guard: []string{os.Args[0]}})
	if line := <-lines; !strings.Contains(line, "/nowhere/prog") {
		t.Error(line)
	}
	<-p.Done()
}

// A foreign command ends with all that it started, by a drain as well as when it leaves children behind.
func TestForeignGroup(t *testing.T) {
	for _, command := range []string{
		"sleep 1000 & echo running $!; wait",
		"trap '' TERM; sleep 1000 & echo running $!; exit 0",
	} {
		p, lines := start(t, process.Spec{Command: []string{"sh", "-c", command}, Env: env("guard"), Foreign: true, Guard: []string{os.Args[0]}})
		pid := running(t, <-lines)
		p.Drain()
		<-p.Done()
		waitGone(t, pid)
	}
}

// When the parent is killed, no child survives it.
func TestParentKilled(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = env("parent")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pids []int
	scan := bufio.NewScanner(out)
	for len(pids) < 3 && scan.Scan() {
		pids = append(pids, running(t, scan.Text()))
	}
	cmd.Process.Kill()
	cmd.Wait()
	for _, pid := range pids {
		waitGone(t, pid)
	}
}

func running(t *testing.T, line string) int {
	t.Helper()
	pid, err := strconv.Atoi(strings.TrimPrefix(line, "running "))
	if err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return pid
}

// waitGone waits until there is no process pid, or only its remains that nobody has waited for.
func waitGone(t *testing.T, pid int) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		if syscall.Kill(pid, 0) != nil {
			return
		}
		if state, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output(); err != nil || strings.HasPrefix(string(state), "Z") {
			return
		}
	}
	syscall.Kill(pid, syscall.SIGKILL)
	t.Errorf("process %d lives on", pid)
}
