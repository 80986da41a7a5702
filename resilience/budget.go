package resilience

import (
	"sync"
	"sync/atomic"
	"time"
)

// Budget bounds how often calls are made again, so that this never multiplies an outage: at most a share of any ten seconds' calls, or
// [BudgetReserve] when that is more. The zero value allows 20 percent. Its methods are safe for concurrent use; Call is cheap.
type Budget struct {
	percent atomic.Int64
	window  window
	once    sync.Once
	mu      sync.Mutex // held while one is taken
}

// BudgetReserve is how many repetitions a [Budget] allows in ten seconds however few calls there are.
const BudgetReserve = 10

const budgetWindow = 10 * time.Second

func (b *Budget) init() { b.once.Do(func() { b.window.span = budgetWindow / slots }) }

// Set changes the share, in percent of the calls. 0 is 20, -1 is no limit.
func (b *Budget) Set(percent int) { b.percent.Store(int64(percent)) }

// Call counts a new call. It is not for repetitions.
func (b *Budget) Call(now time.Time) {
	b.init()
	if s := b.window.at(now); s != nil {
		s.calls.Add(1)
	}
}

// Take reports whether a call may be made again, and counts that.
func (b *Budget) Take(now time.Time) bool {
	b.init()
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.window.at(now)
	if s == nil || b.left(now) < 1 {
		return false
	}
	s.failures.Add(1)
	return true
}

// left returns how many calls may be made again now.
func (b *Budget) left(now time.Time) int64 {
	percent := b.percent.Load()
	switch {
	case percent == 0:
		percent = int64(defaultRetry.Budget)
	case percent < 0:
		return 1
	}
	t := b.window.sum(now, slots)
	// The reserve may have been taken before there were calls enough, and is forgotten with its time: so it is a part of the share.
	return max(t.calls*percent/100-BudgetReserve, BudgetReserve) - t.failures
}

// BudgetState is what a [Budget] knows of the last ten seconds.
type BudgetState struct {
	Calls int64 `json:"calls"`
	Again int64 `json:"again"` // made again
	Left  int64 `json:"left"`  // may be made again now; -1: no limit
}

// State returns what the budget knows.
func (b *Budget) State(now time.Time) BudgetState {
	b.init()
	t := b.window.sum(now, slots)
	s := BudgetState{Calls: t.calls, Again: t.failures, Left: -1}
	if b.percent.Load() >= 0 {
		s.Left = max(b.left(now), 0)
	}
	return s
}
