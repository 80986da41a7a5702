package telemetry

import (
	"testing"
	"time"

	"github.com/hanse-go/hanse/internal/otlp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

func TestDurations(t *testing.T) {
	tells, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	s := tells.Service("orders", "", "")
	of := func(topic string) *Durations {
		return s.Scope("events").Durations(Durations{
			Name: "process.duration", Description: "how long", Counter: "consumed", CounterUnit: "{message}", CounterIs: "how many",
			Attributes: []attribute.KeyValue{attribute.String("topic", topic)},
		})
	}
	b, a := of("b"), of("a")
	if of("a") != a {
		t.Error("the same attributes have two histograms")
	}
	if got := s.workMetrics(newReading(&tells.config)); len(got) != 0 {
		t.Errorf("before there is anything there is %+v", got)
	}
	a.Record(time.Second, nil)
	a.Record(3*time.Second, nil)
	b.Record(time.Millisecond, nil)
	for _, config := range []Config{{}, {Histograms: ExplicitHistograms}, {Histograms: ExplicitHistograms, MetricTemporality: Delta}} {
		r := newReading(&config)
		got := s.workMetrics(r)
		if len(got) != 1 || got[0].Scope.Name != "events" || len(got[0].Metrics) != 2 {
			t.Fatalf("%+v", got)
		}
		m, count := got[0].Metrics[0], got[0].Metrics[1]
		if m.Name != "process.duration" || m.Unit != "s" || len(m.Histograms)+len(m.Exponentials) != 2 {
			t.Errorf("%+v", m)
		}
		if (m.Kind == otlp.Histogram) != (config.Histograms == ExplicitHistograms) || (m.Temporality == otlp.Delta) != (config.MetricTemporality == Delta) {
			t.Errorf("%+v is of another kind", m)
		}
		if count.Name != "consumed" || count.Kind != otlp.Sum || !count.Monotonic || len(count.Numbers) != 2 || count.Numbers[0].Int != 2 || !count.Numbers[0].IsInt || count.Numbers[1].Int != 1 {
			t.Errorf("%+v", count)
		}
		if config.MetricTemporality == Delta {
			r.next(time.Now())
			b.Record(time.Second, nil)
			if got := s.workMetrics(r); len(got) != 1 || len(got[0].Metrics[1].Numbers) != 1 || got[0].Metrics[1].Numbers[0].Int != 1 {
				t.Errorf("after one more there is %+v", got)
			}
		}
	}
	var off *Durations
	off.Record(time.Second, nil)
	if (*Scope)(nil).Durations(Durations{Name: "x"}) != nil {
		t.Error("there are numbers where telemetry is off")
	}
}

func TestWork(t *testing.T) {
	tells, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	sc := tells.Service("orders", "", "").Scope("events")
	const from = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	w := sc.Begin(t.Context(), trace.SpanKindConsumer, "process", from, "a=b")
	if got := trace.SpanContextFromContext(w.Ctx()); got.TraceID().String() != "4bf92f3577b34da6a3ce929d0e0e4736" || got.TraceState().Get("a") != "b" {
		t.Errorf("it does not continue the trace: %+v", got)
	}
	var below Span
	sc.BeginSpan(w.Ctx(), &below, trace.SpanKindProducer, "send", "00-11111111111111111111111111111111-2222222222222222-01", "")
	if below.SpanContext().TraceID() != w.Span.SpanContext().TraceID() {
		t.Error("headers come before the span in the context")
	}
	parent, state := below.Sent()
	if c := RemoteContext(parent, state); c.SpanID() != below.SpanContext().SpanID() || !c.IsRemote() || c.TraceState().Get("a") != "b" {
		t.Errorf("it is continued by %s, %s", parent, state)
	}
	if RemoteContext("no", "").IsValid() {
		t.Error("a malformed header is a span")
	}
	if below.Beside("other") == nil || new(Span).Beside("other") != nil {
		t.Error("who tells beside a span is of its service")
	}
	w.Span.End()
	below.End()

	tells, err = New(Config{NoTraceContext: true})
	if err != nil {
		t.Fatal(err)
	}
	w = tells.Service("orders", "", "").Scope("events").Begin(t.Context(), trace.SpanKindConsumer, "process", from, "")
	if parent, _ := w.Span.Sent(); parent != "" || w.Span.SpanContext().TraceID().String() == "4bf92f3577b34da6a3ce929d0e0e4736" {
		t.Error("trace context that is off is heeded or sent")
	}
	if (*Scope)(nil).Begin(t.Context(), trace.SpanKindConsumer, "", "", "") != nil {
		t.Error("there is work where telemetry is off")
	}
	(*Scope)(nil).BeginSpan(t.Context(), &below, trace.SpanKindConsumer, "", "", "")
}
