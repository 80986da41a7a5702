package natsevents

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/driver"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// part delivers the messages of a partition in their order, or all messages of a topic to a subscription without a group. It has a
// consumer of its own, which nobody else takes from. So it can tell by the consumer's numbers when a delivery got lost, and begins anew then, with
// another consumer, at the first message that is not settled: nothing that came after the lost one is handed out before it.
//
// The lock of its source guards it.
type part struct {
	s        *lanes
	n        int    // partition; -1 for all messages
	epoch    uint64 // of its consumer
	revision uint64 // of its record
	pull     *puller
	number   uint64 // at the consumer, of the last delivery

	start   position         // where it began
	max     uint64           // all messages up to it are settled,
	pending map[uint64]*kept // but these; nil for one that did not come yet
	missing int              // of these, how many did not come yet
	ready   []*kept          // of these, what was not handed out
	held    int              // of these, what was handed out

	broken  bool      // a delivery got lost
	unsure  bool      // the lease had ended, so another member may have taken it
	mendAt  time.Time // when to look after it again
	watch   watcher   // of run alone
	leaving time.Time // by when it is given up though some is held; zero when it stays
	soft    time.Time // until when it delivers nevertheless, if it never comes to rest
	quiet   bool      // it delivers no more
	dead    bool
	lost    chan struct{} // closed with it
}

func (s *lanes) newPart(n int, epoch, revision uint64, at position) *part {
	p := &part{
		s: s, n: n, epoch: epoch, revision: revision, start: at, max: at.Max,
		pending: make(map[uint64]*kept), missing: len(at.Unsettled), lost: make(chan struct{}),
	}
	for _, seq := range at.Unsettled {
		p.pending[seq] = nil
	}
	p.watch = watcher{b: s.b, what: fmt.Sprintf("partition %d of topic %s, group %q", n, s.info.Topic, s.info.Group)}
	return p
}

// position returns how far the part has got. The caller holds the lock.
func (p *part) position() position {
	at := position{Start: p.max + 1, Max: p.max, Unsettled: slices.Sorted(maps.Keys(p.pending))}
	switch {
	case len(at.Unsettled) > 0:
		at.Start = at.Unsettled[0]
	case p.max == 0: // nothing came yet
		at.Start, at.StartTime = p.start.Start, p.start.StartTime
	}
	at.Start = max(at.Start, p.start.Start)
	return at
}

// open makes a consumer that begins at the position, and has the part take from it. Nobody else calls it at the same time.
func (p *part) open(ctx context.Context, name string, at position) error {
	s := p.s
	config := jetstream.ConsumerConfig{
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       s.info.AckWait,
		MaxAckPending: mostUnsettled,
		MaxDeliver:    -1,
	}
	switch {
	case !at.StartTime.IsZero():
		start(&config, events.Start{Time: at.StartTime})
	case at.Start > 0:
		start(&config, events.Start{Sequence: at.Start})
	default:
		start(&config, events.Start{})
	}
	if p.n >= 0 {
		config.Durable = name
		if config.FilterSubjects = s.topic.laneSubjects(p.n); len(config.FilterSubjects) == 1 {
			config.FilterSubject, config.FilterSubjects = config.FilterSubjects[0], nil
		}
	} else {
		config.Name = name
		config.InactiveThreshold = eachGone
		config.MemoryStorage = true
		config.Replicas = 1
	}
	once, cancel := s.b.request(ctx)
	defer cancel()
	c, err := s.b.js.CreateConsumer(once, s.topic.stream, config)
	if errors.Is(err, jetstream.ErrConsumerExists) { // of a group whose records were deleted
		if err := s.b.js.DeleteConsumer(once, s.topic.stream, name); err != nil {
			return err
		}
		c, err = s.b.js.CreateConsumer(once, s.topic.stream, config)
	}
	if err != nil {
		return err
	}
	pull := &puller{b: s.b, stream: s.topic.stream, consumer: name, lock: &s.mu, poke: s.poke}
	pull.take = func(m *nats.Msg) { p.take(pull, m) }
	pull.more = func() { p.more() }
	if err := pull.start(); err != nil {
		return err
	}
	s.mu.Lock()
	before := p.pull
	p.pull, p.number, p.broken = pull, 0, false
	if p.max == 0 && at.Start == 0 && at.StartTime.IsZero() {
		// From now on: a consumer that replaces this one goes on from here.
		p.start = position{Start: c.CachedInfo().Delivered.Stream + 1}
	}
	dead := p.dead
	p.more()
	s.mu.Unlock()
	if before != nil {
		before.stop()
	}
	if dead {
		pull.stop()
	}
	return nil
}

// laneSubjects are those of a partition. The first one has the messages without a key, too.
func (t *topic) laneSubjects(n int) []string {
	if n == 0 {
		return []string{t.lanes[0], t.lanes[1]}
	}
	return []string{t.lanes[1+n]}
}

// consumerName is what the consumer of a partition is called in an epoch.
func (s *lanes) consumerName(n int, epoch uint64) string {
	if n < 0 {
		return "each_" + nuid.Next()
	}
	return driver.Token(s.info.Group) + "_p" + strconv.Itoa(n) + "_" + strconv.FormatUint(epoch, 10)
}

// take is called for each message that comes.
func (p *part) take(from *puller, m *nats.Msg) {
	at := placeOf(m.Reply)
	seq := at.sequence
	s := p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.dead || p.pull != from || p.broken {
		return
	}
	from.came()
	if at.consumer != p.number+1 {
		p.broken = true
		s.poke()
		return
	}
	p.number++
	if p.missing > 0 && at.delivered == 1 {
		p.skip(seq)
	}
	k, pending := p.pending[seq]
	switch {
	case k != nil: // it is here already, and was delivered again because no sign of life reached the server for long
		k.reply, k.pull = m.Reply, from
		if k.stage == back {
			k.stage = waiting
			k.attempt++
			p.queue(k)
		}
		return
	case !pending && seq <= p.max: // it was settled, and the server does not know
		_ = s.b.conn.Publish(m.Reply, ackAck)
		p.more()
		return
	case pending:
		p.missing--
	}
	p.max = max(p.max, seq)
	k = &kept{p: p, msg: m, at: at, reply: m.Reply, pull: from, attempt: at.delivered}
	p.pending[seq] = k
	p.queue(k)
}

// skip forgets messages that should have come before another one and did not: they are not in the stream any more. The caller holds the lock.
func (p *part) skip(before uint64) {
	for seq, k := range p.pending {
		if k == nil && seq < before {
			delete(p.pending, seq)
			p.missing--
		}
	}
}

// queue has a delivery handed out. The caller holds the lock.
func (p *part) queue(k *kept) {
	p.ready = append(p.ready, k)
	signal(p.s.ready)
}

// more asks for what there is room for. The caller holds the lock.
func (p *part) more() {
	if p.dead || p.broken || p.pull == nil || p.quiet || !p.s.wanted {
		return
	}
	// Keys that wait for a repetition hold up their partition at last, but never the others.
	most := p.s.info.MaxInFlight
	if p.n >= 0 {
		most = min(most, max(most/4, 16))
	}
	room := most - (len(p.pending) - p.missing) - p.pull.asked
	if room > 0 && (p.pull.asked == 0 || room >= (most+1)/2) {
		p.pull.ask(room)
	}
}

// end has the part deliver nothing any more, and what is held be lost. The caller holds the lock, and stops the returned puller without it.
func (p *part) end() *puller {
	if p.dead {
		return nil
	}
	p.dead = true
	p.s.held -= p.held
	p.ready, p.held = nil, 0
	close(p.lost)
	return p.pull
}

// stages of a delivery
const (
	waiting = iota // it came, and was not handed out
	handed
	back // given back
	settled
)

// kept is a delivery of a part.
type kept struct {
	p       *part
	msg     *nats.Msg
	at      place
	event   events.Message // with decoded
	decoded bool
	attempt int

	// The lock of the source guards what follows.
	reply string  // for acknowledgements
	pull  *puller // to which reply belongs
	stage int
}

// Message implements [events.Delivery].
func (k *kept) Message() *events.Message {
	if !k.decoded {
		k.decoded = true
		message(&k.event, k.msg, k.at)
	}
	return &k.event
}

// Attempt implements [events.Delivery]. It begins anew when the partition moves to another member.
func (k *kept) Attempt() int { return k.attempt }

// Sequence implements [events.Delivery].
func (k *kept) Sequence() uint64 { return k.at.sequence }

// Lost implements [events.Delivery].
func (k *kept) Lost() <-chan struct{} { return k.p.lost }

// Valid implements [events.Leased].
func (k *kept) Valid() bool {
	s := k.p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	return !k.p.dead && !k.p.unsure && s.leased()
}

// errLost is for a delivery that others got.
var errLost = errors.New("the delivery was lost: its partition belongs to another member now")

// Ack implements [events.Delivery].
func (k *kept) Ack(context.Context) error {
	return k.settle(settled, ackAck)
}

// Retry implements [events.Delivery].
func (k *kept) Retry(_ context.Context, after time.Duration) error {
	return k.settle(back, nak(after))
}

func (k *kept) settle(stage int, how []byte) error {
	p, s := k.p, k.p.s
	s.mu.Lock()
	s.active = time.Now()
	switch {
	case p.dead:
		s.mu.Unlock()
		return errLost
	case k.stage != handed:
		s.mu.Unlock()
		return errSettled
	}
	k.stage = stage
	p.held--
	s.held--
	if stage == settled {
		delete(p.pending, k.Sequence())
	}
	reply := k.reply
	if k.pull != p.pull { // the consumer has changed: the new one delivers it again, and is told then
		reply = ""
	}
	p.more()
	if !p.leaving.IsZero() && p.held == 0 {
		p.quiet = true
		s.poke()
	}
	if s.held == s.info.MaxInFlight-1 {
		signal(s.ready)
	}
	s.mu.Unlock()
	if reply != "" {
		_ = s.b.conn.Publish(reply, how) // when it does not arrive, the message comes again, and it is said again
	}
	return nil
}

// Extend implements [events.Delivery].
func (k *kept) Extend(context.Context) error {
	s := k.p.s
	s.mu.Lock()
	s.active = time.Now()
	reply, dead := k.reply, k.p.dead
	if k.stage != handed || k.pull != k.p.pull {
		reply = ""
	}
	s.mu.Unlock()
	if dead {
		return errLost
	}
	if reply == "" {
		return nil
	}
	return s.b.conn.Publish(reply, ackProgress)
}
