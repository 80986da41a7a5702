package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/resilience"
	"github.com/hanse-go/hanse/rpc"
	"github.com/spf13/cobra"
)

func newPolicy(u *ui.UI) *cobra.Command {
	return parent(&cobra.Command{
		Use:   "policy COMMAND",
		Short: "Switch what protects calls, while the services run",
		Long: `Each service has a policy: timeouts, retries, breakers and the like for the calls to it, limits for the calls that it takes.
hanse ps --policy shows what the policies do; hanse policy set switches single settings, until the processes end.`,
		Example: `  hanse policy set catalog timeout=300ms
  hanse ps catalog --policy                 what came of it`,
	}, newPolicySet(u))
}

// switched is an instance whose policy was switched.
type switched struct {
	Service  string            `json:"service"`
	Instance string            `json:"instance"`
	Settings map[string]string `json:"settings"`
}

func newPolicySet(u *ui.UI) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set SERVICE SETTING=VALUE…",
		Short: "Switch settings of a service's policy in all its instances and its callers",
		Long: `Change settings of a service's policy. Those for the calls to it (timeout, retry, hedge, breaker, outlier) change in all processes of
the system, for any may call it; those for the calls that it takes (limit, rate, bulkhead, idempotency) in its own instances. A value
is a number, a duration, "off", or "on" for the default. They hold until a process ends: what is to stay belongs in the program.

Processes take orders from their own machine only.`,
		Example: `  hanse policy set catalog timeout=300ms
  hanse policy set catalog breaker=off retry.attempts=1
  hanse policy set cart limit.wait=100ms
  hanse policy set bank rate.per-second=50 --method /bank.v1.Bank/Pay
  hanse policy set catalog breaker=on --context prod --confirm prod`,
		Args: argCount(2, -1, "the name of a service and SETTING=VALUE"),
	}
	var flags placeFlags
	flags.add(cmd)
	flags.addChanging(cmd)
	method := cmd.Flags().String("method", "", "for one method only, `/contract/Method`, or a whole contract/*")
	u.JSONFlag(cmd, "the instances that were switched")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		calls, serving, err := parseSettings(args[1:])
		if err != nil {
			return err
		}
		where, err := flags.find()
		if err != nil {
			return err
		}
		if err := where.mayChange(); err != nil {
			return err
		}
		own, err := where.instances(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		done := []switched{}
		var errs []error
		order := func(i discovery.Instance, form url.Values, name string) {
			if *method != "" {
				form.Set("method", *method)
			}
			var answer any
			if err := where.ask(cmd.Context(), i, http.MethodPost, "/debug/resilience", form, &answer); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", instanceLabel(i), err))
				return
			}
			settings := map[string]string{}
			for key := range form {
				if key != "service" && key != "target" && key != "method" {
					settings[key] = form.Get(key)
				}
			}
			done = append(done, switched{name, i.ID, settings})
		}
		if len(serving) > 0 {
			for _, i := range own {
				form := maps.Clone(serving)
				form.Set("service", args[0])
				order(i, form, i.Service)
			}
		}
		if len(calls) > 0 {
			all, err := where.snapshot(cmd.Context())
			if err != nil {
				return err
			}
			for _, i := range processes(all) {
				form := maps.Clone(calls)
				form.Set("target", args[0])
				order(i, form, i.Service)
			}
		}
		if len(done) == 0 {
			return noneOf("nothing was switched", errs)
		}
		for _, err := range errs {
			u.Notef("not switched: %v", err)
		}
		if u.JSON {
			return u.PrintJSON(done)
		}
		for _, d := range done {
			for _, key := range slices.Sorted(maps.Keys(d.Settings)) {
				u.Printf("%s %s: %s=%s\n", d.Service, shortID(d.Instance), key, d.Settings[key])
			}
		}
		if len(errs) > 0 {
			return ui.Silent{Exit: 1}
		}
		return nil
	}
	return cmd
}

// parseSettings reads SETTING=VALUE, and tells those for the calls to a service from those for the calls that it takes.
func parseSettings(args []string) (calls, serving url.Values, err error) {
	calls, serving = url.Values{}, url.Values{}
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, nil, ui.Usagef("%q is not SETTING=VALUE", arg).Then("write, for instance, timeout=2s")
		}
		var p resilience.Policy
		if err := p.Set(name, value); err != nil {
			if names := settingNames(); !slices.Contains(names, name) {
				return nil, nil, ui.Usagef("a policy has no setting %q", name).Then("%s", cmp.Or(ui.DidYouMean(name, names), "there are "+ui.List(names, "and")))
			}
			return nil, nil, ui.Usagef("%w", err)
		}
		switch mechanism, _, _ := strings.Cut(name, "."); mechanism {
		case "timeout", "retry", "hedge", "breaker", "outlier":
			calls.Set(name, value)
		default:
			serving.Set(name, value)
		}
	}
	return calls, serving, nil
}

// settingNames are those that there are. Package resilience lists them in the error for one that there is not.
func settingNames() []string {
	var p resilience.Policy
	err := p.Set("?", "on")
	if err == nil {
		return nil
	}
	_, names, _ := strings.Cut(err.Error(), "there are ")
	return strings.Split(names, ", ")
}

// policyReport is what /debug/resilience tells of one service.
type policyReport struct {
	Service string                     `json:"service"`
	Targets map[string]rpc.TargetState `json:"targets"`
	Serving *struct {
		Policy  map[string]string          `json:"policy"`
		Methods map[string]rpc.MethodState `json:"methods"`
	} `json:"serving"`
}

// policyRow is what one mechanism of an instance does.
type policyRow struct {
	Service  string            `json:"service"`
	Instance string            `json:"instance"`
	Side     string            `json:"side"` // takes or makes: the calls
	Of       string            `json:"of"`   // a method that it takes, or a service that it calls
	State    string            `json:"state"`
	Counts   map[string]uint64 `json:"counts"`
}

// printPolicies prints what the policies of the instances at a place do.
func printPolicies(ctx context.Context, u *ui.UI, where *place, list []discovery.Instance) error {
	rows := []policyRow{}
	var errs []error
	for _, i := range list {
		var reports []policyReport
		if err := where.ask(ctx, i, http.MethodGet, "/debug/resilience", url.Values{"service": {i.Service}}, &reports); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", instanceLabel(i), err))
			continue
		}
		for _, r := range reports {
			rows = append(rows, policyRows(i, r)...)
		}
	}
	for _, err := range errs {
		u.Notef("not known: %v", err)
	}
	if len(rows) == 0 && len(errs) > 0 {
		return ui.Errorf("no instance tells what its policy does")
	}
	if u.JSON {
		return u.PrintJSON(rows)
	}
	_, err := policyTable(rows).WriteTo(uWriter{u})
	return err
}

// uWriter writes where a UI prints.
type uWriter struct{ u *ui.UI }

func (w uWriter) Write(p []byte) (int, error) {
	w.u.Printf("%s", p)
	return len(p), nil
}

var _ io.Writer = uWriter{}

func policyRows(i discovery.Instance, r policyReport) []policyRow {
	var rows []policyRow
	if r.Serving != nil {
		for _, method := range slices.Sorted(maps.Keys(r.Serving.Methods)) {
			m := r.Serving.Methods[method]
			rows = append(rows, policyRow{i.Service, i.ID, "takes", method, servingState(m), texts(m.Counts)})
		}
	}
	for _, target := range slices.Sorted(maps.Keys(r.Targets)) {
		t := r.Targets[target]
		state := []string{"breaker " + t.Breaker.State}
		if t.Budget.Left >= 0 {
			state = append(state, fmt.Sprintf("%d of %d calls repeated", t.Budget.Again, t.Budget.Calls))
		}
		rows = append(rows, policyRow{i.Service, i.ID, "makes", target, strings.Join(state, ", "), texts(t.Counts)})
	}
	if rows == nil {
		rows = append(rows, policyRow{Service: i.Service, Instance: i.ID, State: "no calls yet", Counts: map[string]uint64{}})
	}
	return rows
}

func servingState(m rpc.MethodState) string {
	state := []string{"not limited"}
	if l := m.Limit; l != nil {
		state[0] = "limit " + l.State
		if l.Limit > 0 {
			state[0] += fmt.Sprintf(" to %d", l.Limit)
		}
		if l.Running > 0 || l.Waiting > 0 {
			state = append(state, fmt.Sprintf("%d run, %d wait", l.Running, l.Waiting))
		}
		if l.Latency > 0 {
			state = append(state, l.Latency.Round(max(time.Microsecond, l.Latency/100)).String())
		}
	}
	if r := m.Rate; r != nil {
		state = append(state, fmt.Sprintf("rate %v/s, %d left", r.PerSecond, r.Tokens))
	}
	if b := m.Bulkhead; b != nil {
		state = append(state, fmt.Sprintf("bulkhead %d of %d", b.Running, b.Calls))
	}
	return strings.Join(state, ", ")
}

func texts(counts map[resilience.Reason]uint64) map[string]uint64 {
	all := make(map[string]uint64, len(counts))
	for reason, n := range counts {
		all[string(reason)] = n
	}
	return all
}

func policyTable(rows []policyRow) *ui.Table {
	t := ui.NewTable("SERVICE", "INSTANCE", "CALLS", "OF", "STATE", "COUNTS")
	last := policyRow{}
	for _, r := range rows {
		service, instance := ui.Strong.Sprint(r.Service), shortID(r.Instance)
		if r.Service == last.Service {
			service = ""
		}
		if r.Instance == last.Instance {
			instance = ""
		}
		last = r
		var counts []string
		for _, reason := range slices.Sorted(maps.Keys(r.Counts)) {
			counts = append(counts, fmt.Sprintf("%s %d", reason, r.Counts[reason]))
		}
		t.Row(service, instance, r.Side, r.Of, r.State, strings.Join(counts, ", "))
	}
	return t
}
