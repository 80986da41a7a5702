package telemetry

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
	"google.golang.org/grpc/codes"
)

// Span is the span of a call, made to be a field of the call's own object: then it takes no memory of its own. It is a [trace.Span]. What
// is said of it costs nothing where its trace is not recorded, and does nothing after its end, so that handlers may keep it. The zero
// value was not begun: such a span does nothing, and [Span.Begun] is false.
//
// All methods but those that begin it are safe for concurrent use.
type Span struct {
	embedded.Span

	method  *Method // of a call; nil of others
	scope   *scope  // who made it
	name    string  // of others than calls
	parent  trace.SpanID
	id      trace.SpanID
	traceID trace.TraceID
	state   string // tracestate
	start   time.Time
	kind    trace.SpanKind
	flags   trace.TraceFlags
	sent    trace.TraceFlags // of the parent
	remote  bool             // the parent belongs to another process
	records bool             // what is said of it is kept
	phase   atomic.Uint32

	mu   sync.Mutex
	more *more // made when there is something; nil before
}

// The phases of a span, as bits.
const (
	begun  = 1 << iota
	ended  // nothing is changed any more
	failed // its status was set to Error
)

// Begun reports whether the span was begun.
func (s *Span) Begun() bool { return s.phase.Load()&begun != 0 }

// SpanContext implements [trace.Span].
func (s *Span) SpanContext() trace.SpanContext {
	if !s.Begun() {
		return trace.SpanContext{}
	}
	c := trace.SpanContextConfig{TraceID: s.traceID, SpanID: s.id, TraceFlags: s.flags}
	if s.state != "" {
		c.TraceState, _ = trace.ParseTraceState(s.state)
	}
	return trace.NewSpanContext(c)
}

// IsRecording implements [trace.Span].
func (s *Span) IsRecording() bool { return s.records && s.phase.Load()&ended == 0 }

// begin begins a span below p, or a trace where p is not valid.
func (s *Span) begin(sc *scope, kind trace.SpanKind, p *parent, at time.Time) {
	t := sc.service.telemetry
	known := p.valid()
	if known {
		s.traceID, s.parent, s.state, s.remote, s.flags, s.sent = p.trace, p.span, p.state, p.remote, p.flags, p.flags
	} else {
		s.traceID, s.flags = newTraceID(), trace.FlagsRandom
	}
	s.id = newSpanID()
	s.flags = s.flags.WithSampled(t.sampling.takes(&s.traceID, known, p.flags.IsSampled()))
	s.records = s.flags.IsSampled() && t.spans != nil
	s.scope, s.kind, s.start = sc, kind, at
	s.phase.Store(begun)
}

// parentIn is what ctx says about the span that a new one belongs to.
func parentIn(ctx context.Context) (p parent) {
	span := trace.SpanFromContext(ctx)
	if own, ok := span.(*Span); ok {
		if own.Begun() {
			p = parent{trace: own.traceID, span: own.id, flags: own.flags, state: own.state}
		}
		return p
	}
	if c := span.SpanContext(); c.IsValid() {
		p = parent{trace: c.TraceID(), span: c.SpanID(), flags: c.TraceFlags(), remote: c.IsRemote()}
		if c.TraceState().Len() > 0 {
			p.state = c.TraceState().String()
		}
	}
	return p
}

// finish ends the span, once. It returns false when it had ended before, or was not begun.
func (s *Span) finish() bool {
	for {
		phase := s.phase.Load()
		if phase&(begun|ended) != begun {
			return false
		}
		if s.phase.CompareAndSwap(phase, phase|ended) {
			return true
		}
	}
}

// End implements [trace.Span]. That of a call ends with the call; for it End does nothing.
func (s *Span) End(options ...trace.SpanEndOption) {
	if s.method != nil || !s.finish() {
		return
	}
	var at time.Time
	if len(options) > 0 {
		c := trace.NewSpanEndConfig(options...)
		at = c.Timestamp()
	}
	took := time.Since(s.start)
	if !at.IsZero() {
		took = at.Sub(s.start)
	}
	s.over(took, codes.OK, "", nil)
}

// over hands on what is known of the span, which is finished. code, message and reached are of calls.
func (s *Span) over(took time.Duration, code codes.Code, message string, reached *Reached) {
	t := s.scope.service.telemetry
	if s.records {
		s.mu.Lock() // whoever changes it has seen that it had not ended
		more := s.more
		s.mu.Unlock()
		t.spans.add(s, more, took, code, message, reached, "")
		return
	}
	if t.keeper != nil {
		t.keeper.ended(s, took, code, message, reached)
	}
}

// statusOf is the span's status by how its call ended, where the program has not set one.
func statusOf(kind trace.SpanKind, code codes.Code) otelcodes.Code {
	if isError(kind, code) {
		return otelcodes.Error
	}
	return otelcodes.Unset
}
