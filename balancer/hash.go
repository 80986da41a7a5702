package balancer

import (
	"context"
	"math"

	"github.com/hanse-go/hanse/internal/outmeta"
)

// loadBound is the default of [ConsistentHash.Bound].
const loadBound = 1.25

// ConsistentHash sends calls with the same key to the same candidate, as long as that is there: for instances that keep something by that
// key, such as a cache. All callers agree on the candidate without talking to each other. When a candidate comes or goes, only the keys
// move that it gets or had. Keys spread in proportion to the weights.
//
// The load is bounded: a candidate whose calls in flight from this caller are more than [ConsistentHash.Bound] times its fair share gets
// no further one; the key's next candidate does, which is the same one each time. So a key that everybody asks for uses all.
//
// It is rendezvous hashing: each candidate has a score for a key, and the highest wins. Compared with a ring or a table (jump, Maglev)
// there is nothing to build or to keep when instances come and go, the keys of one that is gone spread over all others and not over its
// neighbour, and weights are exact. A pick takes time in proportion to the number of candidates, about 10 ns for each.
//
// The zero value has no key and picks as [P2C] does, as every ConsistentHash does for calls without the key.
type ConsistentHash struct {
	// Key is the key of the outgoing metadata whose first value is hashed, in small letters, such as "x-user".
	Key string
	// Bound is how many times its fair share of the calls in flight a candidate may have; at least 1. Default: 1.25; -1: no bound.
	Bound float64

	rest P2C // picks for calls without the key
}

var _ CallPicker = (*ConsistentHash)(nil)

// Pick implements [Picker]: it picks for a call without the key.
func (h *ConsistentHash) Pick(candidates []*Candidate) *Candidate { return h.rest.Pick(candidates) }

// PickFor implements [CallPicker].
func (h *ConsistentHash) PickFor(ctx context.Context, _ string, candidates []*Candidate) *Candidate {
	if len(candidates) == 1 {
		return candidates[0]
	}
	if h.Key == "" {
		return h.rest.Pick(candidates)
	}
	key, ok := outmeta.Value(ctx, h.Key)
	if !ok {
		return h.rest.Pick(candidates)
	}
	hash := hashString(key)
	best := highest(hash, candidates, nil)
	if h.Bound < 0 || best.inflight.Load() == 0 { // one call is never too much
		return best
	}
	limit := h.limit(candidates)
	if limit.room(best) {
		return best
	}
	if c := highest(hash, candidates, &limit); c != nil {
		return c
	}
	return best // the load has changed meanwhile
}

// limit is how much each candidate may have in flight.
type limit struct{ perWeight float64 }

func (h *ConsistentHash) limit(candidates []*Candidate) limit {
	inflight, weights := int64(1), 0 // this call counts
	for _, c := range candidates {
		inflight += c.inflight.Load()
		weights += c.weight()
	}
	bound := h.Bound
	if bound == 0 {
		bound = loadBound
	}
	return limit{max(bound, 1) * float64(inflight) / float64(weights)}
}

// room reports whether the candidate may have one more. Shares are rounded up, so that one of several always has room.
func (l *limit) room(c *Candidate) bool {
	return float64(c.inflight.Load())+1 <= math.Ceil(l.perWeight*float64(c.weight()))
}

// highest returns the candidate with the highest score for the hash of a key, of those with room; nil when there is none.
func highest(key uint64, candidates []*Candidate, limit *limit) *Candidate {
	var best *Candidate
	var bestScore uint64
	weight := candidates[0].weight()
	for _, c := range candidates {
		if c.weight() != weight {
			return highestWeighted(key, candidates, limit)
		}
		score := mix(key ^ c.hash())
		if (best == nil || score > bestScore) && (limit == nil || limit.room(c)) {
			best, bestScore = c, score
		}
	}
	return best
}

// highestWeighted is highest for different weights. The smallest of several exponential variables, each divided by its weight, is each in
// proportion to the weights; and a candidate's own one changes with nothing but its weight.
func highestWeighted(key uint64, candidates []*Candidate, limit *limit) *Candidate {
	var best *Candidate
	least := math.Inf(1)
	for _, c := range candidates {
		if cost := exponential(mix(key^c.hash())) / float64(c.weight()); cost < least && (limit == nil || limit.room(c)) {
			best, least = c, cost
		}
	}
	return best
}

// exponential turns evenly spread bits into an exponentially distributed number.
func exponential(bits uint64) float64 {
	return -math.Log((float64(bits>>11) + 0.5) / (1 << 53))
}

// hash returns the hash of what names the instance to all callers.
func (c *Candidate) hash() uint64 {
	h := c.hashed.Load()
	if h == 0 {
		h = hashString(c.Instance.Key())
		c.hashed.Store(h)
	}
	return h
}

// hashString is FNV-1a, mixed. Callers of all versions must agree on it, so it never changes.
func hashString(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h ^= uint64(s[i])
		h *= 1099511628211
	}
	return mix(h)
}

// mix spreads each bit over all (the finalizer of MurmurHash3).
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
