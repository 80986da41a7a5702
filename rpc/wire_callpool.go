package rpc

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// callPool holds the unary calls of a link: those that run, and those that are free to be used again. It belongs to the link, for
// calls have channels. It ends those whose default timeout is over, with one timer for all, and those whose Conn is closed.
type callPool struct {
	link  *wireLink
	began time.Time // what deadlines count from

	mu     sync.Mutex
	free   *unaryClientCall
	nFree  int
	all    []*unaryClientCall // free and running
	closed bool

	timer *time.Timer
	armed atomic.Int64 // when the timer fires, by clock; 0: it does not
}

// clock is the time by which deadlines are kept.
func (p *callPool) clock() int64 { return int64(time.Since(p.began)) }

// noDeadline is the deadline of a call whose context sees to that.
const noDeadline = math.MaxInt64

// get returns a call that is not used.
func (p *callPool) get() *unaryClientCall {
	p.mu.Lock()
	if c := p.free; c != nil {
		p.free, c.next = c.next, nil
		p.nFree--
		p.mu.Unlock()
		return c
	}
	p.mu.Unlock()
	c := &unaryClientCall{link: p.link, done: make(chan struct{}, 1)}
	c.Eager = true
	p.mu.Lock()
	c.index = len(p.all)
	p.all = append(p.all, c)
	p.mu.Unlock()
	return c
}

// maxFreeCalls is how many calls are kept for later ones. More are left of a burst, with the memory of their messages.
const maxFreeCalls = 1024

// put takes a call back that is over, and of which nobody else knows any more.
func (p *callPool) put(c *unaryClientCall) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.nFree >= maxFreeCalls {
		p.forget(c)
		return
	}
	c.next, p.free = p.free, c
	p.nFree++
}

// drop forgets a call that the connection's reader may still come to.
func (p *callPool) drop(c *unaryClientCall) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(c)
}

// forget is drop with p.mu held.
func (p *callPool) forget(c *unaryClientCall) {
	last := len(p.all) - 1
	p.all[c.index] = p.all[last]
	p.all[c.index].index = c.index
	p.all[last] = nil
	p.all = p.all[:last]
}

// expireAt sees to it that the calls whose deadline is then are ended then.
func (p *callPool) expireAt(deadline int64) {
	for {
		armed := p.armed.Load()
		if armed != 0 && armed <= deadline {
			return // it fires before, and is set anew then
		}
		p.mu.Lock()
		if p.armed.Load() != armed {
			p.mu.Unlock()
			continue
		}
		if !p.closed {
			p.arm(deadline)
		}
		p.mu.Unlock()
		return
	}
}

// arm sets the timer. p.mu is held.
func (p *callPool) arm(deadline int64) {
	p.armed.Store(deadline)
	left := time.Duration(deadline - p.clock())
	if p.timer == nil {
		p.timer = time.AfterFunc(left, p.expire)
	} else {
		p.timer.Reset(left)
	}
}

// expire ends the calls whose deadline is over, and sets the timer to the next one.
func (p *callPool) expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	now := p.clock()
	p.armed.Store(noDeadline) // a call that begins now finds it later than its own deadline, and waits for the lock
	next := int64(noDeadline)
	for _, c := range p.all {
		state := c.state.Load()
		deadline := c.deadline.Load()
		switch {
		case state&callPhases == callFree || deadline == noDeadline:
		case deadline > now:
			next = min(next, deadline)
		case !c.end(state, context.DeadlineExceeded):
			next = min(next, now+int64(time.Millisecond)) // its reply is being decoded at this moment
		}
	}
	p.armed.Store(0)
	if next != noDeadline {
		p.arm(next)
	}
}

// leave ends the calls of a Conn that is closed.
func (p *callPool) leave(owner *Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.all {
		for c.owner.Load() == owner {
			state := c.state.Load()
			if state&callPhases == callFree || c.end(state, errClosed) {
				break
			}
		}
	}
}

// close stops the timer.
func (p *callPool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
	}
}
