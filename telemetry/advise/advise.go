// Package advise looks for what is slow by design in recorded traces: calls that are made one by one, services that call each other in a
// circle, pairs that talk too much, and long chains; and says what would be saved if those services ran in one process.
//
//	var a advise.Advisor
//	for _, trace := range traces {
//		a.Add(trace)
//	}
//	report := a.Report()
//
// What a call costs beyond the work of its handler is measured: it is the duration of the caller's span less that of the called side's.
// That is the network, the codec, and waiting for a worker and for the scheduler. It counts only where the request waited for it, that
// is, on its critical path; calls made at the same time as a longer one cost CPU, and no time.
// CPU is not in traces; it is reckoned from the number of calls and what one costs by this repository's benchmarks: see [CallCPU].
package advise

import (
	"time"

	"github.com/hanse-go/hanse/telemetry/collector"
)

// Limits from which on something is told.
const (
	minRounds = 5 // calls of one method that wait for each other, for one operation
	minChatty = 6 // calls between two services for one request, on average
	minChain  = 4 // calls that wait for each other, each from another service
)

// maxPairs is how many pairs a report lists.
const maxPairs = 20

// Advisor collects what traces show. The zero value is ready; it is not for concurrent use.
type Advisor struct {
	requests []request
	from, to time.Time
	calls    int
	oneSided int
	repeats  map[repeatKey]*repeat
	cycles   map[string]*sighting
	chains   map[string]*sighting
	foreign  map[string]string // services that cannot run with others, and why
}

// request is what a trace has to do with sums: who calls whom, how often, and how long that took beyond the handlers.
type request struct {
	id       string
	duration time.Duration
	pairs    map[pair]load
}

// pair is two services, of which the first calls the second.
type pair struct{ from, to string }

// load is what one pair did in one request.
type load struct {
	calls   int           // that both sides told of
	network time.Duration // on the critical path, beyond what it would take in one process
	cpu     CPU
	local   int // calls within a process
}

// sighting is where something was seen.
type sighting struct {
	path     []string
	requests []int // indices in Advisor.requests
	times    int
}

func (s *sighting) seen(request int) {
	s.times++
	if n := len(s.requests); n == 0 || s.requests[n-1] != request {
		s.requests = append(s.requests, request)
	}
}

// Add looks at a trace. Its spans may be in any order.
func (a *Advisor) Add(t collector.Trace) {
	if len(t.Spans) == 0 {
		return
	}
	if a.foreign == nil {
		a.foreign, a.repeats = map[string]string{}, map[repeatKey]*repeat{}
		a.cycles, a.chains = map[string]*sighting{}, map[string]*sighting{}
	}
	g := newGraph(t)
	r := request{id: t.TraceID, duration: t.Duration, pairs: map[pair]load{}}
	for _, c := range g.calls {
		if c.server < 0 {
			a.oneSided++
			continue
		}
		a.calls++
		for _, s := range []int{c.client, c.server} {
			if why := foreign(g.spans[s]); why != "" {
				a.foreign[g.spans[s].Service] = why
			}
		}
		if c.from == c.to {
			continue
		}
		l := r.pairs[pair{c.from, c.to}]
		l.calls++
		if c.path == InProcess {
			l.local++
		} else {
			cost := callCPU[c.path]
			l.cpu.Busy += cost.Busy - callCPU[InProcess].Busy
			l.cpu.Idle += cost.Idle - callCPU[InProcess].Idle
			if c.critical {
				l.network += max(0, c.network-inProcessTime)
			}
		}
		r.pairs[pair{c.from, c.to}] = l
	}
	n := len(a.requests)
	a.requests = append(a.requests, r)
	if a.from.IsZero() || t.Start.Before(a.from) {
		a.from = t.Start
	}
	if end := t.Start.Add(t.Duration); end.After(a.to) {
		a.to = end
	}
	a.addRepeats(g, n)
	a.addCycles(g, n)
	a.addChain(g, n)
}
