package resilience

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
)

// Reason says what a mechanism did to a call or to an instance, and why. The constants are all that there are.
type Reason string

// The reasons of the calling side.
const (
	RetryRefused  Reason = "retry-refused"       // an instance refused the call unprocessed; it went to another
	RetryFailed   Reason = "retry-failed"        // a call that may be repeated failed, and was
	RetryPushback Reason = "no-retry-pushback"   // it was not repeated, for the server asked not to
	RetryBudget   Reason = "no-retry-budget"     // it was not repeated, for the budget was spent
	Hedged        Reason = "hedge"               // a second call went out
	HedgeWon      Reason = "hedge-won"           // and its answer came first
	HedgeBudget   Reason = "no-hedge-budget"     // none went out, for the budget was spent
	BreakerOpened Reason = "breaker-opened"      // too many calls failed
	BreakerClosed Reason = "breaker-closed"      // the probes succeeded
	BreakerShort  Reason = "breaker-refused"     // a call was not tried
	EjectedFailed Reason = "ejected-consecutive" // see Outlier
	EjectedErrors Reason = "ejected-errors"      //
	EjectedSlow   Reason = "ejected-slow"        //
	EjectedStall  Reason = "ejected-stalled"     //
	EjectionSpare Reason = "not-ejected-panic"   // an instance deserved it, but too many are ejected already
	Returned      Reason = "returned"            // an ejected instance takes calls again
	TimeoutEnded  Reason = "timeout"             // the policy's Timeout ended a call
)

// Counts counts reasons. The zero value is ready to use. Its methods are safe for concurrent use.
type Counts struct{ of sync.Map } // Reason → *atomic.Uint64

// Add counts one more.
func (c *Counts) Add(r Reason) {
	n, ok := c.of.Load(r)
	if !ok {
		n, _ = c.of.LoadOrStore(r, new(atomic.Uint64))
	}
	n.(*atomic.Uint64).Add(1)
}

// Note counts one more, for the call that has ctx, whose span tells of it, too: see [Annotate].
func (c *Counts) Note(ctx context.Context, r Reason) {
	c.Add(r)
	Annotate(ctx, r)
}

// Of returns the count of one reason.
func (c *Counts) Of(r Reason) uint64 {
	if n, ok := c.of.Load(r); ok {
		return n.(*atomic.Uint64).Load()
	}
	return 0
}

// All returns the counts of the reasons that there were.
func (c *Counts) All() map[Reason]uint64 {
	all := make(map[Reason]uint64)
	c.of.Range(func(r, n any) bool {
		all[r.(Reason)] = n.(*atomic.Uint64).Load()
		return true
	})
	return all
}

// MarshalJSON returns the counts by reason.
func (c *Counts) MarshalJSON() ([]byte, error) { return json.Marshal(c.All()) }
