package balancer

import (
	"slices"
	"sync"
)

// Weighted takes the candidates in turn, each as often as its weight says, whatever its load. The turns of a heavy one are spread over the
// round (smooth weighted round robin): with the weights 5, 1 and 1 the order is a a b a c a a. Those that stay when the set of candidates
// changes keep what they are owed. A pick takes time in proportion to the number of candidates. The zero value is ready to use.
type Weighted struct {
	mu    sync.Mutex
	of    []*Candidate // the set that credit is of, as it was given
	owed  []int64      // of each: grows by its weight with each pick; who is picked gives back the weights of all
	total int64        // of the weights

	kept map[*Candidate]int64 // what each was owed as of the last change of the set
}

var _ Picker = (*Weighted)(nil)

// Pick implements [Picker].
func (w *Weighted) Pick(candidates []*Candidate) *Candidate {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.of) != len(candidates) || &w.of[0] != &candidates[0] {
		w.change(candidates)
	}
	best := 0
	for i, c := range w.of {
		w.owed[i] += int64(c.weight())
		if w.owed[i] > w.owed[best] {
			best = i
		}
	}
	w.owed[best] -= w.total
	return candidates[best]
}

// change takes what is owed over to a new set. A new candidate is owed what the others are on average: neither a flood nor a wait.
func (w *Weighted) change(candidates []*Candidate) {
	if w.kept == nil {
		w.kept = make(map[*Candidate]int64)
	}
	for i, c := range w.of {
		w.kept[c] = w.owed[i]
	}
	w.of, w.owed, w.total = candidates, make([]int64, len(candidates)), 0
	var sum, known int64
	for _, c := range candidates {
		w.total += int64(c.weight())
		if owed, ok := w.kept[c]; ok {
			sum += owed
			known++
		}
	}
	for i, c := range candidates {
		if owed, ok := w.kept[c]; ok {
			w.owed[i] = owed - sum/known
		}
	}
	// Those that are left out for one call (it failed there) come back; those that are gone must not pile up.
	if len(w.kept) > 4*len(candidates)+16 {
		for c := range w.kept {
			if !slices.Contains(candidates, c) {
				delete(w.kept, c)
			}
		}
	}
}
