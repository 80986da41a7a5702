package systems

import "os"

// TelemetryEnv returns the variables of OpenTelemetry by which a program sends all that it tells to the collector of a system at a URL:
// every trace, spans every second and numbers every two, because somebody is looking at them.
func TelemetryEnv(url string) map[string]string {
	return map[string]string{
		"OTEL_BSP_SCHEDULE_DELAY":     "1000",
		"OTEL_EXPORTER_OTLP_ENDPOINT": url,
		"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
		"OTEL_METRIC_EXPORT_INTERVAL": "2000",
		"OTEL_TRACES_SAMPLER":         "parentbased_always_on",
	}
}

// LookupTelemetry returns what looks a variable of OpenTelemetry up in the environment, and where it is not set in [TelemetryEnv].
func LookupTelemetry(url string) func(name string) (string, bool) {
	variables := TelemetryEnv(url)
	return func(name string) (string, bool) {
		if own, ok := os.LookupEnv(name); ok {
			return own, true
		}
		value, ok := variables[name]
		return value, ok
	}
}
