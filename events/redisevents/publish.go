package redisevents

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/driver"
	"github.com/redis/go-redis/v9"
)

const (
	// mostBytes is how much may be on its way, so that large events do not fill the memory.
	mostBytes = 64 << 20

	// batchEvents and batchBytes are what a script is given at most in one go: the server does nothing else meanwhile.
	batchEvents = 128
	batchBytes  = 1 << 20
)

// publisher sends events in batches: while the server stores one, the next one gathers. A batch of a topic is one call of a script, so it is stored
// as a whole and in order or not at all; what got no answer is sent again before anything else, and the server knows by the ID what it has.
type publisher struct {
	b    *Broker
	wake chan struct{} // for run

	mu     sync.Mutex
	queue  []*outgoing   // in order; those of the batch under way are first
	window driver.Window // of those that are not over
	closed bool
}

// outgoing is an event on its way.
type outgoing struct {
	topic    *topic
	identity string
	args     []any
	size     int
	done     func(error)

	sent bool
	why  error       // why the last attempt failed
	stop func() bool // of what watches the context
	over bool        // done was called, or is about to be
}

func newPublisher(b *Broker) *publisher {
	return &publisher{b: b, wake: make(chan struct{}, 1), window: driver.Window{Events: b.opts.MaxPending, Bytes: mostBytes}}
}

// close ends the wait of all events. run has returned.
func (p *publisher) close() {
	p.mu.Lock()
	p.closed = true
	all := p.queue
	p.queue = nil
	p.mu.Unlock()
	for _, o := range all {
		p.finish(o, errClosed)
	}
}

// publish has an event sent. It waits for room.
func (p *publisher) publish(ctx context.Context, t *topic, m *events.Message, done func(error)) {
	o, err := t.outgoing(m)
	if err == nil {
		o.done = done
		err = p.enter(ctx, o)
	}
	if err != nil {
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

// outgoing is what the script is told of an event.
func (t *topic) outgoing(m *events.Message) (*outgoing, error) {
	if limit := t.info.Limits.MaxSize; limit > 0 && len(m.Data) > limit {
		return nil, fmt.Errorf("%w: %d bytes, and the topic %s takes %d: raise Limits.MaxSize, or publish a reference to the data",
			events.ErrTooLarge, len(m.Data), t.info.Name, limit)
	}
	all, err := fields(m)
	if err != nil {
		return nil, err
	}
	o := &outgoing{topic: t, size: len(m.Data) + 512}
	due, has := int64(0), 0
	if m.Due.After(time.Now()) {
		if !t.info.Delayed {
			return nil, fmt.Errorf("%w: the topic %s was not declared with Delayed", events.ErrUnsupported, t.info.Name)
		}
		due = m.Due.UnixMilli()
		if m.Due.Nanosecond()%int(time.Millisecond) > 0 {
			due++
		}
	}
	if m.ID != "" {
		has, o.identity = 1, t.identity(m)
	}
	o.args = append([]any{t.lane(m.Key), due, has, len(all)}, all...)
	return o, nil
}

// enter gives an event its place.
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
			p.queue = append(p.queue, o)
			p.mu.Unlock()
			signal(p.wake)
			return nil
		}
		p.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return fmt.Errorf("the broker is slow or away, and %d events are on their way already: %w", p.b.opts.MaxPending, context.Cause(ctx))
		}
	}
}

// finish ends the wait of an event, unless that is over already.
func (p *publisher) finish(o *outgoing, err error) {
	p.mu.Lock()
	if o.over {
		p.mu.Unlock()
		return
	}
	o.over = true
	p.window.Leave(o.size)
	p.mu.Unlock()
	if o.stop != nil {
		o.stop()
	}
	o.done(err)
}

// giveUp is for an event whose context ended.
func (p *publisher) giveUp(o *outgoing, cause error) {
	p.mu.Lock()
	why, sent := o.why, o.sent
	p.mu.Unlock()
	switch {
	case why == nil && !sent:
		p.finish(o, fmt.Errorf("the broker is slow, and it was not sent: %w", cause))
	case why == nil:
		p.finish(o, fmt.Errorf("the broker did not answer, so it is not known to be stored: %w", cause))
	default:
		p.finish(o, fmt.Errorf("the broker does not answer (%w), so it is not known to be stored: %w", why, cause))
	}
}

// run sends events until the broker is closed.
func (p *publisher) run() {
	failures := 0
	for {
		if len(p.next()) == 0 {
			select {
			case <-p.wake:
			case <-p.b.work.Done():
				return
			}
		}
		if p.turn() {
			failures = 0
			continue
		}
		failures++
		select {
		case <-time.After(driver.RetryDelay(failures)):
		case <-p.b.work.Done():
			return
		}
	}
}

// batch is events of one topic, in order.
type batch struct {
	topic *topic
	all   []*outgoing
	size  int
}

// next returns the batches that are first, one for each topic.
func (p *publisher) next() (batches []*batch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = slices.DeleteFunc(p.queue, func(o *outgoing) bool { return o.over })
	full := 0
	for _, o := range p.queue {
		i := slices.IndexFunc(batches, func(b *batch) bool { return b.topic.base == o.topic.base })
		if i < 0 {
			i = len(batches)
			batches = append(batches, &batch{topic: o.topic})
		}
		b := batches[i]
		if len(b.all) == batchEvents || len(b.all) > 0 && b.size+o.size > batchBytes {
			if full++; full > 4*batchEvents {
				break // enough to do
			}
			b.size = batchBytes // what comes after it stays after it
			continue
		}
		o.sent = true
		b.all = append(b.all, o)
		b.size += o.size
	}
	return batches
}

// turn sends what is first, and reports whether it went well.
func (p *publisher) turn() bool {
	batches := p.next()
	if len(batches) == 0 {
		return true
	}
	answers := p.b.store(batches)
	well := true
	for i, b := range batches {
		if err := answers[i].Err(); err != nil {
			well = p.failed(b, err) && well
			continue
		}
		all, err := list(answers[i].Val(), len(b.all))
		for j, o := range b.all {
			if err != nil {
				p.finish(o, err)
			} else {
				p.finish(o, b.topic.outcome(all[j]))
			}
		}
	}
	return well
}

// store sends batches in one go.
func (b *Broker) store(batches []*batch) []*redis.Cmd {
	send := func(byHash bool) ([]*redis.Cmd, error) {
		pipe := b.client.Pipeline()
		var answers []*redis.Cmd
		replicas := 0
		for _, batch := range batches {
			t := batch.topic
			keys := t.keys(t.record, t.waiting, t.due, t.later)
			args := []any{len(t.lanes), b.opts.Dedup.Milliseconds()}
			for _, o := range batch.all {
				if o.identity != "" {
					keys = append(keys, o.identity)
				}
				args = append(args, o.args...)
			}
			if byHash {
				answers = append(answers, pipe.EvalSha(b.work, publishScript.hash, keys, args...))
			} else {
				answers = append(answers, pipe.Eval(b.work, publishScript.text, keys, args...))
			}
			replicas = max(replicas, t.info.Limits.Replicas-1)
		}
		var waited *redis.Cmd
		if replicas > 0 {
			waited = pipe.Do(b.work, "wait", replicas, replicaWait.Milliseconds())
		}
		_, err := pipe.Exec(b.work)
		if waited == nil || waited.Err() != nil {
			return answers, err
		}
		if n, _ := waited.Val().(int64); int(n) < replicas {
			err = fmt.Errorf("%w: %d of %d replicas have it", errAgain, n, replicas)
			for i, batch := range batches {
				if batch.topic.info.Limits.Replicas > 1 && answers[i].Err() == nil {
					answers[i].SetErr(err)
				}
			}
		}
		return answers, err
	}
	begun := time.Now()
	answers, err := send(true)
	if slices.ContainsFunc(answers, func(c *redis.Cmd) bool { return redis.HasErrorPrefix(c.Err(), "NOSCRIPT") }) {
		answers, err = send(false)
	}
	_ = b.link.note(begun, err) // each answer has its own
	return answers
}

// replicaWait is how long the server waits for its replicas before the events are sent again, to wait once more.
const replicaWait = time.Second

// failed is for a batch that was not stored, or not known to be. It reports whether that was dealt with.
func (p *publisher) failed(b *batch, err error) bool {
	passes := transient(err) || passing(err)
	switch err = explain(err); {
	case errors.Is(err, errGone):
		once, cancel := context.WithTimeout(p.b.work, 5*time.Second)
		defer cancel()
		switch again := p.b.restore(once, b.topic); {
		case again == nil:
			return true // they are sent again
		case !passing(again):
			for _, o := range b.all {
				p.finish(o, fmt.Errorf("the topic %s is gone, and cannot be made again: %w", b.topic.info.Name, explain(again)))
			}
			return true
		}
	case !passes:
		for _, o := range b.all {
			p.finish(o, err)
		}
		return true
	}
	p.mu.Lock()
	for _, o := range b.all {
		o.why = err
	}
	p.mu.Unlock()
	return false
}

// outcome reads what the script says to an event.
func (t *topic) outcome(answer any) error {
	text, ok := answer.(string)
	if !ok || text == "later" {
		return nil
	}
	switch what, n, _ := strings.Cut(text, " "); what {
	case "messages":
		return fmt.Errorf("%w: it keeps %s events, and Limits.MaxMessages is %d", events.ErrFull, n, t.info.Limits.MaxMessages)
	case "bytes":
		return fmt.Errorf("%w: it keeps %s bytes, and Limits.MaxBytes is %d", events.ErrFull, n, t.info.Limits.MaxBytes)
	}
	return fmt.Errorf("the broker answers %q", text)
}

// signal wakes who waits on a channel with room for one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
