package telemetry_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/hanse-go/hanse/telemetry"
	"go.opentelemetry.io/otel/attribute"
	otelmetric "go.opentelemetry.io/otel/metric"
	collmetrics "go.opentelemetry.io/proto/slim/otlp/collector/metrics/v1"
	metricspb "go.opentelemetry.io/proto/slim/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"
)

// metricsReceiver takes what is sent, as a collector does.
func metricsReceiver(t *testing.T) (url string, received <-chan *collmetrics.ExportMetricsServiceRequest) {
	requests := make(chan *collmetrics.ExportMetricsServiceRequest)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		var got collmetrics.ExportMetricsServiceRequest
		if err := proto.Unmarshal(body, &got); err != nil {
			t.Error(err)
		}
		select {
		case requests <- &got:
		case <-req.Context().Done(): // given up by the sender
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL + "/v1/metrics", requests
}

// TestSendMetrics holds that a program's own numbers and those of its services are sent, each with its resource, at the interval and at
// the end.
func TestSendMetrics(t *testing.T) {
	url, received := metricsReceiver(t)
	all, err := telemetry.New(telemetry.Config{Metrics: telemetry.Export{URL: url}, MetricInterval: time.Millisecond, Resource: []attribute.KeyValue{attribute.String("deployment.environment.name", "test")}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	meter := all.Service("cart", "v1", "i1").MeterProvider().Meter("shop", otelmetric.WithInstrumentationVersion("v2"))
	items, err := meter.Int64Counter("shop.items", otelmetric.WithUnit("{item}"))
	if err != nil {
		t.Fatal(err)
	}
	items.Add(ctx, 3, otelmetric.WithAttributes(attribute.String("color", "red")))
	all.Service("checkout", "", "").MeterProvider()
	go func() { ended <- all.Run(ctx) }()

	first := <-received
	if n := len(first.ResourceMetrics); n != 1 {
		t.Fatalf("%d resources, and one has numbers: %v", n, first)
	}
	resource := map[string]string{}
	for _, a := range first.ResourceMetrics[0].Resource.Attributes {
		resource[a.Key] = a.Value.GetStringValue()
	}
	if resource["service.name"] != "cart" || resource["service.instance.id"] != "i1" || resource["deployment.environment.name"] != "test" {
		t.Errorf("got %v", resource)
	}
	m := sent(first, "shop.items")
	if m == nil || m.Unit != "{item}" || m.GetSum().DataPoints[0].GetAsInt() != 3 || m.GetSum().AggregationTemporality != metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE {
		t.Errorf("got %v", m)
	}
	if sent(first, "go.goroutine.count") == nil || sent(first, "process.cpu.time") == nil {
		t.Errorf("the numbers of the process are missing: %v", first)
	}

	items.Add(ctx, 4)
	cancel()
	for done := false; !done; {
		select {
		case last := <-received: // with what was counted last
			first = last
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
			done = true
		}
	}
	if m := sent(first, "shop.items"); len(m.GetSum().GetDataPoints()) != 2 {
		t.Errorf("the last was %v", m)
	}
}

// sent finds a metric in a request.
func sent(req *collmetrics.ExportMetricsServiceRequest, name string) *metricspb.Metric {
	for _, rm := range req.ResourceMetrics {
		for _, sm := range rm.ScopeMetrics {
			for _, m := range sm.Metrics {
				if m.Name == name {
					return m
				}
			}
		}
	}
	return nil
}

// TestTemporality holds that the program's own numbers heed what was asked for.
func TestTemporality(t *testing.T) {
	const delta, cumulative = metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA, metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE
	for _, tt := range []struct {
		preference              string
		counter, observed, goes metricspb.AggregationTemporality
	}{
		{"cumulative", cumulative, cumulative, cumulative},
		{"Delta", delta, delta, cumulative},
		{"lowmemory", delta, cumulative, cumulative},
	} {
		url, received := metricsReceiver(t)
		config, err := telemetry.FromEnv(func(name string) (string, bool) {
			v, ok := map[string]string{
				"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT":                      url,
				"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE":        tt.preference,
				"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "base2_exponential_bucket_histogram",
				"OTEL_METRIC_EXPORT_INTERVAL":                              "60000",
			}[name]
			return v, ok
		})
		if err != nil {
			t.Fatal(err)
		}
		all, err := telemetry.New(config)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		meter := all.Service("cart", "", "").MeterProvider().Meter("shop")
		counter, _ := meter.Int64Counter("counter")
		counter.Add(ctx, 1)
		updown, _ := meter.Float64UpDownCounter("updown")
		updown.Add(ctx, -1.5)
		histogram, _ := meter.Float64Histogram("histogram")
		histogram.Record(ctx, 0.25)
		if _, err := meter.Int64ObservableCounter("observed", otelmetric.WithInt64Callback(func(_ context.Context, o otelmetric.Int64Observer) error {
			o.Observe(7)
			return nil
		})); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() { ended <- all.Run(ctx) }()
		cancel()
		got := <-received
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if m := sent(got, "counter"); m.GetSum().GetAggregationTemporality() != tt.counter {
			t.Errorf("%s: %v", tt.preference, m)
		}
		if m := sent(got, "observed"); m.GetSum().GetAggregationTemporality() != tt.observed {
			t.Errorf("%s: %v", tt.preference, m)
		}
		if m := sent(got, "updown"); m.GetSum().GetAggregationTemporality() != tt.goes || m.GetSum().GetIsMonotonic() || m.GetSum().DataPoints[0].GetAsDouble() != -1.5 {
			t.Errorf("%s: %v", tt.preference, m)
		}
		if m := sent(got, "histogram"); m.GetExponentialHistogram().GetAggregationTemporality() != tt.counter || m.GetExponentialHistogram().DataPoints[0].GetSum() != 0.25 {
			t.Errorf("%s: %v", tt.preference, m)
		}
	}
	for name, value := range map[string]string{"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "some", "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "some"} {
		if _, err := telemetry.FromEnv(func(n string) (string, bool) { return value, n == name }); err == nil {
			t.Errorf("%s=%s: no error", name, value)
		}
	}
}
