package events

import (
	"context"
	"sync/atomic"
)

// topic is the part of a topic in a bus.
type topic struct {
	decl    *declaration
	implied bool          // it is for dead letters, and nobody declared it
	ready   atomic.Bool   // the broker has it
	turn    chan struct{} // to make it be there
}

func newTopic(d *declaration) *topic {
	return &topic{decl: d, turn: make(chan struct{}, 1)}
}

// newImpliedTopic returns the topic of the dead letters of another one.
func newImpliedTopic(of *declaration, name string) *topic {
	d := &declaration{info: TopicInfo{Name: name, Limits: of.info.Limits}, typ: of.typ, name: of.name, json: of.json}
	t := newTopic(d)
	t.implied = true
	return t
}

// declare makes the topic be there, once.
func (t *topic) declare(ctx context.Context, broker Broker) error {
	if t.ready.Load() {
		return nil
	}
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-t.turn }()
	if t.ready.Load() {
		return nil
	}
	if err := broker.Declare(ctx, t.decl.info); err != nil {
		return err
	}
	if keeper, ok := broker.(SchemaKeeper); ok {
		if err := t.decl.register(ctx, keeper); err != nil {
			return err
		}
	}
	t.ready.Store(true)
	return nil
}
