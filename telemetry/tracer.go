package telemetry

import (
	"context"

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

// SharedTracerProvider is TracerProvider for libraries that do not know the service whose call they are part of: a span that is made during
// a call of another service of the process belongs to that.
func (s *Service) SharedTracerProvider() trace.TracerProvider {
	if s == nil {
		return noop.NewTracerProvider()
	}
	return provider{service: s, shared: true}
}

// scope is who makes spans: a library, for one service.
type scope struct {
	service       *Service
	name, version string
	schemaURL     string
	piles         [pilesPerScope]pile // of spans to be sent
}

// pilesPerScope is how many processors can end spans of a scope without meeting.
const pilesPerScope = 4

func newScope(s *Service, name, version, schemaURL string) *scope {
	sc := &scope{service: s, name: name, version: version, schemaURL: schemaURL}
	if w := s.telemetry.spans; w != nil {
		w.register(sc)
	}
	return sc
}

type scopeKey struct{ name, version, schemaURL string }

// maxScopes bounds the libraries that are told apart.
const maxScopes = 1000

// scope returns that of a library.
func (s *Service) scope(name, version, schemaURL string) *scope {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := scopeKey{name, version, schemaURL}
	if sc := s.scopes[key]; sc != nil {
		return sc
	}
	if len(s.scopes) >= maxScopes {
		return s.calls
	}
	sc := newScope(s, name, version, schemaURL)
	if s.scopes == nil {
		s.scopes = make(map[scopeKey]*scope)
	}
	s.scopes[key] = sc
	return sc
}

type provider struct {
	embedded.TracerProvider
	service *Service
	shared  bool
}

// Tracer implements [trace.TracerProvider].
func (p provider) Tracer(name string, options ...trace.TracerOption) trace.Tracer {
	c := trace.NewTracerConfig(options...)
	return &tracer{scope: p.service.scope(name, c.InstrumentationVersion(), c.SchemaURL()), shared: p.shared}
}

type tracer struct {
	embedded.Tracer
	scope  *scope
	shared bool
}

// of is the scope for a span that is made with ctx.
func (t *tracer) of(ctx context.Context) *scope {
	if !t.shared {
		return t.scope
	}
	own, ok := trace.SpanFromContext(ctx).(*Span)
	if !ok || !own.Begun() || own.scope.service == t.scope.service {
		return t.scope
	}
	return own.scope.service.scope(t.scope.name, t.scope.version, t.scope.schemaURL)
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
	own := &spanContext{Context: ctx}
	own.name = name
	sc := t.of(ctx)
	own.begin(sc, trace.ValidateSpanKind(c.SpanKind()), &p, sc.service.telemetry.clock.now())
	if at := c.Timestamp(); !at.IsZero() {
		own.start, own.dated = at.UnixNano(), true
	}
	if own.records {
		if attrs := c.Attributes(); len(attrs) > 0 {
			own.SetAttributes(attrs...)
		}
		for _, l := range c.Links() {
			own.AddLink(l)
		}
	}
	if !Found() {
		return trace.ContextWithSpan(ctx, &own.Span), &own.Span
	}
	return own, &own.Span
}
