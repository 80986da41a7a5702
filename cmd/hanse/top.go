package main

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/dashboard"
	"github.com/hanse-go/hanse/internal/duration"
	"github.com/hanse-go/hanse/telemetry/collector"
	"github.com/spf13/cobra"
)

func newTop(u *ui.UI) *cobra.Command {
	t := &top{ui: u}
	var once bool
	cmd := &cobra.Command{
		Use:   "top [SERVICE]…",
		Short: "See how busy services are: calls, errors, durations, CPU and memory",
		Long: `Show how busy the services of the running system are, and which methods are called most; on a terminal again and again until Ctrl-C, elsewhere
once. With names, only these services.

READY is how many instances take calls, and of how many that should. CALLS, ERRORS and the durations are of the calls that a service took in the
window, events among them; ERRORS is the part that failed. CPU is of one processor, so 250 % are two and a half; it and MEMORY are of all instances together,
where their processes tell it.

` + watchedHelp,
		Example: `  hanse top
  hanse top cart checkout --window 5m
  hanse top --sort cpu --once
  hanse top --context prod
  hanse top --json | jq '.services[] | select(.errors > 0) | .name'`,
	}
	var at watchedFlags
	at.add(cmd)
	f := cmd.Flags()
	f.BoolVar(&once, "once", false, "show it once")
	f.DurationVarP(&t.window, "window", "w", 30*time.Second, "the numbers are those of this last `time`")
	f.DurationVar(&t.every, "interval", 2*time.Second, "show it again after this `time`")
	f.StringVar(&t.order, "sort", topOrders[0], "the `ORDER` of services: "+strings.Join(topOrders, ", "))
	f.IntVarP(&t.methods, "methods", "n", 10, "show the `N` busiest methods")
	u.JSONFlag(cmd, "one object with services and methods")
	cmd.ValidArgsFunction = at.complete
	_ = cmd.RegisterFlagCompletionFunc("sort", cobra.FixedCompletions(topOrders, cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case t.window < 2*time.Second || t.window > 6*time.Hour:
			return ui.Usagef("top: --window is %v", t.window).Then("give a time from 2s to 6h")
		case t.every < 100*time.Millisecond:
			return ui.Usagef("top: --interval is %v", t.every).Then("give 100ms or more")
		case t.methods < 0 || t.methods > 1000:
			return ui.Usagef("top: --methods is %d", t.methods).Then("give a number up to 1000")
		case !slices.Contains(topOrders, t.order):
			return ui.Usagef("top: there is no order %q", t.order).Then("%s", ui.DidYouMean(t.order, topOrders))
		}
		find := at.ask
		if !once && !u.JSON && u.OutTerminal { // the head of the page says it
			find = func(*ui.UI) (*watched, error) { return at.find() }
		}
		sys, err := find(u)
		if err != nil {
			return err
		}
		t.of, t.names = sys, args
		if once || u.JSON || !u.OutTerminal {
			return asUI(t.once(cmd.Context()))
		}
		err = t.live(cmd.Context())
		if cmd.Context().Err() != nil {
			return nil // Ctrl-C
		}
		return asUI(err)
	}
	return cmd
}

// topOrders are the orders of services.
var topOrders = []string{"calls", "errors", "p95", "cpu", "memory", "name"}

// top shows how busy a system is.
type top struct {
	ui    *ui.UI
	of    *watched
	names []string // none: all

	window, every time.Duration
	methods       int
	order         string
}

// ask asks for the numbers of the services that are meant.
func (t *top) ask(ctx context.Context) (*dashboard.Top, error) {
	methods := t.methods
	if len(t.names) > 0 && methods > 0 {
		methods = 1000 // those of the others are taken out below
	}
	got := new(dashboard.Top)
	if err := t.of.client.API(ctx, "top", url.Values{"window": {t.window.String()}, "methods": {strconv.Itoa(methods)}}, got); err != nil {
		return nil, err
	}
	if len(t.names) > 0 {
		var known []string
		for _, s := range got.Services {
			known = append(known, s.Name)
		}
		for _, name := range t.names {
			if !slices.Contains(known, name) {
				return nil, ui.Errorf("there is no service %q in %s", name, t.of.name).Then("%s", cmp.Or(ui.DidYouMean(name, known), "hanse ps lists those that there are"))
			}
		}
		got.Services = slices.DeleteFunc(got.Services, func(s dashboard.TopService) bool { return !slices.Contains(t.names, s.Name) })
		got.Methods = slices.DeleteFunc(got.Methods, func(m collector.ServiceMethod) bool { return !slices.Contains(t.names, m.Service) })
		got.Methods = got.Methods[:min(len(got.Methods), t.methods)]
	}
	slices.SortStableFunc(got.Services, topOrder(t.order))
	return got, nil
}

// topOrder compares services; they are in the order of their names.
func topOrder(order string) func(a, b dashboard.TopService) int {
	return func(a, b dashboard.TopService) int {
		switch order {
		case "calls":
			return cmp.Compare(b.Calls, a.Calls)
		case "errors":
			return cmp.Or(cmp.Compare(b.Errors, a.Errors), cmp.Compare(b.Calls, a.Calls))
		case "p95":
			return cmp.Compare(b.P95, a.P95)
		case "cpu":
			return cmp.Compare(orZero(b.CPU), orZero(a.CPU))
		case "memory":
			return cmp.Compare(orZero(b.Memory), orZero(a.Memory))
		}
		return 0
	}
}

func orZero[T int64 | float64](p *T) T {
	if p == nil {
		return -1 // behind what is told
	}
	return *p
}

// once shows it once.
func (t *top) once(ctx context.Context) error {
	got, err := t.ask(ctx)
	if err != nil {
		return err
	}
	if t.ui.JSON {
		return t.ui.PrintJSON(got)
	}
	t.ui.Printf("%s", topText(got))
	return nil
}

// live shows it in place, until ctx ends or who answers does.
func (t *top) live(ctx context.Context) error {
	tick := time.NewTicker(t.every)
	defer tick.Stop()
	for first := true; ; first = false {
		got, err := t.ask(ctx)
		if err != nil {
			return err
		}
		if first {
			t.ui.Printf("\x1b[2J")
		}
		columns, rows := t.ui.Size()
		head := fmt.Sprintf("%s %s\n\n", t.of.title(), ui.Faint.Sprint(fmt.Sprintf("the last %v, at %s; Ctrl-C ends", t.window, got.To.Local().Format(time.TimeOnly))))
		redraw(t.ui, ui.Crop(head+topText(got), columns, rows-1))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// topRight are the columns with numbers.
var topRight = []string{"CALLS", "ERRORS", "P50", "P95", "CPU", "MEMORY"}

// topText is the tables as people read them.
func topText(got *dashboard.Top) string {
	var b strings.Builder
	t := ui.NewTable("SERVICE", "READY", "CALLS", "ERRORS", "P50", "P95", "CPU", "MEMORY")
	t.Right(topRight...)
	for _, s := range got.Services {
		t.Row(append([]string{serviceColour(s.Name), topReady(&s)}, append(numberCells(&s.Numbers), topCPU(&s), topMemory(&s))...)...)
	}
	if t.Len() == 0 {
		b.WriteString("Nothing runs, and nothing was told in that time.\n")
	}
	t.WriteTo(&b)
	if len(got.Methods) > 0 {
		b.WriteString("\n")
		t := ui.NewTable("METHOD", "SERVICE", "CALLS", "ERRORS", "P50", "P95")
		t.Right(topRight...)
		for _, m := range got.Methods {
			name := ui.Method(m.Name)
			if m.Kind == collector.KindEvent {
				name = "event " + name
			}
			t.Row(append([]string{name, serviceColour(m.Service)}, numberCells(&m.Numbers)...)...)
		}
		t.WriteTo(&b)
	}
	return b.String()
}

// numberCells are the cells for calls, errors, p50 and p95.
func numberCells(n *collector.Numbers) []string {
	if n.Calls == 0 {
		return []string{ui.Faint.Sprint("0"), "", "", ""}
	}
	failed := ui.Percent(n.Errors / n.Calls)
	if n.Errors > 0 {
		failed = ui.Bad.Sprint(failed)
	} else {
		failed = ui.Faint.Sprint(failed)
	}
	return []string{ui.Rate(n.Calls), failed, duration.Text(n.P50), duration.Text(n.P95)}
}

// topReady is how many instances take calls, and of how many where that is another number.
func topReady(s *dashboard.TopService) string {
	text := strconv.Itoa(s.Ready)
	if s.Want > 0 && s.Want != s.Ready {
		text += "/" + strconv.Itoa(s.Want)
	}
	switch {
	case s.Failed > 0:
		return ui.Bad.Sprint(text + " ✗")
	case s.Ready < s.Want:
		return ui.Warning.Sprint(text)
	case s.Ready == 0:
		return ui.Faint.Sprint("stopped")
	}
	return text
}

func topCPU(s *dashboard.TopService) string {
	switch {
	case s.CPU != nil:
		return ui.Percent(*s.CPU)
	case s.Within != "":
		return ui.Faint.Sprint("in " + s.Within)
	}
	return ""
}

func topMemory(s *dashboard.TopService) string {
	if s.Memory == nil {
		return ""
	}
	return size(uint64(max(*s.Memory, 0)))
}
