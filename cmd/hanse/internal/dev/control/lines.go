package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/logs"
	"github.com/hanse-go/hanse/telemetry/collector"
	"github.com/hanse-go/hanse/telemetry/filter"
)

// Lines is where lines are, and whose.
type Lines struct {
	Store    *collector.Collector // has those of before this hanse dev, too; nil: there is none
	Ring     *logs.Ring           // what hanse dev remembers, where there is no Store
	Services []string             // nil: all
}

// LogQuery says which lines.
type LogQuery struct {
	Services []string      // none: all
	Filter   filter.Filter // the zero value: all
	Since    time.Time     // zero: whenever
	N        int           // the last so many
	Follow   bool          // and those that come
}

// Logs passes lines to line, oldest first; with q.Follow until ctx ends or hanse dev does.
func (c *Client) Logs(ctx context.Context, q LogQuery, line func(collector.Log)) error {
	form := url.Values{"n": {strconv.Itoa(q.N)}, "service": q.Services, "q": {q.Filter.String()}}
	if q.Follow {
		form.Set("follow", "1")
	}
	if !q.Since.IsZero() {
		form.Set("since", q.Since.Format(time.RFC3339Nano))
	}
	resp, err := c.call(ctx, http.MethodGet, "/logs?"+form.Encode(), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	for dec := json.NewDecoder(resp.Body); ; {
		var l collector.Log
		if err := dec.Decode(&l); err != nil {
			if errors.Is(err, io.EOF) || ctx.Err() != nil {
				return nil
			}
			return c.lost(ctx, err)
		}
		line(l)
	}
}

func readLogQuery(form url.Values) (q LogQuery, err error) {
	q.Services, q.Follow = form["service"], form.Get("follow") != ""
	if q.N, err = strconv.Atoi(form.Get("n")); err != nil || q.N < 0 {
		return q, fmt.Errorf("n: %q is no number", form.Get("n"))
	}
	if q.Filter, err = filter.Parse(form.Get("q")); err != nil {
		return q, err
	}
	if text := form.Get("since"); text != "" {
		q.Since, err = time.Parse(time.RFC3339Nano, text)
	}
	return q, err
}

func serveLogs(w http.ResponseWriter, r *http.Request, sys System) {
	q, err := readLogQuery(r.URL.Query())
	if err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	from, err := sys.Logs(q.Services)
	if err != nil {
		fail(w, http.StatusNotFound, err)
		return
	}
	q.Services = from.Services
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	flush := http.NewResponseController(w).Flush
	send := func(lines []collector.Log) bool {
		for i := range lines {
			if enc.Encode(lines[i]) != nil {
				return false
			}
		}
		return flush() == nil
	}
	if from.Store == nil {
		remembered(r.Context(), from.Ring, q, send)
		return
	}
	if err := stored(r.Context(), from.Store, q, send); err != nil && r.Context().Err() == nil {
		fail(w, http.StatusInternalServerError, err)
	}
}

// most is how many lines the store gives at once.
const most = 10_000

// stored passes on what the store has. An error comes before anything was sent.
func stored(ctx context.Context, store *collector.Collector, q LogQuery, send func([]collector.Log) bool) error {
	changes := store.Changes(ctx) // before the first question, or else what comes meanwhile would wait for what comes next
	ask := collector.LogQuery{Filter: q.Filter.String(), Services: q.Services, Window: collector.Window{From: q.Since}}
	first := ask
	first.Limit = min(max(q.N, 1), most)
	page, err := store.Logs(ctx, first)
	if err != nil {
		return err
	}
	lines, tail := page.Logs, page.Tail
	for len(lines) < q.N && page.Next != "" {
		first.Before, first.Limit = page.Next, min(q.N-len(lines), most)
		if page, err = store.Logs(ctx, first); err != nil {
			return err
		}
		lines = slices.Concat(page.Logs, lines)
	}
	if !send(lines[len(lines)-min(q.N, len(lines)):]) || !q.Follow {
		return nil
	}
	ask.Limit = most
	for range changes {
		for more := true; more; {
			ask.After = tail
			page, err := store.Logs(ctx, ask)
			if err != nil || len(page.Logs) > 0 && !send(page.Logs) {
				return nil
			}
			more, tail = len(page.Logs) == most, page.Tail
		}
	}
	return nil
}

// remembered passes on what the ring has.
func remembered(ctx context.Context, ring *logs.Ring, q LogQuery, send func([]collector.Log) bool) {
	keep := func(l logs.Line) bool {
		return (q.Services == nil || slices.Contains(q.Services, l.Service)) && !l.Time.Before(q.Since) && q.Filter.Match(l)
	}
	lines, seq := ring.Last(q.N, keep)
	for {
		var out []collector.Log
		for _, l := range lines {
			if l.Seq > seq { // from After
				seq = l.Seq
				if !keep(l) {
					continue
				}
			}
			log := l.Stored()
			log.ID = strconv.FormatUint(l.Seq, 10)
			out = append(out, log)
		}
		if !send(out) || !q.Follow {
			return
		}
		if lines = ring.After(ctx, seq); len(lines) == 0 {
			return
		}
	}
}
