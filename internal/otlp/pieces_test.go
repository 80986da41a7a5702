package otlp_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/internal/otlp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/encoding/protowire"
)

// TestPlainSpan holds that a plain span says what any other way of writing it says.
func TestPlainSpan(t *testing.T) {
	for name, s := range map[string]otlp.Span{
		"root": {Name: "p.S/M", Kind: trace.SpanKindServer, Start: 1, End: 2},
		"all": {
			Name: "p.S/M", Kind: trace.SpanKindClient, Start: 1e18, End: 1e18 + 5, ParentID: trace.SpanID{3}, ParentRemote: true, Flags: trace.FlagsSampled,
			Attributes: []attribute.KeyValue{attribute.String("a", "1"), attribute.String("b", "2"), attribute.Int("c", 3)},
		},
		"large": {Name: strings.Repeat("M", 300), Kind: trace.SpanKindClient, Start: 1, End: 2, Attributes: []attribute.KeyValue{attribute.String("a", strings.Repeat("1", 20000))}},
	} {
		s.TraceID, s.SpanID = trace.TraceID{1, 15: 2}, trace.SpanID{3, 7: 4}
		plain := otlp.PlainSpan{TraceID: s.TraceID, SpanID: s.SpanID, ParentID: s.ParentID, ParentRemote: s.ParentRemote, Flags: s.Flags, Start: s.Start, End: s.End}
		plain.Fields[1] = otlp.AppendSpanName(nil, s.Name, s.Kind)
		plain.Fields[2] = otlp.AppendSpanAttributes(nil, s.Attributes)
		before := []byte("before")
		got, want := otlp.AppendPlainSpan(before, &plain), otlp.AppendSpan(before, &s)
		if !bytes.HasPrefix(got, before) || !slices.EqualFunc(fieldsOf(t, got[len(before):]), fieldsOf(t, want[len(before):]), bytes.Equal) {
			t.Errorf("%s: %x\nwant, in any order: %x", name, got, want)
		}
	}
}

// fieldsOf are the fields of the one message that b is, in their order.
func fieldsOf(t *testing.T, b []byte) (fields [][]byte) {
	t.Helper()
	_, _, n := protowire.ConsumeTag(b)
	b, m := protowire.ConsumeBytes(b[max(n, 0):])
	if n < 0 || m < 0 {
		t.Fatalf("%x is no message", b)
	}
	for len(b) > 0 {
		_, _, n := protowire.ConsumeField(b)
		if n < 0 {
			t.Fatalf("%x is no field", b)
		}
		fields, b = append(fields, b[:n]), b[n:]
	}
	slices.SortFunc(fields, bytes.Compare)
	return fields
}
