package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/telemetry/collector"
)

// observesDev holds what an agent sees of a system of hanse dev, in which this trace failed, by each tool of hanse mcp --observe.
func observesDev(t *testing.T, d *devRun, failing collector.TraceSummary) {
	a := d.agent(d.dir)
	says := func(tool string, args map[string]any, wants ...string) string {
		t.Helper()
		text, failed := a.call(tool, args)
		if failed {
			t.Errorf("%s %v fails: %s", tool, args, text)
		}
		for _, want := range wants {
			if !regexp.MustCompile(want).MatchString(text) {
				t.Errorf("%s %v has no %s:\n%s", tool, args, want, text)
			}
		}
		return text
	}
	const stamp = `\d{4}-\d\d-\d\dT[\d:.]+Z`
	line := stamp + ` WARN front this will fail .*\border=7\b.* trace=` + failing.TraceID

	// search_logs, by each of its conditions.
	for _, args := range []map[string]any{
		{"query": "order=7"},
		{"query": `"will fail" level:warn -service:back`},
		{"query": "/this.*fail/", "services": []string{"front", "back"}, "since": "2h"},
		{"level": "warn", "services": []string{"front"}},
		{"trace_id": failing.TraceID},
	} {
		if text := says("search_logs", args, `^1 lines, the oldest first:\n`+line+`\n$`); strings.Count(text, "\n") != 2 {
			t.Errorf("search_logs %v has more:\n%s", args, text)
		}
	}
	for _, args := range []map[string]any{
		{"query": "order=8"}, {"services": []string{"back"}, "level": "warn"}, {"trace_id": strings.Repeat("0", 31) + "1"},
	} {
		says("search_logs", args, `^No line matches in the last 1h\. Try fewer terms, or a longer time\.\n$`)
	}
	all := says("search_logs", map[string]any{"limit": 500}, line)
	older := regexp.MustCompile(`\[there are older ones: before="([^"]+)"\]`)
	var pages []string // the lines, page by page: those that came last are on the first one, and each page is in the order of time
	args := map[string]any{"limit": 3}
	for {
		text := says("search_logs", args)
		var lines []string
		for l := range strings.Lines(text) {
			if regexp.MustCompile("^" + stamp).MatchString(l) {
				lines = append(lines, l)
			}
		}
		pages = append(lines, pages...)
		m := older.FindStringSubmatch(text)
		if m == nil {
			break
		}
		if len(lines) != 3 {
			t.Fatalf("a page of %d lines:\n%s", len(lines), text)
		}
		args = map[string]any{"limit": 3, "before": m[1]}
	}
	_, after, _ := strings.Cut(all, "\n")
	slices.Sort(pages) // a line may have come before one that is older
	if !slices.Equal(pages, slices.Sorted(strings.Lines(after))) {
		t.Errorf("page by page:\n%s\nat once:\n%s", strings.Join(pages, ""), after)
	}

	// search_traces and get_trace.
	found := failing.TraceID + ` ` + stamp + ` \S+ front \S*TestService/UnaryCall, ` + fmt.Sprint(failing.Spans) + ` spans of .*\bfront\b.*, ` + fmt.Sprint(failing.Errors) + ` failed`
	for _, args := range []map[string]any{
		{"errors_only": true}, {"query": "status:DATA_LOSS"}, {"service": "back", "operation": "grpc.testing.TestService/UnaryCall", "min_duration": "1ns"},
	} {
		says("search_traces", args, `^1 traces:\n`+found+`\n$`)
	}
	says("search_traces", map[string]any{"limit": 2}, `^2 traces:\n`, `there are more: before="`)
	says("search_traces", map[string]any{"service": "back", "min_duration": "1h"}, `^No trace matches in the last 1h\.`)
	tree := says("get_trace", map[string]any{"trace_id": failing.TraceID},
		`^Trace `+failing.TraceID+` began `+stamp+`, took \S+, `+fmt.Sprint(failing.Spans)+` spans of .*, `+fmt.Sprint(failing.Errors)+` failed\.`,
		`(?m)^ +\*\+\S+ \S+ back grpc\.testing\.TestService/UnaryCall \(server\) \[[0-9a-f]{16}\] FAILED.* rpc\.response\.status_code=DATA_LOSS`,
		`\n1 log lines:\n`+stamp+` WARN front this will fail .*order=7`)
	if text := says("get_trace", map[string]any{"trace_id": failing.TraceID, "no_logs": true}); text+"\n1 log lines:" != tree[:strings.Index(tree, "1 log lines:")+len("1 log lines:")] {
		t.Errorf("without its lines:\n%s", text)
	}
	span := regexp.MustCompile(`back grpc\.testing\.TestService/UnaryCall \(server\) \[([0-9a-f]{16})\]`).FindStringSubmatch(tree)
	if span == nil {
		t.Fatal("no span has its ID")
	}
	says("get_trace", map[string]any{"trace_id": failing.TraceID, "span_id": span[1]}, `(?m)^status "error" the back has lost it`, `(?m)^  rpc\.method=`, `\nprogram:\n`)

	// What there is to search by, and numbers.
	says("find_attributes", map[string]any{"signal": "logs", "prefix": "ord"}, `^order: 1 times: 7 \(1\)\n$`)
	says("find_attributes", map[string]any{"signal": "spans", "key": "rpc.response.status_code"}, `DATA_LOSS \(\d+\)`)
	says("list_metrics", map[string]any{"service": "back", "text": "rpc.server.call.duration"}, `(?m)^rpc\.server\.call\.duration: histogram in s, \d+ series, of .*\bback\b`)
	says("query_metric", map[string]any{"metric": "rpc.server.call.duration", "stat": "count", "by": []string{"service.name"}, "where": []string{"service.name=back"}},
		`(?m)^count of rpc\.server\.call\.duration`, `(?m)^\{service\.name=back\} min `)
	says("query_metric", map[string]any{"metric": "rpc.server.call.duration", "where": []string{"service.name=nobody"}}, `^It has no values in the last 15m`)

	// Who there is, how it does, and who calls whom.
	if text := says("services_health", nil, `^System traces \(run by hanse dev\), 3 services`, `(?m)^back: 1 of 1 instances ready; [\d.e-]+ calls/s, `, `(?m)^front: 1 of 1 instances ready; `, `(?m)^  instance \S+, ready, version `); strings.Contains(text, "\nhanse:") {
		t.Errorf("hanse dev is among the services:\n%s", text)
	}
	says("services_health", map[string]any{"service": "front", "window": "15m"}, `Methods that it serves:\n`, `(?m)^  grpc\.testing\.TestService/UnaryCall: .*DATA_LOSS 1`, `(?m)^  back grpc\.testing\.TestService/EmptyCall: `)
	says("service_map", nil, `(?m)^front -> back \(\w+\): [\d.e-]+ calls/s, `)

	for tool, args := range map[string]map[string]any{
		"get_trace": {"trace_id": strings.Repeat("0", 31) + "1"}, "search_logs": {"query": "level:loud"}, "search_traces": {"since": "yesterday"},
		"services_health": {"service": "frnt"}, "query_metric": {"metric": "rpc.server.call.duratoin"}, "service_map": {"window": "-1h"}, "find_attributes": {"limit": 100000},
	} {
		if text, failed := a.call(tool, args); !failed || len(text) < 20 {
			t.Errorf("%s %v: %s", tool, args, text)
		}
	}

	// An agent stays while hanse dev ends and begins again.
	d.interrupt()
	if text, failed := a.call("search_logs", map[string]any{"query": "order=7"}); !failed || !strings.Contains(text, "no system runs; start one with hanse dev") || !strings.Contains(text, "answer as soon as there is one") {
		t.Errorf("after hanse dev has ended: %s", text)
	}
	d.dev(d.dir)
	says("search_logs", map[string]any{"query": "order=7"}, line)
}
