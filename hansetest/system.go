package hansetest

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/internal/memnet"
	"github.com/hanse-go/hanse/rpc"
	"github.com/hanse-go/hanse/store"
	"google.golang.org/grpc"
)

// How long the system waits for its services, where [hanse.App] would wait longer.
const (
	startTimeout = 20 * time.Second
	drainTimeout = 10 * time.Second
)

// testHost is where the test itself is in the network.
const testHost = "test"

// Options vary a system. The zero value is what [Run] uses.
type Options struct {
	// Path is how calls go: [Memory], [rpc.InProcess], [rpc.Unix] or [rpc.TCP]. With InProcess, services that are started together
	// share one app. Default: Memory.
	Path rpc.Path

	// Config is what the file with the services' settings says, as YAML. Default: nothing.
	Config string

	// Log receives what the services log, as text, in one Write for each record and one at a time. Default: the test's log.
	Log io.Writer

	// App changes each app before it runs: its interceptors, its timeouts. Registry, Transports, Path and Logger are the system's
	// own. An app that has no Backplane shares a store in memory with the others, unless it has a Store, and a broker of events in memory, unless
	// it has a Broker. Default: no change.
	App func(*hanse.App)
}

// Memory is the path of calls over the network in memory.
const Memory rpc.Path = "memory"

// System is a running system. Its methods may be called concurrently.
type System struct {
	t        testing.TB
	opts     Options
	config   string // path
	network  memnet.Network
	registry discovery.Memory
	store    store.Memory
	broker   events.Memory
	client   *hanse.App
	log      *testLog

	mu      sync.Mutex
	nodes   []*node
	started map[string]int // instances by service
	closers []func()
}

// Run runs the services, each in an app of its own, and returns when all are ready. A service that fails to start fails the test.
func Run(t testing.TB, services ...*hanse.Service) *System {
	t.Helper()
	return Options{}.Run(t, services...)
}

// Run runs the services as the options say, and returns when all are ready.
func (o Options) Run(t testing.TB, services ...*hanse.Service) *System {
	t.Helper()
	if o.Path == "" {
		o.Path = Memory
	}
	if o.Log == nil {
		o.Log = t.Output()
	}
	s := &System{t: t, opts: o, started: map[string]int{}, log: &testLog{to: o.Log}}
	if o.Config != "" {
		s.config = filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(s.config, []byte(o.Config), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	leaks := watchLeaks(t)
	t.Cleanup(func() {
		s.close()
		leaks.check(t)
		s.log.end()
	})
	s.client = s.newApp(testHost, &s.registry)
	s.Start(services...)
	return s
}

// Start runs more services, or further instances of one, and returns when they are ready.
func (s *System) Start(services ...*hanse.Service) {
	s.t.Helper()
	var nodes []*node
	if s.opts.Path == rpc.InProcess && len(services) > 0 {
		nodes = append(nodes, s.newNode(services))
	} else {
		for _, svc := range services {
			nodes = append(nodes, s.newNode([]*hanse.Service{svc}))
		}
	}
	for _, n := range nodes {
		n.run()
	}
	for _, n := range nodes {
		select {
		case <-n.ready:
		case <-n.ended:
			n.failed = true
			s.t.Fatalf("%s did not start: %v", n.host, n.err)
		}
	}
}

// Fake is a service that stands for another one. register registers the fakes of its contracts, with the Register…Server functions of
// the generated code.
func Fake(name string, register func(grpc.ServiceRegistrar)) *hanse.Service {
	svc := &hanse.Service{Name: name}
	if register != nil {
		register(svc)
	}
	return svc
}

// Fake starts a service that stands for another one. When the set-up of a service already calls it, give the package's [Fake] to Run
// instead.
func (s *System) Fake(name string, register func(grpc.ServiceRegistrar)) {
	s.t.Helper()
	s.Start(Fake(name, register))
}

// Conn returns a connection to a service, from a caller that is none itself. It is closed with the system.
func (s *System) Conn(service string, opts ...rpc.ConnOption) *rpc.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.nodes {
		if s.opts.Path == rpc.InProcess && n.has(service) {
			return n.app.Conn(service, opts...)
		}
	}
	return s.client.Conn(service, opts...)
}

// newApp returns an app that belongs to the system.
func (s *System) newApp(host string, registry discovery.Registry) *hanse.App {
	app := &hanse.App{StartTimeout: startTimeout, DrainTimeout: drainTimeout, ConfigFile: s.config}
	if s.opts.App != nil {
		s.opts.App(app)
	}
	app.Registry = registry
	if app.Store == nil && app.Backplane == nil {
		app.Store = &s.store
	}
	if app.Broker == nil && app.Backplane == nil {
		app.Broker = &s.broker
	}
	app.Logger = slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{ReplaceAttr: shortTime})).With("host", host)
	switch s.opts.Path {
	case rpc.Unix:
		app.Transports, app.Path = []rpc.Transport{rpc.UnixTransport{}}, rpc.Unix
	case rpc.TCP:
		app.Transports, app.Path = []rpc.Transport{rpc.TCPTransport{}}, rpc.TCP
	default:
		// In process, too, so that HTTP and services that are started later are reached.
		app.Transports, app.Addr = []rpc.Transport{transport{s.network.Host(host)}}, host+":0"
	}
	return app
}

// onClose has f called when the system stops, before its services do.
func (s *System) onClose(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closers = append(s.closers, f)
}

// close stops everything, what was started last first.
func (s *System) close() {
	s.mu.Lock()
	nodes, closers := s.nodes, s.closers
	s.mu.Unlock()
	s.network.Heal()
	s.network.SetLatency(0)
	for _, f := range closers {
		f()
	}
	if s.client != nil {
		if err := s.client.Close(); err != nil {
			s.t.Errorf("closing the test's connections: %v", err)
		}
	}
	for _, n := range slices.Backward(nodes) {
		n.stop()
		if err := n.wait(); err != nil {
			s.t.Errorf("%s: %v", n.host, err)
		}
	}
}

// node is one app of the system.
type node struct {
	sys      *System
	host     string
	services []string
	app      *hanse.App
	ready    chan struct{} // closed when all its instances are announced as ready
	ended    chan struct{} // closed when Run returned
	stop     context.CancelFunc
	run      func()
	err      error // of Run; read it after ended
	failed   bool  // to start, and the test was told

	mu      sync.Mutex
	left    int // instances that are not ready
	killed  bool
	leases  []*lease
	waiting *time.Timer // for the registry to notice that it is dead
}

func (n *node) has(service string) bool { return slices.Contains(n.services, service) }

// newNode makes an app of some services.
func (s *System) newNode(services []*hanse.Service) *node {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := &node{sys: s, ready: make(chan struct{}), ended: make(chan struct{}), left: len(services)}
	for _, svc := range services {
		n.services = append(n.services, svc.Name)
		s.started[svc.Name]++
	}
	n.host = hostName(n.services[0], s.started[n.services[0]])
	n.app = s.newApp(n.host, registrar{&s.registry, n})
	ctx, cancel := context.WithCancel(context.Background())
	n.stop = cancel
	n.run = func() {
		go func() {
			defer close(n.ended)
			n.err = n.app.Run(ctx, services...)
		}()
	}
	s.nodes = append(s.nodes, n)
	return n
}

// wait returns what Run returned, once it has.
func (n *node) wait() error {
	<-n.ended
	n.mu.Lock()
	defer n.mu.Unlock()
	n.bury()
	if n.killed || n.failed { // it is no fault of a service that it was killed
		return nil
	}
	return n.err
}

// EachPath runs body as a subtest for each path that calls can take: memory, in process, unix and TCP.
//
//	hansetest.EachPath(t, func(t *testing.T, on hansetest.Options) {
//		sys := on.Run(t, cart.Service())
//		…
//	})
func EachPath(t *testing.T, body func(t *testing.T, on Options)) {
	t.Helper()
	for _, path := range []rpc.Path{Memory, rpc.InProcess, rpc.Unix, rpc.TCP} {
		t.Run(string(path), func(t *testing.T) { body(t, Options{Path: path}) })
	}
}
