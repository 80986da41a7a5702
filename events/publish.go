package events

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Publish publishes an event, and returns when the broker has stored it. With a host that is not running yet it waits, and so it does while
// the broker is away, until ctx ends. After an error the event may be stored nevertheless, unless the error is one of [ErrFull],
// [ErrTooLarge], [ErrSchema] and [ErrDrift].
//
// Options: [At], [ID], [Metadata], [Subject], [Extension].
func (t *Topic[T]) Publish(ctx context.Context, host Host, msg T, opts ...PublishOption) error {
	b, broker, m, err := t.prepare(ctx, host, msg, opts)
	if err != nil {
		return t.failed(b, err)
	}
	if err := b.await(ctx, broker, t.decl.info.Name, m); err != nil {
		return t.failed(b, err)
	}
	b.published.Add(1)
	return nil
}

// prepare makes the message of an event, and waits until it can be published.
func (t *Topic[T]) prepare(ctx context.Context, host Host, msg T, opts []PublishOption) (*Bus, Broker, *Message, error) {
	b := busOf(host)
	if b == nil {
		return nil, nil, nil, errors.New("the host is nil")
	}
	broker, err := b.readyFor(ctx, t.decl)
	if err != nil {
		return b, nil, nil, err
	}
	m, err := t.message(ctx, b.newID(), b.source(), msg, opts)
	return b, broker, m, err
}

// message encodes an event.
func (t *Topic[T]) message(ctx context.Context, id, source string, msg T, opts []PublishOption) (*Message, error) {
	if any(msg) == nil || !msg.ProtoReflect().IsValid() {
		return nil, errors.New("the message is nil")
	}
	data, content, err := t.decl.encode(msg)
	if err != nil {
		return nil, err
	}
	m := &Message{ID: id, Source: source, Type: t.decl.typeName(), Time: time.Now(), ContentType: content, Data: data}
	if t.key != nil {
		m.Key = t.key(msg)
	}
	joinTrace(ctx, m)
	for _, opt := range opts {
		if err := opt(m); err != nil {
			return nil, err
		}
	}
	if !m.Due.IsZero() && !t.decl.info.Delayed {
		return nil, errors.New("the topic's events are not for later: declare it with events.Delayed() to use events.At")
	}
	if most := t.decl.info.Limits.MaxSize; most > 0 && len(data) > most {
		return nil, fmt.Errorf("%w: %d bytes, and Limits.MaxSize is %d", ErrTooLarge, len(data), most)
	}
	return m, nil
}

func (t *Topic[T]) failed(b *Bus, err error) error {
	if b != nil {
		b.publishFailed.Add(1)
	}
	return fmt.Errorf("events: publish to %s: %w", t.decl.info.Name, err)
}

// waiter waits for the one call of a done function, and tells how it went.
type waiter struct {
	result chan error
	done   func(error)
	told   sending
}

// await publishes a message and waits for the outcome. Waiters belong to their bus, for channels must not cross the borders of testing/synctest.
func (b *Bus) await(ctx context.Context, broker Broker, topic string, m *Message) error {
	w, ok := b.waiters.Get().(*waiter)
	if !ok {
		w = &waiter{result: make(chan error, 1)}
		w.done = func(err error) { w.result <- err }
	}
	s := b.teller().send(ctx, &w.told, topic, m, false)
	broker.Publish(ctx, topic, m, w.done)
	err, over := w.wait(ctx)
	s.over(err)
	if over { // else done is still to be called
		w.told = sending{}
		b.waiters.Put(w)
	}
	return err
}

// wait returns the result, or, with over false, why there is none.
func (w *waiter) wait(ctx context.Context) (err error, over bool) {
	select {
	case err := <-w.result: // at once, by many brokers
		return err, true
	default:
	}
	select {
	case err := <-w.result:
		return err, true
	case <-ctx.Done():
	}
	moment := time.NewTimer(lastWord)
	defer moment.Stop()
	select {
	case err := <-w.result:
		return err, true
	case <-moment.C:
		return context.Cause(ctx), false
	}
}

// lastWord is how long a broker has to say, when the context has ended, what was in the way.
const lastWord = 100 * time.Millisecond

// PublishAll publishes events, in their order, and returns when the broker has answered for all. Many are on their way at the same time, so this is
// faster than as many calls of Publish. When some are not stored, the error is a [*BatchError]. The options are for each of them.
func (t *Topic[T]) PublishAll(ctx context.Context, host Host, msgs []T, opts ...PublishOption) error {
	var all *sending
	if b := busOf(host); b != nil && len(msgs) > 1 {
		if _, err := b.broker(ctx); err == nil { // else each says why
			all = b.teller().sendAll(ctx, t.decl.info.Name, len(msgs))
		}
	}
	receipts := make([]*Receipt, len(msgs))
	for i, msg := range msgs {
		receipts[i] = t.publishAsync(ctx, host, msg, opts, all)
	}
	batch := &BatchError{Errs: make([]error, len(msgs))}
	for i, r := range receipts {
		if batch.Errs[i] = r.Wait(ctx); batch.Errs[i] != nil {
			batch.failed++
		}
	}
	if batch.failed == 0 {
		all.allOver(nil)
		return nil
	}
	all.allOver(batch)
	return batch
}

// BatchError says which events of a [Topic.PublishAll] were not stored, or not known to be.
type BatchError struct {
	Errs   []error // for each event, nil where it is stored
	failed int
}

// Error says how many failed, and why the first did.
func (e *BatchError) Error() string {
	for i, err := range e.Errs {
		if err != nil {
			return fmt.Sprintf("%d of %d events were not stored, first number %d: %v", e.failed, len(e.Errs), i+1, err)
		}
	}
	return "all events were stored"
}

// Unwrap returns the errors.
func (e *BatchError) Unwrap() []error {
	var errs []error
	for _, err := range e.Errs {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}
