package events

import (
	"context"

	"github.com/hanse-go/hanse/internal/outmeta"
	"google.golang.org/grpc/metadata"
)

// traceHeaders are those of W3C Trace Context and Baggage, which an event takes over from what was going on when it was published.
var traceHeaders = [...]string{"traceparent", "tracestate", "baggage"}

// continueTrace has what a handler calls and publishes belong to the trace of its event.
func continueTrace(ctx context.Context, m *Message) context.Context {
	if m.Metadata == nil {
		return ctx
	}
	var pairs []string
	for _, name := range traceHeaders {
		if v := m.Metadata[name]; v != "" {
			pairs = append(pairs, name, v)
		}
	}
	if pairs == nil {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, pairs...)
}

// joinTrace adds the trace that ctx belongs to: that of the calls made with it, else that of the call that is served with it.
func joinTrace(ctx context.Context, m *Message) {
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

func incoming(ctx context.Context, name string) (string, bool) {
	values := metadata.ValueFromIncomingContext(ctx, name)
	if len(values) == 0 {
		return "", false
	}
	return values[0], true
}
