package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/dashboard"
	"github.com/hanse-go/hanse/internal/duration"
	"github.com/hanse-go/hanse/telemetry/collector"
)

// read runs a command with --json and reads what it prints.
func read[T any](d *devRun, args ...string) (v T) {
	d.t.Helper()
	text := d.must(append(args, "--json")...)
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		d.t.Fatalf("hanse %s: %v\n%s", strings.Join(args, " "), err, text)
	}
	return v
}

// TestTraceAndTop looks at the requests of a system from the shell, and at how busy it is.
func TestTraceAndTop(t *testing.T) {
	p := newMachine(t)
	d := p.dev(p.system("traces.txtar"))
	tail := p.background(d.dir, "trace", "tail", "-n", "0", "--json")
	if _, errs, _ := p.hanse(d.dir, "trace", "ls", "front"); !strings.Contains(errs, "No request since ") {
		t.Errorf("before there was one: %q", errs)
	}
	for range 5 {
		d.must("call", "front/grpc.testing.TestService/EmptyCall")
	}
	if _, errs, status := p.hanse(d.dir, "call", "front/grpc.testing.TestService/UnaryCall"); status == 0 || !strings.Contains(errs, "the back has lost it") {
		t.Fatalf("the call that fails: status %d, %s", status, errs)
	}
	const ours = "service:front method:EmptyCall,UnaryCall"
	list := func(args ...string) []collector.TraceSummary {
		t.Helper()
		return read[[]collector.TraceSummary](d, append([]string{"trace", "ls", ours}, args...)...)
	}
	whole := func(s collector.TraceSummary) bool { return len(s.Services) >= 2 && s.Spans >= 3 }
	p.await("all spans are there", func() bool {
		l := list()
		return len(l) == 6 && !slices.ContainsFunc(l, func(s collector.TraceSummary) bool { return !whole(s) }) && list("status:error")[0].Spans >= 5
	})

	t.Run("ls", func(t *testing.T) {
		all := list()
		rows := strings.Split(strings.TrimSuffix(d.must("trace", "ls", ours), "\n"), "\n")
		if got := strings.Fields(rows[0]); !slices.Equal(got, traceHead) || len(rows) != len(all)+1 {
			t.Fatalf("the table has %d rows:\n%s", len(rows), strings.Join(rows, "\n"))
		}
		for i, s := range all {
			want := []string{s.TraceID[:8], s.Start.Local().Format("15:04:05.000"), duration.Text(s.Duration), fmt.Sprint(s.Spans)}
			if s.Errors > 0 {
				want = append(want, fmt.Sprint(s.Errors))
			}
			want = append(want, fmt.Sprint(len(s.Services)), s.Service, ui.Method(s.Name))
			if s.Status == "error" {
				want = append(want, "✗")
			}
			if got := strings.Fields(rows[i+1]); !slices.Equal(got, strings.Fields(strings.Join(want, " "))) {
				t.Errorf("the table has %q, and JSON %q", got, want)
			}
		}
		if !slices.IsSortedFunc(all, func(a, b collector.TraceSummary) int { return b.Start.Compare(a.Start) }) {
			t.Error("not the newest first")
		}
		slow := list("--sort", "slowest", "--limit", "3")
		if len(slow) != 3 || !slices.IsSortedFunc(slow, func(a, b collector.TraceSummary) int { return int(b.Duration - a.Duration) }) {
			t.Errorf("the slowest: %+v", slow)
		}
		if l := list("order=7"); len(l) != 0 {
			t.Errorf("attributes of logs are none of spans: %+v", l)
		}
		if _, errs, status := p.hanse(d.dir, "trace", "tail", "status:DATALOST"); status == 0 || !strings.Contains(errs, `trace tail: no status "DATALOST": did you mean DATA_LOSS?`) {
			t.Errorf("status %d, %s", status, errs)
		}
		for name, want := range map[string]string{
			"rpc.methd": "None of the newest spans has an attribute rpc.methd; did you mean rpc.method?\n", "order": "None of the newest spans has an attribute order.\n", "rpc.system.name": "",
		} {
			out, errs, status := p.hanse(d.dir, "trace", "ls", "--json", ours, name+"=7")
			if out, errs2, _ := p.hanse(d.dir, "trace", "ls", ours, name+"=7"); out != "" || !strings.HasSuffix(errs2, "ask for less.\n"+want) {
				t.Errorf("%s: %q, %q", name, out, errs2)
			}
			if out != "[]\n" || errs != "" || status != 0 {
				t.Errorf("%s, as JSON: status %d, %q, %q", name, status, out, errs)
			}
		}
		if l := list("method:TestService/UnaryCall", "status:DATA_LOSS"); len(l) != 1 || l[0].Errors == 0 {
			t.Errorf("by method and status: %+v", l)
		}
		if l := read[[]collector.TraceSummary](d, "trace", "ls", "back", "method:EmptyCall,UnaryCall"); len(l) != 6 {
			t.Errorf("by the name of a service: %d", len(l))
		}
		if l := list("--since", time.Now().Add(time.Hour).Format(time.RFC3339)); len(l) != 0 {
			t.Errorf("of the future: %+v", l)
		}
		if _, errs, status := p.hanse(d.dir, "trace", "ls", "bak"); status != 1 || !strings.Contains(errs, `there is no service "bak" in traces; did you mean back?`) {
			t.Errorf("status %d, %s", status, errs)
		}
	})

	failing := list("status:error")[0]
	t.Run("show", func(t *testing.T) {
		shown := read[shownTrace](d, "trace", "show", failing.TraceID[:12], "--logs")
		if shown.TraceID != failing.TraceID || len(shown.Spans) != failing.Spans || shown.Errors != failing.Errors || len(shown.Logs) != 1 {
			t.Fatalf("%+v", shown)
		}
		// The picture has the same spans, in the same order, with the same numbers.
		text := d.must("trace", "show", failing.TraceID, "--width", "140")
		lines := strings.Split(text, "\n")
		for _, s := range shown.Spans {
			arrow := ""
			if s.Kind == "client" {
				arrow = "→ "
			}
			bar := "[█░]+"
			if s.Gap {
				continue
			}
			row := regexp.MustCompile(fmt.Sprintf(`^[│├└ ]{%d}%s %s%s( ✗)? +%s +%s$`, 2*s.Depth, s.Service, arrow, regexp.QuoteMeta(ui.Method(s.Name)), duration.Text(s.Duration), bar))
			at := slices.IndexFunc(lines, row.MatchString)
			if at < 0 {
				t.Fatalf("%v is not in\n%s", row, text)
			}
			if strings.Contains(lines[at], "✗") != (s.Status == "error") || strings.Contains(lines[at], "█") != s.Critical {
				t.Errorf("%+v: %s", s, lines[at])
			}
			lines = lines[at+1:]
		}
		said := d.must("trace", "show", failing.TraceID[:8], "-l")
		for _, want := range []string{"✗ DATA_LOSS: the back has lost it", "WRN this will fail order=7", "  " + strconv.Itoa(failing.Errors) + " failed"} {
			if !strings.Contains(said, strings.TrimSpace(want)) {
				t.Errorf("%q is not in\n%s", want, said)
			}
		}
		if strings.Contains(text, "this will fail") {
			t.Error("lines that nobody asked for")
		}
		if _, errs, status := p.hanse(d.dir, "trace", "show", "00000000"); status != 1 || !strings.Contains(errs, "no trace begins with 00000000; hanse trace ls lists the newest") {
			t.Errorf("status %d, %s", status, errs)
		}
		if _, errs, status := p.hanse(d.dir, "trace", "show", strings.Repeat("0", 31)+"1"); status != 1 || !strings.Contains(errs, "it is not there, or not any more") {
			t.Errorf("status %d, %s", status, errs)
		}
		// There are more than sixteen traces, so two of them begin alike.
		for range 12 {
			d.must("call", "front/grpc.testing.TestService/EmptyCall")
		}
		first := make(map[string]int)
		p.await("more traces", func() bool {
			clear(first)
			l := read[[]collector.TraceSummary](d, "trace", "ls", "--limit", "100")
			for _, s := range l {
				first[s.TraceID[:1]]++
			}
			return len(l) == 18 // that hanse call asks what there is is in none
		})
		for digit, n := range first {
			if n < 2 {
				continue
			}
			_, errs, status := p.hanse(d.dir, "trace", "show", digit)
			if status != 1 || !strings.Contains(errs, "several traces begin with "+digit+"; say which:\n  "+digit) || strings.Count(errs, "\n  "+digit) != min(n, candidates) {
				t.Errorf("%d begin with %s: status %d, %s", n, digit, status, errs)
			}
			break
		}
	})

	t.Run("tail", func(t *testing.T) {
		p.await("all are told", func() bool { return strings.Count(tail.out.String(), "\n") >= 18 })
		seen := make(map[string]bool)
		for line := range strings.Lines(tail.out.String()) {
			var s collector.TraceSummary
			if err := json.Unmarshal([]byte(line), &s); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			if seen[s.TraceID] {
				t.Errorf("%s is told twice", s.TraceID)
			}
			seen[s.TraceID] = true
		}
		if !seen[failing.TraceID] {
			t.Error("what failed was not told")
		}
	})

	t.Run("top", func(t *testing.T) {
		var got dashboard.Top
		p.await("all calls are counted", func() bool {
			got = read[dashboard.Top](d, "top", "--window", "10m", "--sort", "name")
			calls := make(map[string]int)
			for _, m := range got.Methods {
				calls[m.Service+" "+ui.Method(m.Name)] = int(math.Round(m.Calls * got.To.Sub(got.From).Seconds()))
			}
			want := map[string]int{"front TestService/EmptyCall": 17, "front TestService/UnaryCall": 1, "back TestService/EmptyCall": 18, "back TestService/UnaryCall": 1}
			for name, n := range want {
				if calls[name] != n {
					return false
				}
			}
			return got.Services[0].CPU != nil && got.Services[1].CPU != nil
		})
		back, front := got.Services[0], got.Services[1]
		if back.Name != "back" || front.Name != "front" || back.Ready != 1 || back.Want != 1 || front.Ready != 1 || front.Failed != 0 {
			t.Fatalf("%+v", got.Services)
		}
		if back.Calls == 0 || front.Calls == 0 || back.Errors == 0 || front.Errors == 0 || front.P95 < front.P50 || front.P50 <= 0 || *back.Memory < 1<<20 {
			t.Errorf("%+v", got.Services)
		}
		if !slices.IsSortedFunc(got.Methods, func(a, b collector.ServiceMethod) int { return cmp.Compare(b.Calls, a.Calls) }) {
			t.Errorf("not the busiest first: %+v", got.Methods)
		}
		// The table is of the same numbers.
		text := topText(&got)
		rows := make(map[string][]string)
		for line := range strings.Lines(plain(text)) {
			if f := regexp.MustCompile(` {2,}`).Split(strings.TrimSpace(line), -1); len(f) > 1 {
				rows[f[0]+" "+f[1]] = f
			}
		}
		for _, s := range got.Services {
			want := []string{s.Name, fmt.Sprint(s.Ready), ui.Rate(s.Calls), ui.Percent(s.Errors / s.Calls), duration.Text(s.P50), duration.Text(s.P95), ui.Percent(*s.CPU), size(uint64(*s.Memory))}
			if f := rows[s.Name+" 1"]; !slices.Equal(f, want) {
				t.Errorf("%q, want %q, in\n%s", f, want, text)
			}
		}
		for _, m := range got.Methods {
			want := []string{ui.Method(m.Name), m.Service, ui.Rate(m.Calls), ui.Percent(m.Errors / m.Calls), duration.Text(m.P50), duration.Text(m.P95)}
			if f := rows[ui.Method(m.Name)+" "+m.Service]; !slices.Equal(f, want) {
				t.Errorf("%q, want %q, in\n%s", f, want, text)
			}
		}
		one := read[dashboard.Top](d, "top", "front", "--window", "10m", "-n", "1")
		if len(one.Services) != 1 || one.Services[0].Name != "front" || len(one.Methods) != 1 || one.Methods[0].Service != "front" {
			t.Errorf("of one service: %+v", one)
		}
		if text := d.must("top", "--window", "10m"); !strings.HasPrefix(text, "SERVICE  READY ") || strings.Contains(text, "\x1b") {
			t.Errorf("printed once:\n%q", text)
		}
		if _, errs, status := p.hanse(d.dir, "top", "frnt"); status != 1 || !strings.Contains(errs, `there is no service "frnt" in traces; did you mean front?`) {
			t.Errorf("status %d, %s", status, errs)
		}
	})

	t.Run("gateway", func(t *testing.T) {
		d.post(d.gateway()+"/grpc.testing.TestService/EmptyCall", "{}")
		p.await("a trace that begins at the gateway", func() bool {
			l := read[[]collector.TraceSummary](d, "trace", "ls", "service:gateway")
			return len(l) == 1 && l[0].Service == "gateway" && l[0].Status != "error" && slices.Contains(l[0].Services, "back")
		})
	})

	t.Run("agent", func(t *testing.T) { observesDev(t, d, failing) })
}
