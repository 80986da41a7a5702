package store

import (
	"context"
	"sync"
	"time"
)

// leaseContext ends when a lock is lost, with the cause [ErrLost]. That it is, is told by this process's clocks alone, so that a process
// that was stopped knows it before it does anything else: Err looks at the clocks, for the timer may be late.
type leaseContext struct {
	context.Context // what Done, Value and Deadline are
	cancel          context.CancelCauseFunc

	mu    sync.Mutex
	until time.Time // by the monotonic clock
	wall  time.Time // by the one that people set
	timer *time.Timer
}

// newLeaseContext returns a context that ends at a time, unless that is extended, and with its parent. The caller calls end.
func newLeaseContext(parent context.Context, until time.Time) *leaseContext {
	c := &leaseContext{until: until, wall: until.Round(0)}
	c.Context, c.cancel = context.WithCancelCause(parent)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer = time.AfterFunc(time.Until(until), c.look)
	return c
}

// Err is nil only while the lock is held.
func (c *leaseContext) Err() error {
	if c.Context.Err() == nil && c.left() <= 0 {
		c.cancel(ErrLost)
	}
	return c.Context.Err()
}

// left returns how long the lease lasts. The monotonic clock may stand still while the machine sleeps, and the other one may be set: the one
// that is further counts.
func (c *leaseContext) left() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	return min(c.until.Sub(now), c.wall.Sub(now.Round(0)))
}

// look is called when the lease may have ended.
func (c *leaseContext) look() {
	if c.Err() != nil {
		return
	}
	left := c.left()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer.Reset(max(left, 0))
}

// extend makes the lease last until then, if it was not lost before.
func (c *leaseContext) extend(until time.Time) {
	if c.lost() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until, c.wall = until, until.Round(0)
	if c.Context.Err() == nil {
		c.timer.Reset(time.Until(until))
	}
}

// lose ends it: another has the lock.
func (c *leaseContext) lose() { c.cancel(ErrLost) }

// lost reports whether the lock is lost, which it may be after the context has ended with its parent.
func (c *leaseContext) lost() bool {
	_ = c.Err()
	return context.Cause(c.Context) == ErrLost || c.left() <= 0
}

// end frees what it holds.
func (c *leaseContext) end() {
	c.mu.Lock()
	c.timer.Stop()
	c.mu.Unlock()
	c.cancel(context.Canceled)
}
