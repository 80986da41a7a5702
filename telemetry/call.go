package telemetry

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/internal/outmeta"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/status"
)

// Call is a call that is made, with all its attempts: its span, and the context that has it. One object is both.
type Call struct {
	context.Context
	Span Span

	reached  atomic.Pointer[Reached]
	attempts atomic.Int32
}

// Begin begins a call of the method; it is made with [Call.Ctx]. It belongs to the span in ctx, and if there is none to the trace that ctx
// sends as metadata. It must be ended. Begin of a nil Method returns nil.
func (m *Method) Begin(ctx context.Context) *Call { return m.BeginAt(ctx, time.Time{}) }

// BeginAt is Begin for a call that begins at the moment, which the caller has looked at the time for already. Zero is now.
func (m *Method) BeginAt(ctx context.Context, moment time.Time) *Call {
	if m == nil {
		return nil
	}
	c := &Call{Context: ctx}
	p := parentIn(ctx)
	if !p.valid() && !m.service.telemetry.config.NoTraceContext {
		if sent, _ := outmeta.Value(ctx, TraceParentKey); sent != "" && p.parse(sent) {
			p.state, _ = outmeta.Value(ctx, TraceStateKey)
		}
	}
	c.Span.method = m
	c.Span.begin(m.scope, m.kind, &p, m.service.telemetry.clock.at(moment))
	if m.streams.Load() {
		c.Span.Streams()
	}
	return c
}

type callKey struct{}

// Value implements [context.Context].
func (c *Call) Value(key any) any {
	if IsKey(key) {
		return &c.Span
	}
	if key == (callKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// String says what the context is; without it %v would read fields that change.
func (c *Call) String() string { return "telemetry.Call(" + c.Span.method.name + ")" }

// Ctx is the context that the call is made with.
func (c *Call) Ctx() context.Context {
	if Found() {
		return c
	}
	return trace.ContextWithSpan(c, &c.Span)
}

// CallIn returns the call that is made with ctx, or nil.
func CallIn(ctx context.Context) *Call {
	if c, ok := ctx.(*Call); ok {
		return c
	}
	c, _ := ctx.Value(callKey{}).(*Call)
	return c
}

// At notes where the call went, at which attempt. The last counts. A nil Call notes nothing.
func (c *Call) At(r *Reached, attempts int) {
	if c == nil {
		return
	}
	c.reached.Store(r)
	if attempts > 1 {
		c.attempts.Store(int32(attempts))
	}
}

// End ends the call with its error, a status. A second End does nothing, and neither does that of a nil Call.
func (c *Call) End(err error) {
	if c == nil || !c.Span.finish() {
		return
	}
	c.Span.endCall(err, ending{reached: c.reached.Load(), attempts: int(c.attempts.Load())})
}

// Serve begins the span of a call that is taken, with the headers that it came with. A nil method begins nothing.
func (s *Span) Serve(m *Method, traceParent, traceState string) {
	s.ServeAt(m, time.Time{}, traceParent, traceState)
}

// ServeAt is Serve for a call that came at the moment, which the caller has looked at the time for already. Zero is now.
func (s *Span) ServeAt(m *Method, moment time.Time, traceParent, traceState string) {
	if m == nil {
		return
	}
	var p parent
	if traceParent != "" && !m.service.telemetry.config.NoTraceContext && p.parse(traceParent) {
		p.state = traceState
	}
	s.serve(m, &p, m.service.telemetry.clock.at(moment))
}

// ServeFor is Serve for a call of the same process, whose span is that of the caller. The caller's may be nil.
func (s *Span) ServeFor(m *Method, caller *Span) {
	if m == nil {
		return
	}
	var p parent
	if caller != nil && caller.Begun() {
		p = parent{trace: caller.traceID, span: caller.id, flags: caller.flags, state: caller.state}
	}
	s.serve(m, &p, m.service.telemetry.clock.now())
}

func (s *Span) serve(m *Method, p *parent, at int64) {
	s.method = m
	s.begin(m.scope, m.kind, p, at)
	if m.streams.Load() {
		s.Streams()
	}
}

// Served ends the span of a call that was taken, with its error, a status. path is the way that it came: inprocess, unix or tcp, or the
// protocol of a gateway. Of a span that was not begun, or has ended, nothing happens.
func (s *Span) Served(err error, path string) {
	if s.finish() {
		s.endCall(err, ending{path: path})
	}
}

// endCall ends the span of a call, which is finished, and counts the call.
func (s *Span) endCall(err error, e ending) {
	t := s.scope.service.telemetry
	e.at = t.clock.now()
	e.took = time.Duration(e.at - s.start)
	if err != nil {
		st := status.Convert(err)
		e.code, e.message = st.Code(), st.Message()
	}
	if s.phase.Load()&endless != 0 {
		s.method.open.Add(-1)
		if s.records {
			s.method.traces.remove(s)
		}
	}
	s.over(&e, s.method.calls.of(e.code, e.took, t.cells))
}

// Streams says that the call, or request, is a stream: such take as long as they like, and are never slow. A call is open until it ends.
func (s *Span) Streams() {
	if s.method != nil {
		s.method.Streaming()
	}
	for {
		phase := s.phase.Load()
		if !s.Begun() || phase&(ended|endless) != 0 {
			return
		}
		if !s.phase.CompareAndSwap(phase, phase|endless) {
			continue
		}
		if s.method != nil {
			s.method.open.Add(1)
			if s.records {
				s.method.traces.add(s)
			}
		}
		return
	}
}

// IsStream reports whether somebody has said that the call, or request, is a stream.
func (s *Span) IsStream() bool { return s.phase.Load()&endless != 0 }

// slow reports whether a span that took so long is to be kept for that: a call, or a request.
func (s *Span) slow(took, limit time.Duration) bool {
	if limit <= 0 || took < limit {
		return false
	}
	if s.method != nil {
		return !s.method.streams.Load()
	}
	return s.kind == uint8(trace.SpanKindServer) && s.phase.Load()&endless == 0
}
