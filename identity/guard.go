package identity

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/internal/everywhere"
)

const (
	maxDenials    = 1000        // pairs of caller and method that a Guard tells apart
	denialLogWait = time.Minute // between two log lines of one pair
)

// Guard decides who may call which methods of a service, by its rules, and remembers whom it refused. It is safe for concurrent use.
type Guard struct {
	rules []Rule
	gates map[string]*Gate

	mu      sync.Mutex
	denied  uint64
	denials map[denialKey]*denial
}

type denialKey struct {
	caller ID
	method string
}

type denial struct {
	count   uint64
	last    time.Time
	logged  time.Time
	waiting uint64 // since then
}

// NewGuard returns the guard of a service that has these full methods ("/package.Service/Method"). serviceID returns the ID of a service
// that a rule names; with nil, rules must have SPIFFE IDs. The error lists all mistakes: what is no caller, and what is no method of the
// service. The guard that comes with it heeds the rest of the rules, so that nobody is let in by a mistake.
//
// Rules do not apply to gRPC's health and reflection services: the guard has no gate for those.
func NewGuard(rules []Rule, methods []string, serviceID func(service string) ID) (*Guard, error) {
	g := &Guard{gates: make(map[string]*Gate), denials: make(map[denialKey]*denial)}
	var guarded []string
	for _, m := range methods {
		// A load balancer that asks for health is no caller that a service knows, and reflection has a switch of its own.
		if !everywhere.Has(strings.Trim(m[:strings.LastIndexByte(m, '/')+1], "/")) {
			guarded = append(guarded, m)
			g.gates[m] = &Gate{guard: g, method: m}
		}
	}
	slices.Sort(guarded)
	var mistakes []error
	for i, r := range rules {
		who := callers{exact: make(map[ID]bool)}
		if len(r.Callers) == 0 {
			mistakes = append(mistakes, fmt.Errorf("rule %d of %d has no Callers: name who may call, or * for everyone", i+1, len(rules)))
		}
		for _, caller := range r.Callers {
			if err := who.parse(caller, serviceID); err != nil {
				mistakes = append(mistakes, fmt.Errorf("rule %d of %d, caller %q: %w", i+1, len(rules), caller, err))
			}
		}
		what := r.Methods
		if len(what) == 0 {
			what = []string{"*"}
		}
		var opened []string
		for _, m := range what {
			found, err := matching(m, guarded)
			if err != nil {
				mistakes = append(mistakes, fmt.Errorf("rule %d of %d, method %q: %w", i+1, len(rules), m, err))
			}
			opened = append(opened, found...)
		}
		slices.Sort(opened)
		for _, m := range slices.Compact(opened) {
			gate := g.gates[m]
			gate.callers.add(who)
			gate.rules = append(gate.rules, r.String())
		}
		g.rules = append(g.rules, Rule{Callers: slices.Clone(r.Callers), Methods: slices.Clone(r.Methods)})
	}
	return g, errors.Join(mistakes...)
}

// Gate returns what decides about the calls of a method, or nil for one that everybody may call.
func (g *Guard) Gate(fullMethod string) *Gate { return g.gates[fullMethod] }

// Rules returns the rules.
func (g *Guard) Rules() []Rule { return g.rules }

// Denied returns how many calls were denied, or would have been where it is only reported.
func (g *Guard) Denied() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.denied
}

// Denial is how often one caller was denied one method.
type Denial struct {
	Caller ID        `json:"caller"` // zero: not known
	Method string    `json:"method"`
	Count  uint64    `json:"count"`
	Last   time.Time `json:"last"`
}

// Denials returns who was denied what, the most frequent first. When there are more than a thousand such pairs, later ones are counted
// by Denied alone.
func (g *Guard) Denials() []Denial {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]Denial, 0, len(g.denials))
	for k, d := range g.denials {
		if d.count > 0 {
			all = append(all, Denial{Caller: k.caller, Method: k.method, Count: d.count, Last: d.last})
		}
	}
	slices.SortFunc(all, func(a, b Denial) int {
		switch {
		case a.Count != b.Count:
			return int(min(max(int64(b.Count)-int64(a.Count), -1), 1))
		case a.Method != b.Method:
			return strings.Compare(a.Method, b.Method)
		}
		return strings.Compare(a.Caller.String(), b.Caller.String())
	})
	return all
}

// Gate decides who may call one method.
type Gate struct {
	guard   *Guard
	method  string
	callers callers
	rules   []string
}

// Admits reports whether the caller may call the method. The zero ID is a caller who is not known: only a rule for everyone, "*", lets it
// in.
func (g *Gate) Admits(caller ID) bool { return g.callers.has(caller) }

// Rules returns the rules that have the method, as text.
func (g *Gate) Rules() []string { return g.rules }

// Deny counts a call that was not let in, or would not have been. It reports whether it is time for a log line, which is once a minute
// for a caller and a method, and of how many calls that line speaks.
func (g *Gate) Deny(caller ID) (calls uint64, log bool) {
	guard, now := g.guard, time.Now()
	guard.mu.Lock()
	defer guard.mu.Unlock()
	guard.denied++
	key := denialKey{caller, g.method}
	d := guard.denials[key]
	if d == nil && len(guard.denials) >= maxDenials {
		key = denialKey{} // all others together; it has no count of its own
		d = guard.denials[key]
	}
	if d == nil {
		d = &denial{}
		guard.denials[key] = d
	}
	if key != (denialKey{}) {
		d.count++
		d.last = now
	}
	d.waiting++
	if !d.logged.IsZero() && now.Sub(d.logged) < denialLogWait {
		return 0, false
	}
	calls, d.logged, d.waiting = d.waiting, now, 0
	return calls, true
}
