package balancer

import (
	"math/rand/v2"
	"slices"
	"sync/atomic"
)

// Random draws a candidate in proportion to the weights, whatever its load. It needs no state that callers would have to share, and is the
// cheapest one. The zero value is ready to use.
type Random struct {
	drawn atomic.Pointer[weights]
}

var _ Picker = (*Random)(nil)

// Pick implements [Picker].
func (r *Random) Pick(candidates []*Candidate) *Candidate {
	if len(candidates) == 1 {
		return candidates[0]
	}
	w := weightsOf(&r.drawn, candidates)
	if w.upTo == nil {
		return candidates[rand.IntN(len(candidates))]
	}
	i, _ := slices.BinarySearch(w.upTo, rand.IntN(w.total)+1)
	return candidates[i]
}
