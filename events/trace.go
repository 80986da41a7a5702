package events

import (
	"context"

	"github.com/hanse-go/hanse/internal/outmeta"
	"github.com/hanse-go/hanse/telemetry"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/metadata"
)

// traceHeaders are those of W3C Trace Context and Baggage, which an event takes over from what was going on when it was published.
var traceHeaders = [...]string{"traceparent", "tracestate", baggageHeader}

const baggageHeader = telemetry.BaggageKey

// continueTrace has what a handler calls and publishes belong to the trace of its event. When the handling has a span in ctx, it does by that.
func continueTrace(ctx context.Context, m *Message, told bool) context.Context {
	if m.Metadata == nil {
		return ctx
	}
	var pairs []string
	names := traceHeaders[:]
	if told {
		names = traceHeaders[2:]
	}
	for _, name := range names {
		if v := m.Metadata[name]; v != "" {
			pairs = append(pairs, name, v)
		}
	}
	if sent := m.Metadata[baggageHeader]; sent != "" {
		ctx = telemetry.WithBaggage(ctx, sent)
	}
	if pairs == nil {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, pairs...)
}

// joinTrace adds the trace that ctx belongs to: that of the calls made with it, else that of the call that is served with it. The baggage in ctx goes with it.
func joinTrace(ctx context.Context, m *Message) {
	span, _ := trace.SpanFromContext(ctx).(*telemetry.Span)
	if b := baggage.FromContext(ctx); b.Len() > 0 && (span == nil || !span.NoBaggage()) {
		defer func() {
			if m.Metadata[baggageHeader] == "" { // else metadata says so itself
				m.SetMetadata(baggageHeader, b.String())
			}
		}()
	}
	of := outmeta.Value
	if _, ok := of(ctx, traceHeaders[0]); !ok {
		of = incoming
		if _, ok := of(ctx, traceHeaders[0]); !ok {
			return
		}
	}
	for _, name := range traceHeaders {
		if v, ok := of(ctx, name); ok {
			m.SetMetadata(name, v)
		}
	}
}

// tellCreated has a message that is kept by its publisher belong to the trace of ctx by a span of its own, for the service that has the span in ctx.
func tellCreated(ctx context.Context, topic string, m *Message) {
	above := trace.SpanFromContext(ctx)
	if !above.SpanContext().IsValid() {
		return
	}
	own, ok := above.(*telemetry.Span)
	if !ok {
		return
	}
	var span telemetry.Span
	own.Beside(scopeName).BeginSpan(ctx, &span, trace.SpanKindProducer, opCreate+" "+topic, "", "")
	m.setTrace(&span)
	if span.IsRecording() {
		span.SetAttributes(attribute.String("messaging.system", "hanse"), attribute.String("messaging.destination.name", topic),
			attribute.String("messaging.operation.name", opCreate), attribute.String("messaging.operation.type", opCreate))
		describe(&span, m)
	}
	span.End()
}

func incoming(ctx context.Context, name string) (string, bool) {
	values := metadata.ValueFromIncomingContext(ctx, name)
	if len(values) == 0 {
		return "", false
	}
	return values[0], true
}

// setTrace has the trace of a message go on below a span.
func (m *Message) setTrace(span *telemetry.Span) {
	parent, state := span.Sent()
	if parent == "" {
		return
	}
	m.SetMetadata(traceHeaders[0], parent)
	if state != "" {
		m.SetMetadata(traceHeaders[1], state)
	} else {
		delete(m.Metadata, traceHeaders[1])
	}
}
