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

// adviceFor is how long an advice is given again to those who do not wait for a new one.
const adviceFor = 20 * time.Second

// advice is what was found last.
type advice struct {
	making sync.Mutex // many pages ask for it, and each answer reads many traces
	mu     sync.Mutex
	last   advise.Report
	at     time.Time
}

func (a *advice) known() (advise.Report, time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last, a.at
}

func (a *advice) keep(r advise.Report) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last, a.at = r, time.Now()
}

// adviceAPI is what could be run together, and what calls too much. With wait=no the answer may be some seconds old, and nobody waits for
// what is being found for somebody else: a browser with many pages has few connections.
func (s *Server) adviceAPI(a api) {
	var found advice
	a.get("advice", func(r *http.Request) (any, error) {
		w, err := window(r, time.Hour)
		if err != nil {
			return nil, err
		}
		limit, err := number(r, "limit", adviceTraces, 1, 2000)
		if err != nil {
			return nil, err
		}
		if r.URL.Query().Get("wait") != "no" {
			found.making.Lock()
			defer found.making.Unlock()
			return s.advise(r, w, limit)
		}
		if last, at := found.known(); time.Since(at) < adviceFor {
			return last, nil
		}
		if !found.making.TryLock() {
			last, _ := found.known()
			return last, nil
		}
		defer found.making.Unlock()
		report, err := s.advise(r, w, limit)
		if err == nil {
			found.keep(report)
		}
		return report, err
	})
}

func (s *Server) advise(r *http.Request, w collector.Window, limit int) (report advise.Report, err error) {
	ctx, cancel := within(r, adviceTime)
	defer cancel()
	var advisor advise.Advisor
	if s.Collector != nil {
		err = recent(ctx, s.Collector, w, limit, advisor.Add)
	}
	if err != nil && (ctx.Err() == nil || r.Context().Err() != nil) { // what was read in time is enough
		return report, err
	}
	return advisor.Report(), nil
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
