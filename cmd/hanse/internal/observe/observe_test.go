package observe_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/observe"
	"github.com/hanse-go/hanse/dashboard"
	"github.com/hanse-go/hanse/telemetry/collector"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// api answers what a test gave it, and remembers what was asked.
type api struct {
	answers map[string]any
	asked   map[string]url.Values
}

func (a *api) API(_ context.Context, path string, q url.Values, v any) error {
	a.asked[path] = q
	text, err := json.Marshal(a.answers[path])
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}

// call calls a tool of a system that answers so.
func call(t *testing.T, answers map[string]any, tool string, args map[string]any) (text string, failed bool, a *api) {
	t.Helper()
	a = &api{answers, map[string]url.Values{}}
	content, failed := callAt(t, func(context.Context) (observe.Source, error) {
		return observe.Source{API: a, System: "the system shop"}, nil
	}, tool, args)
	if len(content) != 2 || content[1] != "Of the system shop." {
		t.Errorf("%s does not say which system answers: %q", tool, content)
	}
	return content[0], failed, a
}

// callAt calls a tool, and returns all that it answers.
func callAt(t *testing.T, source func(context.Context) (observe.Source, error), tool string, args map[string]any) (content []string, failed bool) {
	t.Helper()
	s := observe.New(observe.Options{Source: source})
	here, there := mcp.NewInMemoryTransports()
	server, err := s.Connect(t.Context(), there, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Wait()
	client, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(), here, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	r, err := client.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: args})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Content {
		content = append(content, c.(*mcp.TextContent).Text)
	}
	return content, r.IsError
}

// Where there is no system, each tool says why.
func TestNoSystem(t *testing.T) {
	for tool, args := range map[string]map[string]any{
		"services_health": nil, "service_map": nil, "search_logs": nil, "search_traces": nil, "get_trace": {"trace_id": strings.Repeat("a", 32)},
		"find_attributes": {"signal": "logs"}, "list_metrics": nil, "query_metric": {"metric": "x"},
	} {
		content, failed := callAt(t, func(context.Context) (observe.Source, error) { return observe.Source{}, errors.New("nothing runs") }, tool, args)
		if !failed || !slices.Equal(content, []string{"nothing runs"}) {
			t.Errorf("%s: %q", tool, content)
		}
	}
}

// most is how long an answer may be, with what it says of what it leaves out.
const most = 25 << 10

var began = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func TestLogsAreBounded(t *testing.T) {
	page := collector.LogPage{Next: "l0", Partial: true}
	for i := range 500 {
		page.Logs = append(page.Logs, collector.Log{ID: fmt.Sprintf("l%d", i), Time: began.Add(time.Duration(i) * time.Second), Service: "cart", Level: "WARN",
			Message: fmt.Sprintf("line %d\nof two ", i) + strings.Repeat("x", 3000), Attrs: []collector.Attr{{Key: "who", Value: "Ada L"}}, TraceID: strings.Repeat("a", 32)})
	}
	text, failed, a := call(t, map[string]any{"logs": page}, "search_logs", map[string]any{"query": "x", "services": []string{"cart", "stock"}, "limit": 500})
	if failed || len(text) > most {
		t.Fatalf("%d bytes, %s", len(text), text)
	}
	for _, want := range []string{
		"line 499 of two", "… (", `who="Ada L" trace=aaaa`, "older lines are left out", "the search took too long", "2026-01-31T12:08:19.000Z WARN cart line 499",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "line 1 of") || strings.Contains(text, `before="l0"`) {
		t.Errorf("the oldest are there:\n%s", text)
	}
	// What is left out is had by what was said.
	var before string
	for line := range strings.SplitSeq(text, "\n") {
		if _, rest, ok := strings.Cut(line, `or before="`); ok {
			before, _, _ = strings.Cut(rest, `"`)
		}
	}
	var first int
	if _, err := fmt.Sscanf(before, "l%d", &first); err != nil || !strings.Contains(text, fmt.Sprintf("line %d of", first)) || strings.Contains(text, fmt.Sprintf("line %d of", first-1)) {
		t.Errorf("before is %q", before)
	}
	if q := a.asked["logs"]; q.Get("window") != "1h" || q.Get("limit") != "500" || strings.Join(q["service"], " ") != "cart stock" || q.Get("q") != "x" {
		t.Errorf("it asked for %v", q)
	}
	if text, failed, _ := call(t, nil, "search_logs", map[string]any{"limit": 501}); !failed || !strings.Contains(text, "limit: 501") {
		t.Errorf("too many: %s", text)
	}
}

func TestTraceIsBounded(t *testing.T) {
	id := strings.Repeat("a", 32)
	tr := collector.Trace{TraceID: id, Start: began, Duration: time.Second, Errors: 1, Services: []collector.TraceService{{Name: "cart"}}}
	for i := range 2000 {
		tr.Spans = append(tr.Spans, collector.Span{SpanID: fmt.Sprintf("%016x", i), Service: "cart", Name: fmt.Sprintf("op-%d", i), Start: began, Duration: time.Duration(i), Depth: min(i, 30)})
	}
	tr.Spans[7].Status, tr.Spans[7].Message = "error", "out of stock"
	tr.Spans[9].Critical = true
	answers := map[string]any{"traces/" + id: tr, "traces/" + id + "/logs": collector.LogPage{Logs: []collector.Log{{Time: began, Service: "cart", Message: "hello", TraceID: id}}}}
	text, failed, _ := call(t, answers, "get_trace", map[string]any{"trace_id": strings.ToUpper(id)})
	if failed || len(text) > most {
		t.Fatalf("%d bytes, %s", len(text), text)
	}
	for _, want := range []string{"2000 spans of cart, 1 failed", "cart op-7 [0000000000000007] FAILED: out of stock", "*+0s", "op-9 ", "op-1999", "[1850 of 2000 spans are left out", "1 log lines:", "- cart hello\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "op-100 ") || strings.Index(text, "op-7 ") > strings.Index(text, "op-9 ") {
		t.Errorf("these are not the spans that say most, in their order:\n%s", text)
	}
	if text, failed, _ := call(t, answers, "get_trace", map[string]any{"trace_id": id, "span_id": "ffff"}); !failed || !strings.Contains(text, "without span_id") {
		t.Errorf("no such span: %s", text)
	}
}

func TestHealth(t *testing.T) {
	answers := map[string]any{
		"system": dashboard.State{Name: "shop", Kind: dashboard.KindRegistry, Production: true, Services: []dashboard.Service{
			{Name: "cart", Want: 2, Instances: []dashboard.Instance{{ID: "i1", State: "ready", Version: "v2"}}},
			{Name: "idle", Instances: []dashboard.Instance{}},
		}},
		"services": map[string]any{"services": []collector.ServiceSummary{
			{Name: "cart", Numbers: collector.Numbers{Calls: 12.5, Errors: 1.25, P50: time.Millisecond, P95: 2 * time.Second}, LogErrors: 3}, {Name: "node", Numbers: collector.Numbers{}},
		}},
		"problems":             map[string]any{"problems": []collector.Problem{{Severity: "error", Title: "cart fails", Reason: "UNAVAILABLE: no database", Count: 9, Since: began, TraceID: "abc", Service: "cart"}}},
		"services/cart/health": map[string]any{"instances": []any{map[string]any{"instance": "i1", "report": map[string]any{"checks": []any{map[string]any{"check": "database", "reason": "connection refused"}, map[string]any{"check": "ok"}}}}}},
	}
	text, failed, _ := call(t, answers, "services_health", nil)
	want := `System shop (seen from outside, PRODUCTION), 3 services, calls over the last 5m.

- [error] cart fails: UNAVAILABLE: no database (9 since 2026-01-31T12:00:00.000Z) trace abc

cart: 1 of 2 instances ready; 12.5 calls/s, 10 % errors, p50 1ms p95 2s p99 0s; 3 lines logged at ERROR
  instance i1, ready, version v2
    FAILS: database: connection refused
idle: 0 of 0 instances ready
node: not in the registry, seen by its telemetry; no calls
`
	if failed || text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
	if text, failed, _ := call(t, answers, "services_health", map[string]any{"service": "crat"}); !failed || !strings.Contains(text, "there are: cart, idle, node") {
		t.Errorf("no such service: %s", text)
	}
}
