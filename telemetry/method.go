package telemetry

import (
	"maps"
	"strings"
	"sync/atomic"

	"github.com/hanse-go/hanse/internal/otlp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// Method is what a service tells of the calls of one method that it serves, or of those that it makes of one method of a service. It is
// made once and used for all calls. A nil *Method is off.
type Method struct {
	service *Service
	kind    trace.SpanKind
	name    string // "pkg.Service/Method", the name of its spans
	peer    string // the called service; "": it is served here
	calls   calls
	scope   *scope
	id      uint32       // among the names
	encoded []byte       // the attributes that all its spans have
	plain   []byte       // the same, behind the name
	streams atomic.Bool  // its calls take as long as they like
	open    atomic.Int64 // streams that have not ended
	traces  openTraces   // of some of them
}

type methodKey struct {
	kind       trace.SpanKind
	name, peer string
}

// maxMethods bounds the methods of a service, which callers may invent: all others count as one.
const maxMethods = 4096

// otherMethod is what the semantic conventions call a method that is not known.
const otherMethod = "_OTHER"

// Serves returns the method, given as "/pkg.Service/Method", of calls that the service takes; "" is for those of methods that there are not.
func (s *Service) Serves(fullMethod string) *Method {
	return s.method(methodKey{kind: trace.SpanKindServer, name: fullMethod})
}

// Calls returns the method, given as "/pkg.Service/Method", of calls that the service makes to another one.
func (s *Service) Calls(fullMethod, service string) *Method {
	return s.method(methodKey{trace.SpanKindClient, fullMethod, service})
}

func (s *Service) method(key methodKey) *Method {
	if s == nil {
		return nil
	}
	if m := (*s.methods.Load())[key]; m != nil {
		return m
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	known := *s.methods.Load()
	if len(known) >= maxMethods || key.name == "" {
		key.name = otherMethod
	}
	if m := known[key]; m != nil {
		return m
	}
	m := &Method{service: s, kind: key.kind, name: strings.TrimPrefix(key.name, "/"), peer: key.peer, scope: s.calls}
	m.encoded = otlp.AppendSpanAttributes(nil, m.attributes())
	m.plain = append(otlp.AppendSpanName(nil, m.name, m.kind), m.encoded...)
	m.id = s.telemetry.names.add(&spanName{scope: s.calls, kind: key.kind, name: m.name, method: m})
	more := maps.Clone(known)
	more[key] = m
	s.methods.Store(&more)
	return m
}

// StreamKey is the attribute that spans and numbers of streams have, as true: the conventions have none, and how long a stream takes is no
// latency. Requests by plain HTTP have it, too.
const StreamKey = "hanse.rpc.stream"

// Streaming says that calls of the method are streams, which are never slow, and returns it.
func (m *Method) Streaming() *Method {
	if m != nil && !m.streams.Load() {
		m.streams.Store(true)
	}
	return m
}

// attributes are those that all spans and numbers of the method have, by the semantic conventions.
func (m *Method) attributes() []attribute.KeyValue {
	attrs := []attribute.KeyValue{attribute.String("rpc.system.name", "grpc"), attribute.String("rpc.method", m.name)}
	if m.peer != "" {
		attrs = append(attrs, attribute.String("server.address", m.peer))
	}
	return attrs
}
