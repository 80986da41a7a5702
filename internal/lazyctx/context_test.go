package lazyctx_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/internal/lazyctx"
)

func begin(parent context.Context, deadline time.Time) *lazyctx.Context {
	c := new(lazyctx.Context)
	c.Begin(parent, deadline)
	return c
}

// TestEnd holds that a context ends in each way as one of package context does, whether somebody waits for its end or asks afterwards.
func TestEnd(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(cancel context.CancelFunc, c *lazyctx.Context)
		want error
	}{
		"not":          {func(context.CancelFunc, *lazyctx.Context) {}, nil},
		"by End":       {func(_ context.CancelFunc, c *lazyctx.Context) { c.End() }, context.Canceled},
		"by parent":    {func(cancel context.CancelFunc, _ *lazyctx.Context) { cancel() }, context.Canceled},
		"at deadline":  {func(context.CancelFunc, *lazyctx.Context) { time.Sleep(time.Hour) }, context.DeadlineExceeded},
		"before, late": {func(_ context.CancelFunc, c *lazyctx.Context) { c.End(); time.Sleep(time.Hour) }, context.Canceled},
	} {
		for _, waits := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				parent, cancel := context.WithCancel(t.Context())
				defer cancel()
				c := begin(parent, time.Now().Add(time.Hour))
				if waits {
					c.Done()
				}
				tt.end(cancel, c)
				synctest.Wait()
				for range 2 { // Done must not change it
					if err := c.Err(); err != tt.want {
						t.Errorf("%s, waits %t: Err is %v", name, waits, err)
					}
					ended := false
					select {
					case <-c.Done():
						ended = true
					default:
					}
					if ended != (tt.want != nil) {
						t.Errorf("%s, waits %t: Done %t", name, waits, ended)
					}
				}
				if err := context.Cause(c); err != tt.want {
					t.Errorf("%s, waits %t: Cause is %v", name, waits, err)
				}
				c.End()
			})
		}
	}
}

// TestParent holds what a context has of its parent.
func TestParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		why := errors.New("why")
		soon, late := time.Now().Add(time.Minute), time.Now().Add(time.Hour)
		parent, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, 1))
		limited, stop := context.WithDeadline(parent, soon)
		defer stop()
		for _, tt := range []struct {
			parent   context.Context
			deadline time.Time
			want     time.Time
		}{{parent, time.Time{}, time.Time{}}, {parent, late, late}, {limited, time.Time{}, soon}, {limited, late, soon}, {limited, time.Now(), time.Now()}} {
			c := begin(tt.parent, tt.deadline)
			if d, ok := c.Deadline(); !d.Equal(tt.want) || ok == tt.want.IsZero() {
				t.Errorf("deadline %v, %t; want %v", d, ok, tt.want)
			}
		}
		c := begin(parent, late)
		before := c.Value(key{})
		c.Done()
		if after := c.Value(key{}); before != 1 || after != 1 {
			t.Errorf("values %v and %v", before, after)
		}
		cancel(why)
		synctest.Wait()
		if got := context.Cause(c); got != why {
			t.Errorf("cause %v", got)
		}
	})
}

// TestDerived holds that contexts below one end with it, and take no goroutine for that.
func TestDerived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := begin(t.Context(), time.Time{})
		before := runtime.NumGoroutine()
		child, cancel := context.WithCancel(c)
		defer cancel()
		called := false
		context.AfterFunc(c, func() { called = true })
		if n := runtime.NumGoroutine() - before; n != 0 {
			t.Errorf("%d goroutines wait", n)
		}
		c.End()
		synctest.Wait()
		if child.Err() != context.Canceled || !called {
			t.Errorf("the child's error is %v, function called %t", child.Err(), called)
		}
	})
}

// TestConcurrent is for the race detector.
func TestConcurrent(t *testing.T) {
	for range 100 {
		c := begin(t.Context(), time.Now().Add(time.Hour))
		var all sync.WaitGroup
		for _, f := range []func(){func() { <-c.Done() }, func() { <-c.Done() }, func() { c.Err() }, c.End, c.End} {
			all.Go(f)
		}
		all.Wait()
		if c.Err() != context.Canceled {
			t.Fatal(c.Err())
		}
	}
}
