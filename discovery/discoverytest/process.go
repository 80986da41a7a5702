package discoverytest

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Process is a server that a test runs as a child. It dies with the test, however that ends: a shell waits for the end of its input, and
// kills it.
type Process struct {
	t     testing.TB
	log   string // the file
	shell *exec.Cmd
	stdin io.Closer
	pid   int
}

// StartProcess starts a command, which appends what it has to say to a file. Its end is shown when the test has failed. The caller kills it.
func StartProcess(t testing.TB, logFile string, command ...string) *Process {
	t.Helper()
	shell := exec.Command("sh", append([]string{"-c", `"$@" >&2 & echo $!; read _; kill -9 $! 2>/dev/null; wait`, "sh"}, command...)...)
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	shell.Stderr = log
	stdin, err := shell.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	p := &Process{t: t, log: logFile, shell: shell, stdin: stdin}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err == nil {
		p.pid, err = strconv.Atoi(strings.TrimSpace(line))
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Kill ends the process as a crash does. One that was killed already is left alone, and so is nil.
func (p *Process) Kill() {
	if p == nil || p.pid == 0 {
		return
	}
	child, err := os.FindProcess(p.pid)
	if err == nil {
		err = child.Kill()
	}
	if err != nil {
		p.t.Errorf("kill %s: %v", p.shell.Args[4], err)
	}
	_ = p.stdin.Close()
	_ = p.shell.Wait() // its status is that of a kill of what is dead
	p.pid = 0
	if text, err := os.ReadFile(p.log); p.t.Failed() && err == nil {
		p.t.Logf("the end of the log of %s:\n%s", p.shell.Args[4], text[max(0, len(text)-8000):])
	}
}

// FreeAddress returns an address that is free now and the test's own until it ends, also while a server is down: its port is below those that
// the system gives to connections, one of which would else have it when the server comes back. Tests that run at the same time, also those of
// other programs, get different ones: each holds a socket of UDP for its port, 10000 below, where no server has one.
func FreeAddress(t testing.TB) string {
	t.Helper()
	const first, all, below = 20000, 10000, 10000
	for range 1000 {
		port := first + rand.N(all)
		held, err := net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", port-below))
		if err != nil {
			continue // another test has it
		}
		lis, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			held.Close()
			continue // another program has it
		}
		t.Cleanup(func() { held.Close() })
		defer lis.Close()
		return lis.Addr().String()
	}
	t.Fatal("no port is free")
	return ""
}

// Eventually looks until ok holds, which is up to another process.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in 30 s: %s", what)
		}
	}
}
