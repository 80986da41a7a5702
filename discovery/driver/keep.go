package driver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hanse-go/hanse/discovery"
)

const (
	announceTime = 20 * time.Second // for an announcement: members of an engine may choose a leader meanwhile, which takes NATS 10 s
	withdrawTime = 2 * time.Second  // for the last word
	keepRetry    = time.Second      // at most, between two attempts to keep an instance announced
	keepRest     = 100 * time.Millisecond
)

// Keeper is how an engine announces one instance, for [Keep]. Put, Check and Withdraw are called one at a time.
type Keeper interface {
	// Put announces the instance, in place of what was announced for it. It returns [discovery.ErrTaken] when another has the ID.
	Put(ctx context.Context, inst discovery.Instance) error
	// Check looks whether the engine has the instance as it was put, and tells it that the instance lives where the engine wants to
	// hear that. It returns nil when the instance has to be put again, and otherwise what waits until it is time for the next Check,
	// because something happened or by the clock, or until its context ends.
	Check(ctx context.Context, inst discovery.Instance) (wait func(context.Context), err error)
	// Withdraw takes back what Put did, or may have done, and gives up what the keeper holds. It is the last call.
	Withdraw(ctx context.Context) error
	// Explain makes an error of the others one for people: what could not be done, such as "announce c1 of cart", where and what to do.
	Explain(doing string, err error) error
}

// Keep announces an instance and keeps it announced, as [discovery.Registrar.Register] wants it, until the lease is closed. What is lost is put
// again; what the engine did not take is tried on. While the engine is away an announcement and an update fail after 20 s, or when ctx ends.
func Keep(ctx context.Context, inst discovery.Instance, keeper Keeper, log *slog.Logger) (discovery.Lease, error) {
	if err := inst.Validate(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l := &lease{
		keeper: keeper, log: log.With("service", inst.Service, "instance", inst.ID), name: inst.ID + " of " + inst.Service,
		turn: make(chan struct{}, 1), inst: inst.Clone(), stale: true, wake: func() {},
	}
	l.open, l.end = context.WithCancelCause(context.Background())
	if err := l.put(ctx); err != nil {
		_ = l.withdraw() // if it got so far; the first error says why not
		l.end(nil)
		return nil, l.explain("announce "+l.name, err)
	}
	l.kept.Go(func() { l.keep(l.open) })
	return l, nil
}

// lease is one announced instance. It is the engine's turn, or nobody's: turn holds an element while the keeper is at work.
type lease struct {
	keeper Keeper
	log    *slog.Logger
	name   string          // of the instance, for people
	open   context.Context // until Close, with [discovery.ErrClosed] for its cause
	end    context.CancelCauseFunc
	kept   sync.WaitGroup
	turn   chan struct{}

	mu     sync.Mutex
	inst   discovery.Instance // what is to be announced
	stale  bool               // the engine has not taken it yet
	closed bool
	wake   func() // ends the wait for the next look
}

// Update implements [discovery.Lease]. What the engine does not take in time is an error, and it is announced when the engine takes it.
func (l *lease) Update(ctx context.Context, inst discovery.Instance) error {
	if err := inst.Validate(); err != nil {
		return err
	}
	if name := inst.ID + " of " + inst.Service; name != l.name {
		return fmt.Errorf("discovery: update of instance %s names %s: service and ID of a lease cannot change", l.name, name)
	}
	l.mu.Lock()
	l.inst, l.stale = inst.Clone(), true
	l.mu.Unlock()
	err := l.put(ctx)
	if err == nil || errors.Is(err, discovery.ErrClosed) {
		return err
	}
	l.mu.Lock()
	wake := l.wake
	l.mu.Unlock()
	wake()
	return l.explain("update "+l.name+" (it is done when the registry takes it)", err)
}

// Close implements [discovery.Lease]. It cuts short an Update that is under way. An instance that cannot be withdrawn vanishes when the engine
// finds it dead.
func (l *lease) Close() error {
	l.mu.Lock()
	closed := l.closed
	l.closed = true
	l.mu.Unlock()
	if closed {
		return nil
	}
	l.end(l.closedErr())
	l.kept.Wait()
	if err := l.withdraw(); err != nil {
		return l.explain("withdraw "+l.name, err)
	}
	return nil
}

// explain leaves what is the same for all engines as it is.
func (l *lease) explain(doing string, err error) error {
	if errors.Is(err, discovery.ErrTaken) {
		return fmt.Errorf("%w: %s", discovery.ErrTaken, l.name)
	}
	return l.keeper.Explain(doing, err)
}

func (l *lease) closedErr() error { return fmt.Errorf("%w: %s", discovery.ErrClosed, l.name) }

// work does something when it is the keeper's turn, in the time for an announcement and while the lease is open.
func (l *lease) work(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, announceTime)
	defer cancel()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	defer context.AfterFunc(l.open, func() { end(context.Cause(l.open)) })()
	err := l.inTurn(ctx, do)
	if err != nil && l.open.Err() != nil { // whatever the keeper made of it
		return context.Cause(l.open)
	}
	return err
}

func (l *lease) inTurn(ctx context.Context, do func(context.Context) error) error {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
		return do(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// wanted returns what is to be announced, and whether the engine has not taken it yet.
func (l *lease) wanted() (discovery.Instance, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return l.inst, false, l.closedErr()
	}
	return l.inst, l.stale, nil
}

// put announces what is to be announced and has not been.
func (l *lease) put(ctx context.Context) error { return l.work(ctx, l.putNow) }

func (l *lease) putNow(ctx context.Context) error {
	inst, stale, err := l.wanted()
	if err != nil || !stale {
		return err
	}
	l.mu.Lock()
	l.stale = false // an update that comes meanwhile sets it
	l.mu.Unlock()
	if err = l.keeper.Put(ctx, inst); err != nil {
		l.mu.Lock()
		l.stale = true
		l.mu.Unlock()
	}
	return err
}

func (l *lease) withdraw() error {
	l.turn <- struct{}{} // an update may be under way, and ends now
	defer func() { <-l.turn }()
	ctx, cancel := context.WithTimeout(context.Background(), withdrawTime)
	defer cancel()
	return l.keeper.Withdraw(ctx)
}

// keep sees that the instance stays announced, until ctx ends.
func (l *lease) keep(ctx context.Context) {
	failures, warned := 0, false
	for ctx.Err() == nil {
		wait, err := l.look(ctx)
		switch {
		case ctx.Err() != nil, errors.Is(err, discovery.ErrClosed):
		case err != nil:
			if !warned {
				l.log.Warn("instance cannot be kept announced; it is tried on", "error", l.explain("keep it announced", err))
			}
			warned = true
		case wait == nil:
			l.log.Info("instance announced again: it was not in the registry as it should be")
		case warned:
			warned = false
			l.log.Info("instance is kept announced again")
		}
		if wait == nil { // look soon, whether it is there now
			failures++
			Sleep(ctx, Backoff(failures, keepRetry))
			continue
		}
		failures = 0
		l.rest(ctx, wait)
	}
}

// look has what is to be announced in the engine. It returns what waits until the next look; nil is soon.
func (l *lease) look(ctx context.Context) (wait func(context.Context), err error) {
	err = l.work(ctx, func(ctx context.Context) error {
		inst, stale, err := l.wanted()
		for ; stale && err == nil; inst, stale, err = l.wanted() {
			if err := l.putNow(ctx); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
		if wait, err = l.keeper.Check(ctx, inst); wait == nil && err == nil {
			err = l.keeper.Put(ctx, inst)
		}
		return err
	})
	return wait, err
}

// rest waits, unless there is something to announce, and for a moment in any case.
func (l *lease) rest(ctx context.Context, wait func(context.Context)) {
	until := time.Now().Add(keepRest)
	defer func() { Sleep(ctx, time.Until(until)) }()
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	l.mu.Lock()
	stale := l.stale
	l.wake = cancel
	l.mu.Unlock()
	if !stale {
		wait(waiting)
	}
}
