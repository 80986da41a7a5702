package events

import (
	"context"
	"time"

	"github.com/hanse-go/hanse/telemetry"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// fired is a firing of a job that is told; nil is not.
type fired struct{ *telemetry.Work }

// fire begins to tell of one: each begins a trace.
func (t *teller) fire(ctx context.Context, f Firing) *fired {
	if t == nil {
		return nil
	}
	w := t.scope.Begin(ctx, trace.SpanKindInternal, "job "+f.Job, "", "")
	if w.Span.IsRecording() {
		w.Span.SetAttributes(attribute.String("hanse.job.name", f.Job), attribute.String("hanse.job.time", f.Time.UTC().Format(time.RFC3339Nano)),
			attribute.Int("hanse.job.attempt", f.Attempt))
	}
	return &fired{w}
}

// in returns the context that the function is called with.
func (f *fired) in(ctx context.Context) context.Context {
	if f == nil {
		return ctx
	}
	return f.Ctx()
}

// over tells how it ended, and when it is done again, if it is.
func (f *fired) over(err error, again time.Time) {
	if f == nil {
		return
	}
	if err != nil {
		f.Span.SetAttributes(attribute.String("error.type", errorType(err)))
		f.Span.SetStatus(codes.Error, err.Error())
		if !again.IsZero() && f.Span.IsRecording() {
			f.Span.AddEvent("hanse.job.retry", trace.WithAttributes(attribute.String("hanse.job.again", again.UTC().Format(time.RFC3339Nano))))
		}
	}
	f.Span.End()
}
