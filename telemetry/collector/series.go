package collector

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Metrics returns the metrics that there are, by name.
func (c *Collector) Metrics(ctx context.Context) ([]MetricInfo, error) {
	n := c.of().numbers
	n.mu.Lock()
	defer n.mu.Unlock()
	list := []MetricInfo{}
	for _, m := range n.metrics {
		if !m.hidden {
			list = append(list, m.info())
		}
	}
	slices.SortFunc(list, func(a, b MetricInfo) int { return cmp.Compare(a.Name, b.Name) })
	return list, ctx.Err()
}

// info returns the metric with what its series have. Held.
func (m *metric) info() MetricInfo {
	info := m.MetricInfo
	services, labels := make(map[string]bool), make(map[string]bool)
	for _, s := range m.series {
		for _, l := range s.labels {
			labels[l.key] = true
			if l.key == "service.name" {
				services[l.value] = true
			}
		}
	}
	info.Services, info.Labels = slices.Sorted(maps.Keys(services)), slices.Sorted(maps.Keys(labels))
	info.Series = len(m.series)
	return info
}

// stats that each kind of metric has, the default first.
var statsOf = map[string][]string{
	counterKind:   {"rate", "sum"},
	gaugeKind:     {"avg", "sum", "min", "max"},
	updownKind:    {"sum", "avg", "min", "max"},
	histogramKind: {"p95", "p50", "p75", "p90", "p99", "rate", "count", "sum", "avg", "min", "max"},
}

const (
	mostPoints = 2000
	mostLines  = 200
)

// Series returns a metric over time. The error is [ErrNotFound] when there is no such metric.
func (c *Collector) Series(ctx context.Context, q SeriesQuery) (SeriesResult, error) {
	n := c.of().numbers
	n.mu.Lock()
	defer n.mu.Unlock()
	m := n.metrics[q.Metric]
	if m == nil || m.hidden {
		return SeriesResult{}, fmt.Errorf("metric %s: %w", q.Metric, ErrNotFound)
	}
	known := statsOf[m.Kind]
	stat := cmp.Or(q.Stat, known[0])
	if !slices.Contains(known, stat) {
		return SeriesResult{}, fmt.Errorf("a %s such as %s has no %s: it has %s", m.Kind, m.Name, stat, strings.Join(known, ", "))
	}
	win := spanOf(q.Window, 0, time.Now())
	if q.From.IsZero() {
		win.from = win.to - int64(recent/time.Second)
	}
	step := stepOf(win, q.Step)
	win.from = win.from / step * step
	points := int((win.to - win.from + step - 1) / step)
	res := SeriesResult{
		Metric: m.info(), Stat: stat, Start: time.Unix(win.from, 0).UTC(), Step: time.Duration(step) * time.Second, Series: []Series{},
	}
	groups := make(map[string]*lines)
	for _, s := range m.series {
		if !s.matches(q.Where) {
			continue
		}
		labels := make(map[string]string, len(q.By))
		key := ""
		for _, by := range q.By {
			labels[by] = s.label(by)
			key += strconv.Quote(labels[by])
		}
		g := groups[key]
		if g == nil {
			g = &lines{labels: labels, at: make([]point4, points)}
			groups[key] = g
		}
		g.add(s, win, step)
	}
	keys := slices.Sorted(maps.Keys(groups))
	sizes := make(map[string]float64)
	for _, k := range keys {
		g := groups[k]
		line := Series{Labels: g.labels, Values: g.values(m.Kind, stat, float64(step)), Exemplars: g.exemplars}
		for _, v := range line.Values {
			if !math.IsNaN(v) {
				sizes[k] += math.Abs(v)
			}
		}
		groups[k].line = line
	}
	slices.SortStableFunc(keys, func(a, b string) int { return cmp.Compare(sizes[b], sizes[a]) })
	if most := min(orDefault(q.Limit, 20), mostLines); len(keys) > most {
		res.More = len(keys) - most
		keys = keys[:most]
	}
	slices.Sort(keys) // so that a line keeps its colour
	for _, k := range keys {
		res.Series = append(res.Series, groups[k].line)
	}
	return res, ctx.Err()
}

// stepOf returns the step of a window in seconds, a multiple of that of the slots.
func stepOf(w span, wish time.Duration) int64 {
	least := int64(fineStep)
	if w.from < w.now-fineFor {
		least = coarseStep
	}
	step := int64(wish / time.Second)
	if step <= 0 {
		step = (w.to - w.from) / 200
		if least == fineStep {
			step = max(step, 4) // so that each step has what is told every two seconds
		}
	}
	step = max(step, (w.to-w.from)/mostPoints, least)
	return (step + least - 1) / least * least
}

func (s *series) matches(where []Match) bool {
	for _, m := range where {
		if (s.label(m.Key) == m.Value) == m.Not {
			return false
		}
	}
	return true
}

// point4 is what of several series falls into one step.
type point4 struct {
	n, sum   float64
	hist     hist
	values   []float64 // averages, of gauges
	own, cnt float64   // of the series that is being added
}

// lines is some series that become one.
type lines struct {
	labels    map[string]string
	at        []point4
	exemplars []Exemplar
	line      Series
}

func (g *lines) add(s *series, w span, step int64) {
	gauge := s.metric.Kind == gaugeKind || s.metric.Kind == updownKind
	s.ringFor(w.from, w.now).each(w.from, w.to, func(at int64, n, sum float64, h string) {
		p := &g.at[min(int((at-w.from)/step), len(g.at)-1)]
		p.n += n
		p.sum += sum
		p.hist.mergePacked(h)
		p.own += sum
		p.cnt += n
	})
	for i := range g.at {
		p := &g.at[i]
		if gauge && p.cnt > 0 {
			p.values = append(p.values, p.own/p.cnt)
		}
		p.own, p.cnt = 0, 0
	}
	for _, e := range s.exemplars {
		if at := e.Time.Unix(); at >= w.from && at < w.to && len(g.exemplars) < 200 {
			g.exemplars = append(g.exemplars, e)
		}
	}
}

// values returns the points of a statistic; NaN where nothing is known.
func (g *lines) values(kind, stat string, step float64) Values {
	out := make(Values, len(g.at))
	for i := range g.at {
		out[i] = g.at[i].value(kind, stat, step)
	}
	return out
}

func (p *point4) value(kind, stat string, step float64) float64 {
	if kind == gaugeKind || kind == updownKind {
		if len(p.values) == 0 {
			return math.NaN()
		}
		switch stat {
		case "min":
			return slices.Min(p.values)
		case "max":
			return slices.Max(p.values)
		}
		sum := 0.0
		for _, v := range p.values {
			sum += v
		}
		if stat == "avg" {
			return sum / float64(len(p.values))
		}
		return sum
	}
	if p.n == 0 {
		return math.NaN()
	}
	switch stat {
	case "rate":
		if kind == counterKind {
			return p.sum / step
		}
		return p.n / step
	case "sum":
		return p.sum
	case "count":
		return p.n
	case "avg":
		return p.sum / p.n
	case "min":
		return p.hist.quantile(0)
	case "max":
		return p.hist.quantile(1)
	}
	q, err := strconv.ParseFloat(strings.TrimPrefix(stat, "p"), 64)
	if err != nil {
		return math.NaN()
	}
	return p.hist.quantile(q / 100)
}
