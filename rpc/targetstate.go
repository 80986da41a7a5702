package rpc

import (
	"time"

	"github.com/hanse-go/hanse/resilience"
)

// TargetState tells how the policy of a service that is called does.
type TargetState struct {
	Budget    resilience.BudgetState       `json:"budget"`
	Breaker   resilience.CircuitState      `json:"breaker"`
	Instances []resilience.WatchedState    `json:"instances"`
	Counts    map[resilience.Reason]uint64 `json:"counts"` // what was done to calls and instances, and why
}

// Targets tells how the policies do, for each service to which there is a Conn that leaves the process.
func (c *Client) Targets() map[string]TargetState {
	c.mu.Lock()
	defer c.mu.Unlock()
	states := make(map[string]TargetState, len(c.pools))
	now := time.Now()
	for name, p := range c.pools {
		g := &p.guard
		states[name] = TargetState{
			Budget: g.budget.State(now), Breaker: g.circuit.State(now), Instances: g.outliers.State(now), Counts: g.counts.All(),
		}
	}
	return states
}
