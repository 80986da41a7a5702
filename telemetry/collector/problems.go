package collector

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hanse-go/hanse/internal/duration"
)

const (
	problemFor  = time.Minute     // what happened in it is now
	usualFor    = 9 * time.Minute // what happened before that, in it, is usual
	leastCalls  = 3               // failed calls in a minute that are a problem
	leastPart   = 0.01            // of all calls
	badPart     = 0.05            // of all calls: an error, not a warning
	slowFactor  = 3               // of the usual p95
	slowLeast   = 20 * time.Millisecond
	leastErrors = 1 // lines
)

// Problems returns what is wrong now, that is, in the last minute, the worst first: calls that fail, calls that take much longer than in
// the minutes before, errors in logs, and what the collector itself has to drop.
func (c *Collector) Problems(ctx context.Context) ([]Problem, error) {
	p := c.of()
	now := time.Now()
	win := spanOf(Window{From: now.Add(-problemFor)}, 0, now)
	usual := spanOf(Window{From: now.Add(-problemFor - usualFor), To: now.Add(-problemFor)}, 0, now)
	list := []Problem{}
	flows, before := p.flows(win), p.flows(usual)
	for _, k := range methodsOf(flows) {
		now, then := k.total(flows), k.total(before)
		if pr, ok := failing(k, now, win); ok {
			list = append(list, c.explain(ctx, pr, now))
		} else if pr, ok := slow(k, now, then, win); ok {
			list = append(list, pr)
		}
	}
	list = blame(list)
	list = append(list, c.loud(ctx, win, list)...)
	for _, d := range p.drops.snapshot() {
		if now.Sub(d.Last) < problemFor {
			list = append(list, Problem{
				ID: "dropped " + d.Signal + " " + d.Reason, Kind: "dropped", Severity: "warning", Title: fmt.Sprintf("%d %s were dropped", d.Count, d.Signal),
				Reason: d.Reason, Since: d.Last.UTC(), Count: int(d.Count),
			})
		}
	}
	slices.SortStableFunc(list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Severity, b.Severity), cmp.Compare(kindOrder[a.Kind], kindOrder[b.Kind]), cmp.Compare(b.Count, a.Count), cmp.Compare(a.ID, b.ID))
	})
	return list, ctx.Err()
}

var kindOrder = map[string]int{"errors": 0, "slow": 1, "logs": 2, "dropped": 3}

// served is a method of a service.
type served struct{ service, kind, method string }

func methodsOf(flows []counted) []served {
	set := make(map[served]bool)
	for i := range flows {
		if f := &flows[i]; f.taken() {
			set[served{f.service, f.kind, f.method}] = true
		}
	}
	return slices.SortedFunc(maps.Keys(set), func(a, b served) int {
		return cmp.Or(cmp.Compare(a.service, b.service), cmp.Compare(a.method, b.method), cmp.Compare(a.kind, b.kind))
	})
}

func (k served) total(flows []counted) (t counted) {
	worst := 0.0
	for i := range flows {
		f := &flows[i]
		if !f.taken() || f.service != k.service || f.kind != k.kind || f.method != k.method {
			continue
		}
		t.tally.add(&f.tally)
		if f.failed && f.calls > worst {
			worst = f.calls
			t.flow, t.exemplars = f.flow, f.exemplars
		}
	}
	return t
}

func failing(k served, t counted, w span) (Problem, bool) {
	part := t.errors / max(t.calls, 1)
	if t.errors < leastCalls-0.5 || part < leastPart {
		return Problem{}, false
	}
	pr := Problem{
		ID: "errors " + k.service + " " + k.method, Kind: "errors", Severity: "warning", Service: k.service, Method: k.method,
		Title: fmt.Sprintf("%s fails: %s of calls to %s", k.service, percent(part), short(k.method)),
		Since: time.Unix(w.from, 0).UTC(), Count: int(math.Round(t.errors)),
		Filter: "service:" + k.service + " status:error",
	}
	if part >= badPart {
		pr.Severity = "error"
	}
	return pr, true
}

func slow(k served, now, then counted, w span) (Problem, bool) {
	if now.calls < 10 || then.calls < 30 {
		return Problem{}, false
	}
	a, b := now.hist.quantile(0.95), then.hist.quantile(0.95)
	if !(a > slowFactor*b) || a < slowLeast.Seconds() {
		return Problem{}, false
	}
	d := func(s float64) time.Duration { return time.Duration(s * 1e9).Round(100 * time.Microsecond) }
	return Problem{
		ID: "slow " + k.service + " " + k.method, Kind: "slow", Severity: "warning", Service: k.service, Method: k.method,
		Title:  fmt.Sprintf("%s is slow: %s takes %s", k.service, short(k.method), duration.Text(d(a))),
		Reason: fmt.Sprintf("one call in twenty takes %s or longer; in the minutes before it was %s", duration.Text(d(a)), duration.Text(d(b))),
		Since:  time.Unix(w.from, 0).UTC(), Count: int(math.Round(now.calls)),
		Filter: fmt.Sprintf("service:%s duration>%v", k.service, d(b)),
	}, true
}

func percent(part float64) string {
	if part > 0.995 && part < 1 || part < 0.095 {
		return fmt.Sprintf("%.1f %%", math.Floor(part*1000)/10)
	}
	return fmt.Sprintf("%.0f %%", part*100)
}

// short is a method without its package.
func short(method string) string {
	if service, name, ok := strings.Cut(method, "/"); ok && !strings.Contains(method, " ") {
		return service[strings.LastIndexByte(service, '.')+1:] + "/" + name
	}
	return method
}

// explain adds what a failing call said, and where in its trace that began.
func (c *Collector) explain(ctx context.Context, pr Problem, t counted) Problem {
	if t.flow != nil {
		pr.Reason = t.flow.status
	}
	page, err := c.Traces(ctx, TraceQuery{Window: Window{From: pr.Since}, Service: pr.Service, Name: pr.Method, Errors: true, Limit: 1})
	if err == nil && len(page.Traces) == 0 {
		page, err = c.Traces(ctx, TraceQuery{Window: Window{From: pr.Since}, Service: pr.Service, Errors: true, Limit: 1})
	}
	if err != nil || len(page.Traces) == 0 {
		return pr
	}
	pr.TraceID = page.Traces[0].TraceID
	trace, err := c.Trace(ctx, pr.TraceID)
	if err != nil {
		return pr
	}
	// The cause is the deepest span that failed below the service's own.
	at := slices.IndexFunc(trace.Spans, func(s Span) bool { return s.Service == pr.Service && s.Status == statusFailed })
	for i := at + 1; at >= 0 && i < len(trace.Spans); i++ {
		if s := &trace.Spans[i]; s.Parent == at && s.Status == statusFailed {
			at = i
		}
	}
	if at < 0 {
		return pr
	}
	cause := &trace.Spans[at]
	if cause.Service != pr.Service {
		pr.Peer = cause.Service
	}
	if code, ok := (spanRecord{cause}).Attr("rpc.response.status_code"); ok {
		pr.Reason = code.String()
	}
	if message := cause.failure(); message != "" && message != pr.Reason {
		pr.Reason = strings.TrimPrefix(pr.Reason+": "+message, ": ")
	}
	return pr
}

// failure is what a span says of why it failed.
func (s *Span) failure() string {
	if s.Message != "" {
		return s.Message
	}
	for _, e := range slices.Backward(s.Events) {
		for _, a := range e.Attrs {
			if a.Key == "exception.message" {
				return valueText(a.Value)
			}
		}
	}
	return ""
}

// blame leaves of those that fail because of another one on the list only that one.
func blame(list []Problem) []Problem {
	own := make(map[string]bool)
	for _, p := range list {
		if p.Kind == "errors" && p.Peer == "" {
			own[p.Service] = true
		}
	}
	for i := range list {
		if p := &list[i]; p.Peer != "" && own[p.Peer] {
			p.Severity = "warning"
		}
	}
	return list
}

// loud returns the services that log errors and are not on the list already.
func (c *Collector) loud(ctx context.Context, w span, list []Problem) (more []Problem) {
	errors := c.of().logErrors(w)
	for _, name := range slices.Sorted(maps.Keys(errors)) {
		n := int(math.Round(errors[name]))
		if n < leastErrors || slices.ContainsFunc(list, func(p Problem) bool { return p.Service == name && p.Kind == "errors" }) {
			continue
		}
		pr := Problem{
			ID: "logs " + name, Kind: "logs", Severity: "warning", Service: name, Title: fmt.Sprintf("%s logs errors: %d in the last minute", name, n),
			Since: time.Unix(w.from, 0).UTC(), Count: n, Filter: "service:" + name + " level:error",
		}
		page, err := c.Logs(ctx, LogQuery{Window: Window{From: pr.Since}, Services: []string{name}, Level: "error", Limit: 1})
		if err == nil && len(page.Logs) > 0 {
			l := page.Logs[0]
			pr.Reason, pr.TraceID = l.Message, l.TraceID
			for _, a := range l.Attrs {
				if a.Key == "err" || a.Key == "error" {
					pr.Reason += ": " + valueText(a.Value)
				}
			}
		}
		more = append(more, pr)
	}
	return more
}
