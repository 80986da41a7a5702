package kafkaevents

import (
	"context"
	"fmt"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/twmb/franz-go/pkg/kgo"
)

// part is a partition while it is a member's. All is guarded by the member's lock.
type part struct {
	s *session
	n int32

	queue   []*entry // fetched, and not yet handed out
	top     int64    // behind the last one that was handed out, -1 when that is not known
	before  position // what was settled before it was this member's
	open    []*entry // handed out or waiting to be again; those that are settled meanwhile are taken out now and then
	settled int      // of these
	held    int      // that are handed out

	leaving   bool // it is being given to another member
	gone      bool // it is not this member's any more
	lost      chan struct{}
	committed string // what was last committed, see mark
}

// stage is where an event is.
type stage uint8

const (
	fetched stage = iota
	handed        // in the hands of the subscription
	waiting       // to be handed out again
	due           // it may be now
	settled
)

// entry is an event of a partition.
type entry struct {
	p        *part
	message  *events.Message
	offset   int64
	attempts uint64
	stage    stage
	since    time.Time   // it was handed out, or extended
	timer    *time.Timer // while it waits
}

// delivery is an entry that was handed out.
type delivery struct {
	*entry
	msg     *events.Message
	attempt uint64
}

var _ events.Delivery = (*delivery)(nil)

// takeIn adds a record that was fetched. The records of a partition come in their order.
func (p *part) takeIn(r *kgo.Record, m *events.Message) bool {
	if p.gone || p.leaving {
		return false
	}
	if p.top < 0 {
		p.top = r.Offset
	}
	if r.Offset < p.top { // the partition begins anew
		p.before = position{}
		p.top = r.Offset
	}
	attempts, deliver := p.before.attempts(r.Offset)
	if !deliver {
		return false
	}
	p.queue = append(p.queue, &entry{p: p, message: m, offset: r.Offset, attempts: attempts})
	return true
}

// take returns the next event that was fetched.
func (p *part) take() *entry {
	e := p.queue[0]
	p.queue[0] = nil
	p.queue = p.queue[1:]
	p.top = e.offset + 1
	p.open = append(p.open, e)
	return e
}

// position is what may be committed, and false while nothing is known.
func (p *part) position() (position, bool) {
	if p.top < 0 {
		return position{}, false
	}
	rest := p.before.from(p.top)
	at := position{limit: max(p.top, rest.limit)}
	for _, e := range p.open {
		if e.stage != settled {
			at.open = append(at.open, unsettled{e.offset, e.attempts})
		}
	}
	at.open = append(at.open, rest.open...)
	at.offset = at.limit
	if len(at.open) > 0 {
		at.offset = at.open[0].offset
	}
	return at, true
}

// settle ends the stay of an entry.
func (p *part) settle(e *entry) {
	switch e.stage {
	case handed:
		p.release()
	case waiting, due:
		p.s.waiting--
		if e.timer != nil {
			e.timer.Stop()
		}
	}
	e.stage = settled
	e.message = nil
	p.settled++
	p.s.dirty = true
	n := 0
	for n < len(p.open) && p.open[n].stage == settled {
		n++
	}
	p.open = p.open[n:]
	if p.settled -= n; p.settled > 64 && p.settled > len(p.open)/2 {
		left := p.open[:0]
		for _, e := range p.open {
			if e.stage != settled {
				left = append(left, e)
			}
		}
		clear(p.open[len(left):])
		p.open, p.settled = left, 0
	}
}

// release notes that an entry is not in the hands of the subscription any more.
func (p *part) release() {
	p.held--
	p.s.m.held--
	signal(p.s.m.wake)
	if p.leaving && p.held == 0 {
		signal(p.s.idle)
	}
}

// again has an entry handed out again after a time.
func (p *part) again(e *entry, after time.Duration) {
	p.release()
	p.s.waiting++
	p.s.dirty = true
	e.stage, e.timer = due, nil
	if after <= 0 {
		p.s.due = append(p.s.due, e)
		return
	}
	e.stage = waiting
	m := p.s.m
	e.timer = time.AfterFunc(after, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if e.stage == waiting && !p.gone {
			e.stage = due
			p.s.due = append(p.s.due, e)
			signal(m.wake)
		}
	})
}

// drop ends the part: it is another member's, or nobody's.
func (p *part) drop() {
	if p.gone {
		return
	}
	p.gone = true
	p.s.queued -= len(p.queue)
	p.queue = nil
	p.s.m.held -= p.held
	for _, e := range p.open {
		if e.stage == waiting || e.stage == due {
			p.s.waiting--
			if e.timer != nil {
				e.timer.Stop()
			}
		}
	}
	close(p.lost)
	signal(p.s.m.wake)
}

// Message implements [events.Delivery].
func (d *delivery) Message() *events.Message { return d.msg }

// Attempt implements [events.Delivery].
func (d *delivery) Attempt() int { return int(d.attempt) }

// Sequence implements [events.Delivery]. Kafka numbers the events of each partition, not those of a topic.
func (d *delivery) Sequence() uint64 { return 0 }

// Lost implements [events.Delivery].
func (d *delivery) Lost() <-chan struct{} { return d.p.lost }

// Ack implements [events.Delivery]. The cluster is told after Options.CommitEvery.
func (d *delivery) Ack(context.Context) error {
	m := d.p.s.m
	m.mu.Lock()
	defer m.mu.Unlock()
	m.active = time.Now()
	switch {
	case d.stage == settled:
		return nil
	case d.p.gone:
		return fmt.Errorf("partition %d of %s: %w", d.p.n, m.t.name, events.ErrLost)
	}
	d.p.settle(d.entry)
	return nil
}

// Retry implements [events.Delivery].
func (d *delivery) Retry(_ context.Context, after time.Duration) error {
	m := d.p.s.m
	m.mu.Lock()
	defer m.mu.Unlock()
	m.active = time.Now()
	if d.mine() {
		d.p.again(d.entry, after)
	}
	return nil
}

// Extend implements [events.Delivery].
func (d *delivery) Extend(context.Context) error {
	m := d.p.s.m
	m.mu.Lock()
	defer m.mu.Unlock()
	m.active = time.Now()
	if d.mine() {
		d.since = m.active
	}
	return nil
}

// mine says whether this is the delivery in which the event is handed out.
func (d *delivery) mine() bool { return d.stage == handed && d.attempts == d.attempt && !d.p.gone }

// signal wakes who waits, now or later.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
