package telemetry

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hanse-go/hanse/internal/otlp"
	"go.opentelemetry.io/otel/attribute"
)

// family is all that is told by one name.
type family struct {
	name, help, unit, kind string
	metrics                []familyMetric
}

// familyMetric is a metric of a family, and the labels that all of its points have.
type familyMetric struct {
	*otlp.Metric
	labels []attribute.KeyValue
}

// families sorts metrics by their names there. Of two kinds by one name the first counts; the others are returned.
func families(all []otlp.ResourceMetrics) (list []*family, refused []string) {
	byName := map[string]*family{}
	names := map[string]int{} // how many resources have a service's name
	for _, rm := range all {
		names[resourceName(rm.Resource)]++
	}
	for _, rm := range all {
		for _, sm := range rm.Scopes {
			labels := scopeLabels(rm.Resource, &sm.Scope, names[resourceName(rm.Resource)] > 1)
			for i := range sm.Metrics {
				m := &sm.Metrics[i]
				name, unit := promName(m)
				f := byName[name]
				if f == nil {
					f = &family{name: name, help: m.Description, unit: unit, kind: promType(m)}
					byName[name] = f
					list = append(list, f)
				}
				if f.kind != promType(m) {
					refused = append(refused, m.Name)
					continue
				}
				f.metrics = append(f.metrics, familyMetric{m, labels})
			}
		}
	}
	slices.SortFunc(list, func(a, b *family) int { return cmp.Compare(a.name, b.name) })
	return list, refused
}

func resourceName(r *otlp.Resource) string { return resourceValue(r, "service.name") }

func resourceValue(r *otlp.Resource, key attribute.Key) string {
	for _, a := range r.Attributes {
		if a.Key == key {
			return a.Value.String()
		}
	}
	return ""
}

// scopeLabels tell the service, for a program may run several, and what made the numbers where that is not Hanse. The numbers of the
// process are no service's.
func scopeLabels(r *otlp.Resource, s *otlp.Scope, several bool) []attribute.KeyValue {
	if s.Name == processScope {
		return nil
	}
	labels := []attribute.KeyValue{attribute.String("service_name", resourceName(r))}
	if several {
		labels = append(labels, attribute.String("service_instance_id", resourceValue(r, "service.instance.id")))
	}
	if s.Name == ownScope {
		return labels
	}
	labels = append(labels, attribute.String("otel_scope_name", s.Name))
	if s.Version != "" {
		labels = append(labels, attribute.String("otel_scope_version", s.Version))
	}
	for _, a := range s.Attributes {
		a.Key = "otel_scope_" + a.Key
		labels = append(labels, a)
	}
	return labels
}

// promWriter writes families as Prometheus' text, or as OpenMetrics.
type promWriter struct {
	b      []byte
	open   bool // OpenMetrics
	sorted []promPair
	series []byte // the labels of the point at hand
	names  map[string]string
}

// maxNames bounds the names that a writer remembers.
const maxNames = 1000

// label is the name of the label that an attribute becomes.
func (w *promWriter) label(key attribute.Key) string {
	name, ok := w.names[string(key)]
	if !ok {
		if len(w.names) >= maxNames || w.names == nil {
			w.names = make(map[string]string)
		}
		name = promLabel(string(key))
		w.names[string(key)] = name
	}
	return name
}

type promPair struct{ name, value string }

func (w *promWriter) text(parts ...string) {
	for _, s := range parts {
		w.b = append(w.b, s...)
	}
}

func (w *promWriter) family(f *family) {
	name := f.name
	if w.open && f.kind == promCounter { // _total belongs to the samples there
		name = strings.TrimSuffix(name, "_total")
	}
	w.text("# HELP ", name, " ")
	w.escape(f.help, w.open)
	w.text("\n# TYPE ", name, " ", f.kind, "\n")
	if w.open && f.unit != "" && strings.HasSuffix(name, "_"+f.unit) {
		w.text("# UNIT ", name, " ", f.unit, "\n")
	}
	for _, m := range f.metrics {
		for i := range m.Numbers {
			w.number(f, m.labels, &m.Numbers[i])
		}
		for i := range m.Histograms {
			w.histogram(f, m.labels, &m.Histograms[i])
		}
		for i := range m.Exponentials {
			p := explicitOf(&m.Exponentials[i])
			w.histogram(f, m.labels, &p)
		}
	}
}

func (w *promWriter) number(f *family, labels []attribute.KeyValue, n *otlp.Number) {
	w.setLabels(labels, n.Attributes)
	w.sample(f.name, "", "")
	w.value(n.IsInt, n.Int, n.Float)
	if f.kind == promCounter {
		w.exemplar(n.Exemplars, math.Inf(-1), math.Inf(1))
	}
	w.b = append(w.b, '\n')
}

func (w *promWriter) histogram(f *family, labels []attribute.KeyValue, p *otlp.HistogramPoint) {
	w.setLabels(labels, p.Attributes)
	count, below := uint64(0), math.Inf(-1)
	for i, n := range p.Buckets {
		count += n
		bound := math.Inf(1)
		if i < len(p.Bounds) {
			bound = p.Bounds[i]
		}
		w.sample(f.name, "_bucket", w.bound(bound))
		w.b = strconv.AppendUint(w.b, count, 10)
		w.exemplar(p.Exemplars, below, bound)
		w.b = append(w.b, '\n')
		below = bound
	}
	if len(p.Buckets) == 0 {
		w.sample(f.name, "_bucket", "+Inf")
		w.b = append(strconv.AppendUint(w.b, p.Count, 10), '\n')
		count = p.Count
	}
	if !p.NoSum {
		w.sample(f.name, "_sum", "")
		w.value(false, 0, p.Sum)
		w.b = append(w.b, '\n')
	}
	w.sample(f.name, "_count", "")
	w.b = append(strconv.AppendUint(w.b, count, 10), '\n') // not p.Count: a reader refuses one that is not the last bucket's
}

// sample writes all of a line up to its value. le is the bound of a bucket; "" is none.
func (w *promWriter) sample(name, suffix, le string) {
	w.text(name, suffix)
	if len(w.series) > 0 || le != "" {
		w.b = append(w.b, '{')
		w.b = append(w.b, w.series...)
		if le != "" {
			if len(w.series) > 0 {
				w.b = append(w.b, ',')
			}
			w.text(`le="`, le, `"`)
		}
		w.b = append(w.b, '}')
	}
	w.b = append(w.b, ' ')
}

func (w *promWriter) value(isInt bool, i int64, f float64) {
	if isInt {
		w.b = strconv.AppendInt(w.b, i, 10)
		return
	}
	w.b = append(w.b, promFloat(f)...)
}

func promFloat(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "+Inf"
	case math.IsInf(f, -1):
		return "-Inf"
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// bound writes that of a bucket; OpenMetrics wants a number to look like one with a fraction.
func (w *promWriter) bound(f float64) string {
	s := promFloat(f)
	if w.open && !strings.ContainsAny(s, ".e") && !math.IsInf(f, 0) {
		s += ".0"
	}
	return s
}

// maxExemplar is how many characters the labels of an exemplar may have in all.
const maxExemplar = 128

// exemplar writes the last of those above one bound and not above another.
func (w *promWriter) exemplar(all []otlp.Exemplar, above, upTo float64) {
	if !w.open {
		return
	}
	var last *otlp.Exemplar
	for i := range all {
		e := &all[i]
		if v := e.Float + float64(e.Int); e.TraceID.IsValid() && v > above && v <= upTo && (last == nil || e.Time > last.Time) {
			last = e
		}
	}
	if last == nil {
		return
	}
	w.text(` # {trace_id="`, last.TraceID.String(), `",span_id="`, last.SpanID.String(), `"`)
	room := maxExemplar - len("trace_id") - 32 - len("span_id") - 16
	for _, a := range last.Attributes {
		name, value := w.label(a.Key), a.Value.String()
		if room -= len(name) + utf8.RuneCountInString(value); room < 0 {
			break
		}
		w.text(",", name, `="`)
		w.escape(value, true)
		w.b = append(w.b, '"')
	}
	w.text("} ")
	w.value(last.IsInt, last.Int, last.Float)
	w.b = append(w.b, ' ')
	w.b = strconv.AppendFloat(w.b, float64(last.Time/1e6)/1e3, 'f', 3, 64)
}

// setLabels makes the labels of a point. Attributes that become the same label have their values joined, as the rules say.
func (w *promWriter) setLabels(common, own []attribute.KeyValue) {
	w.sorted = w.sorted[:0]
	for _, list := range [][]attribute.KeyValue{common, own} {
		for i := range list {
			w.sorted = append(w.sorted, promPair{w.label(list[i].Key), list[i].Value.String()})
		}
	}
	slices.SortStableFunc(w.sorted, func(a, b promPair) int { return cmp.Compare(a.name, b.name) })
	all := w.b
	w.b = w.series[:0]
	for i, p := range w.sorted {
		if i > 0 && w.sorted[i-1].name == p.name {
			w.b = append(w.b[:len(w.b)-1], ';')
		} else {
			if i > 0 {
				w.b = append(w.b, ',')
			}
			w.text(p.name, `="`)
		}
		w.escape(p.value, true)
		w.b = append(w.b, '"')
	}
	w.series, w.b = w.b, all
}

// escape writes text that may hold anything.
func (w *promWriter) escape(s string, quotes bool) {
	for _, r := range s { // yields U+FFFD for what is no UTF-8
		switch {
		case r == '\\':
			w.text(`\\`)
		case r == '\n':
			w.text(`\n`)
		case r == '"' && quotes:
			w.text(`\"`)
		default:
			w.b = utf8.AppendRune(w.b, r)
		}
	}
}

// explicitOf makes a histogram with bounds of an exponential one, whose bounds are powers of two at the finest.
func explicitOf(e *otlp.ExponentialPoint) otlp.HistogramPoint {
	p := otlp.HistogramPoint{Attributes: e.Attributes, Start: e.Start, Time: e.Time, Count: e.Count, Sum: e.Sum, NoSum: e.NoSum, Exemplars: e.Exemplars}
	add := func(bound float64, n uint64) {
		if last := len(p.Bounds) - 1; last >= 0 && p.Bounds[last] == bound {
			p.Buckets[last] += n
			return
		}
		p.Bounds, p.Buckets = append(p.Bounds, bound), append(p.Buckets, n)
	}
	shift := max(e.Scale, 0)                                                       // buckets that are merged: 2^shift
	width := math.Exp2(float64(max(-e.Scale, 0)))                                  // of those that are left, in powers of two
	power := func(i int32) float64 { return math.Exp2(float64(i>>shift) * width) } // the lower bound
	for i := len(e.Negative.Counts) - 1; i >= 0; i-- {
		add(-power(e.Negative.Offset+int32(i)), e.Negative.Counts[i])
	}
	if e.ZeroCount > 0 {
		add(e.ZeroThreshold, e.ZeroCount)
	}
	for i, n := range e.Positive.Counts {
		add(power((e.Positive.Offset+int32(i))|(1<<shift-1)+1), n)
	}
	p.Buckets = append(p.Buckets, 0)
	return p
}
