package advise

import (
	"slices"
	"strings"
)

// addCycles finds services that call each other in a circle, each waiting for the next: A calls B, whose handler calls A.
func (a *Advisor) addCycles(g *graph, request int) {
	seen := map[string]bool{} // in this request
	for i := range g.calls {
		c := &g.calls[i]
		if c.server < 0 || c.from == c.to {
			continue
		}
		path := []string{c.from} // from the caller upwards, until the called service is met
		for up := g.above(c); up != nil; up = g.above(up) {
			if up.from == up.to {
				continue
			}
			if path = append(path, up.from); up.from == c.to {
				slices.Reverse(path)
				break
			}
		}
		if path[0] != c.to || len(path) < 2 || !distinct(path) { // a circle within it is told by itself
			continue
		}
		path = turned(path)
		id := strings.Join(path, " ")
		s := a.cycles[id]
		if s == nil {
			s = &sighting{path: append(path, path[0])}
			a.cycles[id] = s
		}
		if !seen[id] {
			seen[id] = true
			s.seen(request)
			continue
		}
		s.times++
	}
}

func distinct(path []string) bool {
	sorted := slices.Sorted(slices.Values(path))
	return len(slices.Compact(sorted)) == len(path)
}

// turned turns a circle so that it begins with the first name by the alphabet: it is the same from wherever it was entered.
func turned(path []string) []string {
	first := slices.Index(path, slices.Min(path))
	return append(slices.Clone(path[first:]), path[:first]...)
}

// addChain finds the longest chain of calls that a request waited for.
func (a *Advisor) addChain(g *graph, request int) {
	var longest []string
	for i := range g.calls {
		c := &g.calls[i]
		if c.server < 0 || !c.critical {
			continue
		}
		path := []string{c.to, c.from}
		for up := g.above(c); up != nil; up = g.above(up) {
			path = append(path, up.from)
		}
		slices.Reverse(path)
		path = slices.Compact(path) // calls of a service to itself
		if len(path) > len(longest) && distinct(path) {
			longest = path
		}
	}
	if len(longest) <= minChain {
		return
	}
	id := strings.Join(longest, " ")
	s := a.chains[id]
	if s == nil {
		s = &sighting{path: longest}
		a.chains[id] = s
	}
	s.seen(request)
}
