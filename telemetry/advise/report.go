package advise

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Report is what an [Advisor] found.
type Report struct {
	From      time.Time `json:"from,omitzero"`
	To        time.Time `json:"to,omitzero"`
	Requests  int       `json:"requests"`            // traces
	Calls     int       `json:"calls"`               // of which both sides told
	OneSided  int       `json:"one_sided,omitempty"` // of which the called side told nothing: nothing is reckoned for them
	Findings  []Finding `json:"findings"`            // what saves most first
	Pairs     []Pair    `json:"pairs"`               // who talks most for one request, whether that is much or not; the first 20
	CPUSource string    `json:"cpu_source"`          // where the figures of CPU come from
}

// Kinds of findings.
const (
	Repeats = "n+1"    // one operation calls one method again and again
	Cycle   = "cycle"  // a service waits for one that waits for it
	Chatty  = "chatty" // two services make many calls for one request
	Chain   = "chain"  // a call waits for a call that waits for a call …
)

// Finding is something to think about.
type Finding struct {
	Kind      string   `json:"kind"`
	Title     string   `json:"title"`            // what is so, with numbers
	Advice    string   `json:"advice"`           // what could be done about it in the code
	Services  []string `json:"services"`         // that would run in one process, by name
	Path      []string `json:"path"`             // caller first; of a cycle with the first again at the end
	Operation string   `json:"operation"`        // that repeats calls
	Method    string   `json:"method,omitempty"` // that is repeated
	Requests  int      `json:"requests"`         // in which it was seen
	Calls     float64  `json:"calls"`            // for each of those, between these services
	Saving    Saving   `json:"saving"`
	Flag      string   `json:"flag,omitempty"`  // --services=cart,checkout; "" where they cannot run in one process, or do
	Why       string   `json:"why,omitempty"`   // why there is no Flag
	Traces    []string `json:"traces"`          // up to 3 examples, the slowest first
	Spent     string   `json:"spent,omitempty"` // of repeats: how long all of the calls but one took
}

// Saving is what one request would gain if the services ran in one process.
type Saving struct {
	Time  time.Duration `json:"time"`  // median over the requests; measured on the critical path, less what such a call takes in one process
	Share float64       `json:"share"` // of the request's duration, median
	CPU   CPU           `json:"cpu"`   // mean; reckoned, see Report.CPUSource
}

// Pair is two services, of which the first calls the second.
type Pair struct {
	From     string  `json:"from"`
	To       string  `json:"to"`
	Requests int     `json:"requests"` // in which it does
	Calls    float64 `json:"calls"`    // for each of those
	Local    bool    `json:"local,omitempty"`
	Saving   Saving  `json:"saving"`
}

// Report says what was found in the traces until now.
func (a *Advisor) Report() Report {
	r := Report{From: a.from, To: a.to, Requests: len(a.requests), Calls: a.calls, OneSided: a.oneSided, Findings: []Finding{}, Pairs: []Pair{}, CPUSource: CPUSource}
	told := map[pair]bool{}
	for _, id := range slices.SortedFunc(maps.Keys(a.repeats), compareKeys) {
		s := a.repeats[id]
		if !s.often() {
			continue
		}
		each := float64(s.calls) / float64(s.times)
		f := a.finding(Repeats, &s.sighting)
		f.Operation, f.Method = id.operation, id.method
		f.Title = fmt.Sprintf("%s calls %s %s times for one %s, one after the other", id.service, id.method, number(each), id.operation)
		if rounds := float64(s.rounds) / float64(s.times); rounds < 0.9*each {
			f.Title = fmt.Sprintf("%s calls %s %s times for one %s, in %s rounds", id.service, id.method, number(each), id.operation, number(rounds))
		}
		spent := s.spent / time.Duration(s.times)
		f.Spent = Duration(spent)
		f.Advice = fmt.Sprintf("ask for all of them at once: all but one of the calls took %s of a request", f.Spent)
		told[pair{id.service, id.to}] = true
		r.Findings = append(r.Findings, f)
	}
	for _, id := range slices.Sorted(maps.Keys(a.cycles)) {
		s := a.cycles[id]
		f := a.finding(Cycle, s)
		f.Title = fmt.Sprintf("%s wait for each other in a circle: %s", list(s.path[:len(s.path)-1]), strings.Join(s.path, " → "))
		f.Advice = "when one of them is slow all of them are, and none can be replaced alone: let the caller send what the other asks for, or publish an event"
		for i, from := range s.path[:len(s.path)-1] {
			told[pair{from, s.path[i+1]}] = true
		}
		r.Findings = append(r.Findings, f)
	}
	for _, id := range slices.Sorted(maps.Keys(a.chains)) {
		s := a.chains[id]
		f := a.finding(Chain, s)
		f.Title = fmt.Sprintf("a request waits for %d calls, each within the one before: %s", len(s.path)-1, strings.Join(s.path, " → "))
		f.Advice = "each link adds its delay and its failures: let the first service ask several at once, or publish an event for what nobody waits for"
		r.Findings = append(r.Findings, f)
	}
	for _, p := range a.pairs() {
		r.Pairs = append(r.Pairs, p)
		if k := (pair{p.From, p.To}); p.Calls < minChatty || p.Local || told[k] {
			continue
		}
		s := &sighting{path: []string{p.From, p.To}, requests: a.with(p.From, p.To)}
		f := a.finding(Chatty, s)
		f.Title = fmt.Sprintf("%s calls %s %s times for one request", p.From, p.To, number(p.Calls))
		f.Advice = "ask for more at once, or keep what does not change"
		r.Findings = append(r.Findings, f)
	}
	slices.SortStableFunc(r.Findings, func(x, y Finding) int {
		return cmp.Or(cmp.Compare(y.Saving.Time, x.Saving.Time), cmp.Compare(y.Calls, x.Calls))
	})
	r.Pairs = r.Pairs[:min(len(r.Pairs), maxPairs)]
	return r
}

// with returns the requests in which one calls the other.
func (a *Advisor) with(from, to string) (requests []int) {
	for i, r := range a.requests {
		if r.pairs[pair{from, to}].calls > 0 {
			requests = append(requests, i)
		}
	}
	return requests
}

// pairs returns all pairs, those that talk most for one request first.
func (a *Advisor) pairs() (all []Pair) {
	type sum struct{ calls, local, requests int }
	sums := map[pair]sum{}
	for _, r := range a.requests {
		for k, l := range r.pairs {
			s := sums[k]
			s.calls, s.local, s.requests = s.calls+l.calls, s.local+l.local, s.requests+1
			sums[k] = s
		}
	}
	for k, s := range sums {
		all = append(all, Pair{
			From: k.from, To: k.to, Requests: s.requests, Calls: float64(s.calls) / float64(s.requests), Local: s.local == s.calls,
			Saving: a.saving([]string{k.from, k.to}, a.with(k.from, k.to)),
		})
	}
	slices.SortFunc(all, func(x, y Pair) int {
		return cmp.Or(cmp.Compare(y.Calls, x.Calls), cmp.Compare(y.Saving.Time, x.Saving.Time), cmp.Compare(x.From, y.From), cmp.Compare(x.To, y.To))
	})
	return all
}

// finding fills in what all kinds have.
func (a *Advisor) finding(kind string, s *sighting) Finding {
	services := slices.Sorted(slices.Values(s.path))
	services = slices.Compact(services)
	f := Finding{Kind: kind, Services: services, Path: s.path, Requests: len(s.requests), Saving: a.saving(services, s.requests)}
	calls, local := 0, 0
	for _, i := range s.requests {
		for k, l := range a.requests[i].pairs {
			if slices.Contains(services, k.from) && slices.Contains(services, k.to) {
				calls, local = calls+l.calls, local+l.local
			}
		}
	}
	f.Calls = float64(calls) / float64(max(len(s.requests), 1))
	f.Flag, f.Why = a.flag(services, calls > 0 && calls == local)
	slowest := slices.Clone(s.requests)
	slices.SortStableFunc(slowest, func(x, y int) int { return cmp.Compare(a.requests[y].duration, a.requests[x].duration) })
	for _, i := range slowest[:min(3, len(slowest))] {
		f.Traces = append(f.Traces, a.requests[i].id)
	}
	return f
}

// flag is what starts the services together, or why that cannot be.
func (a *Advisor) flag(services []string, local bool) (flag, why string) {
	if local {
		return "", "they run in one process already"
	}
	if len(services) < 2 {
		return "", "it is one service"
	}
	for _, s := range services {
		if s == "" {
			return "", "the called side tells nothing of itself"
		}
		if why := a.foreign[s]; why != "" {
			return "", s + " " + why
		}
	}
	return "--services=" + strings.Join(services, ","), ""
}

// saving is what these requests would gain if the services ran in one process.
func (a *Advisor) saving(services []string, requests []int) (s Saving) {
	if len(requests) == 0 {
		return s
	}
	times := make([]time.Duration, 0, len(requests))
	shares := make([]float64, 0, len(requests))
	for _, i := range requests {
		r := &a.requests[i]
		var network time.Duration
		for k, l := range r.pairs {
			if slices.Contains(services, k.from) && slices.Contains(services, k.to) {
				network += l.network
				s.CPU.Busy += l.cpu.Busy
				s.CPU.Idle += l.cpu.Idle
			}
		}
		times = append(times, network)
		shares = append(shares, min(1, float64(network)/float64(max(r.duration, 1))))
	}
	slices.Sort(times)
	slices.Sort(shares)
	s.Time, s.Share = times[len(times)/2], shares[len(shares)/2]
	s.CPU.Busy /= time.Duration(len(requests))
	s.CPU.Idle /= time.Duration(len(requests))
	return s
}

func compareKeys(x, y repeatKey) int {
	return cmp.Or(cmp.Compare(x.service, y.service), cmp.Compare(x.operation, y.operation), cmp.Compare(x.to, y.to), cmp.Compare(x.method, y.method))
}

// number writes an average.
func number(f float64) string {
	if f == float64(int(f)) || f >= 20 {
		return fmt.Sprintf("%.0f", f)
	}
	return fmt.Sprintf("%.1f", f)
}

func list(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// Duration writes a duration with as many digits as matter.
func Duration(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Round(time.Microsecond)/time.Microsecond)
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", d.Seconds()*1e3)
	case d < time.Second:
		return fmt.Sprintf("%.0f ms", d.Seconds()*1e3)
	default:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
}
