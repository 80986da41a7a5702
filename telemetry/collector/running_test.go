package collector_test

import (
	"context"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/telemetry"
	"github.com/hanse-go/hanse/telemetry/collector"
	metricpb "go.opentelemetry.io/proto/slim/otlp/metrics/v1"
	trace "go.opentelemetry.io/proto/slim/otlp/trace/v1"
)

// A trace whose root is a stream that has not ended runs; one whose root was lost does not.
func TestRunning(t *testing.T) {
	c := new(collector.Collector)
	start(t, c)
	now := time.Now()
	open, lost, root, lostRoot := id(16), id(16), id(8), id(8)
	below := func(traceID, parent []byte) *trace.Span {
		return &trace.Span{TraceId: traceID, SpanId: id(8), ParentSpanId: parent, Name: "Get", Kind: trace.Span_SPAN_KIND_CLIENT, StartTimeUnixNano: nano(now.Add(-2 * time.Second)), EndTimeUnixNano: nano(now)}
	}
	send(t, c, spansOf("web", below(open, root), below(lost, lostRoot)))
	told := func(value int64, exemplars ...*metricpb.Exemplar) {
		m := updown("hanse.rpc.server.open_streams", now, value, str("rpc.method", "shop.v1.Orders/Watch"))
		m.GetSum().DataPoints[0].Exemplars = exemplars
		send(t, c, metricsOf("web", m))
	}
	check := func(running bool) {
		t.Helper()
		page, err := c.Traces(t.Context(), collector.TraceQuery{})
		if err != nil || len(page.Traces) != 2 {
			t.Fatalf("%+v, %v", page, err)
		}
		for _, s := range page.Traces {
			if want := s.TraceID == hexOf(open); !want && (s.Running || !s.Gap) || want && (s.Running != running || !s.Gap && running) {
				t.Errorf("%+v", s)
			}
		}
		for _, traceID := range [][]byte{open, lost} {
			tr, err := c.Trace(t.Context(), hexOf(traceID))
			want := running && &traceID[0] == &open[0]
			if err != nil || tr.Running != want || tr.Spans[0].Running != want {
				t.Errorf("%+v, %v", tr, err)
			}
		}
	}
	check(false)
	told(1, &metricpb.Exemplar{TimeUnixNano: nano(now.Add(-time.Hour)), Value: &metricpb.Exemplar_AsInt{AsInt: 1}, TraceId: open, SpanId: root})
	check(true)
	send(t, c, spansOf("web", &trace.Span{TraceId: open, SpanId: root, Name: "Watch", Kind: trace.Span_SPAN_KIND_SERVER, StartTimeUnixNano: nano(now.Add(-time.Hour)), EndTimeUnixNano: nano(now)}))
	check(false) // it is there, though nobody has said that the stream has ended
	send(t, c, spansOf("web", below(open, id(8))))
	if tr, err := c.Trace(t.Context(), hexOf(open)); err != nil || tr.Gaps != 1 || slices.ContainsFunc(tr.Spans, func(s collector.Span) bool { return s.Running }) {
		t.Errorf("%+v, %v", tr, err)
	}
}

// A program that has an open stream says so by itself, until the stream has ended.
func TestRunningByHanse(t *testing.T) {
	c := new(collector.Collector)
	start(t, c)
	srv := httptest.NewServer(c.Handler())
	defer srv.Close()
	to := telemetry.Export{URL: srv.URL}
	traces, metrics := to, to
	traces.URL += "/v1/traces"
	metrics.URL += "/v1/metrics"
	tells, err := telemetry.New(telemetry.Config{
		Sampler: telemetry.AlwaysOn, Traces: traces, Metrics: metrics, MetricInterval: 5 * time.Millisecond, Batch: telemetry.Batch{Delay: 5 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- tells.Run(ctx) }()
	web := tells.Service("web", "", "")
	stream := web.Calls("/shop.v1.Orders/Watch", "orders").Streaming().Begin(t.Context())
	web.Calls("/shop.v1.Catalog/Get", "catalog").Begin(stream.Ctx()).End(nil)
	until := func(what string, ok func(collector.Trace) bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; {
			tr, err := c.Trace(t.Context(), stream.Span.SpanContext().TraceID().String())
			if err == nil && ok(tr) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("not %s: %+v, %v", what, tr, err)
			}
			time.Sleep(time.Millisecond) // until the next look
		}
	}
	until("running", func(tr collector.Trace) bool { return tr.Running && len(tr.Spans) == 2 && tr.Spans[0].Running })
	stream.End(nil)
	until("whole", func(tr collector.Trace) bool { return !tr.Running && tr.Gaps == 0 && len(tr.Spans) == 2 })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A program that says no more of its streams has none after a while.
func TestRunningNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := new(collector.Collector)
		start(t, c)
		traceID, root := id(16), id(8)
		at := time.Now()
		send(t, c, spansOf("web", &trace.Span{TraceId: traceID, SpanId: id(8), ParentSpanId: root, Name: "Get", StartTimeUnixNano: nano(at), EndTimeUnixNano: nano(at)}))
		m := updown("hanse.rpc.client.open_streams", at, 1, str("rpc.method", "shop.v1.Orders/Watch"))
		m.GetSum().DataPoints[0].Exemplars = []*metricpb.Exemplar{{TimeUnixNano: nano(at), Value: &metricpb.Exemplar_AsInt{AsInt: 1}, TraceId: traceID, SpanId: root}}
		send(t, c, metricsOf("web", m))
		for _, s := range []struct {
			wait    time.Duration
			running bool
		}{{2 * time.Minute, true}, {time.Minute, false}} {
			time.Sleep(s.wait)
			if tr, err := c.Trace(t.Context(), hexOf(traceID)); err != nil || tr.Running != s.running {
				t.Errorf("after %v: %+v, %v", s.wait, tr, err)
			}
		}
	})
}

// No stream is slow, however long it went on: streams come last among the slowest, by what they say, by their method, or by their status.
func TestSlowestWithStreams(t *testing.T) {
	c := new(collector.Collector)
	start(t, c)
	now := time.Now()
	one := func(name string, took time.Duration, kind trace.Span_SpanKind, change func(*trace.Span)) string {
		s := &trace.Span{TraceId: id(16), SpanId: id(8), Name: name, Kind: kind, StartTimeUnixNano: nano(now.Add(-took)), EndTimeUnixNano: nano(now)}
		if change != nil {
			change(s)
		}
		send(t, c, spansOf("web", s))
		return hexOf(s.TraceId)
	}
	const watch = "shop.v1.Orders/Watch"
	server := trace.Span_SPAN_KIND_SERVER
	streams := map[string]bool{
		one(watch, 10*time.Minute, server, func(s *trace.Span) {
			s.Attributes = append(s.Attributes, flag("hanse.rpc.stream"), str("rpc.method", watch))
		}): true,
		one("/"+watch, 9*time.Minute, trace.Span_SPAN_KIND_INTERNAL, nil):                                                                           true,
		one("Recv.shop.v1.Orders.Watch", 8*time.Minute, trace.Span_SPAN_KIND_INTERNAL, nil):                                                         true,
		one("GET /live", 7*time.Minute, server, func(s *trace.Span) { s.Attributes = append(s.Attributes, num("http.response.status_code", 101)) }): true,
		one("GET /events", 6*time.Minute, server, func(s *trace.Span) {
			s.Attributes = append(s.Attributes, num("http.response.status_code", 200), flag("hanse.rpc.stream"))
		}): true,
	}
	slow := one("GET /slow", 3*time.Second, server, func(s *trace.Span) { s.Attributes = append(s.Attributes, str("note", "hanse.rpc.stream")) })
	quick := one("shop.v1.Orders/Get", time.Millisecond, server, nil)
	for limit, want := range map[int]int{2: 2, 100: 7} {
		page, err := c.Traces(t.Context(), collector.TraceQuery{Slowest: true, Limit: limit})
		if err != nil || len(page.Traces) != want || page.Traces[0].TraceID != slow || page.Traces[1].TraceID != quick {
			t.Fatalf("%+v, %v", page, err)
		}
		for i, s := range page.Traces {
			if s.Stream != streams[s.TraceID] || s.Stream != (i >= 2) {
				t.Errorf("%d: %+v", i, s)
			}
		}
		if limit > 2 && page.Traces[2].Duration < 9*time.Minute {
			t.Errorf("the longest stream is %+v", page.Traces[2])
		}
	}
	if page, err := c.Traces(t.Context(), collector.TraceQuery{Min: time.Minute}); err != nil || len(page.Traces) != len(streams) {
		t.Errorf("what took a minute: %+v, %v", page, err) // a search means what it says
	}
	// Of many, the slowest that are chosen are no streams.
	for range 20 {
		one(watch, time.Hour, server, func(s *trace.Span) { s.Attributes = append(s.Attributes, flag("hanse.rpc.stream")) })
	}
	page, err := c.Traces(t.Context(), collector.TraceQuery{Spread: true, Limit: 8})
	found := false
	for _, s := range page.Traces {
		found = found || s.TraceID == slow
	}
	if err != nil || !found {
		t.Errorf("%+v, %v", page, err)
	}
}
