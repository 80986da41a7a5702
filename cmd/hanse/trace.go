package main

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/control"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/internal/duration"
	"github.com/hanse-go/hanse/telemetry/collector"
	"github.com/hanse-go/hanse/telemetry/filter"
	"github.com/spf13/cobra"
)

func newTrace(u *ui.UI) *cobra.Command {
	return parent(&cobra.Command{
		Use:   "trace COMMAND",
		Short: "See what requests did, service by service, and how long it took",
		Long: `Look at the requests that went through the running system. Each is a trace: the calls that it led to, with the service that took each, how
long that was, and whether it failed.

` + watchedHelp + `

` + traceFilterHelp,
		Example: `  hanse trace ls                            the newest requests
  hanse trace ls 'status:error'             those with something that failed
  hanse trace ls --sort slowest cart        those in which the cart took longest
  hanse trace show 4bf92f35                 one of them, as a waterfall
  hanse trace tail 'duration>100ms'         slow ones, as they come
  hanse trace ls --context prod             of a system that hanse dashboard shows`,
	}, newTraceLs(u), newTraceShow(u), newTraceTail(u))
}

const traceFilterHelp = `A filter is what the dashboard's page of traces takes, too. A request is meant when one of its spans meets all terms:

  declined "a phrase" /regexp/          text in the name or an attribute; capitals do not matter
  -/healthz                             what must not match
  service:cart,payment                  one of them; the name alone suffices
  method:CartService/GetCart kind:server
  status:error status:NotFound status>=500
  duration>100ms order=7 user:al*       attributes, too
  trace:4bf92f35                        by the first digits of the ID`

// traceSearch is what the commands that list traces have in common.
type traceSearch struct {
	watchedFlags
	ui     *ui.UI
	client *control.Client
	filter string // with the services
	names  []string
	attrs  []string // that the filter names
}

// unknown says of attributes of the filter that no span has them; nothing where all are there, or that cannot be told.
func (s *traceSearch) unknown(ctx context.Context) {
	if len(s.attrs) == 0 {
		return
	}
	const most = 200
	var found struct {
		Keys []collector.AttributeKey `json:"keys"`
	}
	err := s.client.API(ctx, "attributes", url.Values{"signal": {"spans"}, "limit": {strconv.Itoa(most)}}, &found)
	if err != nil || len(found.Keys) == 0 || len(found.Keys) == most {
		return
	}
	names := filter.Fields()
	for _, k := range found.Keys {
		names = append(names, k.Key)
	}
	for _, name := range s.attrs {
		if slices.Contains(names, name) {
			continue
		}
		text := "."
		if near := ui.Nearest(name, names); len(near) > 0 {
			text = "; did you mean " + ui.List(near, "or") + "?"
		}
		s.ui.Notef("None of the newest spans has an attribute %s%s", name, text)
	}
}

func (s *traceSearch) add(u *ui.UI, cmd *cobra.Command) {
	s.ui = u
	s.watchedFlags.add(cmd)
	cmd.ValidArgsFunction = s.complete
}

// search reads the arguments, of which some are names of services, and finds the system.
func (s *traceSearch) search(ctx context.Context, command string, args []string) error {
	if _, _, err := parseTerms(command, filter.ParseSpans, args, "", "", nil); err != nil { // whatever runs
		return err
	}
	sys, err := s.ask(s.ui)
	if err != nil {
		return err
	}
	s.client = sys.client
	if s.names, err = sys.services(ctx); err != nil {
		return asUI(err)
	}
	services, f, err := parseTerms(command, filter.ParseSpans, args, "", sys.name, s.names)
	if err != nil {
		return err
	}
	s.filter = f.String()
	for _, t := range f.Terms() {
		if t.Field == "" && !t.IsText() && !t.Negated {
			s.attrs = append(s.attrs, t.Name)
		}
	}
	if len(services) > 0 {
		s.filter = strings.TrimSpace("service:" + strings.Join(services, ",") + " " + s.filter)
	}
	return nil
}

// page asks for traces.
func (s *traceSearch) page(ctx context.Context, q url.Values) (page collector.TracePage, err error) {
	return page, s.client.API(ctx, "traces", q, &page)
}

// complete completes names of services, and of fields.
func (s *traceSearch) complete(cmd *cobra.Command, _ []string, word string) (list []string, _ cobra.ShellCompDirective) {
	if name, _, ok := strings.Cut(word, ":"); ok {
		for _, value := range map[string][]string{"status": {"error", "refused", "ok", "unset"}, "kind": {"server", "client", "producer", "consumer", "internal"}}[name] {
			list = append(list, name+":"+value)
		}
		if name != "service" {
			return list, cobra.ShellCompDirectiveNoFileComp
		}
	}
	list, _ = s.watchedFlags.complete(cmd, nil, word)
	if strings.HasPrefix(word, "service:") {
		for i := range list {
			list[i] = "service:" + list[i]
		}
		return list, cobra.ShellCompDirectiveNoFileComp
	}
	for _, f := range []filter.Field{filter.Service, filter.Method, filter.Status, filter.Duration, filter.Kind, filter.Trace} {
		if f == filter.Duration {
			list = append(list, string(f)+">")
		} else {
			list = append(list, string(f)+":")
		}
	}
	return list, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// traceHead is the heads of the columns of a list of traces.
var traceHead = []string{"TRACE", "STARTED", "DURATION", "SPANS", "FAILED", "SERVICES", "SERVICE", "REQUEST"}

// traceCells is a trace in a list; digits is how many of its ID suffice to name it. The time has the date where it is of another day.
func traceCells(t *collector.TraceSummary, digits int, now time.Time) []string {
	start := t.Start.Local()
	layout := "15:04:05.000"
	if start.YearDay() != now.YearDay() || start.Year() != now.Year() {
		layout = "2006-01-02 15:04:05"
	}
	failed := ""
	if t.Errors > 0 {
		failed = ui.Bad.Sprint(strconv.Itoa(t.Errors))
	}
	name := ui.Method(t.Name)
	if t.Status == "error" {
		name += " " + ui.Bad.Sprint("✗")
	}
	if t.Status == "refused" {
		name += " " + ui.Faint.Sprint(t.Code)
	}
	switch {
	case t.Running:
		name += ui.Faint.Sprint(" (running)")
	case t.Gap:
		name += ui.Faint.Sprint(" (its beginning is not there)")
	}
	return []string{
		ui.Accent.Sprint(t.TraceID[:min(digits, len(t.TraceID))]), start.Format(layout), duration.Text(t.Duration), strconv.Itoa(t.Spans), failed,
		strconv.Itoa(len(t.Services)), serviceColour(t.Service), name,
	}
}

// enough is how many digits of the IDs tell them apart, at least eight.
func enough(list []collector.TraceSummary) int {
	for n := 8; n < 32; n++ {
		seen := make(map[string]bool)
		for _, t := range list {
			seen[t.TraceID[:min(n, len(t.TraceID))]] = true
		}
		if len(seen) == len(list) {
			return n
		}
	}
	return 32
}
