package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
	"go.opentelemetry.io/otel/trace/noop"
)

// TracerProvider makes the tracers for a program's own spans, which become a part of what the service tells.
func (s *Service) TracerProvider() trace.TracerProvider {
	if s == nil {
		return noop.NewTracerProvider()
	}
	return provider{service: s}
}

// scope is who makes spans: a library, for one service.
type scope struct {
	service       *Service
	name, version string
	schemaURL     string
}

type provider struct {
	embedded.TracerProvider
	service *Service
}

// Tracer implements [trace.TracerProvider].
func (p provider) Tracer(name string, options ...trace.TracerOption) trace.Tracer {
	c := trace.NewTracerConfig(options...)
	return &tracer{scope: &scope{service: p.service, name: name, version: c.InstrumentationVersion(), schemaURL: c.SchemaURL()}}
}

type tracer struct {
	embedded.Tracer
	scope *scope
}

// Start implements [trace.Tracer].
func (t *tracer) Start(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	if ctx == nil {
		ctx = context.Background()
	}
	c := trace.NewSpanStartConfig(options...)
	var p parent
	if !c.NewRoot() {
		p = parentIn(ctx)
	}
	at := c.Timestamp()
	if at.IsZero() {
		at = time.Now()
	}
	own := &spanContext{Context: ctx}
	own.name = name
	own.begin(t.scope, trace.ValidateSpanKind(c.SpanKind()), &p, at)
	if !Found() {
		return trace.ContextWithSpan(ctx, &own.Span), &own.Span
	}
	return own, &own.Span
}
