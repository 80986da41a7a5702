package otlp

import "go.opentelemetry.io/otel/attribute"

// Spans that are written one by one, as they end, are put together by [AppendEncodedSpans].

// AppendSpan appends one span, as AppendEncodedSpans takes it.
func AppendSpan(b []byte, s *Span) []byte { return appendSpan(b, 2, s) }

// AppendSpanAttributes appends attributes as a span's field Encoded takes them.
func AppendSpanAttributes(b []byte, attrs []attribute.KeyValue) []byte {
	return appendAttributes(b, 9, attrs)
}

// EncodedSpans are spans of one resource and one scope, written by AppendSpan, one after another, in any number of pieces.
type EncodedSpans struct {
	Resource *Resource
	Scope    Scope
	Pieces   [][]byte
}

// AppendEncodedSpans appends an ExportTraceServiceRequest.
func AppendEncodedSpans(b []byte, all []EncodedSpans) []byte {
	var resource, scope int
	for i := range all {
		s := &all[i]
		b, resource = openField(b, 1)
		b = appendResource(b, s.Resource)
		b, scope = openField(b, 2)
		b = appendScope(b, &s.Scope)
		for _, piece := range s.Pieces {
			b = append(b, piece...)
		}
		b = stringField(b, 3, s.Scope.SchemaURL)
		b = closeField(b, scope)
		b = stringField(b, 3, s.Resource.schemaURL())
		b = closeField(b, resource)
	}
	return b
}
