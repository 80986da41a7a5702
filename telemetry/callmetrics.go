package telemetry

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/hanse-go/hanse/internal/otlp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
)

// schemaURL is of the semantic conventions that the names and attributes here are from.
const schemaURL = "https://opentelemetry.io/schemas/1.43.0"

// ownScope is what spans and numbers of calls are told to come from.
const ownScope = "github.com/hanse-go/hanse/telemetry"

// processScope is what the numbers of the process come from, which are told once, with the first of its services.
const processScope = ownScope + "/process"

// reading is one look at all numbers: what for, and what was there at the one before.
type reading struct {
	shown    bool        // for /metrics, not to be sent
	explicit bool        // histograms of calls have the bounds below, not exponential ones
	delta    Temporality // what counts since the reading before
	at       time.Time
	last     time.Time // of the reading before; older exemplars were told. Zero: all are told

	scratch totals
	calls   map[*series]*totals // as they were then, where they are delta
	numbers map[string]float64  // the same of numbers that are observed
	buckets map[string][]uint64 // and of histograms
}

func newReading(c *Config) *reading {
	return &reading{
		explicit: c.Histograms == ExplicitHistograms, delta: c.MetricTemporality, at: time.Now(),
		calls: map[*series]*totals{}, numbers: map[string]float64{}, buckets: map[string][]uint64{},
	}
}

// next prepares for the reading after this one.
func (r *reading) next(at time.Time) {
	r.last, r.at = r.at, at
}

// The bounds of histograms for those who cannot take exponential ones: powers of two seconds, from 61 µs to 16 s, at which the counts
// are exact.
const (
	leastBound = -14
	mostBound  = 4
)

var callBounds = func() (bounds []float64) {
	for exp := leastBound; exp <= mostBound; exp++ {
		bounds = append(bounds, math.Exp2(float64(exp)))
	}
	return bounds
}()

// callMetrics are the durations of the calls that the service took and made.
func (s *Service) callMetrics(r *reading) []otlp.Metric {
	served := otlp.Metric{Name: "rpc.server.call.duration", Description: "Measures the duration of an incoming Remote Procedure Call (RPC)."}
	made := otlp.Metric{Name: "rpc.client.call.duration", Description: "Measures the duration of an outgoing Remote Procedure Call (RPC)."}
	methods := slices.SortedFunc(maps.Values(*s.methods.Load()), func(a, b *Method) int {
		return cmp.Or(cmp.Compare(a.peer, b.peer), cmp.Compare(a.name, b.name))
	})
	for _, m := range methods {
		into := &served
		if m.kind == trace.SpanKindClient {
			into = &made
		}
		for code := range m.calls.byCode {
			if s := m.calls.byCode[code].Load(); s != nil {
				s.read(r, into, m.callAttributes(codes.Code(code)))
			}
		}
	}
	streams := writer{r: r}
	streams.current(servedStreams, "Number of streaming calls that are served and have not ended.", "{call}", openStreams(r, methods, trace.SpanKindServer)...)
	streams.current(madeStreams, "Number of streaming calls that were made and have not ended.", "{call}", openStreams(r, methods, trace.SpanKindClient)...)
	all := streams.metrics
	for _, m := range []otlp.Metric{served, made} {
		if len(m.Histograms)+len(m.Exponentials) == 0 {
			continue
		}
		m.Unit, m.Kind, m.Temporality = "s", otlp.ExponentialHistogram, otlp.Cumulative
		if r.explicit {
			m.Kind = otlp.Histogram
		}
		if r.delta != Cumulative {
			m.Temporality = otlp.Delta
		}
		all = append(all, m)
	}
	return all
}

// The conventions have no number of calls that have not ended.
const (
	servedStreams = "hanse.rpc.server.open_streams"
	madeStreams   = "hanse.rpc.client.open_streams"
)

// openStreams are the streams of each method of a side that have not ended, and where they are sent, whose they are.
func openStreams(r *reading, methods []*Method, kind trace.SpanKind) (all []observation) {
	for _, m := range methods {
		if m.kind != kind || !m.streams.Load() {
			continue
		}
		o := of(true, float64(m.open.Load()), m.attributes()...)
		if !r.shown { // OpenMetrics has examples of what only grows
			o.exemplars = m.traces.exemplars()
		}
		all = append(all, o)
	}
	return all
}

// callAttributes are those of the calls of m that ended with the code.
func (m *Method) callAttributes(code codes.Code) []attribute.KeyValue {
	attrs := make([]attribute.KeyValue, 0, 6)
	attrs = append(attrs,
		attribute.String("rpc.system.name", "grpc"),
		attribute.String("rpc.method", m.name),
		attribute.String("rpc.response.status_code", codeNames[code]))
	if isError(m.kind, code) {
		attrs = append(attrs, attribute.String("error.type", codeNames[code]))
	}
	if m.peer != "" {
		attrs = append(attrs, attribute.String("server.address", m.peer))
	}
	if m.streams.Load() {
		attrs = append(attrs, attribute.Bool(StreamKey, true))
	}
	return attrs
}

// read adds a point of s to a metric.
func (s *series) read(r *reading, into *otlp.Metric, attrs []attribute.KeyValue) {
	all := &r.scratch
	s.totals(all)
	since := s.since
	if r.delta != Cumulative {
		now := *all
		if before := r.calls[s]; before != nil {
			all.less(before)
			since = r.last
		}
		r.calls[s] = &now
		if all.count == 0 {
			return
		}
	}
	if r.explicit {
		p := all.explicit()
		p.Attributes, p.Start, p.Time, p.Exemplars = attrs, since.UnixNano(), r.at.UnixNano(), all.examples(r.last)
		into.Histograms = append(into.Histograms, p)
		return
	}
	p := all.exponential()
	p.Attributes, p.Start, p.Time, p.Exemplars = attrs, since.UnixNano(), r.at.UnixNano(), all.examples(r.last)
	into.Exponentials = append(into.Exponentials, p)
}

// explicit counts by callBounds.
func (all *totals) explicit() otlp.HistogramPoint {
	p := otlp.HistogramPoint{Count: all.count, Sum: all.sum.Seconds(), Bounds: callBounds, Buckets: make([]uint64, len(callBounds)+1)}
	for i, n := range all.counts {
		// The bucket before leastBound is the first; each octave above it is the next.
		octave := i/perOctave + leastOctave - leastBound + 1
		p.Buckets[min(max(octave, 0), len(callBounds))] += n
	}
	return p
}

// maxExponential is how many buckets a point may have, as with OpenTelemetry's SDKs: receivers make room for as many.
const maxExponential = 160

// exponential leaves out what is empty at both ends, and halves the scale if too much is left.
func (all *totals) exponential() otlp.ExponentialPoint {
	p := otlp.ExponentialPoint{Count: all.count, Sum: all.sum.Seconds(), Scale: bucketScale}
	first, last := 0, len(all.counts)
	for first < last && all.counts[first] == 0 {
		first++
	}
	for last > first && all.counts[last-1] == 0 {
		last--
	}
	width := 1
	for last/width-first/width >= maxExponential {
		width *= 2
		p.Scale--
	}
	if first == last {
		return p
	}
	p.Positive.Offset = int32((first + bucketOffset) >> (bucketScale - p.Scale)) // bucketOffset is a multiple of each width there is
	p.Positive.Counts = make([]uint64, (last-1)/width-first/width+1)
	for i := first; i < last; i++ {
		p.Positive.Counts[i/width-first/width] += all.counts[i]
	}
	return p
}

// examples are the exemplars of calls that ended after last.
func (all *totals) examples(last time.Time) []otlp.Exemplar {
	var list []otlp.Exemplar
	since := int64(0) // UnixNano of the zero time is not defined
	if !last.IsZero() {
		since = last.UnixNano()
	}
	for i := range all.exemplars {
		if e := &all.exemplars[i]; e.at > since {
			list = append(list, otlp.Exemplar{Time: e.at, Float: e.took.Seconds(), TraceID: e.traceID, SpanID: e.spanID})
		}
	}
	return list
}
