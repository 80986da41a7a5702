package telemetry

import (
	"context"
	"fmt"
	"sync"

	"github.com/hanse-go/hanse/internal/otlp"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
)

// Temporality says since when what is sent counts. What /metrics shows counts since the start in any case.
type Temporality string

// The temporalities, as OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE names them.
const (
	Cumulative Temporality = ""          // since the start
	Delta      Temporality = "delta"     // since what was sent before, but for what can fall
	LowMemory  Temporality = "lowmemory" // as Delta, but what is observed when it is asked for since the start
)

func (t Temporality) check() error {
	switch t {
	case Cumulative, Delta, LowMemory:
		return nil
	}
	return fmt.Errorf("telemetry: Config.MetricTemporality: %q is none of %q, %q and the default", t, Delta, LowMemory)
}

// Histograms says which buckets histograms have that are sent.
type Histograms string

// The buckets there are, as OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION names them. Explicit ones of calls are powers of two
// seconds.
const (
	ExplicitHistograms    Histograms = "explicit_bucket_histogram"
	ExponentialHistograms Histograms = "base2_exponential_bucket_histogram"
)

func (h Histograms) check() error {
	switch h {
	case "", ExplicitHistograms, ExponentialHistograms:
		return nil
	}
	return fmt.Errorf("telemetry: Config.Histograms: %q is none of %q, %q and the default", h, ExplicitHistograms, ExponentialHistograms)
}

// meters are a program's own instruments for one service. The SDK's own types do not appear in it: every package that imports this one
// would compile their generic code anew, which takes longer than most packages do.
type meters struct {
	once     sync.Once
	provider metric.MeterProvider
	shown    meterReader // since the start
	sent     meterReader // the same, or one with another temporality
}

type meterReader interface {
	Collect(context.Context, *metricdata.ResourceMetrics) error
}

// MeterProvider makes the meters for a program's own numbers. They are sent, and shown by [Telemetry.MetricsHandler], with those of
// calls. An instrument has 2000 sets of attributes at most; what comes with others is counted with otel.metric.overflow.
func (s *Service) MeterProvider() metric.MeterProvider {
	if s == nil {
		return noop.NewMeterProvider()
	}
	s.meters.once.Do(func() {
		m := &s.meters
		c := &s.telemetry.config
		exponential := func(k sdkmetric.InstrumentKind) sdkmetric.Aggregation {
			if k == sdkmetric.InstrumentKindHistogram && c.Histograms == ExponentialHistograms {
				return sdkmetric.AggregationBase2ExponentialHistogram{MaxSize: maxExponential, MaxScale: 20}
			}
			return sdkmetric.DefaultAggregationSelector(k)
		}
		reader := sdkmetric.NewManualReader()
		m.shown, m.sent = reader, reader
		options := []sdkmetric.Option{sdkmetric.WithResource(resource.Empty()), sdkmetric.WithReader(reader)}
		if c.Metrics.On() && (c.MetricTemporality != Cumulative || c.Histograms == ExponentialHistograms) {
			temporality := sdkmetric.DefaultTemporalitySelector
			switch c.MetricTemporality {
			case Delta:
				temporality = sdkmetric.DeltaTemporalitySelector
			case LowMemory:
				temporality = sdkmetric.LowMemoryTemporalitySelector
			}
			reader := sdkmetric.NewManualReader(sdkmetric.WithTemporalitySelector(temporality), sdkmetric.WithAggregationSelector(exponential))
			options = append(options, sdkmetric.WithReader(reader))
			m.sent = reader
		}
		m.provider = sdkmetric.NewMeterProvider(options...)
	})
	return s.meters.provider
}

// meterMetrics are the program's own numbers. What could be read is returned with an error, too.
func (s *Service) meterMetrics(ctx context.Context, shown bool) ([]otlp.ScopeMetrics, error) {
	s.MeterProvider()
	reader := s.meters.sent
	if shown {
		reader = s.meters.shown
	}
	var data metricdata.ResourceMetrics
	err := reader.Collect(ctx, &data)
	var all []otlp.ScopeMetrics
	for _, sm := range data.ScopeMetrics {
		scope := otlp.ScopeMetrics{Scope: otlp.Scope{Name: sm.Scope.Name, Version: sm.Scope.Version, Attributes: sm.Scope.Attributes.ToSlice(), SchemaURL: sm.Scope.SchemaURL}}
		for _, m := range sm.Metrics {
			if converted := (otlp.Metric{Name: m.Name, Description: m.Description, Unit: m.Unit}); fromSDK(&converted, m.Data) {
				scope.Metrics = append(scope.Metrics, converted)
			}
		}
		if len(scope.Metrics) > 0 {
			all = append(all, scope)
		}
	}
	return all, err
}

// fromSDK takes over the points of an aggregation of the SDK's, of any of the kinds that its instruments make.
func fromSDK(m *otlp.Metric, data metricdata.Aggregation) bool {
	switch a := data.(type) {
	case metricdata.Gauge[int64]:
		m.Kind, m.Numbers = otlp.Gauge, numbers(a.DataPoints)
	case metricdata.Gauge[float64]:
		m.Kind, m.Numbers = otlp.Gauge, numbers(a.DataPoints)
	case metricdata.Sum[int64]:
		m.Kind, m.Numbers, m.Temporality, m.Monotonic = otlp.Sum, numbers(a.DataPoints), temporality(a.Temporality), a.IsMonotonic
	case metricdata.Sum[float64]:
		m.Kind, m.Numbers, m.Temporality, m.Monotonic = otlp.Sum, numbers(a.DataPoints), temporality(a.Temporality), a.IsMonotonic
	case metricdata.Histogram[int64]:
		m.Kind, m.Histograms, m.Temporality = otlp.Histogram, histograms(a.DataPoints), temporality(a.Temporality)
	case metricdata.Histogram[float64]:
		m.Kind, m.Histograms, m.Temporality = otlp.Histogram, histograms(a.DataPoints), temporality(a.Temporality)
	case metricdata.ExponentialHistogram[int64]:
		m.Kind, m.Exponentials, m.Temporality = otlp.ExponentialHistogram, exponentials(a.DataPoints), temporality(a.Temporality)
	case metricdata.ExponentialHistogram[float64]:
		m.Kind, m.Exponentials, m.Temporality = otlp.ExponentialHistogram, exponentials(a.DataPoints), temporality(a.Temporality)
	default:
		return false
	}
	return true
}

func temporality(t metricdata.Temporality) otlp.Temporality {
	if t == metricdata.DeltaTemporality {
		return otlp.Delta
	}
	return otlp.Cumulative
}

func numbers[N int64 | float64](points []metricdata.DataPoint[N]) []otlp.Number {
	all := make([]otlp.Number, len(points))
	for i, p := range points {
		n := &all[i]
		n.Attributes, n.Time, n.Exemplars = p.Attributes.ToSlice(), p.Time.UnixNano(), exemplars(p.Exemplars)
		n.IsInt, n.Int, n.Float = value(p.Value)
		if !p.StartTime.IsZero() {
			n.Start = p.StartTime.UnixNano()
		}
	}
	return all
}

func histograms[N int64 | float64](points []metricdata.HistogramDataPoint[N]) []otlp.HistogramPoint {
	all := make([]otlp.HistogramPoint, len(points))
	for i, p := range points {
		h := &all[i]
		h.Attributes, h.Start, h.Time, h.Exemplars = p.Attributes.ToSlice(), p.StartTime.UnixNano(), p.Time.UnixNano(), exemplars(p.Exemplars)
		h.Count, h.Sum, h.Bounds, h.Buckets = p.Count, float64(p.Sum), p.Bounds, p.BucketCounts
		h.Min, h.Max, h.HasMinMax = extrema(p.Min, p.Max)
	}
	return all
}

func exponentials[N int64 | float64](points []metricdata.ExponentialHistogramDataPoint[N]) []otlp.ExponentialPoint {
	all := make([]otlp.ExponentialPoint, len(points))
	for i, p := range points {
		e := &all[i]
		e.Attributes, e.Start, e.Time, e.Exemplars = p.Attributes.ToSlice(), p.StartTime.UnixNano(), p.Time.UnixNano(), exemplars(p.Exemplars)
		e.Count, e.Sum, e.Scale, e.ZeroCount, e.ZeroThreshold = p.Count, float64(p.Sum), p.Scale, p.ZeroCount, p.ZeroThreshold
		e.Positive = otlp.ExponentialBuckets{Offset: p.PositiveBucket.Offset, Counts: p.PositiveBucket.Counts}
		e.Negative = otlp.ExponentialBuckets{Offset: p.NegativeBucket.Offset, Counts: p.NegativeBucket.Counts}
		e.Min, e.Max, e.HasMinMax = extrema(p.Min, p.Max)
	}
	return all
}

func exemplars[N int64 | float64](points []metricdata.Exemplar[N]) []otlp.Exemplar {
	var all []otlp.Exemplar
	for _, p := range points {
		e := otlp.Exemplar{Attributes: p.FilteredAttributes, Time: p.Time.UnixNano()}
		e.IsInt, e.Int, e.Float = value(p.Value)
		copy(e.TraceID[:], p.TraceID)
		copy(e.SpanID[:], p.SpanID)
		all = append(all, e)
	}
	return all
}

func value[N int64 | float64](v N) (isInt bool, i int64, f float64) {
	switch v := any(v).(type) {
	case int64:
		return true, v, 0
	case float64:
		return false, 0, v
	}
	return false, 0, 0
}

func extrema[N int64 | float64](least, most metricdata.Extrema[N]) (low, high float64, ok bool) {
	l, hasLow := least.Value()
	h, hasHigh := most.Value()
	return float64(l), float64(h), hasLow && hasHigh
}
