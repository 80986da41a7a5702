package telemetry

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hanse-go/hanse/internal/otlp"
	"go.opentelemetry.io/otel/attribute"
)

// FromEnv makes a Config of the variables that OpenTelemetry has for it, looked up with environ, as a rule os.LookupEnv:
//
//   - OTEL_SDK_DISABLED
//   - OTEL_TRACES_EXPORTER, OTEL_METRICS_EXPORTER, OTEL_LOGS_EXPORTER: otlp or none
//   - OTEL_EXPORTER_OTLP_ENDPOINT, _HEADERS, _TIMEOUT, _COMPRESSION, _PROTOCOL, _CERTIFICATE, _CLIENT_CERTIFICATE, _CLIENT_KEY, and the same
//     with TRACES_, METRICS_ or LOGS_ before the last part, which come first
//   - OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG
//   - OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME
//   - OTEL_PROPAGATORS
//   - OTEL_METRIC_EXPORT_INTERVAL, OTEL_METRIC_EXPORT_TIMEOUT, OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE,
//     OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION
//   - OTEL_BSP_MAX_QUEUE_SIZE, _MAX_EXPORT_BATCH_SIZE, _SCHEDULE_DELAY, _EXPORT_TIMEOUT, and OTEL_BLRP_ for logs
//   - OTEL_ATTRIBUTE_…_LIMIT, OTEL_SPAN_…_LIMIT, OTEL_EVENT_…_LIMIT, OTEL_LINK_…_LIMIT
//   - HANSE_CAPTURE: [Config.Messages]
//
// Without an endpoint and without an exporter called otlp nothing is sent. The error names each variable whose value cannot be used,
// also one that asks for what there is not here, such as OTLP over gRPC.
func FromEnv(environ func(string) (string, bool)) (Config, error) {
	e := env{lookup: environ}
	var c Config
	c.Off = e.bool("OTEL_SDK_DISABLED")
	c.Traces, c.Metrics, c.Logs = e.export(otlp.Traces, "otlp"), e.export(otlp.Metrics, "otlp", "prometheus"), e.export(otlp.Logs, "otlp")
	c.Sampler, c.Ratio = e.sampler()
	c.ServiceName = e.get("OTEL_SERVICE_NAME")
	for _, p := range e.pairs("OTEL_RESOURCE_ATTRIBUTES") {
		if p.key == "service.name" {
			if c.ServiceName == "" {
				c.ServiceName = p.value
			}
			continue
		}
		c.Resource = append(c.Resource, attribute.String(p.key, p.value))
	}
	if list, ok := e.list("OTEL_PROPAGATORS"); ok {
		c.NoTraceContext, c.NoBaggage = !slices.Contains(list, "tracecontext"), !slices.Contains(list, "baggage")
		for _, name := range list {
			if name != "tracecontext" && name != "baggage" && name != "none" {
				e.bad("OTEL_PROPAGATORS", name, "there are tracecontext, baggage and none")
			}
		}
	}
	c.MetricInterval, c.MetricTimeout = e.millis("OTEL_METRIC_EXPORT_INTERVAL"), e.millis("OTEL_METRIC_EXPORT_TIMEOUT")
	c.MetricTemporality, c.Histograms = e.temporality(), e.histograms()
	c.Batch, c.LogBatch = e.batch("OTEL_BSP_"), e.batch("OTEL_BLRP_")
	c.Limits = e.limits()
	c.Messages = e.number(MessagesVariable)
	return c, errors.Join(e.errs...)
}

// env reads variables and collects what is wrong with them. An empty value is as none.
type env struct {
	lookup func(string) (string, bool)
	errs   []error
}

func (e *env) get(name string) string {
	v, _ := e.lookup(name)
	return strings.TrimSpace(v)
}

func (e *env) bad(name, value, why string) {
	e.errs = append(e.errs, fmt.Errorf("%s=%s: %s", name, value, why))
}

func (e *env) bool(name string) bool { return strings.EqualFold(e.get(name), "true") } // so says the standard: all else is false

func (e *env) list(name string) ([]string, bool) {
	v := e.get(name)
	if v == "" {
		return nil, false
	}
	var list []string
	for part := range strings.SplitSeq(v, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list, true
}

type pair struct{ key, value string }

// pairs reads key=value,… with what is special written as in URLs.
func (e *env) pairs(name string) []pair {
	list, _ := e.list(name)
	var pairs []pair
	for _, part := range list {
		key, value, ok := strings.Cut(part, "=")
		key, keyErr := url.PathUnescape(strings.TrimSpace(key))
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if !ok || key == "" || keyErr != nil || err != nil {
			e.errs = append(e.errs, fmt.Errorf("%s: one of its parts is not KEY=VALUE with what is special written as %%20", name)) // it may be a secret
			continue
		}
		pairs = append(pairs, pair{key, value})
	}
	return pairs
}

// number reads one that is not negative; 0 when there is none.
func (e *env) number(name string) int {
	v := e.get(name)
	if v == "" {
		return 0
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 {
		e.bad(name, v, "it must be a whole number that is not negative")
		return 0
	}
	return n
}

func (e *env) millis(name string) time.Duration {
	return time.Duration(e.number(name)) * time.Millisecond
}

// limit reads the first of the variables that there is. Of 0, which is the default in a Config, it makes the least there is.
func (e *env) limit(names ...string) int {
	for _, name := range names {
		if e.get(name) != "" {
			return max(e.number(name), 1)
		}
	}
	return 0
}

func (e *env) limits() Limits {
	return Limits{
		Attributes:         e.limit("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"),
		AttributeLength:    e.limit("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
		Events:             e.limit("OTEL_SPAN_EVENT_COUNT_LIMIT"),
		Links:              e.limit("OTEL_SPAN_LINK_COUNT_LIMIT"),
		AttributesPerEvent: e.limit("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT"),
		AttributesPerLink:  e.limit("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT"),
	}
}

func (e *env) batch(prefix string) Batch {
	return Batch{
		Queue:   e.number(prefix + "MAX_QUEUE_SIZE"),
		Size:    e.number(prefix + "MAX_EXPORT_BATCH_SIZE"),
		Delay:   e.millis(prefix + "SCHEDULE_DELAY"),
		Timeout: e.millis(prefix + "EXPORT_TIMEOUT"),
	}
}

func (e *env) sampler() (Sampler, float64) {
	const name, arg = "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"
	v := e.get(name)
	s := Sampler(v)
	switch {
	case v == parentBasedRatioName:
		s = ParentBasedRatio
	case s.check() != nil:
		e.bad(name, v, fmt.Sprintf("there are %s, %s, %s, %s, %s and %s", AlwaysOn, AlwaysOff, Ratio, ParentBasedOn, ParentBasedOff, parentBasedRatioName))
		return ParentBasedRatio, 0
	}
	if s != Ratio && s != ParentBasedRatio {
		return s, 0
	}
	ratio := 0.0
	switch text := e.get(arg); {
	case text != "":
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || !(f >= 0 && f <= 1) {
			e.bad(arg, text, "it must be a number from 0 to 1")
			break
		}
		if ratio = f; f == 0 {
			ratio = -1
		}
	case v != "":
		ratio = 1 // so says the standard
	}
	return s, ratio
}

func (e *env) temporality() Temporality {
	const name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
	v := strings.ToLower(e.get(name))
	t := Temporality(v)
	switch {
	case v == "cumulative":
		return Cumulative
	case t.check() != nil:
		e.bad(name, v, "there are cumulative, delta and lowmemory")
		return Cumulative
	}
	return t
}

func (e *env) histograms() Histograms {
	const name = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"
	h := Histograms(strings.ToLower(e.get(name)))
	if h.check() != nil {
		e.bad(name, string(h), fmt.Sprintf("there are %s and %s", ExplicitHistograms, ExponentialHistograms))
		return ""
	}
	return h
}

// export reads where one signal goes.
func (e *env) export(signal otlp.Signal, known ...string) Export {
	exporter := "OTEL_" + strings.ToUpper(string(signal)) + "_EXPORTER"
	asked := false
	if list, ok := e.list(exporter); ok {
		for _, name := range list {
			if name != "none" && !slices.Contains(known, name) {
				e.bad(exporter, name, "there are "+strings.Join(known, ", ")+" and none")
			}
		}
		if !slices.Contains(list, "otlp") {
			return Export{none: true}
		}
		asked = true
	}
	to, set, err := otlp.FromEnv(signal, e.lookup)
	if !asked && !set {
		return Export{}
	}
	if err != nil {
		e.errs = append(e.errs, err)
	}
	return Export{URL: to.URL, Headers: to.Header, Timeout: to.Timeout, Gzip: to.Gzip, CAFile: to.CA, CertFile: to.Certificate, KeyFile: to.Key}
}
