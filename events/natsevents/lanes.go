package natsevents

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/driver"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// eachGone is after how long without a sign of life the server forgets the consumer of a subscription without a group.
	eachGone = time.Minute

	// mostHandOver is how long a partition that is to move waits for what is being handled.
	mostHandOver = 10 * time.Second
)

// lanes is a member of a group that keeps the order of keys, or a subscription without a group.
//
// Each partition belongs to one member at a time. Which one, all members work out for themselves from who is there. Who is to have a partition
// takes it when its owner has given it back, or has been silent for too long; the record of the partition decides who was first. The new
// owner has a new consumer and deletes the old one, so that a member that was only thought dead gets nothing any more, and its
// acknowledgements count for nothing. A member hands out nothing when it has not been able to give a sign of life itself for most of that time; when it
// is back, it writes the record of each partition first, which it cannot when another one has.
type lanes struct {
	b      *Broker
	topic  *topic
	info   events.SubscriptionInfo
	me     string             // in records
	key    string             // of the group's records; "" without a group
	kv     jetstream.KeyValue // nil without a group
	first  position           // where the group began
	look   chan struct{}      // for run
	ready  chan struct{}      // for Next
	cancel context.CancelFunc
	done   chan struct{} // closed when run ended

	closing sync.Once

	mu     sync.Mutex
	parts  map[int]*part // those that are this member's
	turn   int           // in which order they are asked
	held   int           // handed out, of all parts
	wanted bool          // Next was called
	waits  bool          // Next is waiting
	active time.Time     // the last sign of life of who handles
	rests  bool          // there was none for long, and the partitions are left to others
	until  time.Time     // the lease; zero without a group
	stale  bool          // the watch began before the connection broke
	err    error         // why it ended
	out    []events.Delivery

	// Of run alone:
	records map[int]entry
	seen    map[string]sign // of other members, the last and when it came
	signs   []sign          // of this one, those that were stored and did not come back, and when they were sent
	echo    time.Time       // when the last one was sent that came back
	unheard time.Time       // since when there is a sign of life that was stored and did not come back; zero when all did
	mute    bool            // that its signs of life are not stored was logged
}

// sign is a sign of life of a member.
type sign struct {
	revision uint64
	at       time.Time
}

// entry is a record as the bucket has it.
type entry struct {
	partRecord
	revision uint64
}

func (b *Broker) subscribeLanes(ctx context.Context, t *topic, info events.SubscriptionInfo) (events.Source, error) {
	s := &lanes{
		b: b, topic: t, info: info, me: driver.Token(info.Member), look: make(chan struct{}, 1), ready: make(chan struct{}, 1),
		done: make(chan struct{}), parts: make(map[int]*part), records: make(map[int]entry), seen: make(map[string]sign),
	}
	err := b.patiently(ctx, func(ctx context.Context) (err error) {
		if info.Group == "" {
			p := s.newPart(-1, 0, 0, position{})
			if err = p.open(ctx, s.consumerName(-1, 0), position{}); err == nil {
				s.parts[-1] = p
			}
		} else {
			var group groupRecord
			s.key = groupKey(t, info.Group)
			s.kv, group, err = b.makeOrdered(ctx, t, info)
			s.first = group.position()
		}
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			if err = b.restore(ctx, t); err == nil {
				return errAgain
			}
		}
		return err
	})
	if err != nil {
		return nil, explain(err)
	}
	work, cancel := context.WithCancel(b.work)
	s.cancel = cancel
	if err := b.join(s); err != nil {
		cancel()
		return nil, err
	}
	go s.run(work)
	return s, nil
}

func (s *lanes) poke() { signal(s.look) }

func (s *lanes) reconnected() {
	s.mu.Lock()
	s.stale = true
	for _, p := range s.parts {
		p.pull.doubt()
		p.mendAt = time.Time{}
	}
	s.mu.Unlock()
	s.poke()
}

func (s *lanes) fail(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.mu.Unlock()
	signal(s.ready)
}

// Next implements [events.Source].
func (s *lanes) Next(ctx context.Context, limit int) ([]events.Delivery, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		s.mu.Lock()
		if s.err != nil {
			s.mu.Unlock()
			return nil, s.err
		}
		if !s.wanted {
			s.wanted = true
			for _, p := range s.parts {
				p.more()
			}
		}
		s.active = time.Now()
		if s.rests {
			s.rests = false
			s.poke()
		}
		all := s.pop(min(limit, s.info.MaxInFlight-s.held))
		s.waits = len(all) == 0
		s.mu.Unlock()
		if len(all) > 0 {
			return all, nil
		}
		select {
		case <-s.ready:
		case <-ctx.Done():
		}
		s.mu.Lock()
		s.waits, s.active = false, time.Now()
		s.mu.Unlock()
	}
}

// pop hands deliveries out, of each partition in turn. The caller holds s.mu.
func (s *lanes) pop(limit int) []events.Delivery {
	s.out = s.out[:0]
	if !s.leased() {
		return nil // others may have taken over
	}
	for range partitions + 1 {
		s.turn = (s.turn + 1) % (partitions + 1)
		p := s.parts[s.turn-1]
		if p == nil || p.broken || p.quiet || p.unsure {
			continue
		}
		n := min(limit-len(s.out), len(p.ready))
		if n <= 0 {
			continue
		}
		for _, k := range p.ready[:n] {
			k.stage = handed
			s.out = append(s.out, k)
		}
		p.held += n
		s.held += n
		rest := copy(p.ready, p.ready[n:])
		clear(p.ready[rest:])
		p.ready = p.ready[:rest]
	}
	return s.out
}

// leased says whether nobody else can have taken a part, but for those that are unsure. The caller holds s.mu.
func (s *lanes) leased() bool { return s.kv == nil || time.Now().Before(s.until) }

// Close implements [events.Source]. A second call has no effect.
func (s *lanes) Close(ctx context.Context) (err error) {
	s.closing.Do(func() { err = s.close(ctx) })
	return err
}

func (s *lanes) close(ctx context.Context) error {
	s.cancel()
	<-s.done
	s.b.left(s)
	s.fail(errClosed)
	s.mu.Lock()
	var all []*part
	for _, p := range s.parts {
		all = append(all, p)
	}
	s.mu.Unlock()
	errs := make([]error, len(all))
	var each sync.WaitGroup
	for i, p := range all {
		each.Go(func() { errs[i] = s.release(ctx, p) })
	}
	each.Wait()
	if s.kv != nil && s.b.conn.IsConnected() {
		errs = append(errs, s.kv.Purge(ctx, s.memberKey(), jetstream.PurgeTTL(markerTTL)))
	}
	if err := errors.Join(errs...); err != nil && s.b.conn.IsConnected() {
		return fmt.Errorf("leave the group %s: %w", s.info.Group, err)
	}
	return nil // when the server is away, others will find out
}

// release gives a partition back, with its position.
func (s *lanes) release(ctx context.Context, p *part) error {
	s.mu.Lock()
	at, pull := p.position(), p.end()
	if s.parts[p.n] == p {
		delete(s.parts, p.n)
	}
	s.mu.Unlock()
	if pull == nil {
		return nil // it was lost
	}
	pull.stop()
	if s.kv != nil {
		r := partRecord{Epoch: p.epoch, Before: pull.consumer, position: at}
		if _, ok, err := s.b.put(ctx, s.kv, partKey(s.key, p.n), r, p.revision); err != nil || !ok {
			return err
		}
	}
	once, cancel := s.b.request(ctx)
	defer cancel()
	if err := s.b.js.DeleteConsumer(once, s.topic.stream, pull.consumer); err != nil && !gone(err) {
		return err
	}
	return nil
}

// deserted says whether there are events for who handles them, and no sign of life of it for so long that others should have them.
// The caller holds s.mu.
func (s *lanes) deserted() bool {
	if s.kv == nil || s.waits || !s.wanted || time.Since(s.active) < s.info.AckWait {
		return false
	}
	for _, p := range s.parts {
		if p.held > 0 || len(p.ready) > 0 {
			return true
		}
	}
	return false
}

// lose is for a partition that another one has taken.
func (s *lanes) lose(p *part) {
	s.mu.Lock()
	pull := p.end()
	if s.parts[p.n] == p {
		delete(s.parts, p.n)
	}
	s.mu.Unlock()
	if pull != nil {
		pull.stop()
		s.b.opts.Logger.Warn("events: another member has taken a partition over; what is being handled of it will be handled again",
			"topic", s.info.Topic, "group", s.info.Group, "partition", p.n)
	}
}

func (s *lanes) memberKey() string { return s.key + ".member." + s.me }
