package otlp

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/encoding/protowire"
)

// ResourceSpans are the spans of one resource.
type ResourceSpans struct {
	Resource *Resource
	Scopes   []ScopeSpans
}

// ScopeSpans are the spans that one library made.
type ScopeSpans struct {
	Scope Scope
	Spans []Span
}

// Span is one that has ended.
type Span struct {
	TraceID           trace.TraceID
	SpanID            trace.SpanID
	ParentID          trace.SpanID // zero at the root
	ParentRemote      bool         // the parent belongs to another process
	Flags             trace.TraceFlags
	TraceState        string
	Name              string
	Kind              trace.SpanKind
	Start, End        int64 // Unix time in nanoseconds
	Attributes        []attribute.KeyValue
	Encoded           []byte // more attributes, by AppendSpanAttributes
	DroppedAttributes int
	Events            []Event
	DroppedEvents     int
	Links             []Link
	DroppedLinks      int
	Status            codes.Code
	StatusMessage     string
}

// Event is what happened during a span.
type Event struct {
	Name              string
	Time              int64 // Unix time in nanoseconds
	Attributes        []attribute.KeyValue
	DroppedAttributes int
}

// Link points to a span of another trace.
type Link struct {
	SpanContext       trace.SpanContext
	Attributes        []attribute.KeyValue
	DroppedAttributes int
}

// AppendTraces appends an ExportTraceServiceRequest.
func AppendTraces(b []byte, all []ResourceSpans) []byte {
	var resource, scope int
	for i := range all {
		rs := &all[i]
		b, resource = openField(b, 1)
		b = appendResource(b, rs.Resource)
		for j := range rs.Scopes {
			ss := &rs.Scopes[j]
			b, scope = openField(b, 2)
			b = appendScope(b, &ss.Scope)
			for k := range ss.Spans {
				b = appendSpan(b, 2, &ss.Spans[k])
			}
			b = stringField(b, 3, ss.Scope.SchemaURL)
			b = closeField(b, scope)
		}
		b = stringField(b, 3, rs.Resource.schemaURL())
		b = closeField(b, resource)
	}
	return b
}

// Bits of a span's flags above those of W3C's trace context.
const (
	knowsRemote = 1 << 8
	isRemote    = 1 << 9
)

func remoteFlags(f trace.TraceFlags, remote bool) uint32 {
	flags := uint32(f) | knowsRemote
	if remote {
		flags |= isRemote
	}
	return flags
}

func appendSpan(b []byte, num protowire.Number, s *Span) []byte {
	b, start := openField(b, num)
	b = bytesAlways(b, 1, s.TraceID[:])
	b = bytesAlways(b, 2, s.SpanID[:])
	b = stringField(b, 3, s.TraceState)
	if s.ParentID.IsValid() {
		b = bytesAlways(b, 4, s.ParentID[:])
	}
	b = stringField(b, 5, s.Name)
	b = varintField(b, 6, uint64(s.Kind)) // the numbers are the same
	b = fixed64Field(b, 7, uint64(s.Start))
	b = fixed64Field(b, 8, uint64(s.End))
	b = append(b, s.Encoded...)
	b = appendAttributes(b, 9, s.Attributes)
	b = varintField(b, 10, uint64(s.DroppedAttributes))
	for i := range s.Events {
		b = appendEvent(b, 11, &s.Events[i])
	}
	b = varintField(b, 12, uint64(s.DroppedEvents))
	for i := range s.Links {
		b = appendLink(b, 13, &s.Links[i])
	}
	b = varintField(b, 14, uint64(s.DroppedLinks))
	if s.Status != codes.Unset {
		b = appendStatus(b, 15, s.Status, s.StatusMessage)
	}
	b = fixed32Field(b, 16, remoteFlags(s.Flags, s.ParentRemote))
	return closeField(b, start)
}

// appendStatus translates the codes, whose numbers differ. Only an error has a message.
func appendStatus(b []byte, num protowire.Number, code codes.Code, message string) []byte {
	const statusOK, statusError = 1, 2
	b, start := openField(b, num)
	if code == codes.Error {
		b = stringField(b, 2, message)
		b = varintField(b, 3, statusError)
	} else {
		b = varintField(b, 3, statusOK)
	}
	return closeField(b, start)
}

func appendEvent(b []byte, num protowire.Number, e *Event) []byte {
	b, start := openField(b, num)
	b = fixed64Field(b, 1, uint64(e.Time))
	b = stringField(b, 2, e.Name)
	b = appendAttributes(b, 3, e.Attributes)
	b = varintField(b, 4, uint64(e.DroppedAttributes))
	return closeField(b, start)
}

func appendLink(b []byte, num protowire.Number, l *Link) []byte {
	b, start := openField(b, num)
	traceID, spanID := l.SpanContext.TraceID(), l.SpanContext.SpanID()
	b = bytesAlways(b, 1, traceID[:])
	b = bytesAlways(b, 2, spanID[:])
	b = stringField(b, 3, l.SpanContext.TraceState().String())
	b = appendAttributes(b, 4, l.Attributes)
	b = varintField(b, 5, uint64(l.DroppedAttributes))
	b = fixed32Field(b, 6, remoteFlags(l.SpanContext.TraceFlags(), l.SpanContext.IsRemote()))
	return closeField(b, start)
}
