package telemetry

import (
	"context"
	"unsafe"

	"github.com/hanse-go/hanse/internal/outmeta"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/metadata"
)

// Headers are what is sent of a call besides the metadata of its context. The zero value is nothing.
type Headers struct {
	Trace      bool   // that of the call, instead of what the metadata says of one
	TraceState string // "": none
	Baggage    string // "": none, or it is in the metadata

	span *Span
}

// HeadersOf returns what is sent of the call that is made with ctx. A traceparent in the metadata that came there after the call began, by an
// interceptor, is sent instead of the call's own; one that was there before is of a span further up, and is not sent.
func HeadersOf(ctx context.Context) (h Headers) {
	c := CallIn(ctx)
	if c == nil {
		return h
	}
	config := &c.Span.scope.service.telemetry.config
	if !config.NoTraceContext {
		if ctx == context.Context(c) || c.sendsIn(ctx) {
			h.Trace, h.TraceState, h.span = true, c.Span.state, &c.Span
		}
	}
	if !config.NoBaggage {
		if b := baggage.FromContext(ctx); b.Len() > 0 {
			if _, ok := outmeta.Value(ctx, BaggageKey); !ok {
				h.Baggage = b.String()
			}
		}
	}
	return h
}

// sendsIn reports whether nobody has put another traceparent into the metadata since the call began.
func (c *Call) sendsIn(ctx context.Context) bool {
	now, ok := outmeta.Value(ctx, TraceParentKey)
	if !ok {
		return true
	}
	before, _ := outmeta.Value(c.Context, TraceParentKey)
	return now == before
}

// Replaces reports whether values of the key in the metadata are not to be sent, because the call has its own.
func (h *Headers) Replaces(key string) bool {
	return h.Trace && (key == TraceParentKey || key == TraceStateKey)
}

// Span is that of the call, where h.Trace is true, and else nil.
func (h *Headers) Span() *Span { return h.span }

// TraceParentRoom is memory for a traceparent.
type TraceParentRoom [traceParentLen]byte

// TraceParent returns what is sent of the trace, in room, which must not change while it is used.
func (h *Headers) TraceParent(room *TraceParentRoom) string {
	b := appendTraceParent(room[:0], &h.span.traceID, &h.span.id, h.span.flags)
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// Outgoing returns a context that has as metadata what is sent of the call that is made with ctx, for a transport that knows of nothing else.
func Outgoing(ctx context.Context) context.Context {
	h := HeadersOf(ctx)
	if !h.Trace && h.Baggage == "" {
		return ctx
	}
	md, _ := metadata.FromOutgoingContext(ctx) // a copy
	if md == nil {
		md = make(metadata.MD, 3)
	}
	h.AddTo(md)
	return metadata.NewOutgoingContext(ctx, md)
}

// AddTo puts the headers into md, instead of what they replace.
func (h *Headers) AddTo(md metadata.MD) {
	if h.Trace {
		md.Set(TraceParentKey, h.TraceParent(new(TraceParentRoom)))
		delete(md, TraceStateKey)
		if h.TraceState != "" {
			md.Set(TraceStateKey, h.TraceState)
		}
	}
	if h.Baggage != "" {
		md.Set(BaggageKey, h.Baggage)
	}
}

// Parent returns what the caller has sent of its span: "" when the call begins its trace.
func (s *Span) Parent() (traceParent, traceState string) {
	if !s.Begun() || !s.parent.IsValid() {
		return "", ""
	}
	return string(appendTraceParent(nil, &s.traceID, &s.parent, s.sent)), s.state
}

// WithBaggage returns a context that has the baggage which came with a call, as the header says it, if it can be read.
func WithBaggage(ctx context.Context, header string) context.Context {
	b, err := baggage.Parse(header)
	if err != nil || b.Len() == 0 {
		return ctx
	}
	return baggage.ContextWithBaggage(ctx, b)
}

// Baggage reports whether baggage is heeded.
func (s *Service) Baggage() bool { return s != nil && !s.telemetry.config.NoBaggage }

// NoBaggage reports whether the service whose span it is does not heed baggage.
func (s *Span) NoBaggage() bool { return s.Begun() && !s.scope.service.Baggage() }

var _ trace.Span = (*Span)(nil)
