package balancer

import (
	"math/rand/v2"
	"slices"
	"sync/atomic"
)

// P2C (power of two choices) draws two candidates at random and takes the one that is less loaded: the one with the smaller product of
// latency and calls in flight, these relative to its weight. Candidates are drawn in proportion to their weights, so weights also hold while
// there is little to do. The zero value is ready to use.
//
// A new instance, of which too little is known, is taken to be as fast as the one it is compared with: it gets its share, no flood,
// and less as soon as calls pile up there.
type P2C struct {
	drawn atomic.Pointer[weights]
}

var _ Picker = (*P2C)(nil)

// similar is how much worse a candidate may be and still count as equal: measured latencies always differ a little, and without calls
// in flight one of two equals would get all calls.
const similar = 1.25

// Pick implements [Picker].
func (p *P2C) Pick(candidates []*Candidate) *Candidate {
	if len(candidates) == 1 {
		return candidates[0]
	}
	a, b := weightsOf(&p.drawn, candidates).draw(candidates)
	costA, costB := costs(a, b)
	if costB*similar < costA {
		return b
	}
	return a // drawn first: in proportion to the weights
}

// costs returns the expected cost of one more call to each of the two.
func costs(a, b *Candidate) (float64, float64) {
	costA := 1 + float64(a.inflight.Load())/float64(a.weight())
	costB := 1 + float64(b.inflight.Load())/float64(b.weight())
	if a.known() && b.known() {
		// The time of the later answer stands for now: while both are idle both forget alike, and no clock need be read.
		now := max(a.stamp.Load(), b.stamp.Load())
		costA *= a.latencyAt(now) + float64(floor)
		costB *= b.latencyAt(now) + float64(floor)
	}
	return costA, costB
}

// weights are the weights of one set of candidates, added up.
type weights struct {
	of    []*Candidate // kept, so that no other set gets its address
	upTo  []int        // sum of the weights up to each candidate; nil when all are equal
	total int
}

// weightsOf returns those of the set. Sets do not change, so those of the last one are kept.
func weightsOf(last *atomic.Pointer[weights], candidates []*Candidate) *weights {
	w := last.Load()
	if w == nil || len(w.of) != len(candidates) || &w.of[0] != &candidates[0] {
		w = addWeights(candidates)
		last.Store(w)
	}
	return w
}

func addWeights(candidates []*Candidate) *weights {
	w := &weights{of: candidates}
	equal := true
	for _, c := range candidates {
		equal = equal && c.weight() == candidates[0].weight()
		w.total += c.weight()
		w.upTo = append(w.upTo, w.total)
	}
	if equal {
		w.upTo = nil
	}
	return w
}

// draw returns two different candidates, drawn without replacement.
func (w *weights) draw(candidates []*Candidate) (a, b *Candidate) {
	n := len(candidates)
	if w.upTo == nil {
		random := rand.Uint64() // one draw is enough for both
		i := int(random >> 32 * uint64(n) >> 32)
		j := int(random & (1<<32 - 1) * uint64(n-1) >> 32)
		if j >= i {
			j++
		}
		return candidates[i], candidates[j]
	}
	i, _ := slices.BinarySearch(w.upTo, rand.IntN(w.total)+1)
	own := candidates[i].weight()
	at := rand.IntN(w.total-own) + 1
	if at > w.upTo[i]-own {
		at += own
	}
	j, _ := slices.BinarySearch(w.upTo, at)
	return candidates[i], candidates[j]
}
