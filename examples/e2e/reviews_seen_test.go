//go:build unix

package e2e_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/telemetry/collector"
)

// testReviewsSeen opens a page with reviews, and finds what it caused on the map and among the traces of the dashboard: calls from Go to Node and
// from Node to Go, in one trace, as the stock packages of OpenTelemetry tell them with nothing but the variables of hanse dev.
func testReviewsSeen(t *testing.T, s *system) {
	d := s.dashboard(t)
	visit(t, s.page(t)).open("/products/kontor-mug", "of 5 stars in")

	const node = "@opentelemetry/instrumentation-grpc"
	want := []string{
		"catalog server", "reviews client", "reviews client by " + node, "reviews server by " + node, "reviews server", "storefront client", "storefront server",
	}
	var got []string
	s.await(t, "a trace of the page with its reviews, and what those asked", func() bool {
		var page collector.TracePage
		d.get(t, "traces?q=ListReviews", &page)
		for _, one := range page.Traces {
			var tr collector.Trace
			d.get(t, "traces/"+one.TraceID, &tr)
			for _, span := range tr.Spans {
				if span.Service == "catalog" && span.Kind == "server" && slices.Contains(callers(tr, span), "reviews client by "+node) {
					got = callers(tr, span)
					return tr.Gaps == 0 && len(got) == len(want)
				}
			}
		}
		return false
	})
	if !slices.Equal(got, want) {
		t.Errorf("from the catalog up: %q, want %q", got, want)
	}
	var checks collector.TracePage
	if d.get(t, "traces?q=health.v1", &checks); len(checks.Traces) > 0 {
		t.Errorf("questions how the service does are traces: %+v", checks.Traces)
	}

	s.await(t, "both calls on the map", func() bool {
		var m collector.Map
		d.get(t, "map", &m)
		between := func(from, to string) bool {
			return slices.ContainsFunc(m.Edges, func(e collector.Edge) bool {
				return e.From == from && e.To == to && e.Kind == "rpc" && e.Calls > 0 && e.P95 > 0
			})
		}
		return between("storefront", "reviews") && between("reviews", "catalog") &&
			slices.ContainsFunc(m.Nodes, func(n collector.Node) bool { return n.Name == "reviews" && n.Kind == "service" && n.Calls > 0 })
	})
	var all struct{ Services []collector.ServiceSummary }
	d.get(t, "services", &all)
	if i := slices.IndexFunc(all.Services, func(s collector.ServiceSummary) bool { return s.Name == "reviews" }); i < 0 || all.Services[i].Language != "nodejs" || all.Services[i].Errors > 0 {
		t.Errorf("the service in JavaScript among %+v", all.Services)
	}
}

// callers are a span and those above it, with who made those that are not Hanse's.
func callers(tr collector.Trace, span collector.Span) (list []string) {
	for {
		one := span.Service + " " + span.Kind
		if !strings.HasPrefix(span.Scope, "github.com/hanse-go/hanse/") {
			one += " by " + span.Scope
		}
		if list = append(list, one); span.Parent < 0 {
			return list
		}
		span = tr.Spans[span.Parent]
	}
}

// dashboard is that of a system, as a program reads it.
type dashboard struct{ base, token string }

// dashboard returns the one whose link hanse dev has printed.
func (s *system) dashboard(t *testing.T) dashboard {
	t.Helper()
	m := regexp.MustCompile(`(?m)^  dashboard: (http://\S+)$`).FindStringSubmatch(s.out.String())
	if m == nil {
		t.Fatalf("no dashboard was announced:\n%s", s.out.String())
	}
	link, err := url.Parse(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return dashboard{"http://" + link.Host, link.Query().Get("token")}
}

// get reads what the page reads.
func (d dashboard) get(t *testing.T, path string, to any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", d.base+"/api/"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+d.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(to); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", path, res.Status, err)
	}
}
