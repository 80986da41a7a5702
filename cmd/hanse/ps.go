package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"github.com/hanse-go/hanse/cmd/hanse/internal/member"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/control"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/discovery"
	"github.com/spf13/cobra"
)

func newPs(u *ui.UI) *cobra.Command {
	var watch, policy bool
	cmd := &cobra.Command{
		Use:   "ps [SERVICE]…",
		Short: "List the services that run, with their instances",
		Long: `List the instances of all services of the running system: those that hanse dev started, those that joined it, and those that
failed. Where no hanse dev runs, list the programs of this folder that were started by hand. With names, list these services only.

The version is the one that the service tells, or its program was built with; of a program that hanse dev built it is a mark that
changes with the code. CALLS is the part of the service's calls that hanse split gives to that version.`,
		Example: `  hanse ps
  hanse ps cart catalog
  hanse ps --watch
  hanse ps cart --policy
  hanse ps --context prod
  hanse ps --json | jq -r '.[] | select(.state != "ready") | .service'`,
	}
	var flags placeFlags
	flags.add(cmd)
	flags.addContext(cmd)
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "show the list again when it changes, until Ctrl-C")
	cmd.Flags().BoolVar(&policy, "policy", false, "show what the policies of the instances do: limits, breakers, retries, and what they counted")
	u.JSONFlag(cmd, "an array of instances")
	cmd.ValidArgsFunction = func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		where, err := flags.find()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return where.services(cmd.Context()), cobra.ShellCompDirectiveNoFileComp
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		where, err := flags.find()
		if err != nil {
			return err
		}
		if len(where.unlistable) > 0 && len(args) == 0 {
			if !where.listable {
				return where.cannotList().Then("name them: hanse ps cart %s", registryFlags(where.unlistable))
			}
			u.Notef("%v; what is there is not listed", where.cannotList())
		}
		slices.Sort(args)
		args = slices.Compact(args)
		for _, name := range args {
			if err := discovery.CheckName(name); err != nil {
				return ui.Usagef("%w", err)
			}
		}
		if watch && policy {
			return ui.Usagef("--policy is shown once: leave --watch out")
		}
		if watch {
			return watchPs(cmd.Context(), u, where, args)
		}
		list, err := where.snapshot(cmd.Context(), args...)
		if err != nil {
			return err
		}
		if policy {
			for _, name := range args {
				if _, err := where.instances(cmd.Context(), name); err != nil {
					return err
				}
			}
			return printPolicies(cmd.Context(), u, where, list)
		}
		rows, status, err := psRows(cmd.Context(), where, args, list)
		if err != nil {
			return err
		}
		for _, name := range args {
			if err := known(cmd.Context(), where, name, rows, status); err != nil {
				return err
			}
		}
		if u.JSON {
			return u.PrintJSON(rows)
		}
		text, err := psText(where, args, rows, status)
		u.Printf("%s", text)
		return err
	}
	return cmd
}

// registryFlags writes registries as a user does.
func registryFlags(urls []string) string {
	var b strings.Builder
	for _, url := range urls {
		fmt.Fprintf(&b, " --registry '%s'", url)
	}
	return strings.TrimSpace(b.String())
}

// known returns an error for a name of which there is no instance, and no service of hanse dev's that could be started.
func known(ctx context.Context, where *place, name string, rows []psRow, status *control.Status) error {
	if slices.ContainsFunc(rows, func(r psRow) bool { return r.Service == name }) ||
		slices.ContainsFunc(status.Services, func(s control.Service) bool { return s.Name == name }) {
		return nil
	}
	_, err := where.instances(ctx, name)
	return err
}

// psRow is an instance, or a process that should be one.
type psRow struct {
	Service   string          `json:"service"`
	Instance  string          `json:"instance"`
	Version   string          `json:"version"`
	State     discovery.State `json:"state"` // or failed
	PID       int             `json:"pid"`
	Endpoints []string        `json:"endpoints"`
	Command   string          `json:"command,omitempty"` // HOST:PORT that the command itself serves, without TLS, where that is another
	Started   time.Time       `json:"started"`
	Wire      string          `json:"wire,omitempty"`   // what speaks gRPC there, when it is not the default
	Split     string          `json:"split,omitempty"`  // what the split rules give to its version, when there are some
	Reason    string          `json:"reason,omitempty"` // why it failed
}

// psRows joins the registry with what hanse dev, if it runs there, knows of processes that are not in it, for the services of these
// names, all with none.
func psRows(ctx context.Context, where *place, names []string, list []discovery.Instance) ([]psRow, *control.Status, error) {
	status := new(control.Status)
	if where.running != nil {
		var err error
		if status, err = control.NewClient(where.running.Control).Status(ctx); err != nil {
			return nil, nil, err
		}
	}
	rows := []psRow{}
	type key struct {
		service string
		pid     int
	}
	known := make(map[key]bool)
	builds := make(map[int]string) // by process
	for _, p := range status.Processes {
		if p.PID != 0 {
			builds[p.PID] = p.Version
		}
	}
	splits, _ := where.splits(ctx, "") // some registries hold none
	for _, i := range list {
		known[key{i.Service, i.PID}] = true
		rows = append(rows, psRow{Service: i.Service, Instance: i.ID, Version: cmp.Or(i.Version, builds[i.PID]), State: i.State, PID: i.PID, Endpoints: append([]string{}, i.Endpoints...), Command: i.Metadata[member.CommandLabel], Started: i.Started, Wire: i.Metadata["wire"], Split: part(splits, i.Service, i.Version)})
	}
	for _, p := range status.Processes {
		services := p.Services
		if len(services) == 0 {
			services = []string{p.Name} // a program that only calls
		}
		for _, name := range services {
			if p.State != control.Failed && known[key{name, p.PID}] || len(names) > 0 && !slices.Contains(names, name) {
				continue
			}
			rows = append(rows, psRow{Service: name, Version: p.Version, State: discovery.State(p.State), PID: p.PID, Endpoints: []string{}, Started: p.Started, Reason: p.Reason})
		}
	}
	slices.SortStableFunc(rows, func(a, b psRow) int {
		return cmp.Or(strings.Compare(a.Service, b.Service), a.Started.Compare(b.Started), strings.Compare(a.Instance, b.Instance))
	})
	return rows, status, nil
}

// psText is the list as people read it.
func psText(where *place, names []string, rows []psRow, status *control.Status) (string, error) {
	var b strings.Builder
	if where.running != nil {
		fmt.Fprintf(&b, "%s %s\n\n", ui.Strong.Sprint(where.running.Name), ui.Faint.Sprint(where.running.Dir))
	} else {
		fmt.Fprintf(&b, "%s\n\n", where.name)
	}
	t := ui.NewTable("SERVICE", "INSTANCE", "VERSION", "CALLS", "STATE", "PROCESS", "LISTENS ON", "SINCE")
	last := ""
	for _, r := range rows {
		name := ui.Strong.Sprint(r.Service)
		if r.Service == last {
			name = "" // further instances of the same
		}
		last = r.Service
		where := cmp.Or(r.Command, dev.Listens(r.Endpoints))
		if r.Wire != "" {
			where += " (wire: " + r.Wire + ")"
		}
		if r.Reason != "" {
			where = ui.Bad.Sprint(r.Reason)
		}
		pid := ""
		if r.PID != 0 && r.State != discovery.State(control.Failed) {
			pid = strconv.Itoa(r.PID)
		}
		t.Row(name, shortID(r.Instance), r.Version, r.Split, psState(r.State), pid, where, since(r.Started))
	}
	var stopped []string
	for _, s := range status.Services {
		if s.Want == 0 && (len(names) == 0 || slices.Contains(names, s.Name)) && !slices.ContainsFunc(rows, func(r psRow) bool { return r.Service == s.Name }) {
			stopped = append(stopped, s.Name)
		}
	}
	if _, err := t.WriteTo(&b); err != nil {
		return "", err
	}
	if len(stopped) > 0 {
		fmt.Fprintf(&b, "\n%s %s\n", ui.Faint.Sprint("stopped:"), strings.Join(stopped, ", "))
	}
	for _, p := range status.Problems {
		fmt.Fprintf(&b, "\n%s %s\n", ui.Bad.Sprint("✗"), p)
	}
	return b.String(), nil
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

// watchPs shows the list again after each change: on a terminal in place, elsewhere one below the other.
func watchPs(ctx context.Context, u *ui.UI, where *place, names []string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel(nil)
	changes := make(chan []discovery.Instance, 1)
	watching.Go(func() {
		cancel(where.watch(ctx, names, func(now []discovery.Instance) {
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
	shown := ""
	if u.OutTerminal && !u.JSON {
		u.Printf("\x1b[2J")
	}
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
		rows, status, err := psRows(ctx, where, names, list)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		text, err := psText(where, names, rows, status)
		if err != nil {
			return err
		}
		now := states(rows)
		switch {
		case u.OutTerminal && !u.JSON:
			redraw(u, text)
		case now == shown:
		case u.JSON:
			if err := u.PrintJSON(rows); err != nil {
				return err
			}
		default:
			u.Printf("%s\n", text)
		}
		shown = now
	}
}

// redraw shows text on a terminal from the upper left corner, each line over the one that was there.
func redraw(u *ui.UI, text string) {
	u.Printf("\x1b[H%s\x1b[J", strings.ReplaceAll(text, "\n", "\x1b[K\n"))
}

// states is what must differ for the list to be printed again where it cannot be redrawn.
func states(rows []psRow) string {
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintln(&b, r.Service, r.Instance, r.Version, r.Split, r.State, r.PID, r.Reason)
	}
	return b.String()
}
