package telemetry

import (
	"context"
	"sync"
	"time"

	"github.com/hanse-go/hanse/internal/outmeta"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/status"
)

// Call is a call that is made, with all its attempts: its span, and the context that has it. One object is both.
type Call struct {
	context.Context
	Span Span

	had string // the traceparent that was to be sent when it began

	mu      sync.Mutex
	reached Reached
}

// Reached says where a call went.
type Reached struct {
	Path     string // inprocess, unix or tcp; "": nowhere
	Instance string // ID; "": not known
	Endpoint string // URL; "": none
	Attempts int
}

// Begin begins a call of the method; it is made with [Call.Ctx]. It belongs to the span in ctx, and if there is none to the trace that ctx
// sends as metadata. It must be ended. Begin of a nil Method returns nil.
func (m *Method) Begin(ctx context.Context) *Call {
	if m == nil {
		return nil
	}
	c := &Call{Context: ctx}
	p := parentIn(ctx)
	if !m.service.telemetry.config.NoTraceContext {
		if c.had, _ = outmeta.Value(ctx, TraceParentKey); c.had != "" && !p.valid() && p.parse(c.had) {
			p.state, _ = outmeta.Value(ctx, TraceStateKey)
		}
	}
	c.Span.method = m
	c.Span.begin(m.scope, m.kind, &p, time.Now())
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

// At notes where the call went. The last counts. A nil Call notes nothing.
func (c *Call) At(r Reached) {
	if c == nil {
		return
	}
	c.mu.Lock()
	c.reached = r
	c.mu.Unlock()
}

// End ends the call with its error, a status. A second End does nothing, and neither does that of a nil Call.
func (c *Call) End(err error) {
	if c == nil || !c.Span.finish() {
		return
	}
	c.mu.Lock()
	r := c.reached
	c.mu.Unlock()
	c.Span.endCall(err, &r)
}

// Serve begins the span of a call that is taken, with the headers that it came with. A nil method begins nothing.
func (s *Span) Serve(m *Method, traceParent, traceState string) {
	if m == nil {
		return
	}
	var p parent
	if traceParent != "" && !m.service.telemetry.config.NoTraceContext && p.parse(traceParent) {
		p.state = traceState
	}
	s.method = m
	s.begin(m.scope, m.kind, &p, time.Now())
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
	s.method = m
	s.begin(m.scope, m.kind, &p, time.Now())
}

// Served ends the span of a call that was taken, with its error, a status. path is the way that it came: inprocess, unix or tcp, or the
// protocol of a gateway. Of a span that was not begun, or has ended, nothing happens.
func (s *Span) Served(err error, path string) {
	if s.finish() {
		s.endCall(err, &Reached{Path: path})
	}
}

// endCall ends the span of a call, which is finished, and counts the call.
func (s *Span) endCall(err error, r *Reached) {
	took := time.Since(s.start)
	code, message := status.Code(err), ""
	if err != nil {
		message = status.Convert(err).Message()
	}
	var sample trace.SpanContext
	if s.records {
		sample = s.SpanContext()
	}
	s.method.ended(took, code, sample)
	s.over(took, code, message, r)
}

// Streams says that the call is a stream: such calls take as long as they like, and are never slow.
func (s *Span) Streams() { s.method.Streaming() }
