package dashboard

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/telemetry/collector"
)

// missingFor is how far back calls count of services that are not there.
const missingFor = time.Minute

// missing returns the services that are called in vain, because no instance of them is ready, with what can be done about it. What calls say of
// their addresses counts where the system has such a service, or where nobody has answered at all.
func (s *Server) missing(ctx context.Context) ([]collector.Problem, error) {
	if s.System == nil || s.Collector == nil {
		return nil, nil
	}
	state, err := s.System.State(ctx)
	if err != nil || !state.Ready && state.Kind == KindDev { // the first start is not over
		return nil, err
	}
	m, err := s.Collector.Map(ctx, collector.Window{From: time.Now().Add(-missingFor)})
	if err != nil {
		return nil, err
	}
	found := make(map[string]*collector.Problem)
	for _, e := range m.Edges {
		if e.Errors == 0 || e.Kind != "rpc" && e.Kind != "http" {
			continue
		}
		i := slices.IndexFunc(state.Services, func(s Service) bool { return s.Name == e.To })
		var reason, todo string
		switch {
		case i >= 0:
			if reason, todo = state.Services[i].absent(state); reason == "" {
				continue
			}
		case e.Kind == "rpc" && e.Errors > 0.99*e.Calls && discovery.CheckName(e.To) == nil && e.To != "localhost":
			reason, todo = "no service of that name is known here", "see which there are: hanse ps"
		default:
			continue
		}
		p := found[e.To]
		if p == nil {
			p = &collector.Problem{
				ID: "missing " + e.To, Kind: "missing", Severity: "error", Service: e.To, Since: m.Window.From, Filter: "service:" + e.From + " status:error",
				Reason: reason + "; " + todo,
			}
			found[e.To] = p
		}
		p.Count += max(int(math.Round(e.Errors*m.Window.To.Sub(m.Window.From).Seconds())), 1)
	}
	var list []collector.Problem
	for name, p := range found {
		p.Title = fmt.Sprintf("%s has no instance that takes calls: %d failed", name, p.Count)
		list = append(list, *p)
	}
	slices.SortFunc(list, func(a, b collector.Problem) int { return cmp.Compare(a.ID, b.ID) })
	return list, nil
}

// absent says why no instance of the service takes calls, and what to do; "" is that one does.
func (s *Service) absent(in *State) (reason, todo string) {
	var worst Instance
	rank := map[string]int{"draining": 1, "starting": 2, "failed": 3}
	for _, i := range s.Instances {
		if i.State == "ready" {
			return "", ""
		}
		if rank[i.State] > rank[worst.State] {
			worst = i
		}
	}
	start := "start one"
	if in.Kind == KindDev {
		start = "start it: hanse start " + s.Name
	}
	switch worst.State {
	case "failed":
		return "the last one failed: " + cmp.Or(worst.Reason, "see its lines"), "its lines: hanse logs " + s.Name
	case "starting":
		return "it is starting", "its lines: hanse logs " + s.Name
	case "draining":
		return "the last one is draining", start
	}
	return "none runs", start
}
