package dashboard

import (
	"net/http"
	"strings"
	"time"

	"github.com/hanse-go/hanse/telemetry/collector"
)

func (s *Server) metricsAPI(a api) {
	a.get("metrics", func(r *http.Request) (any, error) {
		if s.Collector == nil {
			return []collector.MetricInfo{}, nil
		}
		all, err := s.Collector.Metrics(r.Context())
		if all == nil {
			all = []collector.MetricInfo{}
		}
		return all, err
	})
	a.get("metrics/series", func(r *http.Request) (any, error) {
		if s.Collector == nil {
			return nil, missing("", "no numbers are collected here")
		}
		q, err := seriesQuery(r)
		if err != nil {
			return nil, err
		}
		return s.Collector.Series(r.Context(), q)
	})
}

// seriesQuery reads metric, stat, by (repeated), where=key=value or key!=value (repeated), step, limit and the window.
func seriesQuery(r *http.Request) (q collector.SeriesQuery, err error) {
	values := r.URL.Query()
	if q.Metric = values.Get("metric"); q.Metric == "" {
		return q, bad("add metric=NAME", "no metric is named")
	}
	q.Stat, q.By = values.Get("stat"), values["by"]
	for _, text := range values["where"] {
		key, value, ok := strings.Cut(text, "=")
		if !ok || key == "" || key == "!" {
			return q, bad("write key=value or key!=value", "where: %q is no condition", text)
		}
		key, not := strings.CutSuffix(key, "!")
		q.Where = append(q.Where, collector.Match{Key: key, Value: value, Not: not})
	}
	if text := values.Get("step"); text != "" {
		if q.Step, err = time.ParseDuration(text); err != nil || q.Step < time.Second {
			return q, bad("write 10s", "step: %q is no length of time from a second on", text)
		}
	}
	if q.Limit, err = number(r, "limit", 0, 0, 200); err != nil {
		return q, err
	}
	q.Window, err = window(r, 5*time.Minute)
	return q, err
}
