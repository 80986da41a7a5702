package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Subscription is what [Topic.Subscribe] and [Topic.SubscribeEach] return. Its methods may be called concurrently, also before the host runs.
type Subscription struct {
	settings

	decl    *declaration
	group   string
	ordered bool
	handle  func(ctx context.Context, it *item) error

	bus  *Bus // nil when the subscription is dead
	log  *slog.Logger
	told *toldGroup

	handlers context.Context // of all handlers
	cut      context.CancelFunc
	settling context.Context // of what is said to the broker of events that are held
	settled  context.CancelFunc

	mu       sync.Mutex
	source   Source
	run      context.Context // nil until the subscription was started
	fetching context.Context // of the waiting for events; ends at a pause
	stop     context.CancelFunc
	paused   bool
	draining bool

	lanes   lanes
	held    held
	leases  map[<-chan struct{}]*lease
	window  int // the most events that are ready or being handled
	hungry  bool
	roomy   chan struct{} // there is room, and it was waited for
	workers int
	idle    int // workers that wait
	wake    *sync.Cond
	running int // events that are being handled
	ended   bool
	quiet   chan struct{} // closed when it drains and nothing is being handled
	gone    chan struct{} // closed when it ended and has no workers
	fetched chan struct{} // closed when nothing is fetched any more
	kept    chan struct{} // closed when nothing is extended any more
	stats   Stats
}

// Stats is what a subscription did since its host was started. Each delivery that it received is held, or counted in one of Handled, Returned,
// DeadLettered, Skipped, Lost and Unsettled.
type Stats struct {
	Topic, Group string

	Received     uint64 // deliveries
	Handled      uint64 // events whose handler returned nil
	Failed       uint64 // calls of handlers that failed
	Panics       uint64 // of these, by a panic
	Returned     uint64 // deliveries given back, to be handled later or by others
	DeadLettered uint64 // events that became dead letters
	Skipped      uint64 // events that are for another group
	Lost         uint64 // deliveries that others got meanwhile
	Unsettled    uint64 // deliveries of which the broker could not be told; they come again

	Held      int    // events in hand
	Running   int    // of these, being handled
	Paused    bool   // by Pause
	LastError string // of a handler or the broker
}

func newSubscription(d *declaration, group string) *Subscription {
	s := &Subscription{
		decl: d, group: group,
		roomy: make(chan struct{}, 1),
		quiet: make(chan struct{}), gone: make(chan struct{}), fetched: make(chan struct{}), kept: make(chan struct{}),
	}
	s.wake = sync.NewCond(&s.mu)
	return s
}

// attach gives the subscription what it needs of its bus.
func (s *Subscription) attach(b *Bus) {
	s.bus = b
	s.ordered = s.decl.info.Keyed && !s.unordered
	s.lanes.ordered = s.ordered
	s.window = s.concurrency
	if isDeadTopic(s.decl.info.Name) {
		s.retry.Attempts = -1 // there is no other place for them
	}
	s.handlers, s.cut = context.WithCancel(context.Background())
	s.settling, s.settled = context.WithCancel(context.Background())
}

// String names the subscription.
func (s *Subscription) String() string {
	if s.group == "" {
		return fmt.Sprintf("subscription of each instance to topic %q", s.decl.info.Name)
	}
	return fmt.Sprintf("subscription %q of topic %q", s.group, s.decl.info.Name)
}

// Pause has no further events handled in this instance, until Resume. Those that are being handled go on; what was fetched ahead is given
// back, except that events with an order stay here.
func (s *Subscription) Pause() {
	s.mu.Lock()
	s.paused = true
	if s.stop != nil {
		s.stop()
	}
	var back []*item
	if s.source != nil {
		back = s.unbegun()
	}
	s.mu.Unlock()
	s.giveBack(back)
}

// Resume ends a pause.
func (s *Subscription) Resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.paused {
		return
	}
	s.paused = false
	if s.run != nil {
		s.fetching, s.stop = context.WithCancel(s.run)
	}
	s.feed()
	s.invite()
}

// Stats returns what the subscription did so far.
func (s *Subscription) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	stats.Topic, stats.Group = s.decl.info.Name, s.group
	stats.Held, stats.Running, stats.Paused = s.held.n, s.running, s.paused
	return stats
}

// join joins the group, unless it has been joined.
func (s *Subscription) join(ctx context.Context) error {
	s.mu.Lock()
	joined := s.source != nil
	s.mu.Unlock()
	if joined {
		return nil
	}
	broker, err := s.bus.readyFor(ctx, s.decl)
	if err != nil {
		return err
	}
	member := s.bus.memberName()
	if s.group == "" {
		member += "-" + s.bus.newID() // there may be several of them
	}
	source, err := broker.Subscribe(ctx, SubscriptionInfo{
		Topic: s.decl.info.Name, Group: s.group, Member: member, Start: s.from,
		AckWait: s.ackWait, MaxInFlight: s.maxInFlight, Ordered: s.ordered,
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.source = source
	s.told = s.bus.teller().group(s.decl.info.Name, s.group)
	s.log = s.bus.logger().With("topic", s.decl.info.Name, "group", s.group)
	s.mu.Unlock()
	return nil
}

// start begins to deliver. The caller holds the lock of the bus.
func (s *Subscription) start(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.run = ctx
	s.fetching, s.stop = context.WithCancel(ctx)
	if s.paused {
		s.stop()
	}
	if s.log == nil {
		s.log = s.bus.logger().With("topic", s.decl.info.Name, "group", s.group)
	}
	go func() {
		defer close(s.fetched)
		s.fetch(ctx)
	}()
	go func() {
		defer close(s.kept)
		s.keep(s.settling)
	}()
}

// leave leaves the group of a subscription that was not started.
func (s *Subscription) leave(ctx context.Context) error {
	s.mu.Lock()
	source := s.source
	if s.run != nil {
		source = nil
	} else {
		s.source = nil
	}
	s.mu.Unlock()
	if source == nil {
		return nil
	}
	return s.closed(source.Close(ctx))
}

// drain ends the subscription, whose context has ended: it finishes what is being handled, and gives back what is not begun.
func (s *Subscription) drain(last context.Context) error {
	s.mu.Lock()
	if s.run == nil {
		s.mu.Unlock()
		return s.leave(last)
	}
	s.stop()
	s.draining = true
	s.rest()
	s.mu.Unlock()

	var errs []error
	if !within(last, s.fetched) {
		errs = append(errs, fmt.Errorf("%s: the broker's Next does not return though its context ended", s))
	}
	s.mu.Lock()
	back := s.unbegun()
	s.mu.Unlock()
	s.giveBack(back)

	if !within(last, s.quiet) {
		errs = append(errs, fmt.Errorf("%s: %d handlers still run %v after they were cancelled: let them heed their context", s, s.Stats().Running, grace))
	}
	s.mu.Lock()
	s.ended = true
	s.wake.Broadcast()
	if s.workers == 0 {
		close(s.gone)
	}
	source := s.source
	s.mu.Unlock()
	if len(errs) == 0 {
		<-s.gone
	}
	if source != nil {
		ctx := last
		if ctx.Err() != nil {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(context.Background(), grace)
			defer cancel()
		}
		errs = append(errs, s.closed(source.Close(ctx)))
	}
	s.cut()
	s.settled()
	<-s.kept
	s.mu.Lock()
	s.stopTimers()
	s.mu.Unlock()
	return errors.Join(errs...)
}

func (s *Subscription) closed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: cannot leave the group: %w", s, err)
}

// within reports whether done is closed before ctx ends.
func within(ctx context.Context, done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-ctx.Done():
		select {
		case <-done:
			return true
		default:
			return false
		}
	}
}

// rest notes that nothing is being handled while the subscription drains. The caller holds s.mu.
func (s *Subscription) rest() {
	if !s.draining || s.running > 0 {
		return
	}
	select {
	case <-s.quiet:
	default:
		close(s.quiet)
	}
}

// unbegun takes out what is ready and can be given back one by one. What has an order is given back as a whole when the group is left. The caller
// holds s.mu.
func (s *Subscription) unbegun() (back []*item) {
	if s.ordered {
		return nil
	}
	for it := s.lanes.take(); it != nil; it = s.lanes.take() {
		s.release(it)
		back = append(back, it)
	}
	return back
}

func (s *Subscription) giveBack(items []*item) {
	for _, it := range items {
		s.settle(it.delivery.Retry(s.settling, 0), &s.stats.Returned)
	}
}

// settle counts how the broker took what became of a delivery.
func (s *Subscription) settle(err error, count *uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.stats.Unsettled++
		s.stats.LastError = err.Error()
		s.log.Debug("events: not settled, so it comes again", "error", err)
		return
	}
	*count++
}

// stopTimers ends the waits of events that were to be handled again. The caller holds s.mu.
func (s *Subscription) stopTimers() {
	for it := s.held.first; it != nil; it = it.succ {
		if it.timer != nil {
			it.timer.Stop()
		}
	}
}

// lease is a time for which deliveries are this member's; many may share one.
type lease struct {
	ctx    context.Context // of the handlers
	cancel context.CancelCauseFunc
	lost   <-chan struct{}
	n      int
}

// hold returns the lease of a delivery, nil when the broker does not tell. The caller holds s.mu.
func (s *Subscription) hold(lost <-chan struct{}) *lease {
	if lost == nil {
		return nil
	}
	l := s.leases[lost]
	if l == nil {
		l = &lease{lost: lost}
		l.ctx, l.cancel = context.WithCancelCause(s.handlers)
		go func() {
			select {
			case <-lost:
				l.cancel(ErrLost)
			case <-l.ctx.Done():
			}
		}()
		if s.leases == nil {
			s.leases = make(map[<-chan struct{}]*lease)
		}
		s.leases[lost] = l
	}
	l.n++
	return l
}

// release ends what is known of an event. The caller holds s.mu.
func (s *Subscription) release(it *item) {
	s.held.remove(it)
	s.lanes.leave(it)
	if l := it.lease; l != nil {
		if l.n--; l.n == 0 {
			delete(s.leases, l.lost)
			l.cancel(nil)
		}
	}
	s.invite()
}

func (it *item) lost() bool {
	if it.lease == nil {
		return false
	}
	select {
	case <-it.lease.lost:
		return true
	default:
		return false
	}
}

// doubtful says whether others may have got the event meanwhile.
func (it *item) doubtful() bool {
	if it.lease == nil {
		return false
	}
	d, ok := it.delivery.(Leased)
	return ok && !d.Valid()
}

// keepEvery is what part of AckWait passes between two looks at what is held.
const keepEvery = 3

// keep tells the broker of the events that are held, so that it does not give them to others.
func (s *Subscription) keep(ctx context.Context) {
	tick := time.NewTicker(s.ackWait / keepEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for _, d := range s.due(time.Now()) {
			if err := d.Extend(ctx); err != nil && ctx.Err() == nil {
				s.log.Debug("events: cannot extend", "error", err)
			}
		}
	}
}

// due returns what is held for a while since the broker heard of it, and counts it as told.
func (s *Subscription) due(now time.Time) (all []Delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := s.held.n; n > 0 && now.Sub(s.held.first.since) >= s.ackWait/(keepEvery+1); n-- {
		it := s.held.first
		s.held.remove(it)
		s.held.add(it, now)
		all = append(all, it.delivery)
	}
	return all
}
