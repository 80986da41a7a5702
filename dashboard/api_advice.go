package dashboard

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/hanse-go/hanse/telemetry/advise"
	"github.com/hanse-go/hanse/telemetry/collector"
)

// Bounds of one advice: how many traces it looks at, and for how long.
const (
	adviceTraces = 500
	adviceTime   = 8 * time.Second
)

// adviceAPI is what could be run together, and what calls too much.
func (s *Server) adviceAPI(a api) {
	var one sync.Mutex // many pages ask for it, and each answer reads many traces
	a.get("advice", func(r *http.Request) (any, error) {
		w, err := window(r, time.Hour)
		if err != nil {
			return nil, err
		}
		limit, err := number(r, "limit", adviceTraces, 1, 2000)
		if err != nil {
			return nil, err
		}
		one.Lock()
		defer one.Unlock()
		ctx, cancel := within(r, adviceTime)
		defer cancel()
		var advisor advise.Advisor
		if s.Collector != nil {
			err = recent(ctx, s.Collector, w, limit, advisor.Add)
		}
		if err != nil && (ctx.Err() == nil || r.Context().Err() != nil) { // what was read in time is enough
			return nil, err
		}
		return advisor.Report(), nil
	})
}

// recent hands whole traces of more than one span to f, the newest first.
func recent(ctx context.Context, c *collector.Collector, w collector.Window, limit int, f func(collector.Trace)) error {
	page, err := c.Traces(ctx, collector.TraceQuery{Window: w, Limit: limit})
	if err != nil {
		return err
	}
	for _, t := range page.Traces {
		if t.Spans < 2 {
			continue
		}
		trace, err := c.Trace(ctx, t.TraceID)
		if errors.Is(err, collector.ErrNotFound) { // it was dropped meanwhile
			continue
		}
		if err != nil {
			return err
		}
		f(trace)
	}
	return nil
}
