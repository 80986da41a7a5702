package collector_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hanse-go/hanse/telemetry/collector"
	common "go.opentelemetry.io/proto/slim/otlp/common/v1"
	logpb "go.opentelemetry.io/proto/slim/otlp/logs/v1"
	trace "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// batch is a request with n spans of calls, as a service sends it.
func batch(t testing.TB, n int) []byte {
	now := time.Now()
	list := make([]*trace.Span, n)
	for i := range list {
		at := now.Add(time.Duration(i) * time.Microsecond)
		list[i] = &trace.Span{TraceId: id(16), SpanId: id(8), ParentSpanId: id(8), Name: "shop.v1.Cart/Add", Kind: trace.Span_SPAN_KIND_SERVER,
			StartTimeUnixNano: nano(at), EndTimeUnixNano: nano(at.Add(3 * time.Millisecond)),
			Attributes: []*common.KeyValue{str("rpc.system.name", "grpc"), str("rpc.method", "shop.v1.Cart/Add"), str("rpc.response.status_code", "OK"),
				str("user.id", fmt.Sprint("user-", i)), num("order.total", int64(i))}}
	}
	body, err := proto.Marshal(spansOf("cart", list...))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func logBatch(t testing.TB, n int) []byte {
	now := time.Now()
	list := make([]*logpb.LogRecord, n)
	for i := range list {
		list[i] = &logpb.LogRecord{TimeUnixNano: nano(now), SeverityNumber: 9, SeverityText: "INFO", TraceId: id(16), SpanId: id(8),
			Body:       &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: "item added to the cart"}},
			Attributes: []*common.KeyValue{str("user", fmt.Sprint("user-", i)), num("items", int64(i%7))}}
	}
	body, err := proto.Marshal(logsOf("cart", list...))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// BenchmarkKeep is what it takes to take in, count and write a record, all goroutines together.
func BenchmarkKeep(b *testing.B) {
	for _, tt := range []struct {
		name, path string
		make       func(testing.TB, int) []byte
	}{{"span", "/v1/traces", batch}, {"line", "/v1/logs", logBatch}} {
		b.Run(tt.name, func(b *testing.B) {
			c := &collector.Collector{MaxBytes: 256 << 20}
			stop := start(b, c)
			const n = 500
			body := tt.make(b, n)
			b.ReportAllocs()
			before := cpuTime()
			for b.Loop() {
				for post(b, c, tt.path, protobuf, body).Code == 503 {
					<-time.After(10 * time.Millisecond)
				}
			}
			stop()
			b.ReportMetric(float64(cpuTime()-before)/float64(b.N)/n, "cpu-ns/record")
			b.ReportMetric(float64(len(body))/n, "bytes/record")
		})
	}
}
