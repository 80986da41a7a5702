package balancer

import (
	"slices"
	"sync"
)

// RoundRobin takes the candidates in turn, whatever their weight and load. Each gets its turn once in a round also when the set of
// candidates changes: those that stay keep their order, and a new one comes last. The zero value is ready to use.
type RoundRobin struct {
	mu   sync.Mutex
	of   []*Candidate // the set that ring holds, as it was given
	ring []*Candidate // in turn from next on
	next int

	turns map[*Candidate]uint64 // when each candidate had its last turn, as of the last change of the set
	turn  uint64                // the number of the next turn
}

var _ Picker = (*RoundRobin)(nil)

// Pick implements [Picker].
func (r *RoundRobin) Pick(candidates []*Candidate) *Candidate {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.of) != len(candidates) || &r.of[0] != &candidates[0] {
		r.change(candidates)
	}
	c := r.ring[r.next]
	if r.next++; r.next == len(r.ring) {
		r.next = 0
	}
	return c
}

// change orders the new set by whose turn was longest ago.
func (r *RoundRobin) change(candidates []*Candidate) {
	if r.turns == nil {
		r.turns = make(map[*Candidate]uint64)
	}
	// From next on, the ring is in the order of the turns.
	for i := range r.ring {
		r.turns[r.ring[(r.next+i)%len(r.ring)]] = r.turn
		r.turn++
	}
	for _, c := range candidates {
		if _, ok := r.turns[c]; !ok {
			r.turns[c] = r.turn
			r.turn++
		}
	}
	r.of = candidates
	r.ring = slices.Clone(candidates)
	r.next = 0
	slices.SortFunc(r.ring, func(a, b *Candidate) int { return compareTurns(r.turns[a], r.turns[b]) })
	// Those that are left out for one call (it failed there) come back; those that are gone must not pile up.
	if len(r.turns) > 4*len(candidates)+16 {
		for c := range r.turns {
			if !slices.Contains(candidates, c) {
				delete(r.turns, c)
			}
		}
	}
}

func compareTurns(a, b uint64) int {
	if a < b {
		return -1
	}
	return 1 // no two are equal
}
