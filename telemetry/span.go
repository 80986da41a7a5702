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
	*sealed // never there; [embedded.Span] itself would take twice the room

	method  *Method // of a call; nil of others
	scope   *scope  // who made it; nil: it was not begun
	name    string  // of others than calls
	state   string  // tracestate
	traceID trace.TraceID
	parent  trace.SpanID
	id      trace.SpanID
	start   int64 // by the clock, or where it is dated in Unix time
	more    *more // made when there is something; nil before
	mu      sync.Mutex
	phase   atomic.Uint32
	kind    uint8
	flags   trace.TraceFlags
	sent    trace.TraceFlags // of the parent
	remote  bool             // the parent belongs to another process
	records bool             // what is said of it is kept
	dated   bool             // the program has said when it began
}

type sealed struct{ embedded.Span }

// The phases of a span, as bits.
const (
	ended   = 1 << iota // nothing is changed any more
	failed              // its status was set to Error
	endless             // it takes as long as it likes; a call is counted among the open streams of its method
)

// Begun reports whether the span was begun. A nil one was not.
func (s *Span) Begun() bool { return s != nil && s.scope != nil }

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

// begin begins a span below p, or a trace where p is not valid, at a moment by the clock.
func (s *Span) begin(sc *scope, kind trace.SpanKind, p *parent, at int64) {
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
	s.scope, s.kind, s.start = sc, uint8(kind), at
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
	if !s.Begun() {
		return false
	}
	for {
		phase := s.phase.Load()
		if phase&ended != 0 {
			return false
		}
		if s.phase.CompareAndSwap(phase, phase|ended) {
			return true
		}
	}
}

// ending is what is known of a span when it has ended.
type ending struct {
	at   int64 // by the clock
	took time.Duration
	why  string // it is sent, of a trace that is not recorded

	// Of calls:
	code     codes.Code
	message  string   // of the error
	path     string   // by which it came
	reached  *Reached // where it went
	attempts int
}

// End implements [trace.Span]. That of a call ends with the call; for it End does nothing.
func (s *Span) End(options ...trace.SpanEndOption) {
	if s.method != nil || !s.finish() {
		return
	}
	clock := &s.scope.service.telemetry.clock
	e := ending{at: clock.now()}
	end := clock.unix(e.at)
	if len(options) > 0 {
		c := trace.NewSpanEndConfig(options...)
		if at := c.Timestamp(); !at.IsZero() {
			e.at += at.UnixNano() - end
			end = at.UnixNano()
		}
	}
	if s.dated {
		e.took = time.Duration(end - s.start)
	} else {
		e.took = time.Duration(e.at - s.start)
	}
	s.over(&e, nil)
}

// EndIn ends the span of work, and counts the work in d, unless that is nil.
func (s *Span) EndIn(d *Durations) {
	if s.method != nil || !s.finish() {
		return
	}
	e := ending{at: s.scope.service.telemetry.clock.now()}
	e.took = time.Duration(e.at - s.start)
	if d == nil {
		s.over(&e, nil)
	} else {
		s.over(&e, d.series)
	}
}

// over hands on what is known of the span, which is finished, and counts it among others of its kind, unless they are nil.
func (s *Span) over(e *ending, calls *series) {
	t := s.scope.service.telemetry
	if s.records {
		s.mu.Lock() // whoever changes it has seen that it had not ended
		more := s.more
		s.mu.Unlock()
		if calls != nil {
			calls.record(e.took, s.example(e.at, e.took))
		}
		t.spans.add(s, more, e)
		return
	}
	k := t.keeper
	if k != nil {
		e.why = k.reason(s, e.took, e.code)
	} else if calls == nil {
		return
	}
	n := t.cells.own()
	c, kept := &t.cells[n], true
	c.mu.Lock()
	if calls != nil {
		calls.recordIn(n, e.took, nil)
	}
	if k != nil {
		kept = k.keep(c, s, e)
	}
	c.mu.Unlock()
	if !kept {
		k.decide(s, e)
	}
}

// example is the span as the example of calls.
func (s *Span) example(at int64, took time.Duration) *exemplar {
	return &exemplar{at: s.scope.service.telemetry.clock.unix(at), took: took, traceID: s.traceID, spanID: s.id}
}

// statusOf is the span's status by how its call ended, where the program has not set one.
func statusOf(kind trace.SpanKind, code codes.Code) otelcodes.Code {
	if isError(kind, code) {
		return otelcodes.Error
	}
	return otelcodes.Unset
}
