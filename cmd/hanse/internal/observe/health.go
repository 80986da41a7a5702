package observe

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/dashboard"
	"github.com/hanse-go/hanse/telemetry/collector"
)

type healthIn struct {
	Service string `json:"service,omitempty" jsonschema:"Only this service, with its methods, whom it calls and who calls it. Default: all"`
	Window  string `json:"window,omitempty" jsonschema:"Over how long calls are counted: 30s, 5m, 1h or 2d. Default: 5m"`
}

// report is what an instance says of itself.
type report struct {
	Instance string          `json:"instance"`
	Report   json.RawMessage `json:"report"`
	Error    string          `json:"error"`
}

// readiness is the report of a health check.
type readiness struct {
	Ready  bool   `json:"ready"`
	State  string `json:"state"`
	Checks []struct {
		Check   string `json:"check"`
		Reason  string `json:"reason"`
		Warning bool   `json:"warning"`
	} `json:"checks"`
}

// devLines is the name under which hanse dev keeps what it says itself: it is no service.
const devLines = "hanse"

func (t tools) health(ctx context.Context, b *text, in healthIn) error {
	b.narrower("name one service")
	window := cmp.Or(in.Window, "5m")
	var st dashboard.State
	if err := t.ask(ctx, "system", nil, &st); err != nil {
		return err
	}
	var numbers struct{ Services []collector.ServiceSummary }
	var problems struct{ Problems []collector.Problem }
	if err := t.ask(ctx, "services", url.Values{"window": {window}}, &numbers); err != nil {
		return err
	}
	if err := t.ask(ctx, "problems", nil, &problems); err != nil {
		return err
	}
	names := make(map[string]bool)
	for _, s := range st.Services {
		names[s.Name] = true
	}
	for _, s := range numbers.Services {
		if s.Name != devLines || st.Kind != dashboard.KindDev {
			names[s.Name] = true
		}
	}
	if in.Service != "" && !names[in.Service] {
		return fmt.Errorf("there is no service %q; there are: %s", in.Service, list(names))
	}
	kind := "run by hanse dev"
	if st.Kind == dashboard.KindRegistry {
		kind = "seen from outside"
	}
	if st.Production {
		kind += ", PRODUCTION"
	}
	b.linef("System %s (%s), %d services, calls over the last %s.", st.Name, kind, len(names), window)
	if t.source.Missing != "" {
		b.linef("No calls are counted: %s", t.source.Missing)
	}
	b.linef("")
	wrong := 0
	for _, p := range st.Problems {
		wrong++
		b.linef("- %s", cut(p, 500))
	}
	for _, p := range problems.Problems {
		if in.Service != "" && p.Service != in.Service && p.Peer != in.Service {
			continue
		}
		wrong++
		line := fmt.Sprintf("- [%s] %s: %s (%d since %s)", p.Severity, p.Title, cut(p.Reason, 300), p.Count, stamp(p.Since))
		if p.TraceID != "" {
			line += " trace " + p.TraceID
		}
		b.linef("%s", line)
	}
	if wrong == 0 {
		b.linef("No problem is known.")
	}
	b.linef("")
	health := t.ready(ctx, &st, in.Service)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if in.Service != "" && name != in.Service {
			continue
		}
		t.service(b, name, &st, numbers.Services, health[name])
	}
	if in.Service != "" && t.source.Missing == "" {
		return t.methods(ctx, b, in.Service, window)
	}
	return nil
}

// ready asks all instances for their health, a few services at a time. What does not answer is no error: its report says so.
func (t tools) ready(ctx context.Context, st *dashboard.State, only string) map[string][]report {
	all := make(map[string][]report)
	var mu sync.Mutex
	var work sync.WaitGroup
	slots := make(chan struct{}, 8)
	for _, s := range st.Services {
		if only != "" && s.Name != only || len(s.Instances) == 0 {
			continue
		}
		slots <- struct{}{}
		work.Go(func() {
			defer func() { <-slots }()
			var answer struct{ Instances []report }
			if err := t.ask(ctx, "services/"+url.PathEscape(s.Name)+"/health", nil, &answer); err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			all[s.Name] = answer.Instances
		})
	}
	work.Wait()
	return all
}

func (t tools) service(b *text, name string, st *dashboard.State, numbers []collector.ServiceSummary, health []report) {
	n := slices.IndexFunc(numbers, func(s collector.ServiceSummary) bool { return s.Name == name })
	var parts []string
	i := slices.IndexFunc(st.Services, func(s dashboard.Service) bool { return s.Name == name })
	var svc dashboard.Service
	if i >= 0 {
		svc = st.Services[i]
		ready := 0
		for _, one := range svc.Instances {
			if one.State == "ready" {
				ready++
			}
		}
		parts = append(parts, fmt.Sprintf("%d of %d instances ready", ready, max(svc.Want, len(svc.Instances))))
	} else {
		parts = append(parts, "not in the registry, seen by its telemetry")
	}
	if n >= 0 {
		parts = append(parts, figures(numbers[n].Numbers))
		if numbers[n].LogErrors > 0 {
			parts = append(parts, fmt.Sprintf("%d lines logged at ERROR", numbers[n].LogErrors))
		}
	}
	b.linef("%s: %s", name, strings.Join(parts, "; "))
	for _, one := range svc.Instances {
		words := []string{one.ID, one.State}
		if one.Version != "" {
			words = append(words, "version "+one.Version)
		}
		if one.Restarts > 0 {
			words = append(words, fmt.Sprintf("%d restarts", one.Restarts))
		}
		if one.Reason != "" {
			words = append(words, cut(one.Reason, 300))
		}
		b.linef("  instance %s", strings.Join(words, ", "))
		h := slices.IndexFunc(health, func(r report) bool { return r.Instance == one.ID })
		if h < 0 {
			continue
		}
		var r readiness
		if health[h].Error != "" {
			b.linef("    health unknown: %s", cut(health[h].Error, 200))
		} else if json.Unmarshal(health[h].Report, &r) == nil {
			for _, c := range r.Checks {
				switch {
				case c.Reason == "":
				case c.Warning:
					b.linef("    warning: %s: %s", c.Check, cut(c.Reason, 300))
				default:
					b.linef("    FAILS: %s: %s", c.Check, cut(c.Reason, 300))
				}
			}
		}
	}
}

func (t tools) methods(ctx context.Context, b *text, service, window string) error {
	var d collector.ServiceDetail
	if err := t.ask(ctx, "services/"+url.PathEscape(service), url.Values{"window": {window}}, &d); err != nil {
		b.linef("\nIt has told of no calls in the last %s.", window) // it may not be known to the collector
		return nil
	}
	b.linef("\nMethods that it serves:")
	for _, m := range d.Methods {
		b.linef("  %s: %s%s", m.Name, figures(m.Numbers), statuses(m.Status))
	}
	b.linef("Calls that it makes:")
	for _, m := range d.Calls {
		b.linef("  %s %s: %s%s", m.Peer, m.Name, figures(m.Numbers), statuses(m.Status))
	}
	b.linef("Who calls it:")
	for _, e := range d.Callers {
		b.linef("  %s: %s", e.From, figures(e.Numbers))
	}
	return nil
}

type mapIn struct {
	Window string `json:"window,omitempty" jsonschema:"Over how long calls are counted: 30s, 5m, 1h or 2d. Default: 15m"`
}

func (t tools) serviceMap(ctx context.Context, b *text, in mapIn) error {
	window := cmp.Or(in.Window, "15m")
	var m collector.Map
	if err := t.collected(ctx, "map", url.Values{"window": {window}}, &m); err != nil {
		return err
	}
	if len(m.Edges) == 0 {
		t.nothing(b, "Nobody called anybody in the last "+window+".", "Try a longer window.")
		return nil
	}
	b.narrower("take a shorter window, or services_health of one service")
	b.linef("%d services, databases and topics, %d pairs, over the last %s:", len(m.Nodes), len(m.Edges), window)
	for _, e := range m.Edges {
		b.linef("%s -> %s (%s): %s", e.From, e.To, e.Kind, figures(e.Numbers))
	}
	return nil
}

// figures is what is counted of calls.
func figures(n collector.Numbers) string {
	if n.Calls == 0 {
		return "no calls"
	}
	return fmt.Sprintf("%.3g calls/s, %.3g %% errors, p50 %s p95 %s p99 %s", n.Calls, 100*n.Errors/n.Calls, took(n.P50), took(n.P95), took(n.P99))
}

// statuses are those of calls, if there are others than OK.
func statuses(s map[string]int) string {
	if len(s) == 0 || len(s) == 1 && s["OK"] > 0 {
		return ""
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(s)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, s[name]))
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// took is a duration with three digits or so.
func took(d time.Duration) string {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(100 * time.Nanosecond).String()
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func list(names map[string]bool) string { return strings.Join(slices.Sorted(maps.Keys(names)), ", ") }
