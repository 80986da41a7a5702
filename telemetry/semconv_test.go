package telemetry

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/goconv"
	"go.opentelemetry.io/otel/semconv/v1.43.0/otelconv"
	"go.opentelemetry.io/otel/semconv/v1.43.0/processconv"
	"go.opentelemetry.io/otel/semconv/v1.43.0/rpcconv"
	"google.golang.org/grpc/codes"
)

// convention is what the semantic conventions say about a metric.
type convention interface {
	Name() string
	Unit() string
	Description() string
}

// TestOwnConventions holds the same of the numbers of telemetry itself, and that they count.
func TestOwnConventions(t *testing.T) {
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refuse" {
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	defer receiver.Close()
	to := func(path string) Export { return Export{URL: receiver.URL + path} }
	all, err := New(Config{Traces: to("/refuse"), Logs: to("/"), Metrics: to("/"), Sampler: AlwaysOn, Batch: Batch{Queue: 2, Size: 2}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	s := all.Service("cart", "", "")
	for range 3 { // for one there is no room
		_, span := s.TracerProvider().Tracer("x").Start(t.Context(), "x")
		span.End()
	}
	slog.New(s.Logs(slog.NewTextHandler(io.Discard, nil))).Info("x")
	before := all.ownMetrics(shown())
	if q := find(t, before, "otel.sdk.processor.span.queue.size"); q.Numbers[0].Int != 2 {
		t.Errorf("%d spans wait", q.Numbers[0].Int)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = all.Run(ctx) // it says that spans were refused, unless it has sent them before it looked at ctx
	got := map[string]int64{}
	want := map[string]convention{}
	for _, c := range []convention{
		otelconv.SDKProcessorSpanProcessed{}, otelconv.SDKProcessorSpanQueueSize{}, otelconv.SDKProcessorSpanQueueCapacity{}, otelconv.SDKExporterSpanExported{},
		otelconv.SDKProcessorLogProcessed{}, otelconv.SDKProcessorLogQueueSize{}, otelconv.SDKProcessorLogQueueCapacity{}, otelconv.SDKExporterLogExported{},
		otelconv.SDKExporterMetricDataPointExported{},
	} {
		want[c.Name()] = c
	}
	known := []attribute.Key{semconv.OTelComponentNameKey, semconv.OTelComponentTypeKey, semconv.ErrorTypeKey}
	for _, m := range all.ownMetrics(shown()) {
		c := want[m.Name]
		delete(want, m.Name)
		if c == nil || m.Unit != c.Unit() || m.Description != c.Description() {
			t.Errorf("%s: %q in %q is not as theirs", m.Name, m.Description, m.Unit)
		}
		for _, n := range m.Numbers {
			why := ""
			for _, a := range n.Attributes {
				if !slices.Contains(known, a.Key) {
					t.Errorf("%s has %s", m.Name, a.Key)
				}
				if a.Key == semconv.ErrorTypeKey {
					why = " " + a.Value.AsString()
				}
			}
			got[m.Name+why] = n.Int
		}
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
	for name, n := range map[string]int64{
		"otel.sdk.processor.span.processed": 2, "otel.sdk.processor.span.processed queue_full": 1, "otel.sdk.processor.span.queue.size": 0,
		"otel.sdk.processor.span.queue.capacity": 2, "otel.sdk.exporter.span.exported": 0, "otel.sdk.exporter.log.exported": 1,
	} {
		if got[name] != n {
			t.Errorf("%s is %d, want %d", name, got[name], n)
		}
	}
	if lost := got["otel.sdk.exporter.span.exported _OTHER"] + got["otel.sdk.exporter.span.exported rejected"]; lost != 2 || got["otel.sdk.exporter.metric_data_point.exported"] == 0 {
		t.Errorf("%v", got)
	}
}

// TestConventions holds names, units, descriptions and attributes against OpenTelemetry's own.
func TestConventions(t *testing.T) {
	if schemaURL != semconv.SchemaURL {
		t.Errorf("the schema is %s, and theirs %s", schemaURL, semconv.SchemaURL)
	}
	s := service(t, Config{})
	s.Serves("/p.S/M").count(1, codes.Internal)
	s.Calls("/p.S/M", "catalog").count(1, codes.Internal)
	r := shown()
	all := slices.Concat(s.callMetrics(r), processMetrics(r), runtimeMetrics(r))

	call := []attribute.Key{semconv.RPCSystemNameKey, semconv.RPCMethodKey, semconv.RPCResponseStatusCodeKey, semconv.ErrorTypeKey}
	want := map[string]struct {
		convention
		attributes []attribute.Key
	}{}
	for _, c := range []struct {
		convention
		attributes []attribute.Key
	}{
		{rpcconv.ServerCallDuration{}, call},
		{rpcconv.ClientCallDuration{}, append(slices.Clone(call), semconv.ServerAddressKey)},
		{processconv.CPUTime{}, []attribute.Key{semconv.CPUModeKey}},
		{processconv.MemoryUsage{}, nil},
		{processconv.MemoryVirtual{}, nil},
		{processconv.ThreadCount{}, nil},
		{processconv.UnixFileDescriptorCount{}, nil},
		{processconv.WindowsHandleCount{}, nil},
		{processconv.Uptime{}, nil},
		{goconv.MemoryUsed{}, []attribute.Key{semconv.GoMemoryTypeKey}},
		{goconv.MemoryLimit{}, nil},
		{goconv.MemoryAllocated{}, nil},
		{goconv.MemoryAllocations{}, nil},
		{goconv.MemoryGCGoal{}, nil},
		{goconv.MemoryGCCycles{}, nil},
		{goconv.MemoryGCPauseDuration{}, nil},
		{goconv.GoroutineCount{}, nil},
		{goconv.ProcessorLimit{}, nil},
		{goconv.ConfigGogc{}, nil},
		{goconv.ScheduleDuration{}, nil},
	} {
		want[c.Name()] = c
	}
	for _, m := range all {
		c, ok := want[m.Name]
		if !ok {
			t.Errorf("%s is not one of the names there are", m.Name)
			continue
		}
		if m.Unit != c.Unit() || m.Description != c.Description() {
			t.Errorf("%s: %q in %q; theirs is %q in %q", m.Name, m.Description, m.Unit, c.Description(), c.Unit())
		}
		check := func(attrs []attribute.KeyValue) {
			var keys []attribute.Key
			for _, a := range attrs {
				keys = append(keys, a.Key)
			}
			if !slices.Equal(keys, c.attributes) {
				t.Errorf("%s has %v and not %v", m.Name, keys, c.attributes)
			}
		}
		for _, p := range m.Numbers {
			check(p.Attributes)
		}
		for _, p := range m.Histograms {
			check(p.Attributes)
		}
	}
	for _, name := range []string{"rpc.server.call.duration", "rpc.client.call.duration", "process.cpu.time", "process.uptime", "go.memory.used", "go.goroutine.count", "go.schedule.duration"} {
		find(t, all, name)
	}
}
