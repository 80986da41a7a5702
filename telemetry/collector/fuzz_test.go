package collector_test

import (
	"testing"
	"time"

	"github.com/hanse-go/hanse/telemetry/collector"
	trace "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// FuzzDecode sends any bytes as any kind of request, and then asks everything.
func FuzzDecode(f *testing.F) {
	now := time.Now()
	for _, m := range []proto.Message{
		spansOf("a", &trace.Span{TraceId: id(16), SpanId: id(8), Name: "x", Kind: 3, StartTimeUnixNano: nano(now), EndTimeUnixNano: nano(now)}),
		metricsOf("a", sum("n", cumulative, now, now, 3, str("a", "b")), gauge("g", now, 4), exponential("rpc.server.call.duration", now, 5, 0.1)),
	} {
		body, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Add(logBatch(f, 2))
	f.Add([]byte(`{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"a"}}]},"scopeSpans":[{"spans":[{"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174","startTimeUnixNano":"1544712660000000000","kind":2,"status":{"code":"STATUS_CODE_ERROR"}}]}]}]}`))
	f.Add([]byte(`{"resource_metrics":[{"scopeMetrics":[{"metrics":[{"name":"x","exponentialHistogram":{"aggregationTemporality":2,"dataPoints":[{"scale":-30,"positive":{"offset":-2147483648,"bucketCounts":["1","18446744073709551615"]}}]}}]}]}]}`))
	c := &collector.Collector{}
	start(f, c)
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, path := range []string{"/v1/traces", "/v1/logs", "/v1/metrics"} {
			for _, kind := range []string{protobuf, "application/json"} {
				if w := post(t, c, path, kind, body); w.Code != 200 && w.Code != 400 {
					t.Errorf("%s: %d %s", path, w.Code, w.Body)
				}
			}
		}
		page, err := c.Traces(t.Context(), collector.TraceQuery{Filter: "-x", Limit: 5})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range page.Traces {
			if _, err := c.Trace(t.Context(), s.TraceID); err != nil {
				t.Error(err)
			}
		}
		if _, err := c.Logs(t.Context(), collector.LogQuery{Filter: "-x", Limit: 5}); err != nil {
			t.Error(err)
		}
		if _, err := c.Map(t.Context(), collector.Window{}); err != nil {
			t.Error(err)
		}
		infos, err := c.Metrics(t.Context())
		if err != nil {
			t.Error(err)
		}
		for _, m := range infos[:min(3, len(infos))] {
			if _, err := c.Series(t.Context(), collector.SeriesQuery{Metric: m.Name}); err != nil {
				t.Error(err)
			}
		}
	})
}
