package dashboard

import (
	"net/http"
	"strings"
	"time"

	"github.com/hanse-go/hanse/telemetry/collector"
	"github.com/hanse-go/hanse/telemetry/filter"
)

// logsAPI is what the page of logs shows. Its tail is asked for with after, whenever the stream of changes names logs.
func (s *Server) logsAPI(a api) {
	a.get("logs", func(r *http.Request) (any, error) {
		q, err := logQuery(r)
		if err != nil {
			return nil, err
		}
		page := collector.LogPage{}
		if s.Collector != nil {
			ctx, cancel := within(r, searchTime)
			defer cancel()
			page, err = s.Collector.Logs(ctx, q)
			if err != nil && ctx.Err() != nil && r.Context().Err() == nil { // the time is over, and not the request
				page.Partial, err = true, nil
			}
		}
		if page.Logs == nil {
			page.Logs = []collector.Log{}
		}
		return page, err
	})
}

// logQuery reads which lines are asked for: q in the grammar of package filter, service (several with commas between them), level, trace,
// after and before from an earlier answer, limit, and the window, which is all that is kept where nothing is said of it.
func logQuery(r *http.Request) (collector.LogQuery, error) {
	q := r.URL.Query()
	out := collector.LogQuery{Filter: q.Get("q"), Level: q.Get("level"), TraceID: strings.ToLower(q.Get("trace")), After: q.Get("after"), Before: q.Get("before")}
	for _, list := range q["service"] {
		for name := range strings.SplitSeq(list, ",") {
			if name != "" {
				out.Services = append(out.Services, name)
			}
		}
	}
	if q.Has("window") || q.Has("from") || q.Has("to") {
		w, err := window(r, time.Hour)
		if err != nil {
			return out, err
		}
		out.Window = w
	}
	if err := checkFilter(filter.Parse, out.Filter); err != nil {
		return out, err
	}
	if out.Level != "" {
		if _, err := filter.ParseLevel(out.Level); err != nil {
			return out, bad("", "%v", err)
		}
	}
	if id := out.TraceID; id != "" && (len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "") {
		return out, bad("copy all 32 digits", "trace: %q is no ID of a trace", id)
	}
	var err error
	out.Limit, err = number(r, "limit", 1000, 1, 10_000)
	return out, err
}
