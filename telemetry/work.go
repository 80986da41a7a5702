package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Scope is who tells of work of one service: a package, by its import path. A nil *Scope is off. It is for packages of Hanse, and those that cost as little; others
// take a tracer of [Service.TracerProvider].
type Scope struct{ scope *scope }

// Scope returns who tells by a name.
func (s *Service) Scope(name string) *Scope {
	if s == nil {
		return nil
	}
	return &Scope{s.scope(name, "", schemaURL)}
}

// Beside returns who tells by a name, of the service whose span it is; nil where it was not begun.
func (s *Span) Beside(name string) *Scope {
	if !s.Begun() {
		return nil
	}
	return s.scope.service.Scope(name)
}

// Work is work that is no call, such as the handling of an event: its span, and the context that has it. One object is both.
type Work struct {
	context.Context
	Span Span
}

// Begin begins work of a kind. It belongs to the span in ctx; where there is none, to that of the headers with which somebody asked for it, which may be "".
// End its Span. Begin of a nil Scope returns nil.
func (sc *Scope) Begin(ctx context.Context, kind trace.SpanKind, name, traceParent, traceState string) *Work {
	if sc == nil {
		return nil
	}
	w := &Work{Context: ctx}
	w.Span.work(sc.scope, ctx, kind, name, traceParent, traceState)
	return w
}

// BeginSpan is Begin for work that nothing else is done below, and for a span that is a field. Of a nil Scope nothing is begun.
func (sc *Scope) BeginSpan(ctx context.Context, s *Span, kind trace.SpanKind, name, traceParent, traceState string) {
	if sc != nil {
		s.work(sc.scope, ctx, kind, name, traceParent, traceState)
	}
}

func (s *Span) work(sc *scope, ctx context.Context, kind trace.SpanKind, name, traceParent, traceState string) {
	p := parentIn(ctx)
	if !p.valid() && traceParent != "" && !sc.service.telemetry.config.NoTraceContext && p.parse(traceParent) {
		p.state = traceState
	}
	s.name = name
	s.begin(sc, kind, &p, sc.service.telemetry.clock.now())
}

// Value implements [context.Context].
func (w *Work) Value(key any) any {
	if IsKey(key) {
		return &w.Span
	}
	return w.Context.Value(key)
}

// String says what the context is; without it %v would read fields that change.
func (w *Work) String() string { return "telemetry.Work(" + w.Span.name + ")" }

// Ctx is the context that the work is done with.
func (w *Work) Ctx() context.Context {
	if Found() {
		return w
	}
	return trace.ContextWithSpan(w.Context, &w.Span)
}

// Took is how long ago the span began, while it has not ended.
func (s *Span) Took() time.Duration {
	return time.Duration(s.scope.service.telemetry.clock.now() - s.start)
}

// Sent returns the headers by which others continue the trace below the span: "" where they are not to. The first is made at each call.
func (s *Span) Sent() (traceParent, traceState string) {
	if s == nil || !s.Begun() || s.scope.service.telemetry.config.NoTraceContext {
		return "", ""
	}
	return string(appendTraceParent(make([]byte, 0, traceParentLen), &s.traceID, &s.id, s.flags)), s.state
}

// RemoteContext is what headers say of a span, for links to it. It is not valid when they say nothing.
func RemoteContext(traceParent, traceState string) trace.SpanContext {
	var p parent
	if !p.parse(traceParent) {
		return trace.SpanContext{}
	}
	state, _ := trace.ParseTraceState(traceState) // what cannot be read is not told
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: p.trace, SpanID: p.span, TraceFlags: p.flags, TraceState: state, Remote: true})
}
