package balancer

// Locality is where a caller is.
type Locality struct {
	InApp func(*Candidate) bool // whether the instance runs in the caller's own process; nil: none does
	Host  string                // host ID of the caller (discovery.HostID); empty: no instance is on this host
}

// Nearest returns the candidates that are nearest to the caller: those in its own app, else those on its host, else all. The order
// stays. The slice is a new one only if some candidates are left out: call it when the set changes, not for each call.
func (l Locality) Nearest(candidates []*Candidate) []*Candidate {
	best, count := far, 0
	for _, c := range candidates {
		switch d := l.distance(c); {
		case d < best:
			best, count = d, 1
		case d == best:
			count++
		}
	}
	if count == len(candidates) {
		return candidates
	}
	near := make([]*Candidate, 0, count)
	for _, c := range candidates {
		if l.distance(c) == best {
			near = append(near, c)
		}
	}
	return near
}

type distance int

const (
	inApp distance = iota
	onHost
	far
)

func (l Locality) distance(c *Candidate) distance {
	switch {
	case l.InApp != nil && l.InApp(c):
		return inApp
	case l.Host != "" && c.Instance.Host == l.Host:
		return onHost
	}
	return far
}
