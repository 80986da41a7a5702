// Package member makes a program in any language a member of a system: it runs the program as its child, stands in front of it as the
// services that the program serves, and gives it addresses of the services that it calls.
package member

import (
	"cmp"
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
	"sync"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/process"
	"github.com/hanse-go/hanse/identity"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Options say what to run.
type Options struct {
	App      *hanse.App // how to be found and to find others
	Services []string   // that the command serves; one at least
	Version  string     // announced with them; "": none
	Command  []string   // a program and its arguments; {port} in them is the port to serve
	Dir      string     // where it runs; "": here
	Env      []string   // its environment, but for what Run adds
	Port     int        // that it serves, on 127.0.0.1; 0: a free one
	Health   Health     // when it can take calls
	HTTP     bool       // it serves plain HTTP besides or instead of gRPC
	Uses     []string   // services that it wants addresses of
	Guard    []string   // see [process.Spec]

	// Contracts are those that it serves; none: it is asked, by gRPC's reflection.
	Contracts []protoreflect.ServiceDescriptor

	Stdout, Stderr io.Writer // its output
}

const (
	// checkEvery is how often the health of a running command is asked.
	checkEvery = time.Second
	// startTime is how long a command may take to be healthy.
	startTime = 60 * time.Second
	// firstCheck and slowCheck are the pauses between questions whether a command that starts is healthy.
	firstCheck = 20 * time.Millisecond
	slowCheck  = 250 * time.Millisecond
)

// Run starts the command, announces it when it is healthy, and returns when it has ended: when ctx does, after callers were told to go
// elsewhere and what ran has ended, or by itself. The exit status is the command's; it is 0 for a command that was told to end and did,
// whatever it says then.
func Run(ctx context.Context, o Options) (exit int, err error) {
	m := &member{Options: o, port: o.Port}
	if m.port == 0 {
		if m.port, err = freePort(); err != nil {
			return 1, fmt.Errorf("looking for a free port for %s: %w", o.Services[0], err)
		}
	}
	if _, err := exec.LookPath(m.program()); err != nil {
		return 1, fmt.Errorf("starting %s: %w", o.Services[0], err) // the guard would only say it later
	}
	if o.App.StartTimeout == 0 {
		o.App.StartTimeout = startTime
	}
	var services []*hanse.Service
	for i, name := range o.Services {
		services = append(services, m.service(name, i == 0))
	}
	if o.App.Labels == nil {
		o.App.Labels = make(map[string]string)
	}
	o.App.Labels[CommandLabel] = m.addr()
	err = o.App.Run(ctx, services...)
	m.close()
	return m.exit(err)
}

// CommandLabel is announced with an instance that stands for a command; its value is the HOST:PORT where the command itself listens.
const CommandLabel = "command"

// member is one Run.
type member struct {
	Options
	port    int
	conn    *rpc.Conn   // to the command
	client  *rpc.Client // of conn
	forward rpc.Forwarder
	child   *process.Process

	serves    []protoreflect.ServiceDescriptor // its contracts; none: it does not tell
	pagesOnly bool                             // it does not speak gRPC

	starting sync.Once
	failed   error // why it could not be started
	told     bool  // to end; from OnStop on
	killed   bool  // for it did not
	scratch  string
	doors    []*door
}

// errEnded is why the app stops when the command ends by itself.
var errEnded = errors.New("the command has ended")

func (m *member) addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(m.port)) }

// program is what is executed.
func (m *member) program() string {
	name := m.Command[0]
	if strings.ContainsAny(name, `/\`) && !filepath.IsAbs(name) {
		return filepath.Join(m.Dir, filepath.FromSlash(name))
	}
	return name
}

// service returns one of those that the command serves. The first one runs the command.
func (m *member) service(name string, first bool) *hanse.Service {
	s := &hanse.Service{Name: name, Version: m.Version, CheckEvery: checkEvery, MaxRecvMsgSize: -1}
	s.Setup = func(ctx context.Context, s *hanse.Service) error {
		m.starting.Do(func() { m.failed = m.start(ctx, s) })
		if m.failed != nil {
			if !first {
				return errors.New("the command did not start")
			}
			return m.failed
		}
		m.register(s)
		if first {
			s.Go("command", m.wait)
		}
		s.Check("command", func(ctx context.Context) error { return m.Health.check(ctx, m) })
		if m.HTTP {
			s.Handle("/", m.pages())
		}
		return nil
	}
	return s
}

// start runs the command until it is healthy, and learns what it serves. s is one of its services.
func (m *member) start(ctx context.Context, s *hanse.Service) error {
	env, err := m.environ(s)
	if err != nil {
		return err
	}
	spec := process.Spec{Dir: m.Dir, Env: env, Foreign: true, Guard: m.Guard, Stdout: m.Stdout, Stderr: m.Stderr}
	for _, arg := range m.Command {
		spec.Command = append(spec.Command, strings.ReplaceAll(arg, "{port}", strconv.Itoa(m.port)))
	}
	spec.Command[0] = m.program()
	if m.child, err = process.Start(spec); err != nil {
		return fmt.Errorf("starting %s: %w", m.Command[0], err)
	}
	s.OnStop(m.stop)
	s.Logger().Info("command started", "pid", m.child.PID(), "command", m.Command[0], "port", m.port)
	if err := m.dial(); err != nil {
		return err
	}
	if err := m.awaitHealthy(ctx); err != nil {
		return err
	}
	m.learn(s)
	return nil
}

// awaitHealthy waits for the first good answer to the question how the command does.
func (m *member) awaitHealthy(ctx context.Context) error {
	pause := firstCheck
	for {
		asking, cancel := context.WithTimeout(ctx, checkEvery)
		err := m.Health.check(asking, m)
		cancel()
		select {
		case <-m.child.Done():
			return fmt.Errorf("%w before it was healthy: %s", errEnded, m.child.Exit().Text) // the port may be another's
		default:
		}
		if err == nil {
			return nil
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-m.child.Done():
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("the command is not healthy (%s): %w", m.Health, err)
		}
		pause = min(2*pause, slowCheck)
	}
}

// wait is the task that ends with the command.
func (m *member) wait(ctx context.Context) error {
	select {
	case <-m.child.Done():
		return errEnded
	case <-ctx.Done():
		return nil
	}
}

// stop ends the command, when nothing calls it any more: by SIGTERM, and by SIGKILL where it does not heed that in time.
func (m *member) stop(ctx context.Context) error {
	select {
	case <-m.child.Done():
		return nil
	default:
	}
	m.told = true
	m.child.Drain()
	select {
	case <-m.child.Done():
		return nil
	case <-ctx.Done():
	}
	m.killed = true
	m.child.Kill()
	<-m.child.Done()
	return fmt.Errorf("process %d did not end when it was told to, and was killed", m.child.PID())
}

// close ends what the command used.
func (m *member) close() {
	for _, d := range m.doors {
		d.close()
	}
	if m.client != nil {
		m.client.Close()
	}
	if m.scratch != "" {
		os.RemoveAll(m.scratch)
	}
}

// exit says what a Run returns whose app returned err.
func (m *member) exit(err error) (int, error) {
	if m.child == nil {
		return 1, cmp.Or(err, errors.New("the command was not started"))
	}
	code := m.child.Exit().Code
	switch {
	case m.told && !m.killed && err == nil:
		return 0, nil
	case m.killed || err != nil && !errors.Is(err, errEnded):
		return 1, err
	case m.failed != nil: // it ended before it was healthy: the error tells
		return cmp.Or(max(code, 0), 1), err
	}
	return max(code, 0), nil
}

// environ returns the environment of the command.
func (m *member) environ(s *hanse.Service) ([]string, error) {
	drop := map[string]bool{"PORT": true}
	for _, name := range []string{"LIFELINE", "ADDR", "ADVERTISE", "ADMIN_ADDR", "SERVICES", "LIST_SERVICES"} { // those are ours
		drop["HANSE_"+name] = true
	}
	var env []string
	for _, e := range m.Env {
		if name, _, _ := strings.Cut(e, "="); !drop[name] {
			env = append(env, e)
		}
	}
	env = append(env, "PORT="+strconv.Itoa(m.port))
	for _, used := range m.Uses {
		d, err := openDoor(s, used)
		if err != nil {
			return nil, fmt.Errorf("an address of %s for the command: %w", used, err)
		}
		m.doors = append(m.doors, d)
		env = append(env, AddrVariable(used)+"="+d.addr())
	}
	if src := m.App.Identity; src != nil {
		var err error
		if m.scratch, err = os.MkdirTemp("", "hanse-run-"); err != nil {
			return nil, err
		}
		files, err := identity.Export(src, s.Name, m.scratch)
		if err != nil {
			return nil, fmt.Errorf("certificate files for the command: %w", err)
		}
		env = append(env, "HANSE_CERT_FILE="+files.Cert, "HANSE_KEY_FILE="+files.Key, "HANSE_CA_FILE="+files.CA)
		s.Go("certificate files", func(ctx context.Context) error { return m.renew(ctx, s, src) })
	}
	return env, nil
}

// AddrVariable is the name of the variable with the address of a service.
func AddrVariable(service string) string {
	return "HANSE_" + strings.ToUpper(strings.ReplaceAll(service, "-", "_")) + "_ADDR"
}

// renew keeps the command's certificate files up to date.
func (m *member) renew(ctx context.Context, s *hanse.Service, src identity.Source) error {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if _, err := identity.Export(src, s.Name, m.scratch); err != nil {
			s.Logger().Error("the command's certificate files are not up to date", "error", err)
		}
	}
}

// renewEvery is how often certificates are looked at.
const renewEvery = 2 * time.Second

// freePort asks the system for a port, which somebody else may take before the command does.
func freePort() (int, error) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer lis.Close()
	return lis.Addr().(*net.TCPAddr).Port, nil
}
