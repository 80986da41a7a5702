package resilience

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Circuit is the breaker of one service: it follows a [Breaker]. The zero value follows the defaults. Its methods are safe for concurrent
// use. While it is closed, a call costs a few atomic operations and no lock.
//
//	pass := circuit.Allow(time.Now())
//	if pass == resilience.Refused {
//		return circuit.Err()
//	}
//	err := call()
//	circuit.Done(time.Now(), pass, outcome)
type Circuit struct {
	Counts *Counts // counts what it does; nil: nobody does. Set before use

	config atomic.Pointer[Breaker] // resolved; nil: the defaults
	window atomic.Pointer[window]
	state  atomic.Int32

	mu      sync.Mutex // guards what follows, and changes of the state
	until   time.Time  // when it lets a probe through, while open
	open    time.Duration
	probing int // probes that run
	good    int // probes that succeeded in a row
	last    tally
}

// The states of a circuit.
const (
	closed int32 = iota
	opened
	halfOpen
)

// Pass says whether a call may be tried.
type Pass int

// The passes of calls.
const (
	Allowed Pass = iota
	Probe        // allowed, to find out whether the service works again
	Refused
)

// Set makes the circuit follow another breaker. It keeps its state, but a breaker that is off closes it.
func (c *Circuit) Set(b Breaker) {
	b = under(b, defaultBreaker)
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.config.Swap(&b)
	if w := c.window.Load(); w == nil || old == nil || old.Window != b.Window {
		c.window.Store(newWindow(b.Window))
	}
	if b.Failures < 0 {
		c.close()
	}
}

func newWindow(all time.Duration) *window { return &window{span: max(all/slots, time.Nanosecond)} }

// breaker returns what the circuit follows, and its window.
func (c *Circuit) breaker() (*Breaker, *window) {
	if b := c.config.Load(); b != nil {
		return b, c.window.Load()
	}
	c.Set(Breaker{})
	return c.config.Load(), c.window.Load()
}

// Allow reports whether a call may be tried. Each call that may is ended by Done.
func (c *Circuit) Allow(now time.Time) Pass {
	if c.state.Load() == closed {
		return Allowed
	}
	return c.allowSlow(now)
}

func (c *Circuit) allowSlow(now time.Time) Pass {
	b, _ := c.breaker()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.state.Load() {
	case closed:
		return Allowed
	case opened:
		if now.Before(c.until) {
			c.count(BreakerShort)
			return Refused
		}
		c.state.Store(halfOpen)
		c.good, c.probing = 0, 0
	}
	if c.probing+c.good >= b.Probes {
		c.count(BreakerShort)
		return Refused
	}
	c.probing++
	return Probe
}

// Done ends a call that was allowed.
func (c *Circuit) Done(now time.Time, pass Pass, outcome Outcome) {
	failed := outcome == Unavailable || outcome == TimedOut
	if pass == Probe {
		c.doneProbe(now, outcome, failed)
		return
	}
	if outcome == Abandoned || outcome == Shed {
		return
	}
	b, w := c.breaker()
	if b.Failures < 0 {
		return
	}
	s := w.at(now)
	if s == nil {
		return
	}
	s.calls.Add(1)
	if failed {
		s.failures.Add(1)
		c.judge(now, b, w)
	}
}

// judge opens the circuit when too many calls failed.
func (c *Circuit) judge(now time.Time, b *Breaker, w *window) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := w.sum(now, slots)
	if c.state.Load() != closed || t.calls < int64(b.Calls) || t.failures*100 < t.calls*int64(b.Failures) {
		return
	}
	c.last, c.open = t, 0
	c.trip(now, b)
}

// trip opens the circuit. c.mu is held.
func (c *Circuit) trip(now time.Time, b *Breaker) {
	c.open = min(max(2*c.open, b.Open), max(b.MaxOpen, b.Open))
	// A little earlier or later, so that all callers do not probe at the same moment.
	c.until = now.Add(c.open - c.open/10 + rand.N(c.open/5+1))
	c.state.Store(opened)
	c.count(BreakerOpened)
}

// doneProbe ends a probe.
func (c *Circuit) doneProbe(now time.Time, outcome Outcome, failed bool) {
	b, _ := c.breaker()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.Load() != halfOpen {
		return // another probe has failed meanwhile
	}
	c.probing = max(c.probing-1, 0)
	switch {
	case failed:
		c.trip(now, b)
	case outcome == Abandoned || outcome == Shed: // it says nothing
	default:
		if c.good++; c.good >= b.Probes {
			c.close()
			c.count(BreakerClosed)
		}
	}
}

// close begins anew. c.mu is held.
func (c *Circuit) close() {
	c.state.Store(closed)
	c.open = 0
	if w := c.window.Load(); w != nil {
		w.reset()
	}
}

func (c *Circuit) count(r Reason) {
	if c.Counts != nil {
		c.Counts.Add(r)
	}
}

// CircuitState is what a [Circuit] knows.
type CircuitState struct {
	State    string     `json:"state"` // closed, open, half-open or off
	Calls    int64      `json:"calls"` // in the window, or in that which opened it
	Failures int64      `json:"failures"`
	Until    *time.Time `json:"until,omitempty"` // when an open circuit lets a probe through
}

// State returns what the circuit knows.
func (c *Circuit) State(now time.Time) CircuitState {
	b, w := c.breaker()
	c.mu.Lock()
	defer c.mu.Unlock()
	t := w.sum(now, slots)
	s := CircuitState{State: "closed", Calls: t.calls, Failures: t.failures}
	switch {
	case b.Failures < 0:
		s.State = "off"
	case c.state.Load() != closed:
		until := c.until
		s = CircuitState{State: "open", Calls: c.last.calls, Failures: c.last.failures, Until: &until}
		if c.state.Load() == halfOpen {
			s.State, s.Until = "half-open", nil
		}
	}
	return s
}
