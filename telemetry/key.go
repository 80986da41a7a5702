package telemetry

import (
	"context"
	"sync"

	"go.opentelemetry.io/otel/trace"
)

// spanKey is the key under which a context has its span, learned by asking OpenTelemetry's own function for it. A context that answers for
// it itself is one object, where OpenTelemetry's function makes another one around it.
var spanKey = sync.OnceValue(func() (key any) {
	trace.SpanFromContext(probe{context.Background(), &key})
	return key
})

// probe is a context without values that notes the key it is asked for.
type probe struct {
	context.Context
	key *any
}

func (p probe) Value(key any) any {
	*p.key = key
	return nil
}

// keyWorks reports whether OpenTelemetry finds a span by that key in a context of another kind than its own. A release that keeps spans in
// another way makes it false: then only contexts made by its own function will do.
var keyWorks = sync.OnceValue(func() bool {
	c := &spanContext{Context: context.Background()}
	return trace.SpanFromContext(c) == trace.Span(&c.Span)
})

// IsKey reports whether a context is asked for its span: then it answers with a *Span of its own.
func IsKey(key any) bool { return key == spanKey() }

// Found reports whether contexts may answer for themselves where [IsKey] says so. If not, their users are handed those of
// [trace.ContextWithSpan].
func Found() bool { return keyWorks() }

// spanContext is a context with a span of its own.
type spanContext struct {
	context.Context
	Span
}

func (c *spanContext) Value(key any) any {
	if IsKey(key) {
		return &c.Span
	}
	return c.Context.Value(key)
}

// String says what the context is; without it %v would read fields that change.
func (c *spanContext) String() string { return "telemetry.Context" }
