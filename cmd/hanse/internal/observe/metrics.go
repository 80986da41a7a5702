package observe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hanse-go/hanse/telemetry/collector"
)

type metricsIn struct {
	Text    string `json:"text,omitempty" jsonschema:"Only metrics with this text in the name or description"`
	Service string `json:"service,omitempty" jsonschema:"Only metrics of this service"`
}

func (t tools) metrics(ctx context.Context, b *text, in metricsIn) error {
	var all []collector.MetricInfo
	if err := t.collected(ctx, "metrics", nil, &all); err != nil {
		return err
	}
	b.narrower("give text or service")
	n := 0
	for _, m := range all {
		if in.Service != "" && !slices.Contains(m.Services, in.Service) ||
			!strings.Contains(strings.ToLower(m.Name+" "+m.Description), strings.ToLower(in.Text)) {
			continue
		}
		n++
		unit := ""
		if m.Unit != "" {
			unit = " in " + m.Unit
		}
		b.linef("%s: %s%s, %d series, of %s, labels %s. %s", m.Name, m.Kind, unit, m.Series, cut(strings.Join(m.Services, " "), 200), cut(strings.Join(m.Labels, " "), 300), cut(m.Description, 200))
	}
	if n == 0 {
		t.nothing(b, "No metric is known by that.", "Leave text and service out.")
	}
	return nil
}

type seriesIn struct {
	Metric string   `json:"metric" jsonschema:"Name, from list_metrics"`
	Stat   string   `json:"stat,omitempty" jsonschema:"rate, sum, avg, min, max, count, p50, p90, p95 or p99. Default: p95 of a histogram, rate of a counter, avg of a gauge"`
	By     []string `json:"by,omitempty" jsonschema:"Labels that make series of their own, such as service.name. Default: one series"`
	Where  []string `json:"where,omitempty" jsonschema:"Conditions on labels, key=value or key!=value; all must hold"`
	Window string   `json:"window,omitempty" jsonschema:"How far back: 5m, 1h or 6h. Default: 15m"`
	Limit  int      `json:"limit,omitempty" jsonschema:"How many series, the largest first. Default 10, at most 50"`
}

// points is about how many values of a series are shown.
const points = 30

func (t tools) series(ctx context.Context, b *text, in seriesIn) error {
	limit, err := bounded(in.Limit, 10, 50)
	if err != nil {
		return err
	}
	if in.Metric == "" {
		return errors.New("metric: name one; list_metrics shows them")
	}
	window := cmp.Or(in.Window, "15m")
	q := url.Values{"metric": {in.Metric}, "stat": {in.Stat}, "by": in.By, "where": in.Where, "window": {window}, "limit": {strconv.Itoa(limit)}}
	if d, err := time.ParseDuration(window); err == nil && d >= time.Second {
		q.Set("step", max(time.Second, (d/points).Round(time.Second)).String())
	}
	var r collector.SeriesResult
	if err := t.collected(ctx, "metrics/series", q, &r); err != nil {
		return err
	}
	b.narrower("give a smaller limit, conditions, or fewer labels")
	if len(r.Series) == 0 {
		t.nothing(b, "It has no values in the last "+window+" by these conditions.", "list_metrics shows its labels.")
		return nil
	}
	unit := ""
	if r.Metric.Unit != "" {
		unit = " in " + r.Metric.Unit
	}
	b.linef("%s of %s%s, from %s in steps of %s; - is no value:", r.Stat, r.Metric.Name, unit, stamp(r.Start), r.Step)
	for _, s := range r.Series {
		var labels []string
		for _, k := range slices.Sorted(maps.Keys(s.Labels)) {
			labels = append(labels, k+"="+cut(s.Labels[k], 100))
		}
		low, high, last := math.Inf(1), math.Inf(-1), math.NaN()
		var values []string
		for _, v := range s.Values {
			if math.IsNaN(v) {
				values = append(values, "-")
				continue
			}
			low, high, last = min(low, v), max(high, v), v
			values = append(values, strconv.FormatFloat(v, 'g', 4, 64))
		}
		line := fmt.Sprintf("{%s} min %.4g, max %.4g, last %.4g: %s", strings.Join(labels, ", "), low, high, last, strings.Join(values, " "))
		if n := len(s.Exemplars); n > 0 {
			e := slices.MaxFunc(s.Exemplars, func(a, b collector.Exemplar) int { return cmp.Compare(a.Value, b.Value) })
			line += fmt.Sprintf(" (largest measured call: %.4g, trace %s)", e.Value, e.TraceID)
		}
		b.linef("%s", line)
	}
	if r.More > 0 {
		b.linef("[%d more series: give a larger limit, or conditions]", r.More)
	}
	return nil
}
