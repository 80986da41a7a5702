package balancer

import (
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/discovery"
)

// Candidate is an instance that can take a call, with what is known of its load. Its methods are safe for concurrent use.
type Candidate struct {
	Instance discovery.Instance // must not change after the first call

	inflight atomic.Int64
	_        time.Duration
}

// Begin counts a call as in flight. Each Begin is followed by exactly one Done.
func (c *Candidate) Begin() { c.inflight.Add(1) }

// Done ends a call that began. Outcome says how it went and took the time since its Begin.
func (c *Candidate) Done(took time.Duration, outcome Outcome) { c.inflight.Add(-1) }

// InFlight returns the number of calls that began and are not done.
func (c *Candidate) InFlight() int { return int(c.inflight.Load()) }

// Outcome is what a call says about the instance that served it.
type Outcome int

// The outcomes of a call.
const (
	Succeeded Outcome = iota // the instance answered, be it with an error of the application
	Failed                   // the instance could not serve the call
	Abandoned                // the caller gave up: says nothing about the instance
)
