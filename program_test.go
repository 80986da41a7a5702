package hanse_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	"go.uber.org/goleak"
)

// programEnv makes the test binary run one of programs instead of the tests.
const programEnv = "HANSE_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if name := os.Getenv(programEnv); name != "" {
		os.Unsetenv(programEnv)
		programs[name]()
		return
	}
	goleak.VerifyTestMain(m)
}

// program is a process that runs one of programs.
type program struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout bytes.Buffer

	mu     sync.Mutex
	lines  []string // of standard error
	more   chan struct{}
	exited chan struct{}
}

// start runs a program with flags and environment (NAME=value). Nothing of the surroundings of the test reaches it.
func start(t *testing.T, name string, args []string, env ...string) *program {
	t.Helper()
	p := &program{t: t, more: make(chan struct{}, 1), exited: make(chan struct{})}
	p.cmd = exec.Command(os.Args[0], args...)
	p.cmd.Args[0] = name
	p.cmd.Dir = t.TempDir()
	p.cmd.Env = append([]string{programEnv + "=" + name, "XDG_RUNTIME_DIR=" + runtimeDir(t), "PATH=" + os.Getenv("PATH")}, env...)
	p.cmd.Stdout = &p.stdout
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.exited)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			p.mu.Lock()
			p.lines = append(p.lines, lines.Text())
			p.mu.Unlock()
			select {
			case p.more <- struct{}{}:
			default:
			}
		}
		p.cmd.Wait()
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.exited
		if t.Failed() {
			t.Logf("%s wrote:\n%s", name, p.errors())
		}
	})
	return p
}

// runtimeDir returns a folder for sockets and leases, short enough for the path of a socket.
func runtimeDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "hanse")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// errors returns what the program has written to standard error.
func (p *program) errors() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

// await returns the line of standard error that has the text.
func (p *program) await(text string) string {
	p.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		p.mu.Lock()
		for _, line := range p.lines {
			if strings.Contains(line, text) {
				p.mu.Unlock()
				return line
			}
		}
		p.mu.Unlock()
		select {
		case <-p.more:
		case <-p.exited:
			if !strings.Contains(p.errors(), text) {
				p.t.Fatalf("the program ended without %q", text)
			}
		case <-deadline:
			p.t.Fatalf("the program did not write %q", text)
		}
	}
}

// exit returns the status with which the program ended.
func (p *program) exit() int {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(20 * time.Second):
		p.t.Fatal("the program does not end")
	}
	return p.cmd.ProcessState.ExitCode()
}

// field returns the value of a key in a line of the log.
func field(line, key string) string {
	_, rest, _ := strings.Cut(line, " "+key+"=")
	value, _, _ := strings.Cut(rest, " ")
	return strings.Trim(value, `"`)
}

// programs are the programs that tests run.
var programs = map[string]func(){
	"greeter": func() { greeter().Main() },
	"shop": func() {
		hanse.Main(named("catalog"), named("cart"), named("checkout"))
	},
	"failing": func() {
		hanse.Main(&hanse.Service{Name: "db", Setup: func(context.Context, *hanse.Service) error {
			return errors.New("no database at 127.0.0.1:5432")
		}})
	},
	"twins": func() { hanse.Main(named("cart"), named("cart")) },
	"stubborn": func() { // its task does not heed its context
		s := named("stubborn")
		s.Go("deaf", func(context.Context) error { select {} })
		(&hanse.App{DrainTimeout: 50 * time.Millisecond}).Main(s)
	},
	"caller": func() {
		app, err := hanse.FromEnv()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		defer app.Close()
		fmt.Println(hello(app.Conn("greeter"), "Lübeck"))
	},
}

func named(name string) *hanse.Service { return &hanse.Service{Name: name} }

var _ io.Writer
