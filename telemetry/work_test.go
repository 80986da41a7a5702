package telemetry_test

import (
	"testing"

	"github.com/hanse-go/hanse/telemetry"
	"go.opentelemetry.io/otel/trace"
)

// TestWork holds that the spans of work are sent, with what is done below them, and those beside them.
func TestWork(t *testing.T) {
	const name = "example.com/queue"
	spans := collect(t, telemetry.Config{Sampler: telemetry.AlwaysOn}, func(tel *telemetry.Telemetry) {
		cart := tel.Service("cart", "", "")
		work := cart.Scope(name).Begin(t.Context(), trace.SpanKindConsumer, "handle", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "a=b")
		var inner telemetry.Span
		work.Span.Beside(name).BeginSpan(work.Ctx(), &inner, trace.SpanKindProducer, "keep", "", "")
		inner.End()
		work.Span.End()
	})
	if len(spans) != 2 {
		t.Fatalf("%d spans: %+v", len(spans), spans)
	}
	inner, work := spans[0], spans[1] // in either order: they are of two scopes
	if inner.Name != "keep" {
		inner, work = work, inner
	}
	if inner.Name != "keep" || inner.Parent != work.ID || work.Name != "handle" || work.Kind != "consumer" || work.Parent != "00f067aa0ba902b7" ||
		work.Trace != "4bf92f3577b34da6a3ce929d0e0e4736" || inner.Trace != work.Trace || work.State != "a=b" || work.Scope != name || inner.Scope != name || work.Service != "cart" {
		t.Errorf("spans %+v", spans)
	}
}
