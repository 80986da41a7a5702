// Package lazyctx has a context for the object of a call, which costs nothing until somebody waits for its end.
package lazyctx

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Context ends with its parent, at its deadline, or by End. The channel and the timer that this takes are made when somebody asks for Done:
// few handlers do. It is a field of the object of a call, which must not be used again, because handlers keep contexts. Begin must be
// called first; the other methods are safe for concurrent use.
type Context struct {
	parent   context.Context
	deadline time.Time // zero: none
	own      bool      // the deadline is not the parent's

	std atomic.Pointer[standard] // made by Done

	mu  sync.Mutex
	err error // why it ended before std was made
}

type standard struct {
	context.Context
	cancel context.CancelFunc
}

var _ context.Context = (*Context)(nil)

// Begin makes c a context below parent that ends at the deadline, unless that is zero or the parent's is earlier.
func (c *Context) Begin(parent context.Context, deadline time.Time) {
	c.parent, c.deadline, c.own = parent, deadline, !deadline.IsZero()
	if d, ok := parent.Deadline(); ok && (!c.own || d.Before(deadline)) {
		c.deadline, c.own = d, false
	}
}

// Parent is what Begin was given.
func (c *Context) Parent() context.Context { return c.parent }

// Deadline implements context.Context.
func (c *Context) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

// Done makes a standard context, so that contexts derived from this one attach to it without a goroutine of their own.
func (c *Context) Done() <-chan struct{} {
	if std := c.std.Load(); std != nil {
		return std.Done()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if std := c.std.Load(); std != nil {
		return std.Done()
	}
	std := &standard{}
	if !c.own || c.err == context.Canceled { // which it stays
		std.Context, std.cancel = context.WithCancel(c.parent)
	} else {
		std.Context, std.cancel = context.WithDeadline(c.parent, c.deadline)
	}
	if c.err != nil {
		std.cancel()
	}
	c.std.Store(std)
	return std.Done()
}

// Err implements context.Context.
func (c *Context) Err() error {
	if std := c.std.Load(); std != nil {
		return std.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		if c.err = c.parent.Err(); c.err == nil && c.own && !time.Now().Before(c.deadline) {
			c.err = context.DeadlineExceeded
		}
	}
	return c.err
}

// Value returns what the parent has.
func (c *Context) Value(key any) any {
	if std := c.std.Load(); std != nil { // the context package finds its own contexts by a private key
		return std.Value(key)
	}
	return c.parent.Value(key)
}

// String says what the context is; without it %v would read fields that change.
func (c *Context) String() string { return "lazyctx.Context" }

// End ends the context, with Canceled unless it has ended before.
func (c *Context) End() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if std := c.std.Load(); std != nil {
		std.cancel()
	} else if c.err == nil {
		c.err = context.Canceled
	}
}
