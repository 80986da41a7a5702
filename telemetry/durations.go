package telemetry

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/hanse-go/hanse/internal/otlp"
	"go.opentelemetry.io/otel/attribute"
)

// Durations is a histogram of how long work took that has the same attributes, for packages of Hanse whose work is too small for the histograms of a
// [metric.MeterProvider]; and, if Counter is set, a number of how much there was. A nil *Durations is off. It is safe for concurrent use.
//
// [metric.MeterProvider]: https://pkg.go.dev/go.opentelemetry.io/otel/metric#MeterProvider
type Durations struct {
	Name, Description               string
	Counter, CounterUnit, CounterIs string // its name, unit and description
	Attributes                      []attribute.KeyValue

	scope  string
	series *series
}

type durationsKey struct {
	name  string
	attrs attribute.Distinct
}

// Durations returns a histogram as d says, the same one for the same name and attributes.
func (sc *Scope) Durations(d Durations) *Durations {
	if sc == nil {
		return nil
	}
	s := sc.scope.service
	set := attribute.NewSet(slices.Clone(d.Attributes)...)
	key := durationsKey{d.Name, set.Equivalent()}
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.work[key]; known != nil {
		return known
	}
	d.scope, d.series = sc.scope.name, newSeries(time.Now(), s.telemetry.cells)
	if s.work == nil {
		s.work = make(map[durationsKey]*Durations)
	}
	s.work[key] = &d
	return &d
}

// Record counts work that took so long. span is its own, or nil.
func (d *Durations) Record(took time.Duration, span *Span) {
	if d == nil {
		return
	}
	var sample *exemplar
	if span != nil && span.records {
		sample = span.example(span.scope.service.telemetry.clock.now(), took)
	}
	d.series.record(took, sample)
}

// workMetrics are the numbers of [Durations], by who tells them.
func (s *Service) workMetrics(r *reading) (scopes []otlp.ScopeMetrics) {
	s.mu.Lock()
	all := make([]*Durations, 0, len(s.work))
	for _, d := range s.work {
		all = append(all, d)
	}
	s.mu.Unlock()
	slices.SortFunc(all, func(a, b *Durations) int {
		return cmp.Or(strings.Compare(a.scope, b.scope), strings.Compare(a.Name, b.Name), compareAttributes(a.Attributes, b.Attributes))
	})
	for _, d := range all {
		if len(scopes) == 0 || scopes[len(scopes)-1].Scope.Name != d.scope {
			scopes = append(scopes, otlp.ScopeMetrics{Scope: otlp.Scope{Name: d.scope, SchemaURL: schemaURL}})
		}
		d.read(r, &scopes[len(scopes)-1])
	}
	for i := range scopes {
		scopes[i].Metrics = slices.DeleteFunc(scopes[i].Metrics, func(m otlp.Metric) bool { return len(m.Histograms)+len(m.Exponentials)+len(m.Numbers) == 0 })
	}
	return slices.DeleteFunc(scopes, func(sm otlp.ScopeMetrics) bool { return len(sm.Metrics) == 0 })
}

func compareAttributes(a, b []attribute.KeyValue) int {
	return slices.CompareFunc(a, b, func(a, b attribute.KeyValue) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Value.String(), b.Value.String()))
	})
}

// read adds a point to the metric of the name, and one to that of the counter.
func (d *Durations) read(r *reading, scope *otlp.ScopeMetrics) {
	point := otlp.Metric{}
	d.series.read(r, &point, d.Attributes)
	temporality := otlp.Cumulative
	if r.delta != Cumulative {
		temporality = otlp.Delta
	}
	count := otlp.Number{IsInt: true, Attributes: d.Attributes, Start: d.series.since.UnixNano(), Time: r.at.UnixNano()}
	into := metricIn(scope, otlp.Metric{Name: d.Name, Description: d.Description, Unit: "s", Kind: otlp.ExponentialHistogram, Temporality: temporality})
	switch {
	case len(point.Histograms) > 0 && point.Histograms[0].Count > 0:
		into.Kind = otlp.Histogram
		into.Histograms = append(into.Histograms, point.Histograms[0])
		count.Int, count.Start = int64(point.Histograms[0].Count), point.Histograms[0].Start
	case len(point.Exponentials) > 0 && point.Exponentials[0].Count > 0:
		into.Exponentials = append(into.Exponentials, point.Exponentials[0])
		count.Int, count.Start = int64(point.Exponentials[0].Count), point.Exponentials[0].Start
	default:
		return // nothing yet, or nothing new
	}
	if d.Counter != "" {
		into = metricIn(scope, otlp.Metric{Name: d.Counter, Description: d.CounterIs, Unit: d.CounterUnit, Kind: otlp.Sum, Temporality: temporality, Monotonic: true})
		into.Numbers = append(into.Numbers, count)
	}
}

// metricIn returns the metric of the name, which is made if it is not there.
func metricIn(scope *otlp.ScopeMetrics, m otlp.Metric) *otlp.Metric {
	for i := range scope.Metrics {
		if scope.Metrics[i].Name == m.Name {
			return &scope.Metrics[i]
		}
	}
	scope.Metrics = append(scope.Metrics, m)
	return &scope.Metrics[len(scope.Metrics)-1]
}
