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
}

func (p *machine) agent(dir string, args ...string) agent {
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
	return agent{p.t, s}
}

// call returns what a tool answers, and whether that is an error.
func (a agent) call(tool string, args map[string]any) (string, bool) {
	a.t.Helper()
	r, err := a.CallTool(a.t.Context(), &mcp.CallToolParams{Name: tool, Arguments: args})
	if err != nil {
		a.t.Fatalf("%s: %v", tool, err)
	}
	return r.Content[0].(*mcp.TextContent).Text, r.IsError
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
