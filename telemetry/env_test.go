package telemetry_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/telemetry"
	"go.opentelemetry.io/otel/attribute"
)

func fromEnv(pairs ...string) (telemetry.Config, error) {
	return telemetry.FromEnv(func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	})
}

func TestFromEnv(t *testing.T) {
	const local = "http://localhost:4318/v1/traces"
	for name, tt := range map[string]struct {
		env  []string
		want telemetry.Config
		err  string
	}{
		"nothing":  {nil, telemetry.Config{}, ""},
		"off":      {[]string{"OTEL_SDK_DISABLED", "TRUE"}, telemetry.Config{Off: true}, ""},
		"not off":  {[]string{"OTEL_SDK_DISABLED", "1"}, telemetry.Config{}, ""},
		"sampler":  {[]string{"OTEL_TRACES_SAMPLER", "parentbased_always_on"}, telemetry.Config{Sampler: telemetry.ParentBasedOn}, ""},
		"ratio":    {[]string{"OTEL_TRACES_SAMPLER", "traceidratio", "OTEL_TRACES_SAMPLER_ARG", "0.25"}, telemetry.Config{Sampler: telemetry.Ratio, Ratio: 0.25}, ""},
		"none":     {[]string{"OTEL_TRACES_SAMPLER", "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG", "0"}, telemetry.Config{Ratio: -1}, ""},
		"all":      {[]string{"OTEL_TRACES_SAMPLER", "parentbased_traceidratio"}, telemetry.Config{Ratio: 1}, ""},
		"resource": {[]string{"OTEL_RESOURCE_ATTRIBUTES", "a=1, b=x%2Cy", "OTEL_SERVICE_NAME", "own"}, telemetry.Config{ServiceName: "own", Resource: []attribute.KeyValue{attribute.String("a", "1"), attribute.String("b", "x,y")}}, ""},
		"name":     {[]string{"OTEL_RESOURCE_ATTRIBUTES", "service.name=own"}, telemetry.Config{ServiceName: "own"}, ""},
		"propagators": {
			[]string{"OTEL_PROPAGATORS", "baggage"}, telemetry.Config{NoTraceContext: true}, "",
		},
		"batches": {
			[]string{"OTEL_BSP_MAX_QUEUE_SIZE", "10", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5", "OTEL_BSP_SCHEDULE_DELAY", "200", "OTEL_BSP_EXPORT_TIMEOUT", "3000", "OTEL_BLRP_MAX_QUEUE_SIZE", "7"},
			telemetry.Config{Batch: telemetry.Batch{Queue: 10, Size: 5, Delay: 200 * time.Millisecond, Timeout: 3 * time.Second}, LogBatch: telemetry.Batch{Queue: 7}}, "",
		},
		"limits": {
			[]string{"OTEL_ATTRIBUTE_COUNT_LIMIT", "3", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "4", "OTEL_SPAN_EVENT_COUNT_LIMIT", "0", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "9"},
			telemetry.Config{Limits: telemetry.Limits{Attributes: 4, Events: 1, AttributeLength: 9}}, "",
		},
		"interval":          {[]string{"OTEL_METRIC_EXPORT_INTERVAL", "2000"}, telemetry.Config{MetricInterval: 2 * time.Second}, ""},
		"endpoint":          {[]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:4318/x", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "500", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none"}, telemetry.Config{Traces: telemetry.Export{URL: "http://c:4318/x", Timeout: 500 * time.Millisecond}}, ""},
		"asked for by name": {[]string{"OTEL_TRACES_EXPORTER", "otlp"}, telemetry.Config{Traces: telemetry.Export{URL: local, Timeout: 10 * time.Second}}, ""},

		"bad exporter":   {[]string{"OTEL_TRACES_EXPORTER", "zipkin"}, telemetry.Config{}, "OTEL_TRACES_EXPORTER=zipkin"},
		"bad protocol":   {[]string{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"}, telemetry.Config{}, "OTEL_EXPORTER_OTLP_PROTOCOL"},
		"bad sampler":    {[]string{"OTEL_TRACES_SAMPLER", "xray"}, telemetry.Config{}, "OTEL_TRACES_SAMPLER=xray"},
		"bad ratio":      {[]string{"OTEL_TRACES_SAMPLER", "traceidratio", "OTEL_TRACES_SAMPLER_ARG", "1.5"}, telemetry.Config{}, "OTEL_TRACES_SAMPLER_ARG=1.5"},
		"bad number":     {[]string{"OTEL_BSP_MAX_QUEUE_SIZE", "many"}, telemetry.Config{}, "OTEL_BSP_MAX_QUEUE_SIZE=many"},
		"bad propagator": {[]string{"OTEL_PROPAGATORS", "tracecontext,b3"}, telemetry.Config{}, "OTEL_PROPAGATORS=b3"},
		"bad resource":   {[]string{"OTEL_RESOURCE_ATTRIBUTES", "secret"}, telemetry.Config{}, "OTEL_RESOURCE_ATTRIBUTES"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := fromEnv(tt.env...)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("the error is %v", err)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v, %v\nwant %+v", got, err, tt.want)
			}
			if err := got.Check(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestOver holds that what the environment says counts, also that nothing is sent.
func TestOver(t *testing.T) {
	fields := telemetry.Config{Traces: telemetry.Export{URL: "http://a/"}, Metrics: telemetry.Export{URL: "http://m/"}, Ratio: 0.5, Limits: telemetry.Limits{Events: 3}}
	env, err := fromEnv("OTEL_TRACES_EXPORTER", "none", "OTEL_BSP_MAX_QUEUE_SIZE", "10")
	if err != nil {
		t.Fatal(err)
	}
	got := env.Over(fields)
	if got.Traces.On() || got.Metrics.URL != "http://m/" || got.Ratio != 0.5 || got.Batch.Queue != 10 || got.Limits.Events != 3 {
		t.Errorf("got %+v", got)
	}
}

func TestCheck(t *testing.T) {
	for want, c := range map[string]telemetry.Config{
		"Config.Traces":  {Traces: telemetry.Export{URL: "localhost:4318"}},
		"Config.Logs":    {Logs: telemetry.Export{URL: "http://c/", CertFile: "x"}},
		"Config.Sampler": {Sampler: "sometimes"},
		"Config.Ratio":   {Ratio: 2},
		"Config.Batch":   {Batch: telemetry.Batch{Queue: -1}},
	} {
		if _, err := telemetry.New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
