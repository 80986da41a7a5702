package rabbitevents

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/driver"
	amqp "github.com/rabbitmq/amqp091-go"
)

// mostBytes is how much may be on its way, so that large events do not fill the memory.
const mostBytes = 64 << 20

// publisher sends events over one channel, in their order, and waits for the server to confirm them, many at a time. What was not confirmed when the
// channel ended is sent again over the next one, before all else, so the order is kept; what was confirmed to nobody is there twice then.
type publisher struct {
	b    *Broker
	wake chan struct{} // for run

	mu      sync.Mutex
	waiting []*outgoing   // to be sent
	sent    []*outgoing   // over the channel, in the order of their tags
	window  driver.Window // of those of both that are not over
	away    bool          // there is no channel
	closed  bool
}

// outgoing is an event, or another message, on its way.
type outgoing struct {
	topic    *topic // nil for what is no event
	exchange string
	key      string
	msg      amqp.Publishing
	size     int
	done     func(error)

	// guarded by the publisher's lock
	stop func() bool // of what watches the context
	over bool        // done was called, or is about to be
}

// outgoing returns the message for an event.
func (b *Broker) outgoing(t *topic, m *events.Message) (*outgoing, error) {
	if limit := t.info.Limits.MaxSize; limit > 0 && len(m.Data) > limit {
		return nil, fmt.Errorf("%w: %d bytes, and the topic %s takes %d: raise Limits.MaxSize, or publish a reference to the data",
			events.ErrTooLarge, len(m.Data), t.info.Name, limit)
	}
	if m.Due.After(time.Now()) {
		return nil, errDelay
	}
	msg, err := publishing(m)
	if err != nil {
		return nil, err
	}
	return &outgoing{topic: t, exchange: t.exchange, key: routingKey(m.Key, m.ID, b.opts.Partitions), msg: msg, size: len(m.Data) + 512}, nil
}

func newPublisher(b *Broker) *publisher {
	return &publisher{b: b, wake: make(chan struct{}, 1), away: true, window: driver.Window{Events: b.opts.MaxPending, Bytes: mostBytes}}
}

func (p *publisher) close() {
	p.mu.Lock()
	p.closed = true
	all := append(p.sent, p.waiting...)
	p.sent, p.waiting = nil, nil
	p.mu.Unlock()
	for _, o := range all {
		p.finish(o, errClosed)
	}
}

// signal wakes who waits on a channel with room for one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// publish sends a message. It waits for room.
func (p *publisher) publish(ctx context.Context, o *outgoing) {
	if err := p.enter(ctx, o); err != nil {
		o.done(err)
		return
	}
	if ctx.Done() == nil {
		return
	}
	stop := context.AfterFunc(ctx, func() { p.giveUp(o, context.Cause(ctx)) })
	p.mu.Lock()
	defer p.mu.Unlock()
	if o.over {
		stop()
	} else {
		o.stop = stop
	}
}

func (p *publisher) enter(ctx context.Context, o *outgoing) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for {
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			return errClosed
		}
		room := p.window.Enter(o.size)
		if room == nil {
			p.waiting = append(p.waiting, o)
			p.mu.Unlock()
			signal(p.wake)
			return nil
		}
		p.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return fmt.Errorf("%w, and %d events are on their way already: %w", p.trouble(), p.b.opts.MaxPending, context.Cause(ctx))
		}
	}
}

// trouble says why events wait.
func (p *publisher) trouble() error {
	p.mu.Lock()
	away := p.away
	p.mu.Unlock()
	switch {
	case p.b.out.free() != nil:
		return errors.New("the broker takes no events, for it is low on memory or disk")
	case away:
		return errors.New("the broker is away")
	}
	return errors.New("the broker did not confirm it yet")
}

// remove ends the wait of a message. The caller holds p.mu, and calls o.finish without it.
func (p *publisher) remove(o *outgoing) {
	o.over = true
	p.window.Leave(o.size)
}

// finish ends the wait of a message, unless that is over already.
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

// giveUp is for a message whose context ended.
func (p *publisher) giveUp(o *outgoing, cause error) {
	p.finish(o, fmt.Errorf("%w, so it is not known to be stored: %w", p.trouble(), cause))
}

// run sends what comes, over one channel after the other, until the broker is closed.
func (p *publisher) run() {
	for failures := 0; p.b.work.Err() == nil; {
		progress, err := p.session()
		switch {
		case p.b.work.Err() != nil || errors.Is(err, errClosed):
			return
		case err == nil:
			continue
		}
		if progress {
			failures = 0
		}
		failures++
		p.sort(err, progress)
		pause(p.b.work, driver.RetryDelay(failures))
	}
}

// session sends messages over a channel until that ends. It reports whether the server confirmed any.
func (p *publisher) session() (progress bool, err error) {
	ctx := p.b.work
	conn, err := p.b.out.get(ctx)
	if err != nil {
		if p.b.out.hopeless() { // it may be mended on the server
			p.failAll(err)
		}
		return false, err
	}
	ch, err := conn.Channel()
	if err != nil {
		return false, err
	}
	closed := ch.NotifyClose(make(chan *amqp.Error, 1))
	confirmed := ch.NotifyPublish(make(chan amqp.Confirmation, p.b.opts.MaxPending))
	returned := ch.NotifyReturn(make(chan amqp.Return, 16))
	if err := ch.Confirm(false); err != nil {
		return false, err
	}
	p.mu.Lock()
	p.away = false
	p.mu.Unlock()

	var reading sync.WaitGroup
	reading.Go(func() {
		for returned != nil || confirmed != nil {
			select {
			case r, ok := <-returned:
				if !ok {
					returned = nil
				} else {
					p.nobody(r.Exchange)
				}
			case c, ok := <-confirmed:
				if !ok {
					confirmed = nil
				} else {
					progress = true
					p.answered(c.Ack)
				}
			}
		}
	})
	err = p.feed(ctx, ch, closed)
	_ = ch.Close() // it may be closed, or its connection
	reading.Wait()
	p.takeBack()
	return progress, err
}

// feed sends until the channel ends.
func (p *publisher) feed(ctx context.Context, ch *amqp.Channel, closed <-chan *amqp.Error) error {
	why := func(err error) error {
		select {
		case e, ok := <-closed:
			if ok && e != nil {
				return e
			}
		default:
		}
		return err
	}
	for {
		free := p.b.out.free()
		var o *outgoing
		if free == nil {
			o = p.next()
		}
		if o != nil {
			if err := ch.PublishWithContext(ctx, o.exchange, o.key, o.topic != nil, false, o.msg); err != nil {
				return why(err) // there is nothing in it that the library would not send, so it is the connection
			}
			continue
		}
		select {
		case <-p.wake:
		case <-free:
		case <-ctx.Done():
			return errClosed
		case err := <-closed:
			return closing(err)
		}
	}
}

// next moves the next message to those that are sent.
func (p *publisher) next() *outgoing {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.waiting) > 0 {
		o := p.waiting[0]
		p.waiting[0] = nil
		p.waiting = p.waiting[1:]
		if !o.over {
			p.sent = append(p.sent, o)
			return o
		}
	}
	p.waiting = nil
	return nil
}

// answered takes what the server says to the oldest message that it has not answered: the library passes that on in order.
func (p *publisher) answered(stored bool) {
	p.mu.Lock()
	if len(p.sent) == 0 {
		p.mu.Unlock()
		return
	}
	o := p.sent[0]
	p.sent[0] = nil
	if p.sent = p.sent[1:]; len(p.sent) == 0 {
		p.sent = nil
	}
	over := o.over
	if !over {
		p.remove(o)
	}
	p.mu.Unlock()
	switch {
	case over:
	case stored:
		o.finish(nil)
	default:
		o.finish(fmt.Errorf("%w: the queue of a group refused it, for as much waits there as Limits allow; other groups may have it", events.ErrFull))
	}
}

// takeBack has what was not confirmed sent again, before all else.
func (p *publisher) takeBack() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = true
	var all []*outgoing
	for _, o := range p.sent {
		if !o.over {
			all = append(all, o)
		}
	}
	p.waiting = append(all, p.waiting...)
	p.sent = nil
}

// nobody logs, once for each topic, that there is no group to get its events.
func (p *publisher) nobody(exchange string) {
	p.b.topics.Range(func(_, value any) bool {
		t := value.(*topic)
		if t.exchange == exchange && !t.nobody.Swap(true) {
			p.b.opts.Logger.Warn("events: the topic has no groups, so nobody will get what is published now", "topic", t.info.Name)
		}
		return t.exchange != exchange
	})
}

func (p *publisher) failAll(err error) { p.failWhere(err, func(*outgoing) bool { return true }) }

func (p *publisher) failWhere(err error, which func(*outgoing) bool) (n int) {
	p.mu.Lock()
	var all []*outgoing
	for _, o := range p.waiting {
		if !o.over && which(o) {
			all = append(all, o)
		}
	}
	p.mu.Unlock()
	for _, o := range all {
		p.finish(o, err)
	}
	return len(all)
}

var (
	ofExchange = regexp.MustCompile(`exchange '([^']*)'`)
	ofSize     = regexp.MustCompile(`message size (\d+)`)
)

// sort sees to what ended a channel: when the server did not like a message, it is found and fails, for the others would never go.
func (p *publisher) sort(err error, progress bool) {
	var e *amqp.Error
	if !errors.As(err, &e) || passing(e) {
		return
	}
	if size := ofSize.FindStringSubmatch(e.Reason); e.Code == amqp.PreconditionFailed && size != nil {
		least, _ := strconv.Atoi(size[1])
		err := fmt.Errorf("%w: %d bytes, and the broker takes less (max_message_size)", events.ErrTooLarge, least)
		if p.failWhere(err, func(o *outgoing) bool { return len(o.msg.Body) >= least }) > 0 {
			return
		}
	}
	if name := ofExchange.FindStringSubmatch(e.Reason); name != nil {
		there := func(o *outgoing) bool { return o.exchange == name[1] }
		if e.Code == amqp.NotFound {
			if err = p.b.restore(name[1]); err == nil || passing(err) {
				return
			}
		}
		if p.failWhere(err, there) > 0 {
			return
		}
	}
	if first := true; !progress { // the one that was first is the one, most likely
		p.failWhere(err, func(*outgoing) bool { was := first; first = false; return was })
	}
}
