package collector

import (
	"bytes"
	"slices"
)

// spreadParts is in how many parts the time of a search is cut, of each of which some traces are shown.
const spreadParts = 100

// spread chooses so many of the traces that were found that they stand for all: half at most for those that failed, an eighth for the slowest,
// and the rest from all of the time. Of several that are as good those with the smallest IDs are taken, so that the same ones are chosen when
// more come.
func spread(found []*hit, limit int) []*hit {
	if len(found) <= limit {
		return found
	}
	byID := func(a, b *hit) int { return bytes.Compare(a.id[:], b.id[:]) }
	slices.SortFunc(found, byID)
	chosen := make(map[*hit]bool, limit)
	take := func(list []*hit, most int) {
		for _, h := range list {
			if most <= 0 || len(chosen) == limit {
				return
			}
			if !chosen[h] {
				chosen[h] = true
				most--
			}
		}
	}
	first, last := found[0].newest, found[0].newest
	for _, h := range found {
		first, last = min(first, h.newest), max(last, h.newest)
	}
	evenly := func(list []*hit, most int) {
		parts := make([][]*hit, spreadParts)
		for _, h := range list {
			if !chosen[h] {
				p := int(float64(h.newest-first) / float64(last-first+1) * spreadParts)
				parts[p] = append(parts[p], h)
			}
		}
		slices.SortStableFunc(parts, func(a, b []*hit) int { return len(a) - len(b) }) // what quiet parts leave is for the others
		for i, p := range parts {
			n := min(most/(spreadParts-i), len(p))
			take(p, n)
			most -= n
		}
	}
	var failed []*hit
	for _, h := range found {
		if h.failed {
			failed = append(failed, h)
		}
	}
	if len(failed) <= limit/2 {
		take(failed, limit)
	} else {
		evenly(failed, limit/2)
	}
	slowest := slices.Clone(found)
	slices.SortStableFunc(slowest, func(a, b *hit) int { return compareInt(b.longest, a.longest) })
	take(slowest, limit/8)
	evenly(found, limit-len(chosen))
	out := make([]*hit, 0, limit)
	for _, h := range found {
		if chosen[h] {
			out = append(out, h)
		}
	}
	return out
}
