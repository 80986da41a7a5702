package events

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
)

// Encode returns the message that Publish would hand to the broker, and refuses what Publish would refuse of it. It is for who keeps events first and
// has them published later by [Bus.Forward], as package outbox does. The message has an ID that no other has, and no Source yet.
func (t *Topic[T]) Encode(ctx context.Context, msg T, opts ...PublishOption) (*Message, error) {
	if t.decl.err != nil {
		return nil, t.decl.err
	}
	m, err := t.message(ctx, rand.Text(), "", msg, opts)
	if err != nil {
		return nil, fmt.Errorf("events: publish to %s: %w", t.decl.info.Name, err)
	}
	tellCreated(ctx, t.decl.info.Name, m)
	return m, nil
}

// Forward publishes a message that [Topic.Encode] returned, maybe in another process, to a topic that the host declares; done is called once, as
// [Broker] says. Without a Source the message gets that of the host. Forward may wait, until ctx ends, for the broker to be there and to take more.
//
// An error that no repetition would mend wraps [ErrTooLarge] or [ErrUnsupported], or is one of [Permanent].
func (b *Bus) Forward(ctx context.Context, topic string, m *Message, done func(error)) {
	broker, err := b.readyByName(ctx, topic)
	if err != nil {
		b.publishFailed.Add(1)
		done(fmt.Errorf("events: publish to %s: %w", topic, err))
		return
	}
	if m.Source == "" {
		m.Source = b.source()
	}
	s := b.teller().send(ctx, nil, topic, m, true)
	broker.Publish(ctx, topic, m, func(err error) {
		s.over(err)
		if err != nil {
			b.publishFailed.Add(1)
			err = fmt.Errorf("events: publish to %s: %w", topic, err)
		} else {
			b.published.Add(1)
		}
		done(err)
	})
}

// readyByName waits until messages can be published to a topic that was declared.
func (b *Bus) readyByName(ctx context.Context, name string) (Broker, error) {
	b.mu.Lock()
	t := b.topics[name]
	b.mu.Unlock()
	if t == nil || t.implied {
		return nil, errors.New("this host does not declare the topic: call its Declare in the set-up")
	}
	broker, err := b.broker(ctx)
	if err != nil {
		return nil, err
	}
	return broker, t.declare(ctx, broker)
}
