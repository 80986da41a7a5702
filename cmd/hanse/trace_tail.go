package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/telemetry/collector"
	"github.com/spf13/cobra"
)

func newTraceTail(u *ui.UI) *cobra.Command {
	var search traceSearch
	var lines int
	cmd := &cobra.Command{
		Use:   "tail [SERVICE | FILTER]…",
		Short: "Show requests as they come",
		Long: `Show the last requests, and those that come from now on, until Ctrl-C. A request is shown once, when its spans have arrived, which is some two
seconds after it.

` + traceFilterHelp,
		Example: `  hanse trace tail
  hanse trace tail -n 0 'status:error'
  hanse trace tail --json 'duration>1s' | jq -r .trace_id`,
	}
	search.add(u, cmd)
	cmd.Flags().IntVarP(&lines, "lines", "n", 10, "show the last `N` first, at most 2000")
	u.JSONFlag(cmd, "one object per line, as hanse trace ls has it,")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if lines < 0 || lines > 2000 {
			return ui.Usagef("trace tail: -n is %d", lines).Then("give a number up to 2000")
		}
		if err := search.search(cmd.Context(), "trace tail", args); err != nil {
			return err
		}
		t := &traceTail{search: &search, show: printTrace(u)}
		err := t.run(cmd.Context(), lines)
		if cmd.Context().Err() != nil {
			return nil // Ctrl-C
		}
		return asUI(err)
	}
	return cmd
}

// printTrace returns a function that prints traces one by one.
func printTrace(u *ui.UI) func([]collector.TraceSummary) error {
	if u.JSON {
		enc := json.NewEncoder(u.Out)
		enc.SetEscapeHTML(false)
		return func(list []collector.TraceSummary) error {
			for i := range list {
				if err := enc.Encode(list[i]); err != nil {
					return err
				}
			}
			return nil
		}
	}
	widths := []int{8, 12, 8, 8, 8, 8}
	return func(list []collector.TraceSummary) error {
		for i := range list {
			var b strings.Builder
			cells := traceCells(&list[i], 8, time.Now())
			cells[3] = ui.Plural(list[i].Spans, "span")
			if cells[4] != "" {
				cells[4] = ui.Bad.Sprint(fmt.Sprintf("%d failed", list[i].Errors))
			}
			cells = slices.Delete(cells, 5, 6) // how many services is for the table
			for k, cell := range cells[:6] {
				blanks := strings.Repeat(" ", max(widths[k]-lipgloss.Width(cell), 0))
				widths[k] = max(widths[k], lipgloss.Width(cell))
				if k == 2 {
					b.WriteString(blanks + cell + "  ")
				} else {
					b.WriteString(cell + blanks + "  ")
				}
			}
			if _, err := fmt.Fprintln(u.Out, b.String()+cells[6]); err != nil {
				return err
			}
		}
		return nil
	}
}

const (
	tailEvery   = 500 * time.Millisecond
	settles     = 2 * time.Second  // programs send spans a second after they end, at the latest
	settlesLate = 10 * time.Second // for one whose beginning is missing
	mostNamed   = 50               // of traces, in one question
	remembered  = 10 * time.Minute // that a trace was shown
)

// traceTail follows traces. Their spans arrive bit by bit, so each waits a while before it is shown.
type traceTail struct {
	search *traceSearch
	show   func([]collector.TraceSummary) error

	waiting map[string]waitingTrace
	shown   map[string]time.Time
}

type waitingTrace struct {
	seen, start time.Time
}

// run shows the last n traces, and then what comes, until ctx ends or who answers does.
func (t *traceTail) run(ctx context.Context, n int) error {
	t.waiting, t.shown = make(map[string]waitingTrace), make(map[string]time.Time)
	page, err := t.search.page(ctx, url.Values{"q": {t.search.filter}, "window": {"1h"}, "limit": {strconv.Itoa(max(n, 1))}})
	if err != nil {
		return err
	}
	if len(page.Traces) == 0 && t.search.filter != "" {
		if t.search.ui.Terminal {
			t.search.ui.Notef("No request of the last hour is like that. New ones are shown as they come; Ctrl-C ends.")
		}
		t.search.unknown(ctx)
	}
	now := time.Now()
	first := page.Traces[:min(n, len(page.Traces))]
	slices.Reverse(first)
	for _, s := range page.Traces { // with -n 0, too: the newest one is not new
		t.shown[s.TraceID] = now
	}
	if err := t.show(first); err != nil {
		return err
	}
	tick := time.NewTicker(tailEvery)
	defer tick.Stop()
	for after := page.Tail; ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		page, err := t.search.page(ctx, url.Values{"q": {t.search.filter}, "window": {"1h"}, "after": {after}, "limit": {"2000"}})
		if err != nil {
			return err
		}
		after = page.Tail
		now := time.Now()
		for _, s := range page.Traces {
			_, waits := t.waiting[s.TraceID]
			if _, shown := t.shown[s.TraceID]; !shown && !waits {
				t.waiting[s.TraceID] = waitingTrace{now, s.Start}
			}
		}
		if err := t.settle(ctx, now); err != nil {
			return err
		}
	}
}

// settle shows the traces that have waited long enough.
func (t *traceTail) settle(ctx context.Context, now time.Time) error {
	var ids []string
	for id, w := range t.waiting {
		if now.Sub(w.seen) >= settles {
			ids = append(ids, id)
		}
	}
	for id, at := range t.shown {
		if now.Sub(at) > remembered {
			delete(t.shown, id)
		}
	}
	var list []collector.TraceSummary
	for some := range slices.Chunk(ids, mostNamed) {
		from := now
		for _, id := range some {
			if w := t.waiting[id]; w.start.Before(from) {
				from = w.start
			}
		}
		page, err := t.search.page(ctx, url.Values{"q": {"trace:" + strings.Join(some, ",")}, "from": {from.Add(-time.Hour).Format(time.RFC3339Nano)}, "limit": {strconv.Itoa(len(some))}})
		if err != nil {
			return err
		}
		found := make(map[string]bool)
		for _, s := range page.Traces {
			found[s.TraceID] = true
			if s.Gap && now.Sub(t.waiting[s.TraceID].seen) < settlesLate {
				continue
			}
			delete(t.waiting, s.TraceID)
			t.shown[s.TraceID] = now
			list = append(list, s)
		}
		for _, id := range some {
			if !found[id] { // dropped meanwhile
				delete(t.waiting, id)
			}
		}
	}
	slices.SortFunc(list, func(a, b collector.TraceSummary) int {
		return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.TraceID, b.TraceID))
	})
	return t.show(list)
}
