package otlp_test

import (
	"testing"

	"github.com/hanse-go/hanse/internal/otlp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	colllogs "go.opentelemetry.io/proto/slim/otlp/collector/logs/v1"
	collmetrics "go.opentelemetry.io/proto/slim/otlp/collector/metrics/v1"
	colltrace "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/slim/otlp/logs/v1"
	metricspb "go.opentelemetry.io/proto/slim/otlp/metrics/v1"
	resourcepb "go.opentelemetry.io/proto/slim/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	traceID  = trace.TraceID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	spanID   = trace.SpanID{1, 2, 3, 4, 5, 6, 7, 8}
	parentID = trace.SpanID{8, 7, 6, 5, 4, 3, 2, 1}
	resource = &otlp.Resource{Attributes: []attribute.KeyValue{attribute.String("service.name", "cart")}, SchemaURL: "https://opentelemetry.io/schemas/1.43.0"}
	scope    = otlp.Scope{Name: "hanse", Version: "v1", Attributes: []attribute.KeyValue{attribute.Bool("x", false)}, SchemaURL: "s"}
)

func str(s string) *commonpb.AnyValue {
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: s}}
}

func integer(n int64) *commonpb.AnyValue {
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: n}}
}

func float(f float64) *commonpb.AnyValue {
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_DoubleValue{DoubleValue: f}}
}

func boolean(b bool) *commonpb.AnyValue {
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_BoolValue{BoolValue: b}}
}

func list(values ...*commonpb.AnyValue) *commonpb.AnyValue {
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_ArrayValue{ArrayValue: &commonpb.ArrayValue{Values: values}}}
}

func kv(key string, v *commonpb.AnyValue) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: key, Value: v}
}

var (
	wantResource = &resourcepb.Resource{Attributes: []*commonpb.KeyValue{kv("service.name", str("cart"))}}
	wantScope    = &commonpb.InstrumentationScope{Name: "hanse", Version: "v1", Attributes: []*commonpb.KeyValue{kv("x", boolean(false))}}
)

// same decodes what was encoded, and finds all of it in want and nothing else.
func same(t *testing.T, b []byte, want proto.Message) {
	t.Helper()
	got := want.ProtoReflect().New().Interface()
	if err := proto.Unmarshal(b, got); err != nil {
		t.Fatalf("%v: %x", err, b)
	}
	if !proto.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", prototext.Format(got), prototext.Format(want))
	}
	if n := proto.Size(want); n != len(b) {
		t.Errorf("%d bytes; the shortest form has %d", len(b), n)
	}
}

func TestTraces(t *testing.T) {
	state, err := trace.ParseTraceState("a=b")
	if err != nil {
		t.Fatal(err)
	}
	b := otlp.AppendTraces(nil, []otlp.ResourceSpans{{Resource: resource, Scopes: []otlp.ScopeSpans{{Scope: scope, Spans: []otlp.Span{
		{
			TraceID: traceID, SpanID: spanID, ParentID: parentID, ParentRemote: true, Flags: trace.FlagsSampled, TraceState: "a=b",
			Name: "shop.Cart/Add", Kind: trace.SpanKindServer, Start: 1, End: 1 << 60,
			Attributes:        []attribute.KeyValue{attribute.Int("n", -1), {Key: "", Value: attribute.IntValue(1)}},
			DroppedAttributes: 2, DroppedEvents: 3, DroppedLinks: 4,
			Events: []otlp.Event{{Name: "retry", Time: 5, Attributes: []attribute.KeyValue{attribute.Float64("f", 0)}, DroppedAttributes: 6}},
			Links: []otlp.Link{{
				SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID, SpanID: parentID, TraceFlags: trace.FlagsSampled, TraceState: state, Remote: true}),
				Attributes:  []attribute.KeyValue{attribute.String("s", "")}, DroppedAttributes: 7,
			}},
			Status: codes.Error, StatusMessage: "no\xffpe",
		},
		{TraceID: traceID, SpanID: spanID, Status: codes.Ok, StatusMessage: "only errors have one"},
	}}}}, {}})
	same(t, b, &colltrace.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{{
		Resource: wantResource, SchemaUrl: resource.SchemaURL, ScopeSpans: []*tracepb.ScopeSpans{{Scope: wantScope, SchemaUrl: "s", Spans: []*tracepb.Span{
			{
				TraceId: traceID[:], SpanId: spanID[:], ParentSpanId: parentID[:], Flags: 0x301, TraceState: "a=b",
				Name: "shop.Cart/Add", Kind: tracepb.Span_SPAN_KIND_SERVER, StartTimeUnixNano: 1, EndTimeUnixNano: 1 << 60,
				Attributes:             []*commonpb.KeyValue{kv("n", integer(-1))},
				DroppedAttributesCount: 2, DroppedEventsCount: 3, DroppedLinksCount: 4,
				Events: []*tracepb.Span_Event{{Name: "retry", TimeUnixNano: 5, Attributes: []*commonpb.KeyValue{kv("f", float(0))}, DroppedAttributesCount: 6}},
				Links:  []*tracepb.Span_Link{{TraceId: traceID[:], SpanId: parentID[:], Flags: 0x301, TraceState: "a=b", Attributes: []*commonpb.KeyValue{kv("s", str(""))}, DroppedAttributesCount: 7}},
				Status: &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR, Message: "no\uFFFDpe"},
			},
			{TraceId: traceID[:], SpanId: spanID[:], Flags: 0x100, Status: &tracepb.Status{Code: tracepb.Status_STATUS_CODE_OK}},
		}}},
	}, {}}})
}

func TestKinds(t *testing.T) {
	for kind, want := range map[trace.SpanKind]tracepb.Span_SpanKind{
		trace.SpanKindUnspecified: tracepb.Span_SPAN_KIND_UNSPECIFIED, trace.SpanKindInternal: tracepb.Span_SPAN_KIND_INTERNAL,
		trace.SpanKindServer: tracepb.Span_SPAN_KIND_SERVER, trace.SpanKindClient: tracepb.Span_SPAN_KIND_CLIENT,
		trace.SpanKindProducer: tracepb.Span_SPAN_KIND_PRODUCER, trace.SpanKindConsumer: tracepb.Span_SPAN_KIND_CONSUMER,
	} {
		if int(kind) != int(want) {
			t.Errorf("%v is %d there and not %d", kind, want, kind)
		}
	}
}

func TestLogs(t *testing.T) {
	b := otlp.AppendLogs(nil, []otlp.ResourceLogs{{Resource: resource, Scopes: []otlp.ScopeLogs{{Scope: scope, Records: []otlp.LogRecord{
		{
			Time: 1, Observed: 2, Severity: otlp.SeverityError, SeverityText: "ERROR", EventName: "e", Body: attribute.StringValue("went wrong"),
			Attributes: []attribute.KeyValue{
				attribute.BoolSlice("bools", []bool{true, false}), attribute.Int64Slice("ints", []int64{1, 0}), attribute.Float64Slice("floats", []float64{0.5}),
				attribute.StringSlice("strings", []string{"", "b"}), attribute.Slice("values", attribute.StringValue("x"), attribute.IntValue(2)),
				attribute.ByteSlice("bytes", []byte{0xff}), attribute.Map("map", attribute.Int("k", 1)), {Key: "nothing"},
			},
			DroppedAttributes: 3, TraceID: traceID, SpanID: spanID, Flags: trace.FlagsSampled,
		},
		{Time: 4},
	}}}}})
	same(t, b, &colllogs.ExportLogsServiceRequest{ResourceLogs: []*logspb.ResourceLogs{{
		Resource: wantResource, SchemaUrl: resource.SchemaURL, ScopeLogs: []*logspb.ScopeLogs{{Scope: wantScope, SchemaUrl: "s", LogRecords: []*logspb.LogRecord{
			{
				TimeUnixNano: 1, ObservedTimeUnixNano: 2, SeverityNumber: logspb.SeverityNumber_SEVERITY_NUMBER_ERROR, SeverityText: "ERROR", EventName: "e", Body: str("went wrong"),
				Attributes: []*commonpb.KeyValue{
					kv("bools", list(boolean(true), boolean(false))), kv("ints", list(integer(1), integer(0))), kv("floats", list(float(0.5))),
					kv("strings", list(str(""), str("b"))), kv("values", list(str("x"), integer(2))),
					kv("bytes", &commonpb.AnyValue{Value: &commonpb.AnyValue_BytesValue{BytesValue: []byte{0xff}}}),
					kv("map", &commonpb.AnyValue{Value: &commonpb.AnyValue_KvlistValue{KvlistValue: &commonpb.KeyValueList{Values: []*commonpb.KeyValue{kv("k", integer(1))}}}}),
					kv("nothing", &commonpb.AnyValue{}),
				},
				DroppedAttributesCount: 3, TraceId: traceID[:], SpanId: spanID[:], Flags: 1,
			},
			{TimeUnixNano: 4, ObservedTimeUnixNano: 4},
		}}},
	}}})
	for got, want := range map[int]logspb.SeverityNumber{
		otlp.SeverityTrace: logspb.SeverityNumber_SEVERITY_NUMBER_TRACE, otlp.SeverityDebug: logspb.SeverityNumber_SEVERITY_NUMBER_DEBUG,
		otlp.SeverityInfo: logspb.SeverityNumber_SEVERITY_NUMBER_INFO, otlp.SeverityWarn: logspb.SeverityNumber_SEVERITY_NUMBER_WARN,
		otlp.SeverityError: logspb.SeverityNumber_SEVERITY_NUMBER_ERROR, otlp.SeverityFatal: logspb.SeverityNumber_SEVERITY_NUMBER_FATAL,
	} {
		if got != int(want) {
			t.Errorf("severity %v is %d and not %d", want, want, got)
		}
	}
}

func TestMetrics(t *testing.T) {
	attrs := []attribute.KeyValue{attribute.String("m", "x")}
	exemplars := []otlp.Exemplar{{Attributes: attrs, Time: 9, Float: 0, TraceID: traceID, SpanID: spanID}, {IsInt: true, Time: 8}}
	b := otlp.AppendMetrics(nil, []otlp.ResourceMetrics{{Resource: resource, Scopes: []otlp.ScopeMetrics{{Scope: scope, Metrics: []otlp.Metric{
		{Name: "g", Description: "d", Unit: "By", Kind: otlp.Gauge, Temporality: otlp.Cumulative, Monotonic: true, Numbers: []otlp.Number{{Time: 2}, {Time: 2, IsInt: true, Attributes: attrs}}},
		{Name: "s", Kind: otlp.Sum, Temporality: otlp.Delta, Monotonic: true, Numbers: []otlp.Number{{Start: 1, Time: 2, Float: -0.5, Exemplars: exemplars}}},
		{Name: "h", Kind: otlp.Histogram, Temporality: otlp.Cumulative, Histograms: []otlp.HistogramPoint{
			{Attributes: attrs, Start: 1, Time: 2, Count: 3, Sum: 0, Bounds: []float64{0, 1}, Buckets: []uint64{0, 1, 2}, Min: 0, Max: 4, HasMinMax: true, Exemplars: exemplars},
			{Time: 2, NoSum: true},
		}},
		{Name: "e", Kind: otlp.ExponentialHistogram, Temporality: otlp.Delta, Exponentials: []otlp.ExponentialPoint{
			{Attributes: attrs, Start: 1, Time: 2, Count: 300, Sum: 0.5, Scale: -3, ZeroCount: 1, ZeroThreshold: 0.25,
				Positive: otlp.ExponentialBuckets{Offset: -7, Counts: []uint64{0, 1 << 40, 3}}, Negative: otlp.ExponentialBuckets{Offset: 7, Counts: []uint64{5}},
				Min: -1, Max: 0, HasMinMax: true, Exemplars: exemplars},
			{Time: 2, NoSum: true, Scale: 20},
		}},
	}}}}})
	wantAttrs := []*commonpb.KeyValue{kv("m", str("x"))}
	wantExemplars := []*metricspb.Exemplar{
		{FilteredAttributes: wantAttrs, TimeUnixNano: 9, Value: &metricspb.Exemplar_AsDouble{}, TraceId: traceID[:], SpanId: spanID[:]},
		{TimeUnixNano: 8, Value: &metricspb.Exemplar_AsInt{}},
	}
	same(t, b, &collmetrics.ExportMetricsServiceRequest{ResourceMetrics: []*metricspb.ResourceMetrics{{
		Resource: wantResource, SchemaUrl: resource.SchemaURL, ScopeMetrics: []*metricspb.ScopeMetrics{{Scope: wantScope, SchemaUrl: "s", Metrics: []*metricspb.Metric{
			{Name: "g", Description: "d", Unit: "By", Data: &metricspb.Metric_Gauge{Gauge: &metricspb.Gauge{DataPoints: []*metricspb.NumberDataPoint{
				{TimeUnixNano: 2, Value: &metricspb.NumberDataPoint_AsDouble{}},
				{TimeUnixNano: 2, Value: &metricspb.NumberDataPoint_AsInt{}, Attributes: wantAttrs},
			}}}},
			{Name: "s", Data: &metricspb.Metric_Sum{Sum: &metricspb.Sum{AggregationTemporality: metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA, IsMonotonic: true, DataPoints: []*metricspb.NumberDataPoint{
				{StartTimeUnixNano: 1, TimeUnixNano: 2, Value: &metricspb.NumberDataPoint_AsDouble{AsDouble: -0.5}, Exemplars: wantExemplars},
			}}}},
			{Name: "h", Data: &metricspb.Metric_Histogram{Histogram: &metricspb.Histogram{AggregationTemporality: metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE, DataPoints: []*metricspb.HistogramDataPoint{
				{Attributes: wantAttrs, StartTimeUnixNano: 1, TimeUnixNano: 2, Count: 3, Sum: proto.Float64(0), ExplicitBounds: []float64{0, 1}, BucketCounts: []uint64{0, 1, 2}, Min: proto.Float64(0), Max: proto.Float64(4), Exemplars: wantExemplars},
				{TimeUnixNano: 2},
			}}}},
			{Name: "e", Data: &metricspb.Metric_ExponentialHistogram{ExponentialHistogram: &metricspb.ExponentialHistogram{AggregationTemporality: metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA, DataPoints: []*metricspb.ExponentialHistogramDataPoint{
				{Attributes: wantAttrs, StartTimeUnixNano: 1, TimeUnixNano: 2, Count: 300, Sum: proto.Float64(0.5), Scale: -3, ZeroCount: 1, ZeroThreshold: 0.25,
					Positive: &metricspb.ExponentialHistogramDataPoint_Buckets{Offset: -7, BucketCounts: []uint64{0, 1 << 40, 3}},
					Negative: &metricspb.ExponentialHistogramDataPoint_Buckets{Offset: 7, BucketCounts: []uint64{5}},
					Min:      proto.Float64(-1), Max: proto.Float64(0), Exemplars: wantExemplars},
				{TimeUnixNano: 2, Scale: 20},
			}}}},
		}}},
	}}})
}

// TestAllocations holds that encoding into a buffer that is large enough allocates nothing.
func TestAllocations(t *testing.T) {
	spans := []otlp.ResourceSpans{{Resource: resource, Scopes: []otlp.ScopeSpans{{Scope: scope, Spans: []otlp.Span{{
		TraceID: traceID, SpanID: spanID, Name: "a name of some length, for a length of more than one byte: " + string(make([]byte, 200)), Attributes: resource.Attributes,
		Events: []otlp.Event{{Name: "e"}}, Links: []otlp.Link{{}}, Status: codes.Error,
	}}}}}}
	metrics := []otlp.ResourceMetrics{{Resource: resource, Scopes: []otlp.ScopeMetrics{{Metrics: []otlp.Metric{
		{Kind: otlp.ExponentialHistogram, Exponentials: []otlp.ExponentialPoint{{Positive: otlp.ExponentialBuckets{Counts: make([]uint64, 160)}, Exemplars: []otlp.Exemplar{{TraceID: traceID}}}}},
	}}}}}
	logs := []otlp.ResourceLogs{{Resource: resource, Scopes: []otlp.ScopeLogs{{Records: []otlp.LogRecord{{Time: 1, Body: attribute.StringValue("x"), Attributes: resource.Attributes}}}}}}
	b := make([]byte, 0, 1<<16)
	if n := testing.AllocsPerRun(100, func() {
		otlp.AppendTraces(b, spans)
		otlp.AppendMetrics(b, metrics)
		otlp.AppendLogs(b, logs)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzTraces holds that whatever text and numbers a span has, a receiver can read it.
func FuzzTraces(f *testing.F) {
	f.Add("name", "key", "value\xff", uint16(3), int64(-1))
	f.Add("", "", "", uint16(130), int64(0))
	f.Fuzz(func(t *testing.T, name, key, value string, n uint16, number int64) {
		s := otlp.Span{TraceID: traceID, SpanID: spanID, Name: name, Start: number, DroppedLinks: int(n), Status: codes.Error, StatusMessage: value}
		for range n % 200 {
			s.Attributes = append(s.Attributes, attribute.String(key, value))
			s.Events = append(s.Events, otlp.Event{Name: value})
		}
		b := otlp.AppendTraces(nil, []otlp.ResourceSpans{{Scopes: []otlp.ScopeSpans{{Spans: []otlp.Span{s}}}}})
		var got colltrace.ExportTraceServiceRequest
		if err := proto.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		span := got.ResourceSpans[0].ScopeSpans[0].Spans[0]
		if len(span.Events) != len(s.Events) || (key != "" && len(span.Attributes) != len(s.Attributes)) || span.StartTimeUnixNano != uint64(number) {
			t.Errorf("got %v", span)
		}
	})
}

func BenchmarkTraces(b *testing.B) {
	spans := make([]otlp.Span, 512)
	for i := range spans {
		spans[i] = otlp.Span{TraceID: traceID, SpanID: spanID, ParentID: parentID, Name: "shop.v1.CartService/AddItem", Kind: trace.SpanKindServer, Start: 1, End: 2, Attributes: []attribute.KeyValue{
			attribute.String("rpc.system.name", "grpc"), attribute.String("rpc.method", "shop.v1.CartService/AddItem"), attribute.String("rpc.response.status_code", "OK"),
			attribute.String("server.address", "cart"), attribute.Int("server.port", 4711),
		}}
	}
	all := []otlp.ResourceSpans{{Resource: resource, Scopes: []otlp.ScopeSpans{{Scope: scope, Spans: spans}}}}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = otlp.AppendTraces(buf[:0], all)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/512, "ns/span")
	b.ReportMetric(float64(len(buf))/512, "B/span")
}
