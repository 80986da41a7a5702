package events

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/telemetry"
)

// Host is what publishes and subscribes: a *hanse.Service, or in a test a [Bus] with a [Memory].
type Host interface{ Events() *Bus }

// Bus is what a host publishes and subscribes through. The zero value has no broker yet: publishing waits, until [Bus.Bind] gives it one. It must
// not be copied, and its fields must not change once it is in use; its methods may be called concurrently.
//
// Publishing needs nothing else. Subscriptions deliver, and jobs are fired, while Run runs.
type Bus struct {
	// Broker keeps and delivers the events. Default: what Bind is given.
	Broker Broker

	// Jobs keeps the jobs that [Every] declares. Default: the broker, if it does that, as [Memory] does.
	Jobs JobKeeper

	// Source is the attribute source of published events, a URI. Default: hanse:///
	Source string

	// Member names this instance in the groups that it joins; it is unique. Default: drawn.
	Member string

	// Window is how many events of PublishAsync may be on their way at the same time. Default: 1024.
	Window int

	// DrainTimeout is how long handlers may take when Run is told to stop, before their contexts are cancelled. Default: 30 s; -1: as long as
	// they need.
	DrainTimeout time.Duration

	// Telemetry is told of what is published and handled. Default: nobody is.
	Telemetry *telemetry.Service

	// Logger gets what is logged. Default: [slog.Default].
	Logger *slog.Logger

	bound   atomic.Pointer[binding]
	once    sync.Once
	first   chan struct{} // closed when bound is set
	window  window
	waiters sync.Pool // of *waiter
	lastID  atomic.Uint64

	published, publishFailed atomic.Uint64

	byDeclaration sync.Map // *declaration → *topic

	mu       sync.Mutex
	topics   map[string]*topic
	subs     []*Subscription
	jobs     []*Job
	mistakes []error
	member   string
	ran      bool
	running  context.Context // of Run, from when subscriptions may start until they drain
}

// binding is what a bus is bound to: a broker, or the reason why there is none.
type binding struct {
	broker Broker
	err    error
	prefix string // of IDs
	teller *teller
}

const (
	defaultDrainTimeout = 30 * time.Second

	// grace is what handlers get to return after their context was cancelled.
	grace = 2 * time.Second
)

// Events returns b, which is its own [Host].
func (b *Bus) Events() *Bus { return b }

// busOf returns the bus of a host, nil when it has none.
func busOf(host Host) *Bus {
	if host == nil {
		return nil
	}
	return host.Events()
}

// Bind gives a bus without a Broker its broker. It is for who runs hosts. A second call has no effect.
func (b *Bus) Bind(broker Broker) { b.bind(&binding{broker: cmp.Or(b.Broker, broker)}) }

// Refuse has the bus fail with an error instead of waiting for a broker. It is for who runs hosts.
func (b *Bus) Refuse(err error) { b.bind(&binding{err: err}) }

func (b *Bus) bind(to *binding) {
	b.init()
	var random [10]byte
	rand.Read(random[:])
	to.prefix = fmt.Sprintf("%x-", random)
	to.teller = newTeller(b.Telemetry, to.broker)
	if b.bound.CompareAndSwap(nil, to) {
		close(b.first)
	}
}

func (b *Bus) init() { b.once.Do(func() { b.first = make(chan struct{}) }) }

// broker waits until the bus has one.
func (b *Bus) broker(ctx context.Context) (Broker, error) {
	to := b.bound.Load()
	if to == nil {
		if b.Broker != nil {
			b.Bind(b.Broker)
		}
		b.init()
		select {
		case <-b.first:
		case <-ctx.Done():
			return nil, fmt.Errorf("the host has no broker yet, for it does not run: %w", context.Cause(ctx))
		}
		to = b.bound.Load()
	}
	return to.broker, to.err
}

// readyFor waits until events of a topic can be published.
func (b *Bus) readyFor(ctx context.Context, d *declaration) (Broker, error) {
	broker, err := b.broker(ctx)
	if err != nil {
		return nil, err
	}
	if t, ok := b.byDeclaration.Load(d); ok && t.(*topic).ready.Load() {
		return broker, nil
	}
	t, err := b.topic(d)
	if err != nil {
		return nil, err
	}
	return broker, t.declare(ctx, broker)
}

// newID returns an ID that no other event of the source has. The bus is bound.
func (b *Bus) newID() string {
	var buf [40]byte
	id := append(buf[:0], b.bound.Load().prefix...)
	return string(strconv.AppendUint(id, b.lastID.Add(1), 36))
}

// teller is nil where nobody is told, and before the bus is bound.
func (b *Bus) teller() *teller {
	if to := b.bound.Load(); to != nil {
		return to.teller
	}
	return nil
}

func (b *Bus) source() string { return cmp.Or(b.Source, "hanse:///") }

func (b *Bus) logger() *slog.Logger {
	if b.Logger != nil {
		return b.Logger
	}
	return slog.Default()
}

// topic returns the part of a topic in this bus.
func (b *Bus) topic(d *declaration) (*topic, error) {
	if t, ok := b.byDeclaration.Load(d); ok {
		return t.(*topic), nil
	}
	if d.err != nil {
		return nil, d.err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.topics[d.info.Name]
	switch {
	case t == nil || t.implied:
		t = newTopic(d)
		b.setTopic(t)
	case t.decl != d:
		if diff := d.differs(t.decl); diff != "" {
			return nil, fmt.Errorf("topic %q is declared twice, and %s: declare it once, as a variable that all use", d.info.Name, diff)
		}
	}
	b.byDeclaration.Store(d, t)
	return t, nil
}

// setTopic keeps a topic. The caller holds b.mu.
func (b *Bus) setTopic(t *topic) {
	if b.topics == nil {
		b.topics = make(map[string]*topic)
	}
	b.topics[t.decl.info.Name] = t
}

// declare notes that the topic is used.
func (b *Bus) declare(d *declaration) *topic {
	t, err := b.topic(d)
	if err != nil {
		b.mistake(err)
	}
	return t
}

// mistake notes an error in a declaration, for who runs the host to report.
func (b *Bus) mistake(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.running != nil { // too late for that
		b.logger().Error("events: " + err.Error())
		return
	}
	if !slices.ContainsFunc(b.mistakes, func(other error) bool { return other.Error() == err.Error() }) {
		b.mistakes = append(b.mistakes, err)
	}
}

// Declared returns the names of the topics that were declared, published or subscribed so far.
func (b *Bus) Declared() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var names []string
	for name, t := range b.topics {
		if !t.implied {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Mistakes returns what is wrong with declarations and was not returned before.
func (b *Bus) Mistakes() []error {
	b.mu.Lock()
	defer b.mu.Unlock()
	mistakes := b.mistakes
	b.mistakes = nil
	return mistakes
}

// Declare makes the topics, joins the groups, and notes the schedules, of all that was declared. It returns all that went wrong. Run does it, too;
// who runs hosts calls it before, so that a host is ready only with its topics.
func (b *Bus) Declare(ctx context.Context) error {
	errs := b.Mistakes()
	b.mu.Lock()
	topics := slices.Collect(maps.Values(b.topics))
	subs := slices.Clone(b.subs)
	jobs := slices.Clone(b.jobs)
	b.mu.Unlock()
	for _, j := range jobs {
		if err := j.declare(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", j, err))
		}
	}
	if len(topics) == 0 && len(jobs) > 0 {
		return errors.Join(errs...)
	}
	broker, err := b.broker(ctx)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	slices.SortFunc(topics, func(x, y *topic) int { return strings.Compare(x.decl.info.Name, y.decl.info.Name) })
	failed := make(map[string]bool)
	for _, t := range topics {
		if err := t.declare(ctx, broker); err != nil {
			failed[t.decl.info.Name] = true
			errs = append(errs, fmt.Errorf("topic %q: %w", t.decl.info.Name, err))
		}
	}
	joined := make([]error, len(subs))
	var joining sync.WaitGroup // at the same time: with some brokers a member waits for the others of its group
	for i, s := range subs {
		if failed[s.decl.info.Name] {
			continue
		}
		joining.Go(func() {
			if err := s.join(ctx); err != nil {
				joined[i] = fmt.Errorf("%s: %w", s, err)
			}
		})
	}
	joining.Wait()
	return errors.Join(append(errs, joined...)...)
}

// Run delivers events to the subscriptions, and fires jobs, until ctx ends, and then drains: nothing more is fetched, what is being handled is finished, and
// what is not begun is given back. At DrainTimeout the handlers' contexts are cancelled, and 2 s later Run returns an error that names what still
// runs. Publishing works until [Bus.Close].
//
// Run returns nil after a drain. It fails when something was declared wrongly or cannot be made, all of it at once.
func (b *Bus) Run(ctx context.Context) error {
	b.mu.Lock()
	again := b.ran
	b.ran = true
	b.mu.Unlock()
	if again {
		return errors.New("events: the bus ran before: a bus runs once")
	}
	if err := b.Declare(ctx); err != nil {
		err = errors.Join(err, b.leave(context.WithoutCancel(ctx)))
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("events: %w", err)
	}
	b.mu.Lock()
	b.running = ctx
	for _, s := range b.subs {
		s.start(ctx)
	}
	for _, j := range b.jobs {
		j.start(ctx)
	}
	b.mu.Unlock()
	<-ctx.Done()
	return b.drain()
}

// add notes a subscription. One that comes late starts at once.
func (b *Bus) add(s *Subscription) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, other := range b.subs {
		if s.group != "" && other.group == s.group && other.decl.info.Name == s.decl.info.Name {
			return fmt.Errorf("%s is there twice in one service, and either would get a part of the events: name the groups differently", s)
		}
	}
	if !isDeadTopic(s.decl.info.Name) {
		if name := s.decl.info.Name + deadSuffix; b.topics[name] == nil {
			b.setTopic(newImpliedTopic(s.decl, name))
		}
	}
	b.subs = append(b.subs, s)
	if b.running != nil && b.running.Err() == nil {
		s.start(b.running)
	}
	return nil
}

func (b *Bus) drain() error {
	b.mu.Lock()
	subs := slices.Clone(b.subs)
	jobs := slices.Clone(b.jobs)
	b.mu.Unlock()
	last, cancel := context.WithCancel(context.Background())
	defer cancel()
	if d := cmp.Or(b.DrainTimeout, defaultDrainTimeout); d > 0 {
		cutting := time.AfterFunc(d, func() {
			for _, s := range subs {
				if n := s.Stats().Running; n > 0 {
					s.log.Warn("events: drain timeout: cancelling the handlers that still run", "running", n)
				}
				s.cut()
			}
			for _, j := range jobs {
				j.cutShort()
			}
		})
		defer cutting.Stop()
		last, cancel = context.WithTimeout(last, d+grace)
		defer cancel()
	}
	errs := make([]error, len(subs)+len(jobs))
	var all sync.WaitGroup
	for i, s := range subs {
		all.Go(func() { errs[i] = s.drain(last) })
	}
	for i, j := range jobs {
		all.Go(func() { errs[len(subs)+i] = j.drain(last) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// leave closes the sources of subscriptions that were not started.
func (b *Bus) leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	b.mu.Lock()
	subs := slices.Clone(b.subs)
	b.mu.Unlock()
	var errs []error
	for _, s := range subs {
		errs = append(errs, s.leave(ctx))
	}
	return errors.Join(errs...)
}

// Close has publishing fail from now on with [ErrClosed], and returns when what was published is stored, or when ctx ends. It does not stop Run,
// and comes after it.
func (b *Bus) Close(ctx context.Context) error {
	closed := &binding{err: ErrClosed}
	b.bind(closed)
	b.bound.Store(closed)
	err := b.leave(ctx)
	if flushErr := b.window.flush(ctx); flushErr != nil {
		err = errors.Join(err, fmt.Errorf("events: not known to be stored when the bus was closed: %w", flushErr))
	}
	return err
}

// Flush returns when nothing of PublishAsync is on its way, or when ctx ends.
func (b *Bus) Flush(ctx context.Context) error { return b.window.flush(ctx) }

// Running names what is being handled.
func (b *Bus) Running() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	for _, s := range b.subs {
		if n := s.Stats().Running; n > 0 {
			all = append(all, fmt.Sprintf("%d of %s", n, s))
		}
	}
	for _, j := range b.jobs {
		if j.Stats().Running {
			all = append(all, j.String())
		}
	}
	return all
}

// BusStats is what a bus did.
type BusStats struct {
	Published     uint64 // events that the broker has stored
	PublishFailed uint64 // events of which that is not known, or known not to be
	Subscriptions []Stats
	Jobs          []JobStats
}

// Stats returns what the bus did so far.
func (b *Bus) Stats() BusStats {
	b.mu.Lock()
	defer b.mu.Unlock()
	stats := BusStats{Published: b.published.Load(), PublishFailed: b.publishFailed.Load()}
	for _, s := range b.subs {
		stats.Subscriptions = append(stats.Subscriptions, s.Stats())
	}
	for _, j := range b.jobs {
		stats.Jobs = append(stats.Jobs, j.Stats())
	}
	return stats
}
