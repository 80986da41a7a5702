package hanse_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/rpc/grpcwire"
	"go.uber.org/goleak"
	testpb "google.golang.org/grpc/interop/grpc_testing"
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
	p := prepare(t, name, args, env...)
	p.start()
	return p
}

// prepare makes a program that does not run yet.
func prepare(t *testing.T, name string, args []string, env ...string) *program {
	t.Helper()
	p := &program{t: t, more: make(chan struct{}, 1), exited: make(chan struct{})}
	p.cmd = exec.Command(os.Args[0], args...)
	p.cmd.Args[0] = name
	p.cmd.Dir = t.TempDir()
	p.cmd.Env = append([]string{programEnv + "=" + name, "XDG_RUNTIME_DIR=" + runtimeDir(t), "PATH=" + os.Getenv("PATH")}, env...)
	return p
}

func (p *program) start() {
	t := p.t
	t.Helper()
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
			t.Logf("%s wrote:\n%s", p.cmd.Args[0], p.errors())
		}
	})
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
	"grpc-go in reserve": func() {
		(&hanse.App{Wire: grpcwire.Wire{Standby: true}}).Main(greeter())
	},
	"shop": func() {
		catalog := named("catalog")
		testpb.RegisterTestServiceServer(catalog, greetServer{})
		hanse.Main(catalog, named("cart"), named("checkout"))
	},
	"failing": func() {
		hanse.Main(&hanse.Service{Name: "db", Setup: func(context.Context, *hanse.Service) error {
			return errors.New("no database at 127.0.0.1:5432")
		}})
	},
	"paid orders": payOrders,
	"mailer":      func() { mailer().Main() },
	"pays":        pays,
	"tick":        tick,
	"twins":       func() { hanse.Main(named("cart"), named("cart")) },
	"slow to stop": func() {
		s := named("slow")
		s.Go("slow", func(ctx context.Context) error {
			<-ctx.Done()
			fmt.Fprintln(os.Stderr, "the task was told to end")
			select {} // it does not heed it
		})
		s.Main()
	},
	"with flags": func() {
		greeting := flag.String("greeting", "Moin", "what to `say`")
		s := named("greeter")
		s.Setup = func(_ context.Context, s *hanse.Service) error {
			var cfg struct{ Times int }
			err := s.Config(&cfg)
			s.Logger().Info("set up", "greeting", *greeting, "times", cfg.Times)
			return err
		}
		(&hanse.App{Addr: "127.0.0.1:1"}).Main(s) // which nobody may use: the flag must win
		fmt.Println("main goes on")
	},
	"conflict": func() {
		flag.String("addr", "", "")
		named("greeter").Main()
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
	"waiting caller": func() {
		if _, err := hanse.FromEnv(); err != nil {
			panic(err)
		}
		fmt.Fprintln(os.Stderr, "waiting")
		select {}
	},
}

func named(name string) *hanse.Service { return &hanse.Service{Name: name} }
