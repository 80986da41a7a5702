package otlp

import (
	"math"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/encoding/protowire"
)

// ResourceMetrics are the metrics of one resource.
type ResourceMetrics struct {
	Resource *Resource
	Scopes   []ScopeMetrics
}

// ScopeMetrics are the metrics that one library made.
type ScopeMetrics struct {
	Scope   Scope
	Metrics []Metric
}

// Kind is what the points of a metric are. The values are the fields of the message Metric.
type Kind int

// The kinds of metrics that are written. A Gauge and a Sum have Numbers, the others points of their name.
const (
	Gauge                Kind = 5
	Sum                  Kind = 7
	Histogram            Kind = 9
	ExponentialHistogram Kind = 10
)

// Temporality tells since when the points of a sum or a histogram count.
type Temporality int

// The temporalities: since the point before, or since the start.
const (
	Delta      Temporality = 1
	Cumulative Temporality = 2
)

// Metric is one metric with a point for each set of attributes.
type Metric struct {
	Name, Description, Unit string
	Kind                    Kind
	Temporality             Temporality // not of a gauge
	Monotonic               bool        // of a sum: it never falls
	Numbers                 []Number
	Histograms              []HistogramPoint
	Exponentials            []ExponentialPoint
}

// Number is a point of a gauge or a sum.
type Number struct {
	Attributes  []attribute.KeyValue
	Start, Time int64 // Unix time in nanoseconds; a gauge has no start
	IsInt       bool
	Int         int64
	Float       float64
	Exemplars   []Exemplar
}

// HistogramPoint is a point of a histogram with bounds of its own.
type HistogramPoint struct {
	Attributes  []attribute.KeyValue
	Start, Time int64 // Unix time in nanoseconds
	Count       uint64
	Sum         float64
	NoSum       bool      // of values that may be negative and are counted since the start
	Bounds      []float64 // the upper bounds, inclusive, of all buckets but the last
	Buckets     []uint64  // one more than Bounds
	Min, Max    float64
	HasMinMax   bool
	Exemplars   []Exemplar
}

// ExponentialPoint is a point of a histogram whose bounds are the powers of 2^(2^-Scale).
type ExponentialPoint struct {
	Attributes         []attribute.KeyValue
	Start, Time        int64 // Unix time in nanoseconds
	Count              uint64
	Sum                float64
	NoSum              bool
	Scale              int32
	ZeroCount          uint64
	ZeroThreshold      float64
	Positive, Negative ExponentialBuckets
	Min, Max           float64
	HasMinMax          bool
	Exemplars          []Exemplar
}

// ExponentialBuckets are buckets without gaps: Counts[i] is of the values above base^(Offset+i) up to base^(Offset+i+1).
type ExponentialBuckets struct {
	Offset int32
	Counts []uint64
}

// Exemplar is one of the values that a point counts, with the span that it was measured in.
type Exemplar struct {
	Attributes []attribute.KeyValue // those that the point has not
	Time       int64                // Unix time in nanoseconds
	IsInt      bool
	Int        int64
	Float      float64
	TraceID    trace.TraceID // zero outside of a trace
	SpanID     trace.SpanID
}

// AppendMetrics appends an ExportMetricsServiceRequest.
func AppendMetrics(b []byte, all []ResourceMetrics) []byte {
	var resource, scope int
	for i := range all {
		rm := &all[i]
		b, resource = openField(b, 1)
		b = appendResource(b, rm.Resource)
		for j := range rm.Scopes {
			sm := &rm.Scopes[j]
			b, scope = openField(b, 2)
			b = appendScope(b, &sm.Scope)
			for k := range sm.Metrics {
				b = appendMetric(b, 2, &sm.Metrics[k])
			}
			b = stringField(b, 3, sm.Scope.SchemaURL)
			b = closeField(b, scope)
		}
		b = stringField(b, 3, rm.Resource.schemaURL())
		b = closeField(b, resource)
	}
	return b
}

func appendMetric(b []byte, num protowire.Number, m *Metric) []byte {
	b, start := openField(b, num)
	b = stringField(b, 1, m.Name)
	b = stringField(b, 2, m.Description)
	b = stringField(b, 3, m.Unit)
	b, data := openField(b, protowire.Number(m.Kind))
	switch m.Kind {
	case Gauge, Sum:
		for i := range m.Numbers {
			b = appendNumber(b, 1, &m.Numbers[i])
		}
	case Histogram:
		for i := range m.Histograms {
			b = appendHistogram(b, 1, &m.Histograms[i])
		}
	case ExponentialHistogram:
		for i := range m.Exponentials {
			b = appendExponential(b, 1, &m.Exponentials[i])
		}
	}
	if m.Kind != Gauge {
		b = varintField(b, 2, uint64(m.Temporality))
	}
	if m.Kind == Sum {
		b = boolField(b, 3, m.Monotonic)
	}
	b = closeField(b, data)
	return closeField(b, start)
}

func appendNumber(b []byte, num protowire.Number, p *Number) []byte {
	b, start := openField(b, num)
	b = fixed64Field(b, 2, uint64(p.Start))
	b = fixed64Field(b, 3, uint64(p.Time))
	if p.IsInt {
		b = fixed64Always(b, 6, uint64(p.Int))
	} else {
		b = doubleAlways(b, 4, p.Float)
	}
	b = appendExemplars(b, 5, p.Exemplars)
	b = appendAttributes(b, 7, p.Attributes)
	return closeField(b, start)
}

func appendHistogram(b []byte, num protowire.Number, p *HistogramPoint) []byte {
	b, start := openField(b, num)
	b = fixed64Field(b, 2, uint64(p.Start))
	b = fixed64Field(b, 3, uint64(p.Time))
	b = fixed64Field(b, 4, p.Count)
	if !p.NoSum {
		b = doubleAlways(b, 5, p.Sum)
	}
	if len(p.Buckets) > 0 {
		b = protowire.AppendTag(b, 6, protowire.BytesType)
		b = protowire.AppendVarint(b, 8*uint64(len(p.Buckets)))
		for _, n := range p.Buckets {
			b = protowire.AppendFixed64(b, n)
		}
	}
	if len(p.Bounds) > 0 {
		b = protowire.AppendTag(b, 7, protowire.BytesType)
		b = protowire.AppendVarint(b, 8*uint64(len(p.Bounds)))
		for _, v := range p.Bounds {
			b = protowire.AppendFixed64(b, math.Float64bits(v))
		}
	}
	b = appendExemplars(b, 8, p.Exemplars)
	b = appendAttributes(b, 9, p.Attributes)
	if p.HasMinMax {
		b = doubleAlways(b, 11, p.Min)
		b = doubleAlways(b, 12, p.Max)
	}
	return closeField(b, start)
}

func appendExponential(b []byte, num protowire.Number, p *ExponentialPoint) []byte {
	b, start := openField(b, num)
	b = appendAttributes(b, 1, p.Attributes)
	b = fixed64Field(b, 2, uint64(p.Start))
	b = fixed64Field(b, 3, uint64(p.Time))
	b = fixed64Field(b, 4, p.Count)
	if !p.NoSum {
		b = doubleAlways(b, 5, p.Sum)
	}
	b = varintField(b, 6, protowire.EncodeZigZag(int64(p.Scale)))
	b = fixed64Field(b, 7, p.ZeroCount)
	b = appendBuckets(b, 8, &p.Positive)
	b = appendBuckets(b, 9, &p.Negative)
	b = appendExemplars(b, 11, p.Exemplars)
	if p.HasMinMax {
		b = doubleAlways(b, 12, p.Min)
		b = doubleAlways(b, 13, p.Max)
	}
	if p.ZeroThreshold != 0 {
		b = doubleAlways(b, 14, p.ZeroThreshold)
	}
	return closeField(b, start)
}

func appendBuckets(b []byte, num protowire.Number, e *ExponentialBuckets) []byte {
	if len(e.Counts) == 0 {
		return b
	}
	b, start := openField(b, num)
	b = varintField(b, 1, protowire.EncodeZigZag(int64(e.Offset)))
	b, counts := openField(b, 2)
	for _, n := range e.Counts {
		b = protowire.AppendVarint(b, n)
	}
	b = closeField(b, counts)
	return closeField(b, start)
}

func appendExemplars(b []byte, num protowire.Number, all []Exemplar) []byte {
	var start int
	for i := range all {
		e := &all[i]
		b, start = openField(b, num)
		b = fixed64Field(b, 2, uint64(e.Time))
		if e.IsInt {
			b = fixed64Always(b, 6, uint64(e.Int))
		} else {
			b = doubleAlways(b, 3, e.Float)
		}
		if e.SpanID.IsValid() {
			b = bytesAlways(b, 4, e.SpanID[:])
		}
		if e.TraceID.IsValid() {
			b = bytesAlways(b, 5, e.TraceID[:])
		}
		b = appendAttributes(b, 7, e.Attributes)
		b = closeField(b, start)
	}
	return b
}
