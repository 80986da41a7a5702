package suites

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a program that serves while a test runs.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it ended
	err  error         // set before done is closed

	mu  sync.Mutex
	log bytes.Buffer
}

// start starts a program, waits until a line of its output matches ready, and returns the first group of that match. The program is ended
// with the test, and its output shown when the test fails.
func start(t *testing.T, ready string, name string, args ...string) (*process, string) {
	t.Helper()
	p := &process{cmd: exec.Command(name, args...), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "GRPC_GO_LOG_SEVERITY_LEVEL=info", nodePath())
	out, in := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = in, in
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	matched := make(chan string, 1)
	var reading sync.WaitGroup
	reading.Go(func() {
		pattern := regexp.MustCompile(ready)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.mu.Lock()
			p.log.Write(append(lines.Bytes(), '\n'))
			p.mu.Unlock()
			if m := pattern.FindStringSubmatch(lines.Text()); m != nil {
				select {
				case matched <- m[len(m)-1]:
				default:
				}
			}
		}
	})
	go func() {
		p.err = p.cmd.Wait()
		in.Close()
		reading.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.end(t)
		if strings.Contains(p.output(), "WARNING: DATA RACE") {
			t.Error("the program has a data race")
		}
		if t.Failed() {
			t.Logf("output of %s:\n%s", strings.Join(p.cmd.Args, " "), p.output())
		}
	})
	select {
	case m := <-matched:
		return p, m
	case <-p.done:
		t.Fatalf("%s ended before it was ready: %v\n%s", name, p.err, p.output())
	case <-time.After(20 * time.Second):
		t.Fatalf("%s is not ready after 20 s\n%s", name, p.output())
	}
	return nil, ""
}

// terminate asks the process to end.
func (p *process) terminate(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
}

// end ends the process and waits until it has.
func (p *process) end(t *testing.T) {
	select {
	case <-p.done:
		return
	default:
	}
	p.terminate(t)
	select {
	case <-p.done:
	case <-time.After(15 * time.Second):
		t.Errorf("%s did not end within 15 s of SIGTERM", p.cmd.Path)
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// command runs a program to its end and returns what it printed.
func command(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), "GRPC_GO_LOG_SEVERITY_LEVEL=error", nodePath())
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// nodePath tells node where the packages are.
func nodePath() string { return "NODE_PATH=" + filepath.Join(tools, "node_modules") }
