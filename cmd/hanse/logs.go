package main

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/control"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/logs"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/telemetry/collector"
	"github.com/hanse-go/hanse/telemetry/filter"
	"github.com/spf13/cobra"
)

func newLogs(u *ui.UI) *cobra.Command {
	var follow bool
	var lines int
	var since, trace string
	cmd := &cobra.Command{
		Use:   "logs [SERVICE | FILTER]…",
		Short: "Show what services print",
		Long: `Show the last lines that the services of the running system printed; without a name those of all. Under the name hanse, hanse dev
speaks itself: what it built, and why it restarted something.

` + watchedHelp + `

A filter is what the dashboard's page of logs takes, too. All its terms must match:

  timeout "a phrase" /regexp/    text in the message or an attribute; capitals do not matter
  -timeout -service:cart         what must not match
  level:warn level=warn          warn and worse; warn alone
  service:cart,payment           one of them
  order=7 items>3 took>100ms     attributes; user:* has one, path:/orders/* with any text for *
  trace:4bf92f35                 the lines of a trace, by the first digits of its ID`,
		Example: `  hanse logs                                the last 100 lines of all services
  hanse logs -f cart payment                two services, and what they print from now on
  hanse logs -f 'level:warn payment -timeout'
  hanse logs --since 10m --trace 4bf92f35   what was said of one request
  hanse logs -n 1000 --json cart
  hanse logs --context prod level:error     of a system that hanse dashboard shows`,
	}
	var at watchedFlags
	at.add(cmd)
	f := cmd.Flags()
	f.BoolVarP(&follow, "follow", "f", false, "go on with new lines until Ctrl-C")
	f.IntVarP(&lines, "lines", "n", 100, "show the last `N` lines")
	f.StringVar(&since, "since", "", "only lines of the last `TIME`, such as 10m, or since a time, such as 14:05 or 2026-01-31T14:05:00Z")
	f.StringVar(&trace, "trace", "", "only lines of the trace with this `ID`, or the beginning of one")
	u.JSONFlag(cmd, "one object per line, as the dashboard has it")
	cmd.ValidArgsFunction = at.complete
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if lines < 0 {
			return ui.Usagef("logs: -n is %d", lines).Then("give the number of lines to show")
		}
		q := control.LogQuery{N: lines, Follow: follow}
		var err error
		if since != "" {
			if q.Since, err = parseSince("logs", since, time.Now()); err != nil {
				return err
			}
		}
		if _, _, err := parseTerms("logs", filter.Parse, args, trace, "", nil); err != nil { // whatever runs
			return err
		}
		sys, err := at.ask(u)
		if err != nil {
			return err
		}
		var r logs.Renderer
		names, _ := sys.services(cmd.Context()) // without them all arguments are terms of the filter
		for _, name := range names {
			r.Width = max(r.Width, len(name))
		}
		if sys.board == nil {
			names = append(names, "hanse")
		}
		if q.Services, q.Filter, err = parseTerms("logs", filter.Parse, args, trace, sys.name, names); err != nil {
			return err
		}
		return asUI(printLogs(u, &r, q, func(line func(collector.Log)) error { return sys.client.Logs(cmd.Context(), q, line) }))
	}
	return cmd
}

// printLogs prints the lines that ask passes on. Where there are none it says so to who looks, and what to try.
func printLogs(u *ui.UI, r *logs.Renderer, q control.LogQuery, ask func(line func(collector.Log)) error) error {
	enc := json.NewEncoder(u.Out)
	enc.SetEscapeHTML(false)
	var waiting *time.Timer
	if q.Follow && u.Terminal && q.N > 0 {
		waiting = time.AfterFunc(time.Second, func() { u.Notef("%s New ones are shown as they come; Ctrl-C ends.", noLines(q)) })
		defer waiting.Stop()
	}
	some := false
	err := ask(func(l collector.Log) {
		if waiting != nil && !some {
			waiting.Stop()
		}
		some = true
		if u.JSON {
			_ = enc.Encode(l) // a reader that is gone ends the command by a signal
			return
		}
		u.Printf("%s", r.Render(logs.FromStored(l)))
	})
	if err == nil && !some && !q.Follow && q.N > 0 && u.Terminal {
		u.Notef("%s%s", noLines(q), lookFurther(q))
	}
	return err
}

// noLines says that nothing was found.
func noLines(q control.LogQuery) string {
	text := "No line"
	if len(q.Services) > 0 {
		text += " of " + ui.List(q.Services, "or")
	}
	if !q.Since.IsZero() {
		text += " since " + q.Since.Local().Format(time.TimeOnly)
	}
	if q.Filter.Empty() {
		return text + " was printed."
	}
	return text + " is like " + q.Filter.String() + "."
}

// lookFurther says what may find more.
func lookFurther(q control.LogQuery) string {
	var tries []string
	if !q.Since.IsZero() {
		tries = append(tries, "look further back with --since")
	}
	if !q.Filter.Empty() {
		tries = append(tries, "ask for less")
	}
	if len(q.Services) > 0 {
		tries = append(tries, "see what there is with "+ui.Accent.Sprint("hanse logs"))
	}
	tries = append(tries, "wait for new ones with "+ui.Accent.Sprint("--follow"))
	text := ui.List(tries, "or")
	return " " + strings.ToUpper(text[:1]) + text[1:] + "."
}

// serviceLike is what may be the name of a service, and so a mistyped one.
var serviceLike = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// parseTerms tells the names of services from the filter, among the arguments of a command.
func parseTerms(command string, parse func(string) (filter.Filter, error), args []string, trace, system string, names []string) (services []string, f filter.Filter, err error) {
	known := make(map[string]bool)
	for _, name := range names {
		known[name] = true
	}
	var terms []string
	if trace != "" {
		terms = append(terms, "trace:"+trace)
	}
	for _, arg := range args {
		if known[arg] {
			services = append(services, arg)
			continue
		}
		if serviceLike.MatchString(arg) {
			if near := ui.Nearest(arg, names); len(near) > 0 {
				return nil, f, ui.Errorf("there is no service %q in %s", arg, system).Then(`did you mean %s? The text would be '"%s"'`, ui.List(near, "or"), arg)
			}
		}
		terms = append(terms, arg)
	}
	f, err = parse(strings.Join(terms, " "))
	var e *filter.Error
	if errors.As(err, &e) {
		mark := strings.Repeat(" ", e.Column()-1) + strings.Repeat("^", max(1, utf8.RuneCountInString(e.Query[e.Pos:e.End])))
		return nil, f, ui.Usagef("%s: %s\n  %s\n  %s", command, e.Message, e.Query, mark)
	}
	return services, f, err
}

// parseSince reads the --since of a command: how far back, or a time of today or of any day.
func parseSince(command, text string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	for _, layout := range []string{"15:04", "15:04:05"} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			year, month, day := now.Date()
			t = time.Date(year, month, day, t.Hour(), t.Minute(), t.Second(), 0, now.Location())
			if t.After(now) { // yesterday evening
				t = t.AddDate(0, 0, -1)
			}
			return t, nil
		}
	}
	return time.Time{}, ui.Usagef("%s: --since: %q is no time", command, text).Then("write 10m, 14:05 or 2026-01-31T14:05:00Z")
}
