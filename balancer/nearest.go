package balancer

// Locality is where a caller is.
type Locality struct {
	Host string // host ID of the caller; empty: no instance is on this host
}

// Nearest returns the candidates that are nearest to the caller: those on its host, else all. (Those of its own app take no picker:
// they are called in process.) The order stays. The slice is a new one only if some candidates are left out: call it when the set
// changes, not for each call.
func (l Locality) Nearest(candidates []*Candidate) []*Candidate {
	near := 0
	for _, c := range candidates {
		if l.has(c) {
			near++
		}
	}
	if near == 0 || near == len(candidates) {
		return candidates
	}
	nearest := make([]*Candidate, 0, near)
	for _, c := range candidates {
		if l.has(c) {
			nearest = append(nearest, c)
		}
	}
	return nearest
}

func (l Locality) has(c *Candidate) bool { return l.Host != "" && c.Instance.Host == l.Host }
