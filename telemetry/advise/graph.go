package advise

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/hanse-go/hanse/telemetry/collector"
)

// graph is a trace as calls.
type graph struct {
	spans    []collector.Span
	parent   []int // of each span; -1: none
	children [][]int
	calls    []call
	critical []bool
	callOf   map[int]int // the call that a server's span belongs to
}

// call is a call from one service to another.
type call struct {
	client, server int // spans; server is -1 when the called side told nothing
	from, to       string
	method         string
	operation      int           // the span that made it: of a server, of a consumer, or a root
	network        time.Duration // what the caller waited beyond the called side's work
	path           Path
	critical       bool
}

func newGraph(t collector.Trace) *graph {
	g := &graph{
		spans: t.Spans, parent: make([]int, len(t.Spans)), children: make([][]int, len(t.Spans)),
		critical: make([]bool, len(t.Spans)), callOf: map[int]int{},
	}
	index := make(map[string]int, len(t.Spans))
	for i, s := range t.Spans {
		index[s.SpanID] = i
	}
	for i, s := range t.Spans {
		g.parent[i] = -1
		if p, ok := index[s.ParentID]; ok && s.ParentID != "" && p != i {
			g.parent[i] = p
		}
	}
	g.cutLoops()
	for i, p := range g.parent {
		if p >= 0 {
			g.children[p] = append(g.children[p], i)
		}
	}
	for i, p := range g.parent {
		if p < 0 {
			g.mark(i, g.spans[i].Start.Add(g.spans[i].Duration), 0)
		}
	}
	for i, s := range g.spans {
		if s.Kind != "client" || has(s, "db.system.name") || has(s, "db.system") {
			continue
		}
		c := call{client: i, server: -1, from: s.Service, to: text(s, "server.address"), method: s.Name, operation: g.operation(i), critical: g.critical[i]}
		for _, k := range g.children[i] {
			if g.spans[k].Kind == "server" {
				c.server, c.to, c.method = k, g.spans[k].Service, g.spans[k].Name
				c.network = max(0, s.Duration-g.spans[k].Duration)
				c.path = pathOf(s, g.spans[k])
				g.callOf[k] = len(g.calls)
				break
			}
		}
		g.calls = append(g.calls, c)
	}
	return g
}

// cutLoops makes a root of a span that is its own ancestor, which only a broken program tells.
func (g *graph) cutLoops() {
	state := make([]int, len(g.parent)) // 0: not seen, else the walk that saw it
	for i := range g.parent {
		for at := i; at >= 0 && state[at] <= 0; at = g.parent[at] {
			state[at] = i + 1
			if p := g.parent[at]; p >= 0 && state[p] == i+1 {
				g.parent[at] = -1
			}
		}
	}
}

// operation returns the span that the work of a span is for: the nearest above it that serves, consumes, or has no parent.
func (g *graph) operation(i int) int {
	for p := g.parent[i]; p >= 0; p = g.parent[p] {
		i = p
		if k := g.spans[p].Kind; k == "server" || k == "consumer" {
			break
		}
	}
	return i
}

// mark marks a span and what below it lies on the critical path: what ended last, then what ended last before that began, and so on.
// The times of another service are by another clock: shift is what has to be added to them.
func (g *graph) mark(i int, until time.Time, shift time.Duration) {
	g.critical[i] = true
	type stretch struct {
		child      int
		start, end time.Time
		shift      time.Duration
	}
	s := g.spans[i]
	start := s.Start.Add(shift)
	var list []stretch
	for _, c := range g.children[i] {
		k := g.spans[c]
		if k.Kind == "consumer" { // nobody waits for it
			continue
		}
		by := shift
		if s.Kind == "client" && k.Kind == "server" { // in the middle of its caller's, whatever the clocks say
			by = start.Add((s.Duration - k.Duration) / 2).Sub(k.Start)
		}
		list = append(list, stretch{c, k.Start.Add(by), k.Start.Add(by + k.Duration), by})
	}
	slices.SortFunc(list, func(a, b stretch) int { return cmp.Or(b.end.Compare(a.end), a.start.Compare(b.start)) })
	for _, k := range list {
		if k.end.After(until) { // it ran on, and nobody waited for that
			if !k.start.Before(until) || k.end.Sub(until) > time.Millisecond {
				continue
			}
			k.end = until
		}
		if k.start.Before(start) {
			k.start = start
		}
		g.mark(k.child, k.end, k.shift)
		until = k.start
	}
}

// above returns the call in whose handler the call was made; nil for one that no call led to.
func (g *graph) above(c *call) *call {
	if i, ok := g.callOf[c.operation]; ok {
		return &g.calls[i]
	}
	return nil
}

func has(s collector.Span, key string) bool {
	return slices.ContainsFunc(s.Attrs, func(a collector.Attr) bool { return a.Key == key })
}

func text(s collector.Span, key string) string {
	for _, a := range s.Attrs {
		if v, ok := a.Value.(string); ok && a.Key == key {
			return v
		}
	}
	return ""
}

func resource(s collector.Span, key string) any {
	for _, a := range s.Resource {
		if a.Key == key {
			return a.Value
		}
	}
	return nil
}

// foreign says why the service of a span cannot run in one process with others; "" if it can.
func foreign(s collector.Span) string {
	language, _ := resource(s, "telemetry.sdk.language").(string)
	switch {
	case language != "" && language != "go":
		return "is not written in Go (" + language + ")"
	case !strings.HasPrefix(s.Scope, "github.com/hanse-go/hanse"):
		return "is not a service of Hanse"
	}
	return ""
}
