package resilience

import (
	"context"

	"go.opentelemetry.io/otel/trace"
)

// SpanEventPrefix is what the names of the events begin with that [Annotate] adds: a call that is made again has "hanse.retry-failed".
const SpanEventPrefix = "hanse."

// Annotate adds an event with the reason to the span of OpenTelemetry in ctx, if there is one that is recorded.
func Annotate(ctx context.Context, r Reason) {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.AddEvent(SpanEventPrefix + string(r))
	}
}
