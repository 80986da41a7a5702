package main

import (
	"context"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/control"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/cmd/hanse/internal/waterfall"
	"github.com/hanse-go/hanse/internal/duration"
	"github.com/hanse-go/hanse/telemetry/collector"
	"github.com/spf13/cobra"
)

// mostShown is how many spans of a trace are drawn where nobody asks for all.
const mostShown = 200

// shownTrace is what --json prints: the trace with what was logged in it.
type shownTrace struct {
	collector.Trace
	Logs []collector.Log `json:"logs,omitempty"`
}

func newTraceShow(u *ui.UI) *cobra.Command {
	var d waterfall.Drawing
	var all bool
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Draw one request: which service did what, when, for how long",
		Long: `Draw a request as a waterfall. Each span stands below the one that caused it, with how long it took and a bar for when that was: → is the side
of the caller, ✗ has failed and says why, a status behind the name, such as NOT_FOUND, was the caller's mistake and no failure, and ╌ is a span
that others name as their cause and nobody sent. Full bars are the critical path, that is, what the request waited for; making pale ones faster
changes nothing.

ID is the first digits of the trace's, of which logs and hanse trace ls have eight; or a traceparent, or a link of the dashboard, with all 32.

Of a large request ` + ui.Plural(mostShown, "span") + ` are shown: those that failed, those that were waited for and the longest, with what they are below.`,
		Example: `  hanse trace show 4bf92f35
  hanse trace show 4bf92f35 --logs           with what was logged, and retries and other events
  hanse trace show 4bf92f35 --critical       only what the request waited for
  hanse trace show 4bf92f35 --json | jq '.spans[] | select(.status == "error")'`,
		Args: argCount(1, 1, "the ID of a trace, or its first digits"),
	}
	var at watchedFlags
	at.add(cmd)
	f := cmd.Flags()
	f.BoolVarP(&d.Said, "logs", "l", false, "also what was logged in each span, and its events")
	f.BoolVarP(&d.Critical, "critical", "c", false, "only the critical path")
	f.BoolVarP(&all, "all", "a", false, "all spans of a large request")
	f.IntVar(&d.Width, "width", 0, "draw so many `columns` (default those of the terminal)")
	u.JSONFlag(cmd, "the trace with all spans, and with --logs its lines,")
	cmd.ValidArgsFunction = at.completeTraces
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if d.Width != 0 && d.Width < 40 {
			return ui.Usagef("trace show: --width is %d", d.Width).Then("give 40 columns or more")
		}
		prefix, err := traceID(args[0])
		if err != nil {
			return err
		}
		sys, err := at.ask(u)
		if err != nil {
			return err
		}
		client := sys.client
		id, err := findTrace(cmd.Context(), client, prefix)
		if err != nil {
			return asUI(err)
		}
		var t shownTrace
		if err := client.API(cmd.Context(), "traces/"+id, nil, &t.Trace); err != nil {
			return asUI(err)
		}
		if d.Said {
			var page collector.LogPage
			if err := client.API(cmd.Context(), "traces/"+id+"/logs", nil, &page); err != nil {
				return asUI(err)
			}
			t.Logs = page.Logs
		}
		if u.JSON {
			return u.PrintJSON(t)
		}
		d.Logs = t.Logs
		if d.Width == 0 {
			d.Width = u.Width()
		}
		if d.Most = mostShown; all {
			d.Most = 0
		}
		if err := d.Write(u.Out, &t.Trace); err != nil {
			return err
		}
		if u.OutTerminal {
			u.Notef("\n%s %s", ui.Faint.Sprint("further:"), strings.Join(furtherTrace(&d, &t.Trace), ", "))
		}
		return nil
	}
	return cmd
}

// furtherTrace is what shows more of a trace.
func furtherTrace(d *waterfall.Drawing, t *collector.Trace) (list []string) {
	id := t.TraceID[:8]
	if !d.Critical && d.Most > 0 && len(t.Spans) > d.Most {
		list = append(list, ui.Accent.Sprint("hanse trace show "+id+" --all"))
	}
	if !d.Said {
		list = append(list, ui.Accent.Sprint("hanse trace show "+id+" --logs"))
	}
	return append(list, ui.Accent.Sprint("hanse logs --trace "+id))
}

var (
	wholeID = regexp.MustCompile(`(?i)\b[0-9a-f]{32}\b`) // also in a traceparent or a link
	someID  = regexp.MustCompile(`^(?i)[0-9a-f]{1,32}$`)
)

// traceID reads how a user names a trace.
func traceID(text string) (string, error) {
	if id := wholeID.FindString(text); id != "" {
		return strings.ToLower(id), nil
	}
	if !someID.MatchString(text) {
		return "", ui.Usagef("trace show: %q is no ID of a trace: it has the digits 0 to 9 and a to f", text).Then("hanse trace ls lists the newest")
	}
	return strings.ToLower(text), nil
}

// candidates is how many traces are named where the digits fit several.
const candidates = 10

// findTrace returns the ID of the trace that begins with some digits.
func findTrace(ctx context.Context, client *control.Client, prefix string) (string, error) {
	if len(prefix) == 32 {
		return prefix, nil
	}
	q := url.Values{"q": {"trace:" + prefix}, "from": {time.Unix(0, 0).UTC().Format(time.RFC3339)}, "limit": {strconv.Itoa(candidates)}}
	var page collector.TracePage
	if err := client.API(ctx, "traces", q, &page); err != nil {
		return "", err
	}
	switch n := len(page.Traces); {
	case n == 0 && page.Partial:
		return "", ui.Errorf("no trace among the newest begins with %s: %s were looked at", prefix, ui.Plural(page.Scanned, "span")).Then("give all 32 digits")
	case n == 0:
		return "", ui.Errorf("no trace begins with %s", prefix).Then("hanse trace ls lists the newest; an old one may be gone")
	case n == 1:
		return page.Traces[0].TraceID, nil
	}
	t := ui.NewTable("", "", "", "", "", "", "", "")
	digits, now := enough(page.Traces), time.Now()
	for i := range page.Traces {
		cells := traceCells(&page.Traces[i], digits, now)
		cells[0] = "  " + cells[0]
		t.Row(cells[0], cells[1], cells[2], cells[6], cells[7])
	}
	var b strings.Builder
	if _, err := t.WriteTo(&b); err != nil {
		return "", err
	}
	return "", ui.Errorf("several traces begin with %s", prefix).Then("say which:\n%s", strings.TrimRight(b.String(), "\n"))
}

// completeTraces completes the IDs of the newest traces.
func (f *watchedFlags) completeTraces(cmd *cobra.Command, args []string, word string) (list []string, _ cobra.ShellCompDirective) {
	sys, err := f.find()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), 2*time.Second) // somebody waits for a key to do something
	defer cancel()
	q := url.Values{"limit": {"20"}}
	if someID.MatchString(word) {
		q.Set("q", "trace:"+word)
	}
	var page collector.TracePage
	if err := sys.client.API(ctx, "traces", q, &page); err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	digits := enough(page.Traces)
	for _, t := range page.Traces {
		list = append(list, t.TraceID[:digits]+"\t"+t.Service+" "+ui.Method(t.Name)+" "+duration.Text(t.Duration))
	}
	return list, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}
