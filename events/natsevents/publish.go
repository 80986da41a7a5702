package natsevents

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/driver"
	"github.com/nats-io/nats.go"
)

const (
	// mostBytes is how much may be on its way, so that large events do not fill the memory.
	mostBytes = 64 << 20

	// ackWait is after how long without an answer the server, or the way to it, is taken to have lost an event.
	ackWait = 5 * time.Second
)

// publisher sends events and waits for the server to have stored them: many at a time, over the one connection, in order. What was not
// acknowledged is sent again when the connection is back; the server knows by the ID what it has already.
//
// As soon as anything goes wrong it is held: new events wait behind those that are to be sent again, until all of these were. That keeps the order.
type publisher struct {
	b     *Broker
	inbox string // answers come to subjects below it
	sub   *nats.Subscription
	wake  chan struct{} // for run

	send sync.Mutex // held while events get their number and go on the wire, in the same order

	mu      sync.Mutex
	waiting map[uint64]*outgoing // sent, or to be sent, and not answered
	last    uint64               // number
	window  driver.Window
	held    bool
	since   time.Time // when it began to be held
	lives   uint64    // of the connection, when events were last sent in order
	stored  [1 + partitions]uint64
	closed  bool
}

// outgoing is an event on its way.
type outgoing struct {
	number uint64
	msg    *nats.Msg
	topic  *topic
	lane   int
	size   int
	sent   time.Time
	again  bool  // it is to be sent again
	passed bool  // it may have been passed over while later ones were stored
	why    error // the reason
	done   func(error)
	stop   func() bool // of what watches the context
	over   bool        // done was called, or is about to be
}

func newPublisher(b *Broker) *publisher {
	return &publisher{
		b: b, waiting: make(map[uint64]*outgoing), wake: make(chan struct{}, 1), window: driver.Window{Events: b.opts.MaxPending, Bytes: mostBytes},
	}
}

func (p *publisher) listen() (err error) {
	p.inbox = p.b.conn.NewInbox() + "."
	p.lives = p.b.conn.Stats().Reconnects
	if p.sub, err = p.b.conn.Subscribe(p.inbox+"*", p.answered); err != nil {
		return err
	}
	return p.sub.SetPendingLimits(-1, -1) // they are as many as events are on their way
}

func (p *publisher) close() {
	if p.sub != nil {
		_ = p.sub.Unsubscribe() // fails only when the connection is closed
	}
	p.mu.Lock()
	p.closed = true
	all := slices.Collect(maps.Values(p.waiting))
	p.mu.Unlock()
	for _, o := range all {
		p.finish(o, errClosed)
	}
}

func (p *publisher) kick() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// publish sends an event. It waits for room.
func (p *publisher) publish(ctx context.Context, msg *nats.Msg, t *topic, lane int, done func(error)) {
	o := &outgoing{msg: msg, topic: t, lane: lane, size: len(msg.Data) + 256, done: done}
	if err := p.enter(ctx, o); err != nil {
		done(err)
		return
	}
	if ctx.Done() != nil {
		stop := context.AfterFunc(ctx, func() { p.giveUp(o, context.Cause(ctx)) })
		p.mu.Lock()
		if o.over {
			stop()
		} else {
			o.stop = stop
		}
		p.mu.Unlock()
	}
}

// enter gives an event its place and sends it, unless others must go before.
func (p *publisher) enter(ctx context.Context, o *outgoing) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	for {
		p.send.Lock()
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			p.send.Unlock()
			return errClosed
		}
		room, held := p.window.Enter(o.size), p.held
		if room == nil {
			break
		}
		p.mu.Unlock()
		p.send.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			if held {
				return fmt.Errorf("the broker is away, and %d events wait already: %w", p.b.opts.MaxPending, context.Cause(ctx))
			}
			return fmt.Errorf("the broker is slow, and %d events are on their way already: %w", p.b.opts.MaxPending, context.Cause(ctx))
		}
	}
	defer p.send.Unlock()
	p.last++
	o.number = p.last
	o.msg.Reply = p.inbox + strconv.FormatUint(o.number, 36)
	p.waiting[o.number] = o
	if !p.held && (!p.b.isUp() || p.b.conn.Stats().Reconnects != p.lives) {
		p.hold() // there may be something to be sent again first
	}
	if p.held {
		o.again = true
		p.mu.Unlock()
		return nil
	}
	o.sent = time.Now()
	p.mu.Unlock()
	p.transmit(o)
	return nil
}

// transmit puts an event on the wire. The caller holds p.send.
func (p *publisher) transmit(o *outgoing) bool {
	err := p.b.conn.PublishMsg(o.msg)
	switch {
	case err == nil:
		return true
	case errors.Is(err, nats.ErrMaxPayload):
		p.finish(o, fmt.Errorf("%w: %d bytes, and the broker takes %d with all headers (max_payload)", events.ErrTooLarge, len(o.msg.Data), p.b.conn.MaxPayload()))
		return true
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionDraining), errors.Is(err, nats.ErrBadSubject), errors.Is(err, nats.ErrHeadersNotSupported):
		p.finish(o, err)
		return true
	}
	p.mu.Lock()
	o.again, o.why = true, err
	p.hold()
	p.mu.Unlock()
	return false
}

// hold has new events wait. The caller holds p.mu.
func (p *publisher) hold() {
	if !p.held {
		p.held = true
		p.since = time.Now()
		p.kick()
	}
}

// answered takes what the server says to an event.
func (p *publisher) answered(m *nats.Msg) {
	number, err := strconv.ParseUint(m.Subject[len(p.inbox):], 36, 64)
	if err != nil {
		return // nobody sends that
	}
	err = ack(m)
	p.mu.Lock()
	o := p.waiting[number]
	if o == nil {
		p.mu.Unlock()
		return // sent twice, answered twice
	}
	switch {
	case err == nil:
		p.stored[o.lane] = max(p.stored[o.lane], number)
	case passing(err):
		o.again, o.passed, o.why = true, true, err
		p.hold()
		p.mu.Unlock()
		return
	}
	p.remove(o)
	p.mu.Unlock()
	o.finish(err)
}

// remove takes an event from those that wait. The caller holds p.mu, and calls o.finish without it.
func (p *publisher) remove(o *outgoing) {
	delete(p.waiting, o.number)
	p.window.Leave(o.size)
	o.over = true
}

// finish ends the wait of an event, unless that is over already.
func (p *publisher) finish(o *outgoing, err error) {
	p.mu.Lock()
	if o.over {
		p.mu.Unlock()
		return
	}
	p.remove(o)
	p.mu.Unlock()
	o.finish(err)
}

// finish tells the publisher. It is called once, after remove.
func (o *outgoing) finish(err error) {
	if o.stop != nil {
		o.stop()
	}
	o.done(err)
}

// giveUp is for an event whose context ended.
func (p *publisher) giveUp(o *outgoing, cause error) {
	p.mu.Lock()
	why := o.why
	switch {
	case errors.Is(why, nats.ErrReconnectBufExceeded), why == nil && !p.b.up.Load():
		why = errors.New("the broker is away")
	case why == nil:
		why = errors.New("the broker did not answer")
	}
	p.mu.Unlock()
	p.finish(o, fmt.Errorf("%w, so it is not known to be stored: %w", why, cause))
}

// run sends again what has to be, until the broker is closed.
func (p *publisher) run() {
	tick := time.NewTicker(ackWait / 5)
	defer tick.Stop()
	failures := 0
	var resent time.Time
	for {
		select {
		case <-p.b.work.Done():
			return
		case <-p.wake:
		case <-tick.C:
			p.findLost()
		}
		if time.Since(resent) > ackWait {
			failures = 0
		}
		for p.isHeld() {
			wait := 20 * time.Millisecond // for answers, or for the connection
			if p.complete() {
				if failures == 0 || p.pause(driver.RetryDelay(failures)) {
					p.heal()
					p.resend()
				}
				failures++
				resent, wait = time.Now(), 0
			}
			if !p.pause(wait) {
				return
			}
		}
	}
}

// pause reports false when the broker was closed meanwhile.
func (p *publisher) pause(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-p.b.work.Done():
		return false
	}
}

func (p *publisher) isHeld() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held
}

// findLost holds the events when an old one was not answered.
func (p *publisher) findLost() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range p.waiting {
		if !p.held && time.Since(o.sent) > ackWait {
			p.hold()
			return
		}
	}
}

// complete says whether it is known of all events that they must be sent again, so that this can be done in their order. The
// connection must be there for that.
func (p *publisher) complete() bool {
	if !p.b.isUp() {
		return false
	}
	lives := p.b.conn.Stats().Reconnects
	p.mu.Lock()
	defer p.mu.Unlock()
	// What was sent over a connection that is gone will not be answered. Some of it arrived, but of what arrived all that was before it did.
	broke := lives != p.lives
	for _, o := range p.waiting {
		if !o.again && !broke && time.Since(p.since) < ackWait && time.Since(o.sent) < ackWait {
			return false
		}
	}
	for _, o := range p.waiting {
		o.passed = o.passed || !o.again && !broke
		o.again = true
	}
	return true
}

// heal makes topics again that are gone.
func (p *publisher) heal() {
	lost := make(map[*topic][]*outgoing)
	p.mu.Lock()
	for _, o := range p.waiting {
		if errors.Is(o.why, nats.ErrNoResponders) {
			lost[o.topic] = append(lost[o.topic], o)
		}
	}
	p.mu.Unlock()
	for t, all := range lost {
		ctx, cancel := p.b.request(p.b.work)
		err := p.b.restore(ctx, t)
		cancel()
		if err == nil || passing(err) || ctx.Err() != nil {
			continue
		}
		for _, o := range all {
			p.finish(o, fmt.Errorf("the topic %s is gone, and cannot be made again: %w", t.info.Name, explain(err)))
		}
	}
}

// errOvertaken is for an event that is not known to be stored while a later one is. Stored now, it would be out of order.
var errOvertaken = errors.New("the broker did not acknowledge it, but a later event that may have the same key: it is not sent again, to keep the order")

// resend sends what is to be sent again, in the order of the first time, and then lets new events pass.
func (p *publisher) resend() {
	p.send.Lock()
	defer p.send.Unlock()
	lives := p.b.conn.Stats().Reconnects
	p.mu.Lock()
	p.lives = lives
	p.held = false
	var all []*outgoing
	for _, o := range p.waiting {
		if o.again {
			all = append(all, o)
		}
	}
	p.mu.Unlock()
	slices.SortFunc(all, func(x, y *outgoing) int { return cmp.Compare(x.number, y.number) })
	for _, o := range all {
		p.mu.Lock()
		over, overtaken := o.over, o.passed && o.lane != 0 && p.stored[o.lane] > o.number
		o.again, o.passed, o.sent = false, false, time.Now()
		p.mu.Unlock()
		switch {
		case over:
		case overtaken:
			p.finish(o, errOvertaken)
		case !p.transmit(o):
			p.mu.Lock() // those after it are sent with it
			for _, rest := range all {
				rest.again = rest.again || rest.number > o.number
			}
			p.mu.Unlock()
			return
		}
	}
}
