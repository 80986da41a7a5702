package otlp

import (
	"encoding/binary"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/encoding/protowire"
)

// Spans that are written one by one, as they end, are put together by [AppendEncodedSpans].

// AppendSpan appends one span, as AppendEncodedSpans takes it.
func AppendSpan(b []byte, s *Span) []byte { return appendSpan(b, 2, s) }

// AppendSpanAttributes appends attributes as a span's field Encoded takes them.
func AppendSpanAttributes(b []byte, attrs []attribute.KeyValue) []byte {
	return appendAttributes(b, 9, attrs)
}

// PlainSpan is a span of which there is no more to say than what was written before, for many of its kind.
type PlainSpan struct {
	TraceID      trace.TraceID
	SpanID       trace.SpanID
	ParentID     trace.SpanID // zero at the root
	ParentRemote bool
	Flags        trace.TraceFlags
	Start, End   int64     // Unix time in nanoseconds
	Fields       [3][]byte // by AppendSpanName and AppendSpanAttributes, in any order
}

// AppendSpanName appends what spans of a kind are called, as PlainSpan takes it.
func AppendSpanName(b []byte, name string, kind trace.SpanKind) []byte {
	b = stringField(b, 5, name)
	return varintField(b, 6, uint64(kind))
}

// AppendPlainSpan is AppendSpan for a plain span. Nearly all are, so it is written in one go, without a look back at what it wrote.
func AppendPlainSpan(b []byte, s *PlainSpan) []byte {
	const (
		traceID, spanID, parentID = 1<<3 | 2, 2<<3 | 2, 4<<3 | 2
		start, end                = 7<<3 | 1, 8<<3 | 1
		ids, times, flags         = 2 + 16 + 2 + 8, 2 * (1 + 8), 2 + 4
	)
	size := ids + times + flags + len(s.Fields[0]) + len(s.Fields[1]) + len(s.Fields[2])
	hasParent := s.ParentID.IsValid()
	if hasParent {
		size += 2 + 8
	}
	b = slices.Grow(b, 1+protowire.SizeVarint(uint64(size))+size)
	b = append(b, 2<<3|2)
	b = protowire.AppendVarint(b, uint64(size))
	b = append(append(b, traceID, 16), s.TraceID[:]...)
	b = append(append(b, spanID, 8), s.SpanID[:]...)
	if hasParent {
		b = append(append(b, parentID, 8), s.ParentID[:]...)
	}
	b = binary.LittleEndian.AppendUint64(append(b, start), uint64(s.Start))
	b = binary.LittleEndian.AppendUint64(append(b, end), uint64(s.End))
	for _, fields := range s.Fields {
		b = append(b, fields...)
	}
	b = protowire.AppendTag(b, 16, protowire.Fixed32Type)
	return protowire.AppendFixed32(b, remoteFlags(s.Flags, s.ParentRemote))
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
