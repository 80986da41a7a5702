package hanse

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/config"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/events/natsevents"
	"github.com/hanse-go/hanse/resilience"
	"github.com/hanse-go/hanse/rpc"
	"github.com/hanse-go/hanse/telemetry"
	"github.com/hanse-go/hanse/telemetry/webtrace"
)

// Run runs the services until ctx ends, and returns when all that it started has ended.
//
// It sets all services up at once, then listens, starts their tasks and announces them. When ctx ends, or a task fails, the app
// drains as a whole: it tells others to call elsewhere, finishes what runs, stops tasks, calls the functions given to
// [Service.OnStop] and closes everything. Calls that still run after DrainTimeout are cancelled; 2 seconds later Run returns an
// error that names them.
//
// Run returns nil after a drain that ctx asked for. Otherwise it returns what went wrong first: mistakes in the declarations of the
// services, all of them at once; a set-up that failed; set-ups that wait for each other; an address in use; a task that failed.
func (a *App) Run(ctx context.Context, services ...*Service) error {
	if a.Listener != nil {
		defer a.Listener.Close() // the port that serves it closes it sooner, when Run gets that far
	}
	defer a.endTelemetry()
	r, err := a.newRun(services)
	if err != nil {
		return err
	}
	err = r.start(ctx)
	if err == nil {
		err = r.wait(ctx)
	}
	err = errors.Join(err, r.stop(ctx))
	if err == nil { // else the error is the last word, and the caller's
		r.log.Info("stopped")
	}
	return err
}

// run is one Run of an App.
type run struct {
	app       *App
	log       *slog.Logger
	registry  discovery.Registry
	members   []*member
	local     map[string]*rpc.Server
	config    *config.Loader
	wire      rpc.Wire // nil: the default
	ports     []*port
	admin     *admin
	tasks     *taskGroup
	requests  requests
	delivery  delivery
	backplane *runningBackplane  // nil: none
	broker    *natsevents.Broker // on it; nil: none, or App.Broker
	failed    chan error         // what stops the app; the first wins
	began     time.Time

	lacksBroker bool // a service uses events, there is no broker, and the mistakes say so

	httpContext context.Context // of all HTTP requests
	cancelHTTP  context.CancelFunc

	announced  bool           // others may call
	background sync.WaitGroup // of what outlives its handler by a moment

	mu      sync.Mutex
	order   []*member       // in which set-ups returned
	phase   discovery.State // of all services
	changed chan struct{}   // closed and replaced when phase changes
}

// member is the part that one service has in a run.
type member struct {
	*Service
	run      *run
	id       string // of the instance
	log      *slog.Logger
	tells    *telemetry.Service
	web      *webtrace.Teller // of plain requests
	client   *rpc.Client
	port     *port
	lease    discovery.Lease
	announce sync.Mutex // held while instance changes or is told, from when the app is ready
	instance discovery.Instance

	// Guarded by Service.mu.
	tasksStarted bool
	refused      bool // the run never began, because of mistakes
}

// newRun checks what can be checked before anything runs, and claims the services.
func (a *App) newRun(services []*Service) (*run, error) {
	a.mu.Lock()
	again := a.ran
	a.ran = true
	a.mu.Unlock()
	if again {
		return nil, errors.New("this App ran before: an App runs once, make a new one")
	}
	r := &run{
		app:     a,
		log:     a.logger(),
		local:   make(map[string]*rpc.Server),
		failed:  make(chan error, 1),
		began:   time.Now(),
		phase:   discovery.Starting,
		changed: make(chan struct{}),
	}
	r.httpContext, r.cancelHTTP = context.WithCancel(context.Background())
	var mistakes []error
	if len(services) == 0 {
		mistakes = append(mistakes, errors.New("no service to run: give at least one; a program that only calls uses FromEnv and Conn"))
	}
	seen := make(map[string]int)
	for i, s := range services {
		if s == nil {
			mistakes = append(mistakes, fmt.Errorf("service %d of %d is nil", i+1, len(services)))
			continue
		}
		if err := checkName(s.Name); err != nil {
			mistakes = append(mistakes, err)
		}
		if seen[s.Name]++; seen[s.Name] == 2 {
			mistakes = append(mistakes, fmt.Errorf("two services are named %q: rename one of them", s.Name))
		}
		m := &member{Service: s, run: r, id: newID()}
		r.members = append(r.members, m)
		r.local[s.Name] = &s.server
	}
	for name := range maps.Keys(a.Addrs) {
		if seen[name] == 0 {
			mistakes = append(mistakes, fmt.Errorf("App.Addrs (--addr) gives %q an address of its own, but no such service runs here: %s", name, suggest(name, slices.Sorted(maps.Keys(seen)))))
		}
	}
	mistakes = append(mistakes, a.checkAddrs()...)
	if err := a.Limits.Check(); err != nil {
		mistakes = append(mistakes, fmt.Errorf("App.%w", err))
	}
	if err := a.Gateway.Check(); err != nil {
		mistakes = append(mistakes, fmt.Errorf("App.Gateway: %w", err))
	}
	if a.Weight < 0 {
		mistakes = append(mistakes, fmt.Errorf("App.Weight is %d: it must be at least 1, or 0 for the default", a.Weight))
	}
	for key := range a.Labels {
		if ownLabel(key) {
			mistakes = append(mistakes, fmt.Errorf("App.Labels[%q]: that key is Hanse's own, choose another one", key))
		}
	}
	if b, ok := a.Backplane.(NATS); ok {
		if err := b.Check(); err != nil {
			mistakes = append(mistakes, fmt.Errorf("App.Backplane (--backplane): %w", err))
		}
	}
	for name, p := range a.Policies {
		if err := p.Check(); err != nil {
			mistakes = append(mistakes, fmt.Errorf("App.Policies[%q]: %w", name, err))
		}
	}
	tells, err := a.telemetry()
	if err != nil {
		mistakes = append(mistakes, fmt.Errorf("App.Telemetry: %w", err))
	}
	for _, m := range r.members {
		m.tells = tells.Service(m.Name, buildVersion(), m.id)
		m.web = webtrace.New(m.tells)
		m.log = a.serviceLogger(m.tells, m.Name, m.id)
	}
	if r.wire, err = a.chosenWire(); err != nil {
		mistakes = append(mistakes, err)
	}
	if a.Listener != nil && len(services) > 0 && len(a.Addrs) == len(seen) {
		mistakes = append(mistakes, errors.New("App.Listener is for services without an entry in App.Addrs, and there are none"))
	}
	mistakes = append(mistakes, r.checkIdentity()...)
	slices.SortFunc(mistakes, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	for _, m := range r.members {
		if err := m.claim(); err != nil {
			mistakes = append(mistakes, err)
		}
		mistakes = append(mistakes, m.takeMistakes()...)
		mistakes = append(mistakes, m.checkEvents()...)
	}
	if len(mistakes) > 0 {
		for _, m := range r.members {
			m.refuse()
		}
		return nil, errors.Join(mistakes...)
	}
	if a.shares {
		offerTelemetry(r.members[0].tells)
	}
	for _, m := range r.members {
		m.prepareServer()
		m.prepareBus()
	}
	a.mu.Lock()
	a.local = r.local // from here on Conn hands the servers to callers
	a.mu.Unlock()
	r.registry = a.registry()
	r.layPorts()
	r.config = r.newConfig()
	return r, nil
}

// prepareServer sets the server up as the app and the service want it.
func (m *member) prepareServer() {
	a := m.run.app
	m.server.Name = m.Name
	m.server.Instance = m.id
	m.server.UnaryInterceptors = slices.Concat(a.UnaryInterceptors, m.UnaryInterceptors)
	m.server.StreamInterceptors = slices.Concat(a.StreamInterceptors, m.StreamInterceptors)
	if n := a.Telemetry.Messages; n > 0 && m.tells != nil { // first: what came, and what goes
		m.server.UnaryInterceptors = slices.Insert(m.server.UnaryInterceptors, 0, telemetry.MessagesUnary(n))
		m.server.StreamInterceptors = slices.Insert(m.server.StreamInterceptors, 0, telemetry.MessagesStream(n))
	}
	if a.Rules != nil && !m.NoValidation { // last: an interceptor may complete a request
		m.server.UnaryInterceptors = append(m.server.UnaryInterceptors, a.Rules.UnaryInterceptor)
		m.server.StreamInterceptors = append(m.server.StreamInterceptors, a.Rules.StreamInterceptor)
	}
	m.server.StatsHandlers = slices.Concat(a.StatsHandlers, m.StatsHandlers)
	m.server.MaxRecvMsgSize = cmp.Or(m.MaxRecvMsgSize, a.Limits.MaxRecvMsgSize)
	m.server.MaxSendMsgSize = m.MaxSendMsgSize
	if m.server.Faults = m.Faults; m.Faults == nil && a.AllowFaults {
		m.server.Faults = new(resilience.Faults)
	}
	m.server.Policy, m.server.Replies = m.Policy, m.replies()
	m.server.NoValidation = m.NoValidation
	m.server.Allow = m.Allow
	m.server.AllowReportOnly = m.AllowReportOnly
	m.server.ServiceID = a.serviceID
	m.server.Logger = m.log
	m.server.Telemetry = m.tells
}

// claim makes the service a part of this run and of no other.
func (m *member) claim() error {
	m.Service.mu.Lock()
	defer m.Service.mu.Unlock()
	if m.member != nil {
		return fmt.Errorf("service %s is part of another App or ran before: a Service runs once, make a new one", m.Name)
	}
	m.member = m
	return nil
}

// refuse ends what the service had prepared for a run that does not begin.
func (m *member) refuse() {
	m.Service.mu.Lock()
	if m.Service.member == m { // else it belongs to another run
		m.refused = true
	}
	mine := m.refused
	m.Service.mu.Unlock()
	if mine {
		m.store.Refuse(errRefused)
		m.closeUnbound()
		m.bus.Refuse(errRefused)
	}
}

// wait returns when the app must stop: with nil when ctx has ended, else with what failed.
func (r *run) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		r.log.Info("stopping", "because", context.Cause(ctx))
		return nil
	case err := <-r.failed:
		r.log.Warn("stopping", "because", err)
		return err
	}
}

// fail stops the app because of err, unless it is stopped by something else already.
func (r *run) fail(err error) {
	select {
	case r.failed <- err:
	default:
		r.log.Error(err.Error())
	}
}

// enter changes the phase of the app.
func (r *run) enter(phase discovery.State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.phase = phase
	close(r.changed)
	r.changed = make(chan struct{})
}

// state returns the phase of the app and a channel that is closed when it changes.
func (r *run) state() (discovery.State, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.phase, r.changed
}

// newID returns the ID of a new instance.
func newID() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
