package events

import (
	"context"
	"errors"
	"fmt"
)

// Subscribe has a handler called for each event of the topic. The members of a group, which are all hosts that subscribe the topic with its name,
// share the work: each event goes to one of them. A group that is new begins with what is published from now on, see [Start]; it stays, with
// what it has not handled, while it has no members. A name has the form [a-z][a-z0-9-]* and at most 63 bytes.
//
// The handler's context ends at [Timeout], if there is one, and when a drain takes too long. Calls that are made with it belong to the trace of
// the event. When the handler returns nil the event is done with. An error or a panic has it handled again, see [Retry]; at last, or after a
// [Permanent] error, the event becomes a dead letter.
//
// Mistakes, such as an empty group, are errors of the host's start.
//
// Options: [Concurrency], [MaxInFlight], [AckWait], [Timeout], [Retry], [Start], [Unordered].
func (t *Topic[T]) Subscribe(host Host, group string, handler func(ctx context.Context, e *Event[T]) error, opts ...SubscribeOption) *Subscription {
	var err error
	switch {
	case group == "":
		err = errors.New("its group is empty: name the service that shares the work, or use SubscribeEach to have each instance get all events")
	case !groupName.MatchString(group):
		err = errors.New("the name of its group must be 1 to 63 of a-z, 0-9 and '-', beginning with a letter")
	}
	return t.subscribe(host, group, handler, opts, err)
}

// SubscribeEach has a handler called for each event of the topic, in each instance: every host gets all events that are published while it runs, and
// no others. It is for caches and the like; work that must be done belongs to a group. Retries and dead letters are those of
// [Topic.Subscribe], and so are options, but for [Start].
func (t *Topic[T]) SubscribeEach(host Host, handler func(ctx context.Context, e *Event[T]) error, opts ...SubscribeOption) *Subscription {
	return t.subscribe(host, "", handler, opts, nil)
}

func (t *Topic[T]) subscribe(host Host, group string, handler func(ctx context.Context, e *Event[T]) error, opts []SubscribeOption, err error) *Subscription {
	s := newSubscription(t.decl, group)
	b := busOf(host)
	if b == nil {
		return s // as dead as its host
	}
	if handler == nil {
		err = errors.Join(err, errors.New("its handler is nil"))
	}
	err = errors.Join(err, s.configure(opts))
	if b.declare(t.decl) == nil { // that is noted already
		return s
	}
	if err != nil {
		b.mistake(fmt.Errorf("%s: %w", s, err))
		return s
	}
	s.attach(b)
	typ := t.decl.typ
	s.handle = func(ctx context.Context, it *item) error {
		e := &Event[T]{Data: typ.New().Interface().(T)}
		if err := t.decl.decode(it.message, e.Data); err != nil {
			return Permanent(err)
		}
		e.fill(s, it)
		return handler(continueTrace(ctx, it.message, it.work != nil), e)
	}
	if err := b.add(s); err != nil {
		b.mistake(err)
	}
	return s
}
