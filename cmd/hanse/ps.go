package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/control"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/internal/systems"
	"github.com/spf13/cobra"
)

func newPs(u *ui.UI) *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:   "ps",
		Short: "List the services that run, with their instances",
		Long: `List the instances of all services of the running system: those that hanse dev started, those that joined it, and those that
failed.`,
		Example: `  hanse ps
  hanse ps --watch
  hanse ps --json | jq -r '.[] | select(.state != "ready") | .service'`,
		Args: argCount(0, 0, "no arguments"),
	}
	system := systemFlag(cmd)
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "show the list again when it changes, until Ctrl-C")
	u.JSONFlag(cmd, "an array of instances")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		sys, err := findSystem(*system)
		if err != nil {
			return err
		}
		if watch {
			return watchPs(cmd.Context(), u, sys)
		}
		list, err := instances(cmd.Context(), sys)
		if err != nil {
			return err
		}
		rows, status, err := psRows(cmd.Context(), sys, list)
		if err != nil {
			return err
		}
		return showPs(u, sys, rows, status)
	}
	return cmd
}

// instances returns what the registry of the system has at the moment.
func instances(ctx context.Context, sys systems.System) (list []discovery.Instance, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	registry, err := discovery.Parse(sys.Registry, nil)
	if err != nil {
		return nil, err
	}
	err = registry.Watch(ctx, "", func(now []discovery.Instance) {
		list = now
		cancel()
	})
	return list, err
}

// psRow is an instance, or a process that should be one.
type psRow struct {
	Service   string          `json:"service"`
	Instance  string          `json:"instance"`
	Version   string          `json:"version"`
	State     discovery.State `json:"state"` // or failed
	PID       int             `json:"pid"`
	Endpoints []string        `json:"endpoints"`
	Started   time.Time       `json:"started"`
	Reason    string          `json:"reason,omitempty"` // why it failed
}

// psRows joins the registry with what hanse dev knows of processes that are not in it.
func psRows(ctx context.Context, sys systems.System, list []discovery.Instance) ([]psRow, *control.Status, error) {
	status, err := control.NewClient(sys.Control).Status(ctx)
	if err != nil {
		return nil, nil, err
	}
	rows := []psRow{}
	type key struct {
		service string
		pid     int
	}
	known := make(map[key]bool)
	for _, i := range list {
		known[key{i.Service, i.PID}] = true
		rows = append(rows, psRow{Service: i.Service, Instance: i.ID, Version: i.Version, State: i.State, PID: i.PID, Endpoints: append([]string{}, i.Endpoints...), Started: i.Started})
	}
	for _, p := range status.Processes {
		names := p.Services
		if len(names) == 0 {
			names = []string{p.Name} // a program that only calls
		}
		for _, name := range names {
			if p.State != control.Failed && known[key{name, p.PID}] {
				continue
			}
			rows = append(rows, psRow{Service: name, State: discovery.State(p.State), PID: p.PID, Endpoints: []string{}, Started: p.Started, Reason: p.Reason})
		}
	}
	slices.SortStableFunc(rows, func(a, b psRow) int {
		return cmp.Or(strings.Compare(a.Service, b.Service), a.Started.Compare(b.Started), strings.Compare(a.Instance, b.Instance))
	})
	return rows, status, nil
}

func showPs(u *ui.UI, sys systems.System, rows []psRow, status *control.Status) error {
	if u.JSON {
		return u.PrintJSON(rows)
	}
	var b strings.Builder
	if err := writePs(&b, sys, rows, status); err != nil {
		return err
	}
	u.Printf("%s", b.String())
	return nil
}

func writePs(b *strings.Builder, sys systems.System, rows []psRow, status *control.Status) error {
	fmt.Fprintf(b, "%s %s\n\n", ui.Strong.Sprint(sys.Name), ui.Faint.Sprint(sys.Dir))
	t := ui.NewTable("SERVICE", "INSTANCE", "VERSION", "STATE", "PROCESS", "LISTENS ON", "SINCE")
	last := ""
	for _, r := range rows {
		name := ui.Strong.Sprint(r.Service)
		if r.Service == last {
			name = "" // further instances of the same
		}
		last = r.Service
		where := dev.Listens(r.Endpoints)
		if r.Reason != "" {
			where = ui.Bad.Sprint(r.Reason)
		}
		pid := ""
		if r.PID != 0 && r.State != discovery.State(control.Failed) {
			pid = strconv.Itoa(r.PID)
		}
		t.Row(name, shortID(r.Instance), r.Version, psState(r.State), pid, where, since(r.Started))
	}
	var stopped []string
	for _, s := range status.Services {
		if s.Want == 0 && !slices.ContainsFunc(rows, func(r psRow) bool { return r.Service == s.Name }) {
			stopped = append(stopped, s.Name)
		}
	}
	if _, err := t.WriteTo(b); err != nil {
		return err
	}
	if len(stopped) > 0 {
		fmt.Fprintf(b, "\n%s %s\n", ui.Faint.Sprint("stopped:"), strings.Join(stopped, ", "))
	}
	for _, p := range status.Problems {
		fmt.Fprintf(b, "\n%s %s\n", ui.Bad.Sprint("✗"), p)
	}
	return nil
}

// shortID is enough of an instance's ID to tell it from others.
func shortID(id string) string {
	if len(id) > 24 {
		return id[:8]
	}
	return id
}

func psState(s discovery.State) string {
	switch s {
	case discovery.Ready:
		return ui.Good.Sprint(string(s))
	case discovery.State(control.Failed):
		return ui.Bad.Sprint(string(s))
	}
	return ui.Warning.Sprint(string(s))
}

// since says how long ago t was.
func since(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	switch d := time.Since(t); {
	case d < time.Minute:
		return fmt.Sprintf("%.0fs", max(0, d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%dd", int(d.Hours())/24)
	}
}

// watchPs shows the list again after each change: on a terminal in place, elsewhere one below the other; with --json one array a
// line.
func watchPs(ctx context.Context, u *ui.UI, sys systems.System) error {
	registry, err := discovery.Parse(sys.Registry, nil)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel(nil)
	changes := make(chan []discovery.Instance, 1)
	watching.Go(func() {
		cancel(registry.Watch(ctx, "", func(now []discovery.Instance) {
			select {
			case <-changes: // replace what was not shown yet
			default:
			}
			changes <- now
		}))
	})
	tick := time.NewTicker(time.Second) // for what is not in the registry, and for the times
	defer tick.Stop()
	var list []discovery.Instance
	shown, drawn := "", 0
	for {
		select {
		case list = <-changes:
		case <-tick.C:
		case <-ctx.Done():
			if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
				return err
			}
			return nil
		}
		rows, status, err := psRows(ctx, sys, list)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		if u.JSON {
			if text := fmt.Sprint(rows); text != shown {
				shown = text
				if err := u.PrintJSON(rows); err != nil {
					return err
				}
			}
			continue
		}
		var b strings.Builder
		if err := writePs(&b, sys, rows, status); err != nil {
			return err
		}
		text := b.String()
		switch {
		case u.OutTerminal:
			if drawn > 0 {
				text = fmt.Sprintf("\x1b[%dA\r\x1b[J", drawn) + text
			}
			drawn = strings.Count(b.String(), "\n")
			u.Printf("%s", text)
		default:
			state := states(rows)
			if state != shown {
				shown = state
				u.Printf("%s\n", text)
			}
		}
	}
}

// states is what must differ for the list to be printed again where it cannot be redrawn.
func states(rows []psRow) string {
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintln(&b, r.Service, r.Instance, r.State, r.PID, r.Reason)
	}
	return b.String()
}
