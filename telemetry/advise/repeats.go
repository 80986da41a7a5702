package advise

import (
	"slices"
	"time"
)

// repeatKey is a method that an operation calls again and again.
type repeatKey struct{ service, operation, to, method string }

// repeat is what was seen of it.
type repeat struct {
	sighting
	calls  int           // in all requests
	rounds int           // of those, that waited for another one
	beside int           // operations that made as many calls, but at the same time
	spent  time.Duration // in all calls but one of each operation
}

// often reports whether the calls are made one by one as a rule. A machine that is busy may get at calls one by one that were to be made at
// the same time; that is not what the program does.
func (r *repeat) often() bool { return r.times > r.beside }

// addRepeats finds operations that call one method one by one: N+1. Calls at the same time are one round.
func (a *Advisor) addRepeats(g *graph, request int) {
	type key struct {
		operation  int
		to, method string
	}
	groups := map[key][]int{}
	var order []key
	for i, c := range g.calls {
		k := key{c.operation, c.to, c.method}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], i)
	}
	for _, k := range order {
		calls := groups[k]
		if len(calls) < minRounds {
			continue
		}
		rounds, spent := g.rounds(calls)
		op := g.spans[k.operation]
		id := repeatKey{op.Service, op.Name, k.to, k.method}
		r := a.repeats[id]
		if r == nil {
			r = &repeat{sighting: sighting{path: []string{op.Service, k.to}}}
			a.repeats[id] = r
		}
		if rounds < minRounds {
			r.beside++
			continue
		}
		r.seen(request)
		r.calls += len(calls)
		r.rounds += rounds
		r.spent += spent
	}
}

// rounds counts how many of the calls had to wait for each other, at least: as many as can be chosen so that no two overlap. It also
// returns how long they took but for the longest. They are of one process, and so of one clock.
func (g *graph) rounds(calls []int) (rounds int, spent time.Duration) {
	span := func(i int) (start, end time.Time) {
		s := g.spans[g.calls[i].client]
		return s.Start, s.Start.Add(s.Duration)
	}
	byEnd := slices.SortedFunc(slices.Values(calls), func(x, y int) int {
		_, ex := span(x)
		_, ey := span(y)
		return ex.Compare(ey)
	})
	var last time.Time
	var longest time.Duration
	for _, i := range byEnd {
		start, end := span(i)
		if start.Before(last) {
			continue
		}
		rounds++
		last = end
		longest = max(longest, end.Sub(start))
		spent += end.Sub(start)
	}
	return rounds, spent - longest
}
