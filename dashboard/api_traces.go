package dashboard

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/hanse-go/hanse/telemetry/collector"
	"github.com/hanse-go/hanse/telemetry/filter"
)

// searchTime bounds a search; what was found until then is shown.
const searchTime = 10 * time.Second

// tracesAPI is what the page of traces shows.
func (s *Server) tracesAPI(a api) {
	a.get("traces", func(r *http.Request) (any, error) {
		q, err := traceQuery(r)
		if err != nil {
			return nil, err
		}
		if s.Collector == nil {
			return collector.TracePage{Traces: []collector.TraceSummary{}}, nil
		}
		ctx, cancel := within(r, searchTime)
		defer cancel()
		page, err := s.Collector.Traces(ctx, q)
		if err != nil && ctx.Err() != nil && r.Context().Err() == nil { // the time is over, and not the request
			page.Partial, err = true, nil
		}
		if page.Traces == nil {
			page.Traces = []collector.TraceSummary{}
		}
		return page, err
	})
	a.get("traces/{id}", func(r *http.Request) (any, error) {
		id, err := traceID(r)
		if err != nil {
			return nil, err
		}
		if s.Collector == nil {
			return nil, collector.ErrNotFound
		}
		return s.Collector.Trace(r.Context(), id)
	})
	a.get("traces/{id}/logs", func(r *http.Request) (any, error) {
		id, err := traceID(r)
		if err != nil {
			return nil, err
		}
		page := collector.LogPage{}
		if s.Collector != nil {
			if page, err = s.Collector.Logs(r.Context(), collector.LogQuery{TraceID: id, Limit: 10_000}); err != nil {
				return nil, err
			}
		}
		if page.Logs == nil {
			page.Logs = []collector.Log{}
		}
		return page, nil
	})
	a.get("attributes", func(r *http.Request) (any, error) {
		q := r.URL.Query()
		limit, err := number(r, "limit", 20, 1, 200)
		if err != nil {
			return nil, err
		}
		keys := []collector.AttributeKey{}
		if s.Collector != nil {
			found, err := s.Collector.Attributes(r.Context(), collector.AttributeQuery{
				Signal: q.Get("signal"), Prefix: q.Get("prefix"), Key: q.Get("key"), Value: q.Get("value"), Limit: limit,
			})
			if err != nil {
				return nil, err
			}
			keys = append(keys, found...)
		}
		return struct {
			Keys []collector.AttributeKey `json:"keys"`
		}{keys}, nil
	})
}

// traceID reads the ID in the path.
func traceID(r *http.Request) (string, error) {
	id := strings.ToLower(r.PathValue("id"))
	if len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" {
		return "", bad("copy all 32 digits", "%q is no ID of a trace", r.PathValue("id"))
	}
	return id, nil
}

// traceQuery reads what is searched for: q in the grammar of package filter, service, method, min and max as 100ms, errors, slowest
// and spread as 1, before and after from an earlier answer, limit, and the window.
func traceQuery(r *http.Request) (collector.TraceQuery, error) {
	q := r.URL.Query()
	w, err := window(r, 15*time.Minute)
	if err != nil {
		return collector.TraceQuery{}, err
	}
	out := collector.TraceQuery{
		Window: w, Filter: q.Get("q"), Service: q.Get("service"), Name: q.Get("method"), Errors: q.Get("errors") == "1", Slowest: q.Get("slowest") == "1",
		Spread: q.Get("spread") == "1", RootOnly: q.Get("root") == "1", Before: q.Get("before"), After: q.Get("after"),
	}
	if err := checkFilter(filter.ParseSpans, out.Filter); err != nil {
		return out, err
	}
	for name, d := range map[string]*time.Duration{"min": &out.Min, "max": &out.Max} {
		if text := q.Get(name); text != "" {
			if *d, err = time.ParseDuration(text); err != nil || *d < 0 {
				return out, bad("write 100ms or 2s", "%s: %q is no duration", name, text)
			}
		}
	}
	if out.Limit, err = number(r, "limit", 500, 1, 2000); err != nil {
		return out, err
	}
	return out, nil
}

// checkFilter says what is wrong with a filter, and where.
func checkFilter(parse func(string) (filter.Filter, error), text string) error {
	_, err := parse(text)
	if e, ok := errors.AsType[*filter.Error](err); ok {
		return &Error{Status: http.StatusBadRequest, What: e.Error()}
	}
	return err
}
