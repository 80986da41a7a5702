package natsevents

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/driver"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// shared is a member of a group without an order: its members take from one consumer, and the server gives each message to one of them.
type shared struct {
	b      *Broker
	info   events.SubscriptionInfo
	pull   *puller
	look   chan struct{} // for run
	ready  chan struct{} // for Next
	cancel context.CancelFunc
	done   chan struct{} // closed when run ended

	closing sync.Once

	mu     sync.Mutex
	came   []*nats.Msg // not handed out
	held   unsettled   // handed out
	ahead  int         // how many more may be fetched: what the last Next wanted
	waits  bool        // Next is waiting
	rests  bool        // Next has not been called for long
	asking time.Time   // when Next was last called or returned
	err    error       // why it ended
	out    []events.Delivery
}

func (b *Broker) subscribeShared(ctx context.Context, t *topic, info events.SubscriptionInfo) (events.Source, error) {
	name := driver.Token(info.Group)
	if err := b.patiently(ctx, func(ctx context.Context) error { return b.makeGroup(ctx, t, name, info) }); err != nil {
		return nil, explain(err)
	}
	work, cancel := context.WithCancel(b.work)
	s := &shared{b: b, info: info, look: make(chan struct{}, 1), ready: make(chan struct{}, 1), cancel: cancel, done: make(chan struct{})}
	s.pull = &puller{b: b, stream: t.stream, consumer: name, lock: &s.mu, take: s.take, more: s.more, poke: s.poke}
	if err := b.join(s); err != nil {
		cancel()
		return nil, err
	}
	if err := s.pull.start(); err != nil {
		cancel()
		b.left(s)
		return nil, err
	}
	go s.run(work)
	return s, nil
}

// makeGroup makes the consumer of a group, or changes the one that is there.
func (b *Broker) makeGroup(ctx context.Context, t *topic, name string, info events.SubscriptionInfo) error {
	want := jetstream.ConsumerConfig{
		Durable:       name,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       info.AckWait,
		MaxAckPending: mostUnsettled,
		MaxDeliver:    -1, // how often is decided by the subscription
	}
	is, err := consumerInfo(ctx, b, t.stream, name)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		if ordered, err := b.hasOrdered(ctx, t, info.Group); err != nil {
			return err
		} else if ordered {
			return fmt.Errorf("%w: the group %q of the topic %s keeps the order of keys; subscribe it in that way, or by another name", events.ErrDrift, info.Group, t.info.Name)
		}
		start(&want, info.Start)
		_, err = b.js.CreateConsumer(ctx, t.stream, want)
		if errors.Is(err, jetstream.ErrConsumerExists) { // another member was faster, and has other settings
			return b.makeGroup(ctx, t, name, info)
		}
		return err
	case errors.Is(err, jetstream.ErrStreamNotFound):
		if err := b.restore(ctx, t); err != nil {
			return err
		}
		return b.makeGroup(ctx, t, name, info)
	case err != nil:
		return err
	}
	switch c := is.Config; {
	case c.DeliverSubject != "":
		return fmt.Errorf("%w: the consumer %s of the stream %s is a push consumer, so not of a group; use another name", events.ErrDrift, name, t.stream)
	case c.AckPolicy != want.AckPolicy:
		return fmt.Errorf("%w: the consumer %s of the stream %s has the policy %v for acknowledgements and needs %v, which cannot change: delete it, or use another name",
			events.ErrDrift, name, t.stream, c.AckPolicy, want.AckPolicy)
	case c.AckWait == want.AckWait && c.MaxAckPending == want.MaxAckPending && c.MaxDeliver == want.MaxDeliver:
		return nil
	}
	next := is.Config // where it started stays
	next.AckWait, next.MaxAckPending, next.MaxDeliver = want.AckWait, want.MaxAckPending, want.MaxDeliver
	_, err = b.js.UpdateConsumer(ctx, t.stream, next)
	return err
}

// start has a new consumer begin where a group wants to.
func start(c *jetstream.ConsumerConfig, at events.Start) {
	switch {
	case at.Sequence > 0:
		c.DeliverPolicy, c.OptStartSeq = jetstream.DeliverByStartSequencePolicy, at.Sequence
	case !at.Time.IsZero():
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, &at.Time
	case at.All:
		c.DeliverPolicy = jetstream.DeliverAllPolicy
	default:
		c.DeliverPolicy = jetstream.DeliverNewPolicy
	}
}

func (s *shared) poke()        { signal(s.look) }
func (s *shared) reconnected() { s.mu.Lock(); s.pull.doubt(); s.mu.Unlock() }

// signal wakes who waits on a channel with room for one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// take is called for each message that comes.
func (s *shared) take(m *nats.Msg) {
	s.mu.Lock()
	s.pull.came()
	s.came = append(s.came, m)
	if s.waits {
		signal(s.ready)
	}
	s.mu.Unlock()
}

// more asks for what there is room for. The caller holds s.mu.
func (s *shared) more() {
	if s.rests {
		return
	}
	room := min(s.ahead-len(s.came), s.info.MaxInFlight-s.held.n-len(s.came)) - s.pull.asked
	// Asking costs a message each time, so not for each one; but never wait for messages that nobody was asked for.
	if room > 0 && (s.pull.asked == 0 && len(s.came) <= s.ahead/2 || room >= (s.ahead+1)/2) {
		s.pull.ask(room)
	}
}

// Next implements [events.Source].
func (s *shared) Next(ctx context.Context, limit int) ([]events.Delivery, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		s.mu.Lock()
		if s.err != nil {
			s.mu.Unlock()
			return nil, s.err
		}
		s.asking, s.rests = time.Now(), false
		// As much again as is wanted comes ahead, so that the next call finds it here.
		s.ahead = max(min(2*limit, s.info.MaxInFlight), 1)
		msgs := s.pop(min(limit, s.info.MaxInFlight-s.held.n))
		s.more()
		s.waits = len(msgs) == 0
		s.mu.Unlock()
		if len(msgs) > 0 {
			return msgs, nil
		}
		select {
		case <-s.ready:
			runtime.Gosched() // let more come, so that a wake is for many
		case <-ctx.Done():
		}
		s.mu.Lock()
		s.waits = false
		s.mu.Unlock()
	}
}

// pop hands messages out. The caller holds s.mu.
func (s *shared) pop(limit int) []events.Delivery {
	n := min(limit, len(s.came))
	if n <= 0 {
		return nil
	}
	s.out = s.out[:0]
	var some []delivery // of one object
	for i, m := range s.came[:n] {
		if len(some) == 0 {
			some = make([]delivery, min(n-i, 64))
		}
		d := &some[0]
		some = some[1:]
		d.owner, d.msg = s, m
		s.held.add(d)
		s.out = append(s.out, d)
	}
	rest := copy(s.came, s.came[n:])
	clear(s.came[rest:])
	s.came = s.came[:rest]
	return s.out
}

// run looks after the consumer, until the source is closed.
func (s *shared) run(ctx context.Context) {
	defer close(s.done)
	tick := time.NewTicker(2*heartbeat + heartbeat/2)
	defer tick.Stop()
	fresh := time.NewTicker(max(s.info.AckWait/3, 100*time.Millisecond))
	defer fresh.Stop()
	watch := watcher{b: s.b, what: fmt.Sprintf("group %s of topic %s", s.info.Group, s.info.Topic)}
	for {
		var again <-chan time.Time
		if s.suspect() {
			_, err := s.pull.info(ctx)
			switch wait := watch.judge(err); {
			case ctx.Err() != nil:
				return
			case wait < 0:
				s.fail(fmt.Errorf("the consumer %s of the stream %s was deleted on the broker, and with it the place of the group %s: %w", s.pull.consumer, s.pull.stream, s.info.Group, err))
				return
			case wait > 0:
				again = time.After(wait)
			default:
				s.mu.Lock()
				s.pull.forget()
				s.mu.Unlock()
			}
		}
		select {
		case <-ctx.Done():
			s.fail(errClosed)
			return
		case <-s.look:
		case <-again:
		case <-tick.C:
			s.mu.Lock()
			s.pull.tick()
			s.mu.Unlock()
		case <-fresh.C:
			s.refresh()
		}
	}
}

func (s *shared) suspect() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pull.suspect
}

func (s *shared) fail(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.mu.Unlock()
	signal(s.ready)
}

// refresh sees to messages that were fetched ahead and not asked for, so that the server does not give them to others meanwhile. When
// nobody asks for long, as in a pause, it gives them back.
func (s *shared) refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.waits || now.Sub(s.asking) < s.info.AckWait/3 {
		return
	}
	if !s.rests {
		s.rests = true
		s.pull.withdraw() // what comes meanwhile is for others
	}
	if now.Sub(s.asking) > 2*s.info.AckWait {
		s.giveBack()
		return
	}
	for _, m := range s.came {
		_ = s.b.conn.Publish(m.Reply, ackProgress) // without it, it comes again
	}
}

// giveBack gives back what was not handed out. The caller holds s.mu.
func (s *shared) giveBack() {
	s.ahead = 0
	for _, m := range s.came {
		_ = s.b.conn.Publish(m.Reply, ackNak) // without it, it comes again later
	}
	s.came = nil
}

// Close implements [events.Source]. A second call has no effect.
func (s *shared) Close(ctx context.Context) (err error) {
	s.closing.Do(func() { err = s.close(ctx) })
	return err
}

func (s *shared) close(ctx context.Context) error {
	s.cancel()
	<-s.done
	s.b.left(s)
	s.fail(errClosed)
	s.pull.drain(ctx)
	s.mu.Lock()
	s.giveBack()
	for d := range s.held.all() {
		d.settled = true
		_ = s.b.conn.Publish(d.msg.Reply, ackNak)
	}
	s.held = unsettled{}
	s.mu.Unlock()
	if !s.b.conn.IsConnected() {
		return nil // the server will find out
	}
	if err := s.b.conn.FlushWithContext(ctx); err != nil && ctx.Err() != nil {
		return fmt.Errorf("leave the group %s: %w", s.info.Group, err)
	}
	return nil
}

var (
	ackAck      = []byte("+ACK")
	ackNak      = []byte("-NAK")
	ackProgress = []byte("+WPI")
)

// errSettled is for a delivery that was settled, or whose source was closed.
var errSettled = errors.New("the delivery was settled before, or its subscription is closed")

// delivery is a message in the hands of a member.
type delivery struct {
	owner      *shared
	msg        *nats.Msg
	at         place          // with decoded
	event      events.Message // with decoded
	decoded    bool
	settled    bool // guarded by the owner's lock
	prev, next *delivery
}

func (d *delivery) decode() {
	if !d.decoded {
		d.decoded = true
		d.at = placeOf(d.msg.Reply)
		message(&d.event, d.msg, d.at)
	}
}

// Message implements [events.Delivery].
func (d *delivery) Message() *events.Message { d.decode(); return &d.event }

// Attempt implements [events.Delivery].
func (d *delivery) Attempt() int { d.decode(); return d.at.delivered }

// Sequence implements [events.Delivery].
func (d *delivery) Sequence() uint64 { d.decode(); return d.at.sequence }

// Lost implements [events.Delivery]: the server does not say.
func (d *delivery) Lost() <-chan struct{} { return nil }

// Ack implements [events.Delivery].
func (d *delivery) Ack(context.Context) error { return d.settle(ackAck) }

// Retry implements [events.Delivery].
func (d *delivery) Retry(_ context.Context, after time.Duration) error {
	return d.settle(nak(after))
}

func nak(after time.Duration) []byte {
	if after <= 0 {
		return ackNak
	}
	return fmt.Appendf(slices.Clip(ackNak), ` {"delay": %d}`, after.Nanoseconds())
}

// Extend implements [events.Delivery].
func (d *delivery) Extend(context.Context) error {
	d.owner.mu.Lock()
	settled := d.settled
	d.owner.mu.Unlock()
	if settled {
		return nil
	}
	return d.owner.b.conn.Publish(d.msg.Reply, ackProgress)
}

func (d *delivery) settle(how []byte) error {
	s := d.owner
	s.mu.Lock()
	if d.settled {
		s.mu.Unlock()
		return errSettled
	}
	d.settled = true
	s.held.remove(d)
	if len(s.came) > 0 && s.waits {
		signal(s.ready)
	}
	s.more()
	s.mu.Unlock()
	return s.b.conn.Publish(d.msg.Reply, how)
}

// unsettled is a list of deliveries.
type unsettled struct {
	first *delivery
	n     int
}

func (u *unsettled) add(d *delivery) {
	d.next = u.first
	if u.first != nil {
		u.first.prev = d
	}
	u.first = d
	u.n++
}

func (u *unsettled) remove(d *delivery) {
	if d.prev == nil {
		u.first = d.next
	} else {
		d.prev.next = d.next
	}
	if d.next != nil {
		d.next.prev = d.prev
	}
	d.prev, d.next = nil, nil
	u.n--
}

func (u *unsettled) all() func(yield func(*delivery) bool) {
	return func(yield func(*delivery) bool) {
		for d := u.first; d != nil; d = d.next {
			if !yield(d) {
				return
			}
		}
	}
}

// watcher judges what goes wrong with a consumer, and logs it once.
type watcher struct {
	b        *Broker
	what     string
	failures int
	said     bool
}

// judge returns how long to wait before looking again: 0 when all is well, less when the consumer is gone.
func (w *watcher) judge(err error) time.Duration {
	if err == nil {
		if w.said {
			w.b.opts.Logger.Info("events: deliveries go on", "of", w.what)
		}
		w.failures, w.said = 0, false
		return 0
	}
	w.failures++
	if gone(err) && w.failures >= 3 { // a cluster that comes up may not know yet
		return -1
	}
	if w.failures == 3 {
		w.b.opts.Logger.Warn("events: deliveries pause", "of", w.what, "because", err)
		w.said = true
	}
	return driver.RetryDelay(w.failures)
}
