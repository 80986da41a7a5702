package telemetry

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// The number of open streams says whose they are, of those that are recorded, in what is sent.
func TestOpenStreamsOfTraces(t *testing.T) {
	s := service(t, Config{Sampler: AlwaysOn, Traces: Export{URL: "http://127.0.0.1:1"}})
	watch := s.Serves("/shop.v1.Orders/Watch").Streaming()
	open := func(r *reading) (n int64, traces []trace.TraceID) {
		t.Helper()
		m := find(t, s.callMetrics(r), "hanse.rpc.server.open_streams")
		for _, e := range m.Numbers[0].Exemplars {
			if !e.IsInt || e.Int != 1 || time.Since(time.Unix(0, e.Time)).Abs() > time.Minute || !e.SpanID.IsValid() {
				t.Errorf("%+v", e)
			}
			traces = append(traces, e.TraceID)
		}
		return m.Numbers[0].Int, traces
	}
	sent := newReading(&Config{})
	spans := make([]Span, maxOpen+2)
	for i := range spans {
		spans[i].Serve(watch, "", "")
		spans[i].Streams()
	}
	n, traces := open(sent)
	if int(n) != len(spans) || len(traces) != maxOpen || traces[0] != spans[0].traceID || traces[maxOpen-1] != spans[maxOpen-1].traceID {
		t.Fatalf("%d are open, %d told", n, len(traces))
	}
	if _, traces := open(shown()); traces != nil {
		t.Errorf("/metrics has %d", len(traces))
	}
	spans[3].Served(nil, "tcp")
	spans[3].Served(nil, "tcp")
	spans[maxOpen].Served(nil, "tcp") // was not among them
	if n, traces := open(sent); int(n) != len(spans)-2 || len(traces) != maxOpen-1 || slices.Contains(traces, spans[3].traceID) {
		t.Errorf("%d are open, %d told", n, len(traces))
	}
	for i := range spans {
		spans[i].Served(nil, "tcp")
	}
	spans[0].Streams() // too late
	if n, traces := open(sent); n != 0 || len(traces) != 0 {
		t.Errorf("%d are open, %d told", n, len(traces))
	}
	var other Span
	other.Serve(watch, "00-"+strings.Repeat("1", 32)+"-"+strings.Repeat("2", 16)+"-01", "")
	if _, traces := open(sent); len(traces) != 1 || traces[0].String() != strings.Repeat("1", 32) {
		t.Errorf("%v", traces)
	}
	other.Served(nil, "tcp")

	// Whatever comes first, the end or that it is a stream, nothing is left.
	var all sync.WaitGroup
	for range 200 {
		var one Span
		one.Serve(s.Serves("/shop.v1.Orders/Maybe"), "", "")
		all.Go(one.Streams)
		all.Go(func() { one.Served(nil, "tcp") })
		all.Wait()
	}
	watch.traces.add(&spans[0]) // it ended between the two
	if left := append(s.Serves("/shop.v1.Orders/Maybe").traces.spans, watch.traces.spans...); len(left) != 0 {
		t.Errorf("%d are left", len(left))
	}

	// Of traces that are not recorded nothing is told.
	off := service(t, Config{Sampler: AlwaysOff, Traces: Export{URL: "http://127.0.0.1:1"}})
	var unheard Span
	unheard.Serve(off.Serves("/shop.v1.Orders/Watch").Streaming(), "", "")
	if m := find(t, off.callMetrics(sent), "hanse.rpc.server.open_streams"); m.Numbers[0].Int != 1 || len(m.Numbers[0].Exemplars) != 0 {
		t.Errorf("%+v", m)
	}
	unheard.Served(nil, "tcp")
}
