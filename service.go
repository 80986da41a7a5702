package hanse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"sync"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/resilience"
	"github.com/hanse-go/hanse/rpc"
	"github.com/hanse-go/hanse/store"
	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"
)

// Service is a named unit with contracts. It says what the unit is; where and how it runs is the business of the [App].
//
// The smallest one has a Name and one registration:
//
//	svc := &hanse.Service{Name: "greeter"}
//	greeterv1.RegisterGreeterServer(svc, greeter{})
//	svc.Main()
//
// What needs resources, connections or settings belongs in Setup, which runs only where the service runs.
//
// A Service belongs to one App and runs once. Its fields must not change after that has begun; its methods may be called
// concurrently.
type Service struct {
	// Name is what others call the service by. It matches [a-z]([a-z0-9-]{0,61}[a-z0-9])?, for it becomes an authority, a
	// subject and the name in a certificate.
	Name string

	// Version is announced with each instance. Default: the version of the main module, else its revision.
	Version string

	// Setup prepares the service: it makes connections, registers contracts and declares tasks. The set-ups of all services of
	// an app run concurrently. A service takes calls of its siblings as soon as its own Setup has returned, so a Setup may call
	// a sibling; the calls of others, and tasks, begin when all have returned. The context ends at [App.StartTimeout].
	// An error makes Run fail. Default: nothing to prepare.
	Setup func(ctx context.Context, s *Service) error

	// Interceptors and handlers of the calls that the service takes. Those of the App come first; the first is outermost.
	UnaryInterceptors  []grpc.UnaryServerInterceptor
	StreamInterceptors []grpc.StreamServerInterceptor

	// Interceptors of the calls that the service makes through Conn. Those of the App come first; the first is outermost.
	ClientUnaryInterceptors  []grpc.UnaryClientInterceptor
	ClientStreamInterceptors []grpc.StreamClientInterceptor

	// StatsHandlers see the calls that the service takes and those that it makes. Those of the App come first.
	StatsHandlers []stats.Handler

	// NoValidation lets invalid requests pass. By default a request that has a method Validate() error, written by hand or by a generator, is
	// asked before the handler gets it, on every path: after the interceptors, so that who may not call learns nothing of it. If it is not
	// valid the call fails with InvalidArgument; see [rpc.Server.NoValidation] for the details. Each message of a stream is asked when it is
	// received. App.Rules are not held either.
	NoValidation bool

	// Allow says who may call which contracts of the service. A call that no rule lets in fails with PermissionDenied, before
	// interceptors and handlers see it, whatever path it takes; the log says who called and which rules there are for the
	// method, once a minute. Rules that name what there is not make Run fail. Health checks, reflection (see [App.Reflection])
	// and the routes of [Service.Handle] have no rules: a route asks [github.com/hanse-go/hanse/identity.Caller] itself.
	// Callers are known within the app and, from other processes, where the app has an identity. Default: everyone may call.
	Allow []Rule

	// AllowReportOnly lets in what Allow denies, and counts and logs it as if it did not: to see which rules are missing before
	// they count. /debug/callers on the admin listener has the counts.
	AllowReportOnly bool

	// Policy is what the calls that the service takes are given: how many run at once, which are shed, and which are known already. Its
	// fields for callers have no meaning here. Default: calls from outside are limited by their latency, see [resilience.Limit].
	Policy resilience.Policy

	// Replies keeps the replies to calls with an idempotency key, so that they may be sent again and take effect once; see
	// [resilience.Idempotent]. Default: the app's store, which all instances share; in an app without one the memory of the process.
	Replies resilience.ReplyStore

	// Faults make calls go wrong on purpose, in a test. Default: none; where [App.AllowFaults] is set those that hanse chaos makes.
	Faults *resilience.Faults

	// Unknown serves the calls of methods that no contract of the service has, such as [rpc.Forwarder.Stream]. It goes with no Allow. Its
	// instances announce no contracts, and so get all calls of the service. Setup may set it. Default: they fail with Unimplemented.
	Unknown grpc.StreamHandler

	// CheckEvery is how often the checks (see [Service.Check]) are asked while the service runs, so that callers go elsewhere as long
	// as one is not met: the instance is then announced as starting. Default: they count for who asks for the health only.
	CheckEvery time.Duration

	// MaxRecvMsgSize is the most bytes that one request message may have, uncompressed. 0 is 4 MiB, -1 is no limit.
	MaxRecvMsgSize int

	// MaxSendMsgSize is the most bytes that one reply message may have. 0 and -1 are no limit.
	MaxSendMsgSize int

	server rpc.Server
	bus    events.Bus
	store  store.Client

	mu       sync.Mutex
	member   *member     // its part in the App that runs it; nil before that
	sealed   bool        // contracts and routes are fixed: Setup has returned
	mistakes []error     // in declarations; Run reports them
	unbound  []*rpc.Conn // made before Run
	routes   []route
	mux      *http.ServeMux
	tasks    []*backgroundTask // declared before they may start
	stops    []func(ctx context.Context) error
	checks   []*check
}

// RegisterService registers the implementation of a contract. It is what the Register…Server functions of
// protoc-gen-go-grpc call, and makes a Service a [grpc.ServiceRegistrar]. Mistakes, such as registering twice, make Run fail.
// It panics when it is called after Setup has returned.
func (s *Service) RegisterService(desc *grpc.ServiceDesc, impl any) {
	s.declare("RegisterService of " + desc.ServiceName)
	s.server.RegisterService(desc, impl)
}

// GetServiceInfo returns the contracts that are registered at the moment, as [grpc.Server.GetServiceInfo] does.
func (s *Service) GetServiceInfo() map[string]grpc.ServiceInfo {
	return s.server.GetServiceInfo()
}

// Conn returns a connection to the named service. It never blocks and never fails: calls find an instance when they are made, and
// wait for one, until their deadline, when none is ready. It may be used before Run; its calls then wait until the service is set
// up. It is closed with s; calls fail then, as they do when Run refuses its services.
func (s *Service) Conn(name string, opts ...rpc.ConnOption) *rpc.Conn {
	conn := rpc.NewConn(name, opts...)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := checkName(name); err != nil {
		s.mistake(fmt.Errorf("Conn: %w", err))
		conn.Close() // calls fail, and do not wait
		return conn
	}
	if s.member == nil || s.member.client == nil && !s.member.refused {
		s.unbound = append(s.unbound, conn)
		return conn
	}
	err := errRefused
	if !s.member.refused {
		err = conn.Bind(s.member.client)
	}
	if err != nil {
		s.mistake(fmt.Errorf("Conn(%q): %w", name, err))
		conn.Close()
	}
	return conn
}

// Logger returns a logger whose records carry the name of the service. It is [App.Logger] from Run on, and [slog.Default] before.
func (s *Service) Logger() *slog.Logger {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.member == nil {
		return slog.Default().With("service", s.Name)
	}
	return s.member.log
}

// Main runs the service as a program of its own. It is [App.Main] with an App of defaults.
func (s *Service) Main() { Main(s) }

// declare panics when the declarations of s are closed.
func (s *Service) declare(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sealed {
		panic(fmt.Sprintf("hanse: service %s: %s came after its set-up; call it in Setup or before Run", s.Name, what))
	}
}

// mistake notes an error in a declaration, for Run to report. The caller holds s.mu.
func (s *Service) mistake(err error) {
	err = fmt.Errorf("service %s: %w", s.Name, err)
	if s.sealed { // too late for Run to fail on it
		s.member.log.Error(err.Error())
		return
	}
	s.mistakes = append(s.mistakes, err)
}

// closeUnbound closes the connections that no client carries.
func (s *Service) closeUnbound() error {
	s.mu.Lock()
	unbound := s.unbound
	s.unbound = nil
	s.mu.Unlock()
	var errs []error
	for _, conn := range unbound {
		errs = append(errs, conn.Close())
	}
	return errors.Join(errs...)
}

// takeMistakes returns the mistakes that were not returned before.
func (s *Service) takeMistakes() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.mistakes
	s.mistakes = nil
	return all
}

// errRefused is why nothing works of services that the app refused to run.
var errRefused = errors.New("the App did not run, for the declarations of its services had mistakes")

var namePattern = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

// checkName refuses what cannot be the name of a service.
func checkName(name string) error {
	if namePattern.MatchString(name) {
		return nil
	}
	return fmt.Errorf("%q cannot be the name of a service: use 1 to 63 of a-z, 0-9 and '-', beginning with a letter and not ending in '-'", name)
}
