package dev

import (
	"maps"
	"os"
	"strings"
	"testing"
)

// TestTelemetryEnv holds which variables of OpenTelemetry a process gets, and that those of the user win.
func TestTelemetryEnv(t *testing.T) {
	for _, e := range os.Environ() {
		if name, _, _ := strings.Cut(e, "="); strings.HasPrefix(name, "OTEL_") {
			t.Setenv(name, "") // so that it is there again after the test
			os.Unsetenv(name)
		}
	}
	const url = "http://127.0.0.1:4318"
	all := func(more map[string]string) map[string]string {
		set := map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_METRIC_EXPORT_INTERVAL": "2000",
			"OTEL_TRACES_SAMPLER": "parentbased_always_on", "OTEL_BSP_SCHEDULE_DELAY": "1000",
		}
		maps.Copy(set, more)
		maps.DeleteFunc(set, func(_, value string) bool { return value == "" })
		return set
	}
	hanse := &unit{wish: &wish{name: "shop", program: new(program), services: []string{"cart", "stock"}}}
	caller := &unit{wish: &wish{name: "load", program: new(program), client: true}}
	command := &unit{wish: &wish{name: "web", services: []string{"pages"}}}
	for name, tt := range map[string]struct {
		unit *unit
		env  map[string]string
		url  string
		want map[string]string
	}{
		"a program with Hanse": {hanse, nil, url, all(map[string]string{"OTEL_LOGS_EXPORTER": "none"})},
		"one that only calls":  {caller, nil, url, all(map[string]string{"OTEL_LOGS_EXPORTER": "none", "OTEL_SERVICE_NAME": "load"})},
		"another command":      {command, nil, url, all(map[string]string{"OTEL_SERVICE_NAME": "pages"})},
		"the user's win": {command, map[string]string{"OTEL_TRACES_SAMPLER": "always_off", "OTEL_SERVICE_NAME": "mine"}, url,
			all(map[string]string{"OTEL_TRACES_SAMPLER": ""})},
		"an empty one is the user's, too":  {hanse, map[string]string{"OTEL_METRIC_EXPORT_INTERVAL": ""}, url, all(map[string]string{"OTEL_LOGS_EXPORTER": "none", "OTEL_METRIC_EXPORT_INTERVAL": ""})},
		"the user has it sent elsewhere":   {hanse, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://elsewhere:4318"}, url, nil},
		"the user has traces go elsewhere": {command, map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://elsewhere:4318"}, url, nil},
		"nobody takes it in":               {hanse, nil, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			for k, v := range tt.env {
				t.Setenv(k, v)
			}
			got := map[string]string{}
			(&supervisor{telemetryURL: tt.url}).telemetryEnv(tt.unit, got)
			if !maps.Equal(got, tt.want) {
				t.Errorf("%v\nwant\n%v", got, tt.want)
			}
		})
	}
}
