package redisevents

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/driver"
)

// member is what all subscriptions have in common. One goroutine of its own speaks with the server, in turns: each settles what was settled since the last one,
// and fetches what Next waits for. So a Next that ends loses nothing, and nothing is fetched that nobody asked for.
type member struct {
	b     *Broker
	topic *topic
	info  events.SubscriptionInfo
	kind  kind

	look   chan struct{} // for run
	ready  chan struct{} // for Next
	cancel context.CancelFunc
	done   chan struct{} // closed when run ended
	once   sync.Once

	mu      sync.Mutex
	came    []*delivery // not handed out
	held    int         // handed out
	limit   int         // what Next wants; 0 when it does not wait
	settled []settlement
	active  time.Time // the last sign of life of who handles
	changed bool      // the members of the group may have changed
	err     error     // why it ended
	out     []events.Delivery
}

// kind is what tells the kinds of subscriptions apart. Only one goroutine calls turn and leave.
type kind interface {
	// turn settles and fetches up to n, and returns how long it is at most until there is something to do, unless the member is woken.
	turn(ctx context.Context, settled []settlement, n int) (wait time.Duration, err error)

	// leave gives back what is not settled.
	leave(ctx context.Context, settled []settlement, came []*delivery) error

	// free says whether a delivery may be handed out. The member is locked.
	free(d *delivery) bool

	// hand and settle are told that a delivery is handed out, and that it is settled. The member is locked.
	hand(d *delivery)
	settle(d *delivery)
}

// settlement is what became of a delivery.
type settlement struct {
	d    *delivery
	what string // ack, retry, extend or back
	wait time.Duration
}

// mostSettled is how many settlements are sent in one go.
const mostSettled = 512

func (b *Broker) newMember(t *topic, info events.SubscriptionInfo) *member {
	return &member{b: b, topic: t, info: info, look: make(chan struct{}, 1), ready: make(chan struct{}, 1), done: make(chan struct{}), active: time.Now()}
}

// start begins to work.
func (m *member) start(k kind) error {
	m.kind = k
	work, cancel := context.WithCancel(m.b.work)
	m.cancel = cancel
	if !m.b.wakes.join(m) {
		cancel()
		return errClosed
	}
	go m.run(work)
	return nil
}

// woken is called when there may be something to do.
func (m *member) woken(changed bool) {
	if changed {
		m.mu.Lock()
		m.changed = true
		m.mu.Unlock()
	}
	signal(m.look)
}

func (m *member) fail(err error) {
	m.mu.Lock()
	if m.err == nil {
		m.err = err
	}
	m.mu.Unlock()
	signal(m.ready)
}

// run speaks with the server until the source is closed.
func (m *member) run(ctx context.Context) {
	defer close(m.done)
	defer m.fail(errClosed)
	failures := 0
	for ctx.Err() == nil {
		m.mu.Lock()
		settled := m.settled
		if len(settled) > mostSettled {
			settled = settled[:mostSettled]
		}
		n := m.wanted()
		m.mu.Unlock()
		wait, err := m.kind.turn(ctx, settled, n)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			failures = 0
			m.mu.Lock()
			m.settled = slices.Delete(m.settled, 0, len(settled))
			if len(m.settled) > 0 {
				wait = 0
			}
			m.mu.Unlock()
		case passing(err):
			failures++
			driverSleep(ctx, driver.RetryDelay(failures))
			continue
		default:
			m.fail(explain(err))
			return
		}
		if wait <= 0 {
			continue
		}
		timer := time.NewTimer(min(wait, m.b.opts.Poll))
		select {
		case <-ctx.Done():
		case <-m.look:
		case <-timer.C:
		}
		timer.Stop()
	}
}

func driverSleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// wanted returns how many deliveries Next waits for. The caller holds m.mu.
func (m *member) wanted() int {
	if m.limit == 0 {
		return 0
	}
	n := min(m.limit, m.info.MaxInFlight-m.held)
	for _, d := range m.came {
		if m.kind.free(d) {
			n--
		}
	}
	return max(n, 0)
}

// take adds what was fetched.
func (m *member) take(all []*delivery) {
	if len(all) == 0 {
		return
	}
	m.mu.Lock()
	m.came = append(m.came, all...)
	m.mu.Unlock()
	signal(m.ready)
}

// Next implements [events.Source].
func (m *member) Next(ctx context.Context, limit int) ([]events.Delivery, error) {
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		m.mu.Lock()
		m.active = time.Now()
		if m.err != nil {
			defer m.mu.Unlock()
			return nil, m.err
		}
		if all := m.pop(min(limit, m.info.MaxInFlight-m.held)); len(all) > 0 {
			m.mu.Unlock()
			return all, nil
		}
		m.limit = limit
		m.mu.Unlock()
		signal(m.look)
		select {
		case <-m.ready:
		case <-ctx.Done():
		}
		m.mu.Lock()
		m.limit, m.active = 0, time.Now()
		m.mu.Unlock()
	}
}

// pop hands deliveries out. The caller holds m.mu.
func (m *member) pop(limit int) []events.Delivery {
	m.out = m.out[:0]
	rest := m.came[:0]
	for _, d := range m.came {
		if len(m.out) >= limit || !m.kind.free(d) {
			rest = append(rest, d)
			continue
		}
		m.held++
		m.kind.hand(d)
		m.out = append(m.out, d)
	}
	clear(m.came[len(rest):])
	m.came = rest
	return m.out
}

// Close implements [events.Source]. A second call has no effect.
func (m *member) Close(ctx context.Context) (err error) {
	m.once.Do(func() {
		m.cancel()
		<-m.done
		m.b.wakes.leave(m)
		m.fail(errClosed)
		m.mu.Lock()
		settled, came := m.settled, m.came
		m.settled, m.came = nil, nil
		m.mu.Unlock()
		err = m.kind.leave(ctx, settled, came)
		if passing(err) || isGone(err) {
			err = nil // the server is away, and others will find out; or there is nothing to leave
		}
	})
	return explain(err)
}

// delivery is an event in the hands of a member.
type delivery struct {
	m       *member
	lane    int
	id      string
	fields  []any
	attempt int
	part    *part // nil without an order

	message  *events.Message
	sequence uint64

	over bool // it was settled; the lock of the member guards it
}

// deliveries reads what a script answers.
func (m *member) deliveries(answer any) (all []*delivery, err error) {
	entries, err := list(answer, 0)
	if err != nil {
		return nil, err
	}
	block := make([]delivery, len(entries))
	for i, e := range entries {
		of, err := list(e, 4)
		if err != nil {
			return nil, err
		}
		lane, _ := of[0].(int64)
		id, _ := of[1].(string)
		attempt, _ := of[2].(int64)
		fields, ok := of[3].([]any)
		if id == "" || !ok || lane < 0 || int(lane) >= len(m.topic.lanes) {
			return nil, errors.New("the broker answers what is no delivery")
		}
		d := &block[i]
		d.m, d.lane, d.id, d.attempt, d.fields = m, int(lane), id, int(attempt), fields
		d.message, d.sequence = message(m.topic.lanes[lane], id, fields)
		all = append(all, d)
	}
	return all, nil
}

var errSettled = errors.New("the delivery was settled already, or its subscription closed")

// Message implements [events.Delivery].
func (d *delivery) Message() *events.Message { return d.message }

// Attempt implements [events.Delivery].
func (d *delivery) Attempt() int { return d.attempt }

// Sequence implements [events.Delivery].
func (d *delivery) Sequence() uint64 { return d.sequence }

// Lost implements [events.Delivery].
func (d *delivery) Lost() <-chan struct{} {
	if d.part == nil {
		return nil
	}
	return d.part.lost
}

// Valid implements [events.Leased]: the server has heard of the member within three quarters of its lease. Without an order it is always true.
func (d *delivery) Valid() bool {
	if d.part == nil {
		return true
	}
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	return d.part.of.owns(d.part)
}

// Ack implements [events.Delivery].
func (d *delivery) Ack(context.Context) error { return d.settle("ack", 0) }

// Retry implements [events.Delivery].
func (d *delivery) Retry(_ context.Context, after time.Duration) error {
	return d.settle("retry", after)
}

// Extend implements [events.Delivery].
func (d *delivery) Extend(context.Context) error { return d.settle("extend", 0) }

// settle has the server told what became of a delivery. It does not wait for that: where it fails, the event comes again.
func (d *delivery) settle(what string, wait time.Duration) error {
	m := d.m
	m.mu.Lock()
	defer m.mu.Unlock()
	m.active = time.Now()
	switch {
	case d.part != nil && d.part.dead:
		return errLost
	case d.over || m.err != nil:
		if what == "extend" {
			return nil
		}
		return errSettled
	}
	if what != "extend" {
		d.over = true
		m.held--
		m.kind.settle(d)
	}
	m.settled = append(m.settled, settlement{d, what, wait})
	signal(m.look)
	return nil
}
