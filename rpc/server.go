package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hanse-go/hanse/identity"
	"github.com/hanse-go/hanse/resilience"
	"github.com/hanse-go/hanse/telemetry"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// Server holds the registered contracts of one service and runs its calls, whatever path they take. It is a
// [grpc.ServiceRegistrar]:
//
//	srv := &rpc.Server{Name: "greeter"}
//	greeterv1.RegisterGreeterServer(srv, greeter{})
//	if err := srv.Err(); err != nil {
//		return err
//	}
//	srv.Start()
//
// Calls reach it through a [Port] or, within the process, through a [Client] that has it in Local. Its zero value is a server with no
// contracts; a Server must not be copied, and its fields are set before Start.
type Server struct {
	// Name is the service's name, by which a Port routes calls. It may be empty when the server is alone on its Port.
	Name string
	// Instance is the instance ID. Calls that arrive from a wire and are addressed to another instance are refused as not processed.
	// Empty: not checked.
	Instance string

	// UnaryInterceptors and StreamInterceptors see every call before its handler; the first is outermost.
	UnaryInterceptors  []grpc.UnaryServerInterceptor
	StreamInterceptors []grpc.StreamServerInterceptor
	// StatsHandlers get the events that grpc's server gives.
	StatsHandlers []stats.Handler

	// MaxRecvMsgSize is the limit of one request message, in bytes and uncompressed; 0 is 4 MiB, -1 is no limit.
	MaxRecvMsgSize int
	// MaxSendMsgSize is the limit of one reply message, in bytes and uncompressed; 0 and -1 are no limit.
	MaxSendMsgSize int

	// NoValidation lets invalid requests pass. By default a request that has a method Validate() error, written by hand or by a generator, is
	// asked before the handler gets it, after the interceptors; and each message of a stream when it is received. What is wrong fails the
	// call with InvalidArgument and the error's message, or with the error's own status if it has one. An error of
	// protoc-gen-validate also names the fields, all of them, in an errdetails.BadRequest. An invalid message ends its stream.
	NoValidation bool

	// Allow says who may call what; a call that no rule lets in fails with PermissionDenied before any interceptor sees it. Empty:
	// everyone may call everything. Health and reflection are open in either case. Mistakes in rules are in Err, and let nobody in.
	Allow []identity.Rule
	// AllowReportOnly lets in what Allow denies, and counts and logs it as Allow does: to find out which rules are missing.
	AllowReportOnly bool
	// ServiceID returns the ID of a service that a rule of Allow names. nil: rules must have SPIFFE IDs.
	ServiceID func(service string) identity.ID

	// Unknown serves the calls of all methods that no registered contract has, under the same interceptors: to pass them on, see
	// [Forwarder]. Not together with Allow, whose rules cannot name them: that is a mistake in Err, and lets nobody in. nil: Unimplemented.
	Unknown grpc.StreamHandler
	// UnknownUnary reports whether a method ("/package.Service/Method") that Unknown serves is unary, for what Telemetry is told: how long a stream
	// took is no latency. nil: a method is unary until one of its calls has a second message in one direction.
	UnknownUnary func(method string) bool

	// Policy is what calls in are given: which are shed when there are too many. The zero value limits by latency what comes from outside;
	// see [resilience.Limit]. SetPolicy changes it while the server runs. Mistakes are in Err.
	Policy resilience.Policy

	// Replies keeps the replies to calls with an idempotency key. nil: memory, which other instances do not see. See
	// [resilience.Idempotent].
	Replies resilience.ReplyStore

	// Faults go wrong on purpose with calls; nil: none. They strike before the interceptors, and after it was found out who may call.
	Faults *resilience.Faults

	// Telemetry is told of the calls. nil: nobody is.
	Telemetry *telemetry.Service

	// Logger gets the panics of handlers, and who was denied what; nil is slog.Default.
	Logger *slog.Logger

	phase      atomic.Int32  // phase, written under mu
	registered atomic.Uint64 // contracts; written under mu
	started    chan struct{}
	refusing   chan struct{} // closed when it is no longer fresh or serving
	stopped    chan struct{}
	quiet      chan struct{} // closed when the last call of a draining server ends; made by Drain

	mu       sync.Mutex
	services map[string]*contract
	methods  map[string]*method // by "/package.Service/Method"; not changed after Start
	mistakes []error
	running  activeCall // head of the list of running calls
	nRunning int
	workers  workers

	stream  grpc.StreamServerInterceptor // the chain, made by Start
	guard   *identity.Guard              // nil without Allow; made by Start
	policy  resilience.Policy            // that holds, from Start on
	again   resilience.Idempotent
	replays resilience.Counts                 // what again did
	reached atomic.Pointer[telemetry.Reached] // for calls within the process; nil before Start
}

// phase is a step in the life of a server; it only grows.
type phase = int32

const (
	fresh phase = iota
	serving
	draining
	stopped
)

// init makes what the zero value lacks. s.mu is held.
func (s *Server) init() {
	if s.started == nil {
		s.started, s.refusing, s.stopped = make(chan struct{}), make(chan struct{}), make(chan struct{})
		s.running.next, s.running.prev = &s.running, &s.running
	}
}

// Start lets calls run from now on; those that came before have waited for it. Registrations that come later are mistakes. Start after
// Drain or Stop, or again, does nothing.
func (s *Server) Start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.init()
	if s.phase.Load() != fresh {
		return
	}
	if err := s.placeGuard(); err != nil {
		s.mistakes = append(s.mistakes, err)
	}
	s.placeChecks()
	s.again.Store, s.again.Caller, s.again.Counts = s.Replies, whoCalls, &s.replays
	if s.policy = s.Policy; s.policy.Check() == nil {
		s.placeDoors(s.policy)
	}
	s.placeTelemetry()
	s.stream = chainStream(s.StreamInterceptors)
	s.phase.Store(serving)
	close(s.started)
}

// refuse makes the server refuse calls from now on. s.mu is held.
func (s *Server) refuse(to phase) {
	before := s.phase.Swap(to)
	if before == fresh {
		close(s.started) // wakes the calls that wait
	}
	if before < draining {
		close(s.refusing)
	}
	s.workers.endIdle()
	s.openDoors()
}

// Drain refuses new calls on all paths, in process too, as never processed, and waits until no call runs. When ctx ends first, the
// error names the methods that still run; the calls go on, and Drain may be called again.
func (s *Server) Drain(ctx context.Context) error {
	s.mu.Lock()
	s.init()
	if s.phase.Load() < draining {
		s.refuse(draining)
	}
	if s.nRunning == 0 {
		s.mu.Unlock()
		return nil
	}
	if s.quiet == nil {
		s.quiet = make(chan struct{})
	}
	quiet := s.quiet
	s.mu.Unlock()

	select {
	case <-quiet:
		return nil
	case <-ctx.Done():
		if running := s.Running(); len(running) > 0 {
			return fmt.Errorf("rpc: calls of service %q still run: %s: %w", s.Name, strings.Join(running, ", "), context.Cause(ctx))
		}
		return nil
	}
}

// Stop refuses new calls and cancels the contexts of those that run: their callers get Unavailable, those in this process at once. It
// does not wait for handlers; Drain does, also after Stop.
func (s *Server) Stop() {
	s.mu.Lock()
	s.init()
	if s.phase.Load() == stopped {
		s.mu.Unlock()
		return
	}
	s.refuse(stopped)
	close(s.stopped)
	var calls []*activeCall
	for c := s.running.next; c != &s.running; c = c.next {
		calls = append(calls, c)
	}
	s.mu.Unlock()
	for _, c := range calls {
		c.call.stop()
	}
}

// Running returns the full methods ("/package.Service/Method") of the calls that run now, sorted, one entry for each call.
func (s *Server) Running() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	methods := make([]string, 0, s.nRunning)
	if s.started != nil {
		for c := s.running.next; c != &s.running; c = c.next {
			methods = append(methods, c.call.fullMethod())
		}
	}
	slices.Sort(methods)
	return methods
}

// Err returns the mistakes in registrations, joined, or nil: an implementation that is nil or lacks methods of its contract, a contract
// registered twice, a registration after Start, a rule of Allow that names what there is not, a Policy that
// makes no sense (its server has none then).
func (s *Server) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	mistakes := s.mistakes
	if err := s.Policy.Check(); err != nil {
		mistakes = append(mistakes[:len(mistakes):len(mistakes)], fmt.Errorf("rpc: policy of service %q: %w", s.Name, err))
	}
	if s.Unknown != nil && len(s.Allow) > 0 {
		mistakes = append(mistakes[:len(mistakes):len(mistakes)], fmt.Errorf("rpc: service %q has Allow, and Unknown for methods that no rule can name: register their contracts", s.Name))
	}
	if s.phase.Load() == fresh {
		_, err := s.newGuard()
		mistakes = append(mistakes[:len(mistakes):len(mistakes)], err)
	}
	return errors.Join(mistakes...)
}

func (s *Server) logger() *slog.Logger {
	if s.Logger != nil {
		return s.Logger
	}
	return slog.Default()
}

// activeCall is the entry of a running call in its server's list.
type activeCall struct {
	call       runningCall
	worker     *worker
	prev, next *activeCall
}

// runningCall is a call as its server knows it.
type runningCall interface {
	fullMethod() string
	stop() // what Server.Stop does to it
}

// awaitStart returns when calls may run, or why they may not; closed ends when the caller's connection was closed.
func (s *Server) awaitStart(ctx, closed context.Context, waiting *atomic.Int64) error {
	if s.phase.Load() == serving {
		return nil
	}
	s.mu.Lock()
	s.init()
	s.mu.Unlock()
	if s.phase.Load() == fresh {
		if waiting != nil {
			waiting.Add(1)
			defer waiting.Add(-1)
		}
		select {
		case <-s.started:
		case <-ctx.Done():
			return contextStatus(ctx.Err())
		case <-closed.Done():
			return errClosed
		}
	}
	return s.refusal()
}

// refusal says why a call may not run, or returns nil.
func (s *Server) refusal() error {
	switch s.phase.Load() {
	case draining:
		return errNotProcessed("service %q is shutting down", s.Name)
	case stopped:
		return errNotProcessed("service %q has stopped", s.Name)
	}
	return nil
}

// errStopped is what the caller of a running call gets when the server stops.
func (s *Server) errStopped() error {
	return status.Errorf(codes.Unavailable, "service %q was stopped while the call ran", s.Name)
}

// begin counts a call as running and gives it a worker, which waits for its job, unless the server refuses the call.
func (s *Server) begin(c *activeCall) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refusal(); err != nil {
		return err
	}
	s.add(c)
	if c.worker = s.workers.take(); c.worker == nil {
		c.worker = newWorker()
		go c.worker.run()
	}
	return nil
}

// end takes a call off the list, and keeps its worker for the next one.
func (s *Server) end(c *activeCall) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(c)
	s.workers.put(c.worker, &s.mu, s.phase.Load() == serving)
}

// enter is begin for a call that has a goroutine, and leave is its end.
func (s *Server) enter(c *activeCall) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refusal(); err != nil {
		return err
	}
	s.add(c)
	return nil
}

func (s *Server) leave(c *activeCall) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(c)
}

// add puts a call on the list. s.mu is held.
func (s *Server) add(c *activeCall) {
	c.prev, c.next = s.running.prev, &s.running
	c.prev.next, c.next.prev = c, c
	s.nRunning++
}

// remove takes a call off the list. s.mu is held.
func (s *Server) remove(c *activeCall) {
	c.prev.next, c.next.prev = c.next, c.prev
	s.nRunning--
	if s.nRunning == 0 && s.phase.Load() >= draining && s.quiet != nil {
		close(s.quiet)
		s.quiet = nil
	}
}

// caught makes the error of a call whose handler panicked with p or, when p is nil, ended its goroutine. Called while that unwinds. The
// caller learns nothing of the value: it may hold what only the server may know.
func (s *Server) caught(ctx context.Context, method string, p any) error {
	stack := slog.String("stack", string(debug.Stack()))
	if p == nil {
		s.logger().ErrorContext(ctx, "handler ended its goroutine by runtime.Goexit", "service", s.Name, "method", method, stack)
		return status.Error(codes.Internal, "handler ended its goroutine; see the server's log")
	}
	s.logger().ErrorContext(ctx, "panic in handler", "service", s.Name, "method", method, "panic", fmt.Sprint(p), stack)
	return status.Error(codes.Internal, "panic in handler; see the server's log")
}
