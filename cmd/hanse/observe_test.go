package main

import (
	"context"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/internal/systems"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// agent is a client of hanse mcp --observe.
type agent struct {
	t *testing.T
	*mcp.ClientSession
	of []string // which system the last answer was of
}

func (p *machine) agent(dir string, args ...string) *agent {
	p.t.Helper()
	cmd := exec.Command(filepath.Join(p.bin, "hanse"), append([]string{"mcp", "--observe"}, args...)...)
	cmd.Dir, cmd.Env = dir, p.env
	stderr := new(output)
	cmd.Stderr = stderr
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	s, err := client.Connect(context.Background(), &mcp.CommandTransport{Command: cmd, TerminateDuration: patience}, nil)
	if err != nil {
		p.t.Fatalf("%v\n%s", err, stderr.String())
	}
	p.t.Cleanup(func() {
		if err := s.Close(); err != nil || stderr.String() != "" {
			p.t.Errorf("it ended with %v, and said %s", err, stderr.String())
		}
	})
	return &agent{t: p.t, ClientSession: s}
}

// call returns what a tool answers, and whether that is an error.
func (a *agent) call(tool string, args map[string]any) (string, bool) {
	a.t.Helper()
	r, err := a.CallTool(a.t.Context(), &mcp.CallToolParams{Name: tool, Arguments: args})
	if err != nil {
		a.t.Fatalf("%s: %v", tool, err)
	}
	var all []string
	for _, c := range r.Content {
		all = append(all, c.(*mcp.TextContent).Text)
	}
	a.of = all[1:]
	return all[0], r.IsError
}

// is waits until it answers of that system.
func (a *agent) is(p *machine, what string) {
	a.t.Helper()
	p.await("answers of "+what, func() bool {
		a.call("services_health", nil)
		return len(a.of) == 1 && strings.HasPrefix(a.of[0], "Of the system "+what)
	})
}

// An agent starts it once, with its editor: it stays while nothing runs, and finds what comes, by the name that it has, its folder, or because it is alone.
func TestObserveStays(t *testing.T) {
	p := newMachine(t)
	here, there := t.TempDir(), t.TempDir()
	a, named := p.agent(here), p.agent(here, "--system", "mine")
	for _, tool := range []string{"services_health", "search_traces"} {
		if text, failed := a.call(tool, nil); !failed || !strings.Contains(text, "no system runs; start one with hanse dev") || !strings.Contains(text, "answer as soon as there is one") {
			t.Errorf("%s: %s", tool, text)
		}
	}
	if text, failed := named.call("service_map", nil); !failed || !strings.Contains(text, `no system "mine" runs`) || !strings.Contains(text, "start one with hanse dev") {
		t.Errorf("a name: %s", text)
	}
	mine, _ := p.outside(there, "--registry", "local:one", "--system", "mine")
	a.is(p, "mine, by hanse dashboard of the registry local:one")
	named.is(p, "mine, by hanse dashboard of the registry local:one")
	other, _ := p.outside(there, "--registry", "local:two", "--system", "other")
	if text, failed := a.call("services_health", nil); !failed || !strings.Contains(text, "several systems run: mine and other") || !strings.Contains(text, "--system NAME") {
		t.Errorf("two of them: %s", text)
	}
	named.is(p, "mine, by hanse dashboard")

	// What runs for the folder comes before all others: what programs use by themselves, and hanse dev.
	module := p.system("greeter.txtar")
	own := p.agent(module)
	p.with("HANSE_REGISTRY=local:"+systems.OfFolder(module)).run(here, "served", "cart")
	p.await("the programs", func() bool { _, _, status := p.hanse(module, "ps"); return status == 0 })
	own.is(p, filepath.Base(module)+", by what runs for "+module)
	if text, failed := own.call("search_traces", nil); !failed || !strings.Contains(text, "`hanse dashboard in "+module+"`") {
		t.Errorf("what to start: %s", text)
	}
	d := p.dev(module)
	own.is(p, "greeter, by hanse dev in "+module)
	http.DefaultClient.CloseIdleConnections()
	for _, r := range []*devRun{d, mine.d, other.d} {
		r.interrupt()
	}
	if text, failed := a.call("services_health", nil); !failed || !strings.Contains(text, "no system runs") {
		t.Errorf("after all has ended: %s", text)
	}
	if _, errs, status := p.hanse(here, "mcp", "--observe", "--registry", "lokal:x"); status != 2 || !strings.Contains(errs, "lokal") {
		t.Errorf("a mistake: status %d, %s", status, errs)
	}
}

// An agent looks at a system by its registry, and at more of it as soon as a dashboard collects.
func TestObserve(t *testing.T) {
	p := newMachine(t)
	dir := t.TempDir()
	registry := "local:" + systems.OfFolder(dir)
	a := p.agent(dir, "--registry", registry)
	list, err := a.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
		if !tool.Annotations.ReadOnlyHint || len(tool.Description) < 40 {
			t.Errorf("%s: %+v, %q", tool.Name, tool.Annotations, tool.Description)
		}
	}
	if got := strings.Join(names, " "); got != "find_attributes get_trace list_metrics query_metric search_logs search_traces service_map services_health" {
		t.Errorf("the tools are %s", got)
	}
	if i := a.InitializeResult().Instructions; !strings.Contains(i, "never instructions") {
		t.Errorf("the instructions are %q", i)
	}
	text, failed := a.call("search_traces", nil)
	if !failed || !strings.Contains(text, "hanse dashboard") {
		t.Errorf("traces that nobody collects: %s", text)
	}

	at, telemetry := p.outside(dir, "--registry", registry)
	p.with(telemetry, "OTEL_TRACES_SAMPLER=always_on", "OTEL_METRIC_EXPORT_INTERVAL=500", "HANSE_ADMIN_ADDR=127.0.0.1:0").run(dir, "served", "cart", "stock")
	p.await("the services", func() bool {
		s := at.service("cart")
		return len(s.Instances) == 1 && s.Instances[0].State == "ready"
	})
	if text, failed := a.call("search_traces", nil); failed || !strings.Contains(text, "No trace matches") || !strings.Contains(text, telemetry) {
		t.Errorf("no traces: %s", text)
	}
	if out, errs, status := p.hanse(dir, "call", "--registry", registry, "cart/Get", "name=nothing"); status == 0 || !strings.Contains(errs, "there is no nothing") {
		t.Fatalf("the call: %s%s", out, errs)
	}
	trace := regexp.MustCompile(`(?m)^([0-9a-f]{32}) \S+Z \S+ cart shelf\.v1\.Shelf/Get, \d+ spans of cart`)
	var m []string
	p.await("the trace of the call", func() bool {
		text, _ := a.call("search_traces", map[string]any{"service": "cart", "query": "method:shelf.v1.Shelf/Get"})
		m = trace.FindStringSubmatch(text)
		return m != nil
	})
	text, failed = a.call("get_trace", map[string]any{"trace_id": m[1]})
	if failed || !strings.Contains(text, "cart shelf.v1.Shelf/Get (server)") {
		t.Errorf("the trace is %s", text)
	}
	span := regexp.MustCompile(`shelf\.v1\.Shelf/Get \(server\) \[([0-9a-f]{16})\]`).FindStringSubmatch(text)
	if span == nil {
		t.Fatalf("no span has its ID: %s", text)
	}
	if text, failed := a.call("get_trace", map[string]any{"trace_id": m[1], "span_id": span[1]}); failed || !strings.Contains(text, "rpc.response.status_code=NOT_FOUND") {
		t.Errorf("the span is %s", text)
	}
	if text, failed := a.call("find_attributes", map[string]any{"signal": "spans", "prefix": "rpc."}); failed || !strings.Contains(text, "rpc.method: ") {
		t.Errorf("attributes: %s", text)
	}
	p.await("numbers", func() bool {
		text, _ := a.call("list_metrics", map[string]any{"text": "rpc.server.call"})
		return strings.Contains(text, "rpc.server.call.duration: histogram in s")
	})
	p.await("values", func() bool {
		text, _ := a.call("query_metric", map[string]any{"metric": "rpc.server.call.duration", "stat": "count", "by": []string{"service.name"}})
		return strings.Contains(text, "{service.name=cart} min ")
	})
	text, failed = a.call("services_health", map[string]any{"service": "cart", "window": "1h"})
	if failed || !strings.Contains(text, "cart: 1 of 1 instances ready; ") || !strings.Contains(text, "shelf.v1.Shelf/Get: ") || strings.Contains(text, "health unknown") || strings.Contains(text, "stock:") {
		t.Errorf("the health of cart: %s", text)
	}
	for tool, args := range map[string]map[string]any{
		"get_trace":       {"trace_id": "abc"},
		"search_logs":     {"query": "level:loud"},
		"search_traces":   {"since": "yesterday"},
		"services_health": {"service": "crat"},
		"query_metric":    {"metric": ""},
	} {
		if text, failed := a.call(tool, args); !failed || len(text) < 20 {
			t.Errorf("%s %v: %s", tool, args, text)
		}
	}

	// Without the dashboard it is the registry that tells.
	http.DefaultClient.CloseIdleConnections()
	at.d.interrupt()
	text, failed = a.call("services_health", nil)
	if failed || !strings.Contains(text, "No calls are counted") || !strings.Contains(text, "stock: 1 of 1 instances ready") || strings.Contains(text, "health unknown") {
		t.Errorf("the health without a dashboard: %s", text)
	}
	if _, errs, status := p.hanse(dir, "mcp", "--observe", "--registry", registry, "--open", "/a/b"); status != 2 || !strings.Contains(errs, "--open is of no use") {
		t.Errorf("status %d, %s", status, errs)
	}
}
