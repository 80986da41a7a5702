package otlp

import (
	"go.opentelemetry.io/otel/attribute"
	"google.golang.org/protobuf/encoding/protowire"
)

// Resource is what all of the spans, metrics or log records below it come from.
type Resource struct {
	Attributes []attribute.KeyValue
	SchemaURL  string // of the attributes and of what is below; empty is none
}

// Scope is the library that made spans, metrics or log records. The zero value is left out.
type Scope struct {
	Name, Version string
	Attributes    []attribute.KeyValue
	SchemaURL     string
}

func appendResource(b []byte, r *Resource) []byte {
	if r == nil {
		return b
	}
	b, start := openField(b, 1)
	b = appendAttributes(b, 1, r.Attributes)
	return closeField(b, start)
}

func (r *Resource) schemaURL() string {
	if r == nil {
		return ""
	}
	return r.SchemaURL
}

func appendScope(b []byte, s *Scope) []byte {
	if s.Name == "" && s.Version == "" && len(s.Attributes) == 0 {
		return b
	}
	b, start := openField(b, 1)
	b = stringField(b, 1, s.Name)
	b = stringField(b, 2, s.Version)
	b = appendAttributes(b, 3, s.Attributes)
	return closeField(b, start)
}

// appendAttributes leaves out attributes without a key, which the protocol forbids.
func appendAttributes(b []byte, num protowire.Number, attrs []attribute.KeyValue) []byte {
	for i := range attrs {
		if kv := &attrs[i]; kv.Key != "" {
			b = appendKeyValue(b, num, kv)
		}
	}
	return b
}

func appendKeyValue(b []byte, num protowire.Number, kv *attribute.KeyValue) []byte {
	b, start := openField(b, num)
	b = stringField(b, 1, string(kv.Key))
	b = appendValue(b, 2, kv.Value)
	return closeField(b, start)
}

// appendValue writes an AnyValue. Its fields are those of a oneof, so that zero values are written.
func appendValue(b []byte, num protowire.Number, v attribute.Value) []byte {
	b, start := openField(b, num)
	switch v.Type() {
	case attribute.STRING:
		b = stringAlways(b, 1, v.AsString())
	case attribute.BOOL:
		b = varintAlways(b, 2, protowire.EncodeBool(v.AsBool()))
	case attribute.INT64:
		b = varintAlways(b, 3, uint64(v.AsInt64()))
	case attribute.FLOAT64:
		b = doubleAlways(b, 4, v.AsFloat64())
	case attribute.BYTESLICE:
		b = bytesAlways(b, 7, v.AsByteSlice())
	case attribute.MAP:
		var list int
		b, list = openField(b, 6)
		b = appendAttributes(b, 1, v.AsMap())
		b = closeField(b, list)
	case attribute.BOOLSLICE, attribute.INT64SLICE, attribute.FLOAT64SLICE, attribute.STRINGSLICE, attribute.SLICE:
		var list int
		b, list = openField(b, 5)
		b = appendElements(b, v)
		b = closeField(b, list)
	}
	return closeField(b, start)
}

func appendElements(b []byte, v attribute.Value) []byte {
	switch v.Type() {
	case attribute.BOOLSLICE:
		for _, e := range v.AsBoolSlice() {
			b = appendValue(b, 1, attribute.BoolValue(e))
		}
	case attribute.INT64SLICE:
		for _, e := range v.AsInt64Slice() {
			b = appendValue(b, 1, attribute.Int64Value(e))
		}
	case attribute.FLOAT64SLICE:
		for _, e := range v.AsFloat64Slice() {
			b = appendValue(b, 1, attribute.Float64Value(e))
		}
	case attribute.STRINGSLICE:
		for _, e := range v.AsStringSlice() {
			b = appendValue(b, 1, attribute.StringValue(e))
		}
	case attribute.SLICE:
		for _, e := range v.AsSlice() {
			b = appendValue(b, 1, e)
		}
	}
	return b
}
