package rpc

import "sync/atomic"

// retryBudget allows repeating one call in five, and a few more after a quiet time, so that repeating never multiplies an outage.
// Calls that were never processed need no budget to go elsewhere. The zero value is an empty budget.
type retryBudget struct{ tokens atomic.Int64 }

const (
	budgetPerCall = 1 // tokens that a call adds
	budgetRetry   = 5 // tokens that repeating a call takes
	budgetStart   = 10 * budgetRetry
	budgetMax     = 500 * budgetRetry
)

// call counts a new call.
func (b *retryBudget) call() {
	if b.tokens.Load() < budgetMax {
		b.tokens.Add(budgetPerCall)
	}
}

// take reports whether a call may be repeated, and counts it.
func (b *retryBudget) take() bool {
	for {
		n := b.tokens.Load()
		if n < budgetRetry {
			return false
		}
		if b.tokens.CompareAndSwap(n, n-budgetRetry) {
			return true
		}
	}
}
