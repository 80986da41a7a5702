package rabbitevents

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hanse-go/hanse/events"
	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	// mostAhead is the most deliveries that the server may have sent over one channel and that are not settled.
	mostAhead = 2000

	// partAhead is that of a partition. It cannot change while that is taken from, and the server counts all that it has sent as delivered
	// once more, so it is not too large.
	partAhead = 256

	// mostLater is how long a delivery may be kept to be given back: the server ends a channel on which one is unsettled for half an hour.
	mostLater = 15 * time.Minute
)

// source is a member of a group: it takes from one queue with the other members, or, if the group keeps the order of keys, from the queues of the
// partitions that are its own. A subscription without a group takes from a queue of its own.
//
// Nothing is taken before the first Next, nor when there was none for a while, so that others get the events.
type source struct {
	b     *Broker
	info  events.SubscriptionInfo
	topic *topic
	team  *team // nil when it has no partitions

	look   chan struct{} // for run
	ready  chan struct{} // for Next
	work   context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup

	closing sync.Once

	mu     sync.Mutex
	lines  map[int]*line
	turn   int // which line is asked first
	held   unsettled
	active time.Time // the last sign of life of who handles
	rests  bool      // there was none for long, or none at all
	waits  bool      // Next is waiting
	err    error     // why it ended
	out    []events.Delivery
}

func (b *Broker) newSource(t *topic, info events.SubscriptionInfo) (events.Source, error) {
	s := &source{
		b: b, info: info, topic: t, lines: make(map[int]*line), rests: true,
		look: make(chan struct{}, 1), ready: make(chan struct{}, 1),
	}
	s.work, s.cancel = context.WithCancel(b.work)
	switch name := b.names.group(t.info.Name, info.Group); {
	case info.Group == "":
		s.lines[0] = newLine(s, b.names.each(t.info.Name, info.Member), s.most())
	case info.Ordered:
		s.team = newTeam(s, name)
	default:
		s.lines[0] = newLine(s, name, 0)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		s.cancel()
		return nil, errClosed
	}
	for _, l := range s.lines {
		s.start(l)
	}
	s.done.Go(s.run)
	b.routines.Go(s.done.Wait)
	return s, nil
}

func (s *source) start(l *line) {
	l.work, l.cancel = context.WithCancel(s.work)
	s.done.Go(l.run)
}

// most is the most deliveries that a line may have.
func (s *source) most() int {
	if s.team != nil {
		return min(s.info.MaxInFlight, partAhead)
	}
	return min(s.info.MaxInFlight, mostAhead)
}

// shared says whether other members take from the same queue.
func (s *source) shared() bool { return s.info.Group != "" && s.team == nil }

// run sees to what is held for too long, and to partitions, until the source is closed.
func (s *source) run() {
	tick := time.NewTicker(min(max(s.info.AckWait/8, 50*time.Millisecond), time.Second))
	defer tick.Stop()
	if s.team != nil {
		s.done.Go(s.team.run)
	}
	for {
		select {
		case <-s.work.Done():
			s.fail(errClosed)
			return
		case <-tick.C:
			s.expire(time.Now())
		}
	}
}

func (s *source) fail(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.mu.Unlock()
	signal(s.ready)
}

// expire gives back what was not heard of for AckWait, and what waits here while nobody asks.
func (s *source) expire(now time.Time) {
	var late []*delivery
	s.mu.Lock()
	if last := s.held.last; last != nil && !s.waits && s.shared() && now.Sub(last.since) >= s.info.AckWait {
		s.rests = true // nobody is there any more: what is given back is for others
		s.lines[0].drop(fmt.Errorf("no event was heard of for %v", s.info.AckWait))
	}
	for d := s.held.first; d != nil && now.Sub(d.since) >= s.info.AckWait; d = s.held.first {
		if !s.shared() { // the order is kept by giving back all of it
			d.line.drop(fmt.Errorf("an event was not heard of for %v", s.info.AckWait))
			if s.team != nil && !s.waits {
				s.rests = true
				signal(s.look)
			}
			continue
		}
		s.held.remove(d)
		if !d.settled {
			d.settled = true
			late = append(late, d)
		}
	}
	if idle := now.Sub(s.active); !s.waits && !s.rests && idle > s.info.AckWait {
		s.rests = true // its line or team will see to what came and was not asked for
		for _, l := range s.lines {
			l.stir()
		}
		signal(s.look)
	}
	s.mu.Unlock()
	for _, d := range late {
		_ = d.ch.Nack(d.tag, false, true) // else the channel is gone, and with it the delivery
	}
}

// Next implements [events.Source].
func (s *source) Next(ctx context.Context, limit int) ([]events.Delivery, error) {
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		s.mu.Lock()
		if s.err != nil {
			s.mu.Unlock()
			return nil, s.err
		}
		s.active = time.Now()
		if s.rests {
			s.rests = false
			for _, l := range s.lines {
				l.stir()
			}
			signal(s.look)
		}
		room := min(limit, s.info.MaxInFlight-s.held.n)
		s.pop(room)
		for _, l := range s.lines {
			l.want(s.held.n, limit)
		}
		s.waits = len(s.out) == 0
		s.mu.Unlock()
		if len(s.out) > 0 {
			return s.out, nil
		}
		select {
		case <-s.ready:
		case <-ctx.Done():
		}
		s.mu.Lock()
		s.waits = false
		s.active = time.Now()
		s.mu.Unlock()
	}
}

// pop hands out what came. The caller holds s.mu.
func (s *source) pop(room int) {
	clear(s.out)
	s.out = s.out[:0]
	if room <= 0 {
		return
	}
	now := time.Now()
	n := 1
	if s.team != nil {
		n = s.b.opts.Partitions
	}
	s.turn++
	for i := range n {
		l := s.lines[(s.turn+i)%n]
		if l == nil || l.quiet {
			continue
		}
		for len(s.out) < room && len(l.came) > 0 {
			d := l.came[0]
			l.came[0] = nil
			l.came = l.came[1:]
			s.held.add(d, now)
			l.held++
			s.out = append(s.out, d)
		}
	}
}

// Close implements [events.Source]. A second call has no effect.
func (s *source) Close(ctx context.Context) (err error) {
	s.closing.Do(func() { err = s.close(ctx) })
	return err
}

func (s *source) close(ctx context.Context) error {
	s.fail(errClosed)
	s.cancel()
	over := make(chan struct{})
	if !s.b.spawn(func() { s.done.Wait(); close(over) }) {
		return nil
	}
	select {
	case <-over:
	case <-ctx.Done():
		return fmt.Errorf("leave the group %s: %w", s.info.Group, context.Cause(ctx))
	}
	if s.info.Group == "" {
		return s.deleteEach(ctx)
	}
	return nil
}

// deleteEach deletes the queue of a subscription without a group. When the server is away, it does that itself after a while.
func (s *source) deleteEach(ctx context.Context) error {
	s.b.in.mu.Lock()
	away := s.b.in.conn == nil
	s.b.in.mu.Unlock()
	if away {
		return nil
	}
	err := s.b.once(ctx, func(_ context.Context, ch *amqp.Channel) error {
		_, err := ch.QueueDelete(s.b.names.each(s.info.Topic, s.info.Member), false, false, false)
		return err
	})
	if err != nil && !passing(err) {
		return fmt.Errorf("delete the queue of a subscription of topic %s: %w", s.info.Topic, err)
	}
	return nil
}

// errSettled is for a delivery that was settled, or was taken away.
var errSettled = errors.New("the delivery was settled before, or is not this member's any more")

// delivery is a message in the hands of a member.
type delivery struct {
	line  *line
	ch    *amqp.Channel
	lost  <-chan struct{} // closed when the channel has ended
	tag   uint64
	event *events.Message
	times int

	// guarded by the lock of the source
	settled    bool
	held       bool
	since      time.Time // AckWait began
	prev, next *delivery
}

func (d *delivery) Message() *events.Message { return d.event }
func (d *delivery) Attempt() int             { return d.times }
func (d *delivery) Sequence() uint64         { return 0 }
func (d *delivery) Lost() <-chan struct{}    { return d.lost }

// Ack implements [events.Delivery].
func (d *delivery) Ack(context.Context) error {
	return d.settle(func() error { return d.ch.Ack(d.tag, false) })
}

// Retry implements [events.Delivery]. The event stays with this member until it is given back, after a quarter of an hour at most, and goes to others at
// once when the member leaves.
func (d *delivery) Retry(_ context.Context, after time.Duration) error {
	return d.settle(func() error {
		if after <= 0 {
			return d.ch.Nack(d.tag, false, true)
		}
		d.line.later(d, after)
		return nil
	})
}

// Extend implements [events.Delivery].
func (d *delivery) Extend(context.Context) error {
	s := d.line.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.held && !d.settled {
		s.active = time.Now()
		s.held.remove(d)
		s.held.add(d, s.active)
	}
	return nil
}

// settle does what settles the delivery. Until it is done the line is not given to another member.
func (d *delivery) settle(how func() error) error {
	s := d.line.s
	s.mu.Lock()
	if d.settled {
		s.mu.Unlock()
		return errSettled
	}
	d.settled = true
	s.active = time.Now()
	s.mu.Unlock()
	err := how()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !d.held {
		return errors.Join(errSettled, err) // the channel ended meanwhile
	}
	s.held.remove(d)
	d.line.settled()
	if s.waits {
		signal(s.ready)
	}
	return err
}

// unsettled is what a source has handed out and was not settled, those first that were not heard of for the longest time.
type unsettled struct {
	first, last *delivery
	n           int
}

func (u *unsettled) add(d *delivery, now time.Time) {
	d.since, d.held = now, true
	d.prev, d.next = u.last, nil
	if u.last == nil {
		u.first = d
	} else {
		u.last.next = d
	}
	u.last = d
	u.n++
}

func (u *unsettled) remove(d *delivery) {
	if !d.held {
		return
	}
	d.held = false
	if d.prev == nil {
		u.first = d.next
	} else {
		d.prev.next = d.next
	}
	if d.next == nil {
		u.last = d.prev
	} else {
		d.next.prev = d.prev
	}
	d.prev, d.next = nil, nil
	u.n--
}
