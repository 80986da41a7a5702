package balancer

import (
	"context"
	"math/rand/v2"
)

const (
	// zoneSlack is how much less than its even share of the capacity a zone may have and still keep all its calls.
	zoneSlack = 1.25
	// crowd is the number of calls in flight, for a weight of 1, from which a candidate is compared with one that is farther away.
	crowd = 16
	// crossing is how many times more a call must cost near by than farther away for it to go there.
	crossing = 4
)

// Locality is where a caller is.
type Locality struct {
	Host string // host ID of the caller; empty: no instance is on this host
	Zone string // zone of the caller; empty: no instance is in this zone
}

// The tiers, from near to far.
const (
	onHost = iota
	inZone
	elsewhere
	tiers
)

// Tiers are candidates by how far they are from a caller. They do not change. The zero value has no candidates.
type Tiers struct {
	all  []*Candidate
	tier [tiers][]*Candidate
	stay float64 // chance that a call stays in the zone where there is none on the host; less than 1 for a zone with too little capacity
}

// Tiers orders the candidates: those on the caller's host, those in its zone, and those elsewhere. (Those of its own app take no picker:
// they are called in process.) The order within a tier stays, and the slice must not be changed afterwards. Call it when the set changes,
// not for each call.
func (l Locality) Tiers(candidates []*Candidate) *Tiers {
	t := &Tiers{all: candidates, stay: 1}
	levels := make([]int, len(candidates))
	var n [tiers]int
	for i, c := range candidates {
		levels[i] = l.level(c)
		n[levels[i]]++
	}
	for level := range tiers {
		switch n[level] {
		case 0:
		case len(candidates):
			t.tier[level] = candidates
		default:
			t.tier[level] = make([]*Candidate, 0, n[level])
		}
	}
	for i, c := range candidates {
		if level := levels[i]; n[level] < len(candidates) {
			t.tier[level] = append(t.tier[level], c)
		}
	}
	if n[onHost] == 0 && n[inZone] > 0 && n[elsewhere] > 0 {
		t.stay = zoneShare(t.tier[inZone], t.tier[elsewhere])
	}
	return t
}

func (l Locality) level(c *Candidate) int {
	switch {
	case l.Host != "" && c.Instance.Host == l.Host:
		return onHost
	case l.Zone != "" && c.Instance.Zone == l.Zone:
		return inZone
	}
	return elsewhere
}

// zoneShare returns the share of a zone's calls that it can take, if the calls of all zones are as many as its own: the capacity that
// it has, relative to an even share of all.
func zoneShare(zone, far []*Candidate) float64 {
	zones := map[string]bool{zone[0].Instance.Zone: true}
	var here, all float64
	for _, c := range zone {
		here += float64(c.weight())
	}
	all = here
	for _, c := range far {
		all += float64(c.weight())
		zones[c.Instance.Zone] = true
	}
	return min(1, zoneSlack*here*float64(len(zones))/all)
}

// Len returns the number of candidates.
func (t *Tiers) Len() int { return len(t.all) }

// All returns the candidates as they were given. The slice must not be changed.
func (t *Tiers) All() []*Candidate { return t.all }

// pick asks the pickers, one for each tier, for a candidate of the nearest tier that has room for the call.
func (t *Tiers) pick(ctx context.Context, method string, pickers *pickers) *Candidate {
	near := onHost
	for len(t.tier[near]) == 0 {
		near++
	}
	if t.stay < 1 && rand.Float64() >= t.stay {
		near = elsewhere
	}
	best := Pick(ctx, method, pickers[near], t.tier[near])
	for level := near + 1; level < tiers; level++ {
		if best == nil || best.inflight.Load() < crowd*int64(best.weight()) {
			break
		}
		if len(t.tier[level]) == 0 {
			continue
		}
		if other := Pick(ctx, method, pickers[level], t.tier[level]); other != nil {
			if here, there := costs(best, other); here > crossing*there {
				best = other
			}
		}
	}
	return best
}
