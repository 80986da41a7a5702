package resilience

import "sync/atomic"

// Bulkhead says how many calls of a method, streams too, a server runs at once, so that one method cannot use up what all need, such as
// a pool of connections. Calls that are too many do not wait.
type Bulkhead struct {
	Calls int // at once. Default: no bound. -1: no bound
}

func (b Bulkhead) check() error { return notBelow("Bulkhead.Calls", b.Calls) }

// Compartment counts the calls of one method against its bulkhead. Use [NewCompartment]. Its methods are safe for concurrent use.
type Compartment struct {
	size    int64
	running atomic.Int64
}

// NewCompartment returns an empty compartment, or nil, which takes everything, when b sets no bound.
func NewCompartment(b Bulkhead) *Compartment {
	if b.Calls <= 0 {
		return nil
	}
	return &Compartment{size: int64(b.Calls)}
}

// Enter reports whether there is room for a call, which must [Compartment.Leave] then.
func (c *Compartment) Enter() bool {
	if c == nil || c.running.Add(1) <= c.size {
		return true
	}
	c.running.Add(-1)
	return false
}

// Leave makes room for another call.
func (c *Compartment) Leave() {
	if c != nil {
		c.running.Add(-1)
	}
}

// BulkheadState is a snapshot of a compartment.
type BulkheadState struct {
	Calls   int `json:"calls"` // at most
	Running int `json:"running"`
}

// State returns a snapshot; of a nil compartment it is nil.
func (c *Compartment) State() *BulkheadState {
	if c == nil {
		return nil
	}
	return &BulkheadState{Calls: int(c.size), Running: int(min(c.running.Load(), c.size))}
}
