package events

import (
	"context"
	"fmt"
	"sync"
)

// PublishAsync publishes an event without waiting until it is stored; the receipt tells. At most [Bus.Window] events are on their way at the
// same time: with more it waits for room, or until ctx ends. Failures that nobody waits for are counted in [BusStats]. The options are those
// of Publish.
func (t *Topic[T]) PublishAsync(ctx context.Context, host Host, msg T, opts ...PublishOption) *Receipt {
	return t.publishAsync(ctx, host, msg, opts, nil)
}

// publishAsync publishes an event, alone or as one of several.
func (t *Topic[T]) publishAsync(ctx context.Context, host Host, msg T, opts []PublishOption, all *sending) *Receipt {
	r := &Receipt{settled: make(chan struct{})}
	b, broker, m, err := t.prepare(ctx, host, msg, opts)
	if err == nil {
		err = b.window.enter(ctx, b.Window)
	}
	if err != nil {
		r.settle(t.failed(b, err))
		return r
	}
	var s *sending
	if all != nil {
		all.create(ctx, m)
	} else {
		s = b.teller().send(ctx, nil, t.decl.info.Name, m, false)
	}
	broker.Publish(ctx, t.decl.info.Name, m, func(err error) {
		s.over(err)
		all.stored(err)
		if err != nil {
			err = t.failed(b, err)
		} else {
			b.published.Add(1)
		}
		r.settle(err)
		b.window.leave()
	})
	return r
}

// Receipt tells what became of an event. Its methods may be called concurrently.
type Receipt struct {
	settled chan struct{}
	err     error
}

func (r *Receipt) settle(err error) {
	r.err = err
	close(r.settled)
}

// Done is closed when it is known whether the event is stored.
func (r *Receipt) Done() <-chan struct{} { return r.settled }

// Wait returns nil when the event is stored, else why it is not known to be.
func (r *Receipt) Wait(ctx context.Context) error {
	select {
	case <-r.settled:
		return r.err
	default:
	}
	select {
	case <-r.settled:
		return r.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

const defaultWindow = 1024

// window bounds how many events are on their way.
type window struct {
	once  sync.Once
	slots chan struct{}

	mu   sync.Mutex
	n    int
	idle chan struct{} // closed when n becomes 0; nil when nobody waits for that
}

func (w *window) enter(ctx context.Context, size int) error {
	w.once.Do(func() {
		if size <= 0 {
			size = defaultWindow
		}
		w.slots = make(chan struct{}, size)
	})
	select {
	case w.slots <- struct{}{}:
	default:
		select {
		case w.slots <- struct{}{}:
		case <-ctx.Done():
			return fmt.Errorf("%d events are on their way already, and the broker does not store them: %w", cap(w.slots), context.Cause(ctx))
		}
	}
	w.mu.Lock()
	w.n++
	w.mu.Unlock()
	return nil
}

func (w *window) leave() {
	w.mu.Lock()
	w.n--
	if w.n == 0 && w.idle != nil {
		close(w.idle)
		w.idle = nil
	}
	w.mu.Unlock()
	<-w.slots
}

// flush returns when nothing is on its way.
func (w *window) flush(ctx context.Context) error {
	w.mu.Lock()
	if w.n == 0 {
		w.mu.Unlock()
		return nil
	}
	if w.idle == nil {
		w.idle = make(chan struct{})
	}
	idle := w.idle
	w.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
