package main

import (
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/telemetry/advise"
	"github.com/spf13/cobra"
)

func newAdvise(u *ui.UI) *cobra.Command {
	var since string
	cmd := &cobra.Command{
		Use:   "advise",
		Short: "Say which services should run together, and what calls too much",
		Long: `Look at the traces that the running system has recorded for what is slow by design: operations that make the same call again and
again, services that wait for each other in a circle, pairs that talk much for one request, and long chains of calls. For each, say what
one request would save if those services ran in one process, and the flag that does it.

The time is measured: what the callers waited beyond the work of the called services, on the critical path of each request; the median
of the requests. It has the network and the codec in it, and whatever waiting there was. The CPU is reckoned: calls per request, times
what one costs by Hanse's own benchmarks, when calls come together and when each comes alone.

` + watchedHelp,
		Example: `  hanse advise
  hanse advise --since 5m
  hanse advise --context prod
  hanse advise --json | jq -r '.findings[].flag'`,
		Args: argCount(0, 0, ""),
	}
	var at watchedFlags
	at.add(cmd)
	cmd.Flags().StringVar(&since, "since", "1h", "requests of the last `TIME`, such as 5m, or since a time, such as 14:05 or 2026-01-31T14:05:00Z; the newest 500 of them")
	u.JSONFlag(cmd, "an object with findings and pairs")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		now := time.Now()
		from, err := parseSince("advise", since, now)
		if err != nil {
			return err
		}
		window := now.Sub(from).Round(time.Second)
		if window < time.Second {
			return ui.Usagef("advise: --since: %q leaves no time", since).Then("write 10m, 14:05 or 2026-01-31T14:05:00Z")
		}
		sys, err := at.ask(u)
		if err != nil {
			return err
		}
		client := sys.client
		var report advise.Report
		if err := client.API(cmd.Context(), "advice", url.Values{"window": {window.String()}}, &report); err != nil {
			return asUI(err)
		}
		if u.JSON {
			return u.PrintJSON(report)
		}
		status, err := client.Status(cmd.Context())
		if err != nil {
			return asUI(err)
		}
		programs := map[string]string{}
		for _, s := range status.Services {
			programs[s.Name] = s.Program
		}
		var b strings.Builder
		if err := writeAdvice(&b, &report, programs); err != nil {
			return err
		}
		u.Printf("%s", b.String())
		return nil
	}
	return cmd
}

// writeAdvice writes a report for people. programs are the programs of services, as hanse dev shows them.
func writeAdvice(w io.Writer, r *advise.Report, programs map[string]string) error {
	if r.Requests == 0 {
		fmt.Fprintf(w, "No request was recorded in that time. Make some, and ask again.\n")
		return nil
	}
	fmt.Fprintf(w, "%s\n", ui.Faint.Sprint(fmt.Sprintf("%d requests with %d calls between services, until %s", r.Requests, r.Calls, r.To.Local().Format(time.TimeOnly))))
	if len(r.Findings) == 0 {
		fmt.Fprintf(w, "\n%s Nothing calls too much.\n", ui.Good.Sprint("✓"))
	}
	for _, f := range r.Findings {
		fmt.Fprintf(w, "\n%s %s\n", ui.Warning.Sprint("!"), ui.Strong.Sprint(f.Title))
		fmt.Fprintf(w, "  %s\n", f.Advice)
		if f.Flag != "" {
			fmt.Fprintf(w, "  in one process a request would save %s and %s of CPU: %s\n", saved(f.Saving), cpu(f.Saving.CPU), ui.Accent.Sprint(together(f, programs)))
		} else {
			fmt.Fprintf(w, "  they cannot be put into one process by a flag: %s\n", f.Why)
		}
		fmt.Fprintf(w, "  %s\n", ui.Faint.Sprint(fmt.Sprintf("seen in %d of the requests, such as %s", f.Requests, f.Traces[0])))
	}
	if len(r.Pairs) > 0 {
		fmt.Fprintln(w)
		t := ui.NewTable("CALLER", "CALLED", "REQUESTS", "CALLS EACH", "SAVES", "SHARE", "CPU")
		for _, p := range r.Pairs {
			row := []string{ui.Strong.Sprint(p.From), ui.Strong.Sprint(p.To), fmt.Sprint(p.Requests), fmt.Sprintf("%.1f", p.Calls)}
			if p.Local {
				row = append(row, "in one process", "", "")
			} else {
				row = append(row, advise.Duration(p.Saving.Time), fmt.Sprintf("%.0f %%", p.Saving.Share*100), cpu(p.Saving.CPU))
			}
			t.Row(row...)
		}
		if _, err := t.WriteTo(w); err != nil {
			return err
		}
		fmt.Fprintf(w, "\n%s\n", ui.Faint.Sprint("CPU: from busy to idle, by "+r.CPUSource))
	}
	if r.OneSided > 0 {
		fmt.Fprintf(w, "%s\n", ui.Faint.Sprint(fmt.Sprintf("%d more calls have no part in this: the called side told nothing of them", r.OneSided)))
	}
	return nil
}

func saved(s advise.Saving) string {
	return fmt.Sprintf("%s (%.0f %% of it)", advise.Duration(s.Time), s.Share*100)
}

func cpu(c advise.CPU) string {
	return fmt.Sprintf("%s–%s", advise.Duration(c.Busy), advise.Duration(c.Idle))
}

// together is the line that starts the services of a finding in one process, when one program has them all.
func together(f advise.Finding, programs map[string]string) string {
	program := programs[f.Services[0]]
	for _, s := range f.Services {
		if programs[s] == "" || programs[s] != program {
			return f.Flag + " of a program that has them all: hanse.Main(" + strings.Join(f.Services, ".Service(), ") + ".Service())"
		}
	}
	return "go run " + program + " " + f.Flag
}
