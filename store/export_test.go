package store

import (
	"context"
	"time"
)

// Lease is the context of a lock, for tests.
type Lease = leaseContext

var NewLease = newLeaseContext

// StopTimer makes the lease depend on who looks, as in a process that goes on after it was stopped.
func (c *leaseContext) StopTimer() { c.timer.Stop() }

func (c *leaseContext) Extend(until time.Time) { c.extend(until) }
func (c *leaseContext) Lost() bool             { return c.lost() }
func (c *leaseContext) End()                   { c.end() }

// Sleep makes the wall clock have gone on by d more than the monotonic one, as it does while a machine sleeps.
func (c *leaseContext) Sleep(d time.Duration) { c.wall = c.wall.Add(-d) }

// MemoryDeletions is how many deletions a bucket in memory remembers.
const MemoryDeletions = memoryDeletions

var _ context.Context = (*Lease)(nil)
