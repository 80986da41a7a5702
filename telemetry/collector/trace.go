package collector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// mostSpans is how many spans of a trace are read.
const mostSpans = 20_000

// Trace returns all that is known of the trace with the ID, in hexadecimal. The error is [ErrNotFound] when that is nothing.
func (c *Collector) Trace(ctx context.Context, id string) (Trace, error) {
	raw := parseID(strings.ToLower(strings.TrimSpace(id)))
	if len(raw) != 16 {
		return Trace{}, fmt.Errorf("%q is no trace ID, which has 32 hexadecimal digits", id)
	}
	st := c.of().store
	list, err := st.list(ctx, spans)
	if err != nil {
		return Trace{}, err
	}
	if list, err = st.withTrace(ctx, list, traceHash(raw)); err != nil {
		return Trace{}, err
	}
	t := Trace{TraceID: hexID(raw)}
	var found []Span
	seen := make(map[string]bool)
	for i := range list {
		b := &list[i]
		content, err := st.content(ctx, b)
		if errors.Is(err, errGone) {
			continue
		}
		if err != nil {
			return Trace{}, err
		}
		var h spanHead
		err = records(content, func(at int, o *origin, rec []byte) bool {
			if at >= b.count || !sameTrace(rec, raw) || readSpanHead(rec, &h) != nil {
				return true
			}
			if len(found) >= mostSpans {
				t.Cut++
				return true
			}
			if key := string(h.span) + string(byte(h.kind)) + o.service; !seen[key] { // an exporter may have sent it twice
				seen[key] = true
				found = append(found, readSpan(&h, o))
			}
			return true
		})
		if err != nil && b.seg != nil {
			if err = st.readFailed(ctx, b.seg, err); !errors.Is(err, errGone) {
				return Trace{}, err
			}
		}
	}
	if len(found) == 0 {
		return Trace{}, fmt.Errorf("trace %s: %w", t.TraceID, ErrNotFound)
	}
	t.arrange(found)
	if t.Gaps > 0 {
		spans, traces := c.of().numbers.running(time.Now())
		t.Running = traces[t.TraceID]
		for i := range t.Spans {
			t.Spans[i].Running = t.Spans[i].Gap && spans[t.Spans[i].SpanID]
		}
	}
	return t, nil
}

// arrange puts the spans in order, with gaps where a parent is missing.
func (t *Trace) arrange(found []Span) {
	byID := make(map[string]int, len(found)) // the last with an ID is the child of those before: a server's span may have its client's
	for i := range found {
		if _, dup := byID[found[i].SpanID]; !dup {
			byID[found[i].SpanID] = i
		}
	}
	for i := 0; i < len(found); i++ {
		s := &found[i]
		if s.ParentID == "" {
			continue
		}
		if _, ok := byID[s.ParentID]; !ok {
			byID[s.ParentID] = len(found)
			found = append(found, Span{TraceID: t.TraceID, SpanID: s.ParentID, Kind: "internal", Gap: true, Start: s.Start, Parent: -1})
			t.Gaps++
		}
	}
	children := make([][]int, len(found))
	var roots []int
	for i := range found {
		s := &found[i]
		p, ok := byID[s.ParentID]
		if s.ParentID == "" || !ok || p == i {
			roots = append(roots, i)
			continue
		}
		children[p] = append(children[p], i)
		if g := &found[p]; g.Gap { // it lasted at least as long as its children
			end := g.Start.Add(g.Duration)
			if s.Start.Before(g.Start) {
				g.Start = s.Start
			}
			if e := s.Start.Add(s.Duration); e.After(end) {
				end = e
			}
			g.Duration = end.Sub(g.Start)
		}
	}
	byStart := func(a, b int) int {
		return cmp.Or(found[a].Start.Compare(found[b].Start), cmp.Compare(found[a].SpanID, found[b].SpanID))
	}
	// Spans that are each other's ancestors, which only a broken program sends, hang on no root: the first of them becomes one.
	order := make([]int, 0, len(found))
	place := make([]int, len(found))
	for i := range place {
		place[i] = -1
	}
	type visit struct{ span, depth, parent int }
	walk := func(root int) {
		stack := []visit{{root, 0, -1}}
		for len(stack) > 0 {
			v := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if place[v.span] >= 0 {
				continue
			}
			place[v.span] = len(order)
			found[v.span].Depth, found[v.span].Parent = v.depth, v.parent
			order = append(order, v.span)
			kids := children[v.span]
			slices.SortFunc(kids, byStart)
			for _, k := range slices.Backward(kids) {
				stack = append(stack, visit{k, v.depth + 1, place[v.span]})
			}
		}
	}
	slices.SortFunc(roots, byStart)
	for _, r := range roots {
		walk(r)
	}
	for i := range found {
		if place[i] < 0 {
			walk(i)
		}
	}
	t.Spans = make([]Span, 0, len(order))
	services := make(map[string]int)
	var end time.Time
	for _, i := range order {
		s := found[i]
		t.Spans = append(t.Spans, s)
		if t.Start.IsZero() || s.Start.Before(t.Start) {
			t.Start = s.Start
		}
		if e := s.Start.Add(s.Duration); e.After(end) {
			end = e
		}
		if s.Gap {
			continue
		}
		k, ok := services[s.Service]
		if !ok {
			k = len(t.Services)
			services[s.Service] = k
			t.Services = append(t.Services, TraceService{Name: s.Service})
		}
		t.Services[k].Spans++
		if s.Status == statusFailed {
			t.Services[k].Errors++
			t.Errors++
		}
	}
	t.Duration = end.Sub(t.Start)
	t.markCritical()
}

// markCritical marks the spans without which the request would have been shorter: going back from its end, always the child that ended
// last before that. The request is what began first: what an event leads to may go on for long after it, and nobody waits for that.
func (t *Trace) markCritical() {
	children := make([][]int, len(t.Spans))
	first := -1
	for i, s := range t.Spans {
		if s.Parent >= 0 {
			children[s.Parent] = append(children[s.Parent], i)
		} else if first < 0 || s.Start.Before(t.Spans[first].Start) {
			first = i
		}
	}
	type step struct {
		span int
		end  time.Time
	}
	stack := []step{}
	if first >= 0 {
		stack = append(stack, step{first, t.Spans[first].Start.Add(t.Spans[first].Duration)})
	}
	for len(stack) > 0 {
		at := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		t.Spans[at.span].Critical = true
		kids := children[at.span]
		ends := func(i int) time.Time { return t.Spans[i].Start.Add(t.Spans[i].Duration) }
		slices.SortFunc(kids, func(a, b int) int { return ends(b).Compare(ends(a)) })
		for _, k := range kids {
			end := ends(k)
			if end.After(at.end) { // another one was waited for, or nobody waited
				continue
			}
			stack = append(stack, step{k, end})
			at.end = t.Spans[k].Start
		}
	}
}
