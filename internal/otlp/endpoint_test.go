package otlp_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/internal/otlp"
)

func TestFromEnv(t *testing.T) {
	const secret = "hunter2"
	for _, tt := range []struct {
		env  map[string]string
		set  bool
		want otlp.Endpoint
		errs []string
	}{
		{env: nil, want: otlp.Endpoint{URL: "http://localhost:4318/v1/traces"}},
		{env: map[string]string{"ENDPOINT": ""}, want: otlp.Endpoint{URL: "http://localhost:4318/v1/traces"}},
		{env: map[string]string{"ENDPOINT": "http://127.0.0.1:4318"}, set: true, want: otlp.Endpoint{URL: "http://127.0.0.1:4318/v1/traces"}},
		{env: map[string]string{"ENDPOINT": "https://c/otlp/"}, set: true, want: otlp.Endpoint{URL: "https://c/otlp/v1/traces", Gzip: true}},
		{env: map[string]string{"TRACES_ENDPOINT": "https://c/otlp/"}, set: true, want: otlp.Endpoint{URL: "https://c/otlp/", Gzip: true}},
		{env: map[string]string{"TRACES_ENDPOINT": "https://c", "ENDPOINT": "http://d"}, set: true, want: otlp.Endpoint{URL: "https://c/", Gzip: true}},
		{env: map[string]string{"LOGS_ENDPOINT": "https://c"}, want: otlp.Endpoint{URL: "http://localhost:4318/v1/traces"}},
		{env: map[string]string{"COMPRESSION": "gzip"}, want: otlp.Endpoint{URL: "http://localhost:4318/v1/traces", Gzip: true}},
		{env: map[string]string{"COMPRESSION": "none", "ENDPOINT": "http://c"}, set: true, want: otlp.Endpoint{URL: "http://c/v1/traces"}},
		{env: map[string]string{"TIMEOUT": "250", "TRACES_TIMEOUT": "500"}, want: otlp.Endpoint{URL: "http://localhost:4318/v1/traces", Timeout: 500 * time.Millisecond}},
		{env: map[string]string{"HEADERS": "api-key=a%20b%3D , x = y=z,,"}, want: otlp.Endpoint{URL: "http://localhost:4318/v1/traces", Header: map[string]string{"api-key": "a b=", "x": "y=z"}}},
		{env: map[string]string{"CERTIFICATE": "ca", "CLIENT_CERTIFICATE": "c", "CLIENT_KEY": "k", "PROTOCOL": "http/protobuf"}, want: otlp.Endpoint{URL: "http://localhost:4318/v1/traces", CA: "ca", Certificate: "c", Key: "k"}},
		{env: map[string]string{"PROTOCOL": "grpc", "TRACES_PROTOCOL": "http/protobuf"}, want: otlp.Endpoint{URL: "http://localhost:4318/v1/traces"}},

		{env: map[string]string{"ENDPOINT": "collector:4318"}, set: true, errs: []string{"OTEL_EXPORTER_OTLP_ENDPOINT: not a URL"}},
		{env: map[string]string{"ENDPOINT": "https://u:" + secret + "@[c"}, set: true, errs: []string{"OTEL_EXPORTER_OTLP_ENDPOINT: not a URL"}},
		{env: map[string]string{"TRACES_TIMEOUT": "10s", "COMPRESSION": "zstd", "CLIENT_KEY": "k"},
			errs: []string{"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: \"10s\"", "OTEL_EXPORTER_OTLP_COMPRESSION: \"zstd\"", "belong together"}},
		{env: map[string]string{"PROTOCOL": "grpc"}, errs: []string{"OTEL_EXPORTER_OTLP_PROTOCOL: grpc is not spoken here"}},
		{env: map[string]string{"TRACES_PROTOCOL": "h"}, errs: []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: \"h\""}},
		{env: map[string]string{"HEADERS": "a=b," + secret}, errs: []string{"OTEL_EXPORTER_OTLP_HEADERS: header 2"}},
		{env: map[string]string{"HEADERS": "a=" + secret + "%0d%0aX:y"}, errs: []string{"OTEL_EXPORTER_OTLP_HEADERS: header 1"}},
		{env: map[string]string{"HEADERS": "a b=" + secret}, errs: []string{"OTEL_EXPORTER_OTLP_HEADERS: header 1"}},
		{env: map[string]string{"HEADERS": "a=" + secret + "%zz"}, errs: []string{"OTEL_EXPORTER_OTLP_HEADERS: header 1"}},
	} {
		got, set, err := otlp.FromEnv(otlp.Traces, func(name string) (string, bool) {
			v, ok := tt.env[strings.TrimPrefix(name, "OTEL_EXPORTER_OTLP_")]
			return v, ok
		})
		if set != tt.set {
			t.Errorf("%v: set is %v", tt.env, set)
		}
		if len(tt.errs) == 0 {
			if tt.want.Timeout == 0 {
				tt.want.Timeout = 10 * time.Second
			}
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%v: got %+v, %v", tt.env, got, err)
			}
			continue
		}
		if err == nil {
			t.Errorf("%v: no error", tt.env)
			continue
		}
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%v: a secret in the error: %v", tt.env, err)
		}
		for _, want := range tt.errs {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v: %q lacks %q", tt.env, err, want)
			}
		}
	}
}

func TestFromEnvOfEachSignal(t *testing.T) {
	for signal, want := range map[otlp.Signal]string{otlp.Traces: "http://t/", otlp.Metrics: "http://m/", otlp.Logs: "http://all/v1/logs"} {
		got, _, err := otlp.FromEnv(signal, func(name string) (string, bool) {
			v, ok := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://all", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://t", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://m"}[name]
			return v, ok
		})
		if err != nil || got.URL != want {
			t.Errorf("%s: %s, %v", signal, got.URL, err)
		}
	}
}
