package collector_test

import (
	"testing"
	"time"

	"github.com/hanse-go/hanse/telemetry/collector"
	trace "go.opentelemetry.io/proto/slim/otlp/trace/v1"
)

// TestSpread holds that some traces stand for all: those of quiet times are among them, and the slow and the failed ones of long ago.
func TestSpread(t *testing.T) {
	c := new(collector.Collector)
	start(t, c)
	end := time.Now()
	begin := end.Add(-10 * time.Minute)
	add := func(n int, at time.Time, took time.Duration, failed bool) {
		var list []*trace.Span
		for range n {
			s := &trace.Span{TraceId: id(16), SpanId: id(8), Name: "GET /", Kind: trace.Span_SPAN_KIND_SERVER, StartTimeUnixNano: nano(at), EndTimeUnixNano: nano(at.Add(took)), Status: &trace.Status{}}
			if failed {
				s.Status.Code = trace.Status_STATUS_CODE_ERROR
			}
			list = append(list, s)
		}
		send(t, c, spansOf("web", list...))
	}
	add(30, begin, time.Millisecond, true)
	add(5, begin.Add(time.Second), time.Minute, false)
	for i := range 20 { // quiet
		add(1, begin.Add(time.Duration(i)*20*time.Second), time.Millisecond, false)
	}
	add(4000, end.Add(-time.Minute), time.Millisecond, false)
	ask := func(q collector.TraceQuery) collector.TracePage {
		t.Helper()
		q.Window = collector.Window{From: begin.Add(-time.Second)}
		page, err := c.Traces(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		return page
	}
	count := func(page collector.TracePage) (failed, slow, quiet int) {
		for _, s := range page.Traces {
			switch {
			case s.Errors > 0:
				failed++
			case s.Duration == time.Minute:
				slow++
			case s.Start.Before(end.Add(-2 * time.Minute)):
				quiet++
			}
		}
		return failed, slow, quiet
	}
	page := ask(collector.TraceQuery{Spread: true, Limit: 200})
	if failed, slow, quiet := count(page); failed != 30 || slow != 5 || quiet != 20 || len(page.Traces) != 200 || page.Found != 4055 || page.Next != "" || page.Partial {
		t.Errorf("of %d traces %d: %d failed, %d slow, %d quiet: %+v", page.Found, len(page.Traces), failed, slow, quiet, page.Next)
	}
	for i, s := range page.Traces[1:] {
		if s.Start.After(page.Traces[i].Start) {
			t.Fatal("not the newest first")
		}
	}
	// The same ones again, and nearly the same when more have come.
	before := make(map[string]bool)
	for _, s := range page.Traces {
		before[s.TraceID] = true
	}
	add(10, end.Add(-time.Minute), time.Millisecond, false)
	same := 0
	for _, s := range ask(collector.TraceQuery{Spread: true, Limit: 200}).Traces {
		if before[s.TraceID] {
			same++
		}
	}
	if same < 180 {
		t.Errorf("%d of 200 are the same", same)
	}
	// So many failed that not all can be shown.
	add(1000, end.Add(-3*time.Minute), time.Millisecond, true)
	page = ask(collector.TraceQuery{Spread: true, Limit: 200})
	if failed, slow, quiet := count(page); failed < 100 || failed > 140 || slow != 5 || quiet < 15 || len(page.Traces) != 200 {
		t.Errorf("%d failed, %d slow, %d quiet", failed, slow, quiet)
	}
	if page := ask(collector.TraceQuery{Spread: true, Limit: 2000, Errors: true}); page.Found != 1030 || len(page.Traces) != 1030 {
		t.Errorf("few: %d of %d", len(page.Traces), page.Found)
	}
	if page := ask(collector.TraceQuery{Limit: 200}); page.Found != 0 || page.Next == "" {
		t.Errorf("a list: %+v", page.Found)
	}
}

// A trace whose beginning has not come is no slow one: how long it took is not known.
func TestSlowestWithoutBeginning(t *testing.T) {
	c := new(collector.Collector)
	start(t, c)
	at := time.Now().Add(-2 * time.Minute)
	open, parent := id(16), id(8)
	for i := range 2 { // calls below a stream that is open
		begin := at.Add(time.Duration(i) * time.Minute)
		send(t, c, spansOf("web", &trace.Span{TraceId: open, SpanId: id(8), ParentSpanId: parent, Name: "Get", Kind: trace.Span_SPAN_KIND_CLIENT, StartTimeUnixNano: nano(begin), EndTimeUnixNano: nano(begin.Add(time.Second))}))
	}
	whole := hexOf(call(c, t, at, false))
	page, err := c.Traces(t.Context(), collector.TraceQuery{Slowest: true})
	if err != nil || len(page.Traces) != 2 || page.Traces[0].TraceID != whole || page.Traces[1].TraceID != hexOf(open) || !page.Traces[1].Gap {
		t.Errorf("%+v, %v", page, err)
	}
}
