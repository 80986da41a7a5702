package main

import (
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/logs"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/telemetry/collector"
	"github.com/spf13/cobra"
)

func newTraceLs(u *ui.UI) *cobra.Command {
	var search traceSearch
	var since, order string
	var limit int
	orders := []string{"newest", "slowest"}
	cmd := &cobra.Command{
		Use:   "ls [SERVICE | FILTER]…",
		Short: "List the newest requests, or the slowest",
		Long: `List the requests of the last quarter of an hour, the newest first. DURATION is from the first start to the last end, FAILED how many spans
did, SERVICES how many took part, and REQUEST what began it. A request that has a stream which has not ended is running: its beginning comes at the
end. Of one whose beginning is not there it was lost, or its program does not say that it goes on.

` + traceFilterHelp,
		Example: `  hanse trace ls
  hanse trace ls cart 'duration>100ms'
  hanse trace ls --since 2h --sort slowest --limit 5
  hanse trace ls --json 'status:error' | jq -r '.[].trace_id'`,
	}
	search.add(u, cmd)
	f := cmd.Flags()
	f.StringVar(&since, "since", "15m", "requests of the last `TIME`, such as 2h, or since a time, such as 14:05 or 2026-01-31T14:05:00Z")
	f.StringVar(&order, "sort", "newest", "newest or slowest first: an `ORDER`; slowest goes by the longest span that meets the filter and is no stream")
	f.IntVarP(&limit, "limit", "n", 20, "show `N` of them, at most 2000")
	u.JSONFlag(cmd, "an array of requests, as the dashboard has it,")
	_ = cmd.RegisterFlagCompletionFunc("sort", cobra.FixedCompletions(orders, cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if limit < 1 || limit > 2000 {
			return ui.Usagef("trace ls: --limit is %d", limit).Then("give a number from 1 to 2000")
		}
		if !slices.Contains(orders, order) {
			return ui.Usagef("trace ls: there is no order %q", order).Then("%s", ui.DidYouMean(order, orders))
		}
		now := time.Now()
		from, err := parseSince("trace ls", since, now)
		if err != nil {
			return err
		}
		if err := search.search(cmd.Context(), "trace ls", args); err != nil {
			return err
		}
		q := url.Values{"q": {search.filter}, "from": {from.Format(time.RFC3339Nano)}, "limit": {strconv.Itoa(limit)}}
		if order == "slowest" {
			q.Set("slowest", "1")
		}
		page, err := search.page(cmd.Context(), q)
		if err != nil {
			return asUI(err)
		}
		if u.JSON {
			return u.PrintJSON(page.Traces)
		}
		switch {
		case len(page.Traces) == 0 && search.filter != "":
			u.Notef("No request since %s is like that. Look further back with --since, or ask for less.", from.Local().Format(time.TimeOnly))
			search.unknown(cmd.Context())
		case len(page.Traces) == 0:
			u.Notef("No request was recorded since %s. Make one, for instance with %s, or look further back with --since.", from.Local().Format(time.TimeOnly), ui.Accent.Sprint("hanse call"))
		default:
			if err := printTraces(u, page.Traces, now); err != nil {
				return err
			}
		}
		switch {
		case page.Partial:
			u.Notef("%s", ui.Faint.Sprint("There may be more: the search looked at "+ui.Plural(page.Scanned, "span")+" and ended before all that there are. A shorter --since finds all."))
		case page.Next != "" && u.Terminal:
			u.Notef("%s", ui.Faint.Sprint("There are more: --limit, --since and a filter say which."))
		}
		return nil
	}
	return cmd
}

// printTraces prints traces for people.
func printTraces(u *ui.UI, list []collector.TraceSummary, now time.Time) error {
	t := ui.NewTable(traceHead...)
	t.Right("DURATION", "SPANS", "FAILED", "SERVICES")
	digits := enough(list)
	for i := range list {
		t.Row(traceCells(&list[i], digits, now)...)
	}
	_, err := t.WriteTo(u.Out)
	return err
}

// serviceColour returns the name of a service in its colour.
func serviceColour(name string) string { return logs.Colour(name, name) }
