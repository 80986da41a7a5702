package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/telemetry/filter"
	"github.com/spf13/cobra"
)

func newLevel(u *ui.UI) *cobra.Command {
	var flags placeFlags
	cmd := &cobra.Command{
		Use:   "level [SERVICE[=LEVEL] | LEVEL]…",
		Short: "Show or change from which level on services log",
		Long: `Show from which level on the instances of services log, or change it while they run: debug, info, warn, error, or those between such as
info+2. SERVICE=default takes a change back: the service has the level of its process again. A level alone is for all services. It holds until
a process ends: what is to stay is --log-level (HANSE_LOG_LEVEL).

Processes take orders from their own machine only. One whose program brings its own logger leaves out what that does.`,
		Example: `  hanse level                        all services
  hanse level cart=debug payment=warn
  hanse level cart=default
  hanse level info                   all services alike
  hanse level --context prod         those of a context; with --confirm prod they are changed there, too`,
		DisableFlagsInUseLine: true,
	}
	flags.add(cmd)
	flags.addChanging(cmd)
	u.JSONFlag(cmd, "the levels of the instances")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		orders, shown, err := parseLevels(args)
		if err != nil {
			return err
		}
		where, err := flags.find()
		if err != nil {
			return err
		}
		if len(orders) > 0 {
			if err := where.mayChange(); err != nil {
				return err
			}
		}
		var errs []error
		for _, o := range orders {
			list, err := instancesOf(cmd.Context(), where, o.service)
			if err != nil {
				return err
			}
			form := url.Values{"level": {o.level}}
			if o.service == "" {
				shown, list = nil, processes(list)
			} else {
				form.Set("service", o.service)
			}
			for _, i := range list {
				if err := where.ask(cmd.Context(), i, http.MethodPost, "/debug/log", form, new(any)); err != nil {
					errs = append(errs, fmt.Errorf("%s: %w", instanceLabel(i), err))
				}
			}
			shown = append(shown, o.service)
		}
		if len(shown) == 0 {
			shown = []string{""}
		}
		rows := []levelRow{}
		slices.Sort(shown)
		for _, name := range slices.Compact(shown) {
			list, err := instancesOf(cmd.Context(), where, name)
			if err != nil {
				return err
			}
			for _, i := range list {
				var reports []levelRow
				if err := where.ask(cmd.Context(), i, http.MethodGet, "/debug/log", url.Values{"service": {i.Service}}, &reports); err != nil {
					errs = append(errs, fmt.Errorf("%s: %w", instanceLabel(i), err))
					continue
				}
				for _, r := range reports {
					r.Instance = i.ID
					rows = append(rows, r)
				}
			}
			if name == "" { // that is all
				break
			}
		}
		if len(rows) == 0 {
			return noneOf("nothing tells its level", errs)
		}
		for _, err := range errs {
			u.Notef("not reached: %v", err)
		}
		if u.JSON {
			return u.PrintJSON(rows)
		}
		t := ui.NewTable("SERVICE", "INSTANCE", "LEVEL")
		for _, r := range rows {
			note := ""
			if r.Least != "" && r.Level != "" && r.Least != r.Level {
				note = ui.Faint.Sprint(" (its own logger takes " + r.Least + ")")
			}
			t.Row(r.Service, shortID(r.Instance), cmp.Or(r.Level, r.Least, "off")+note)
		}
		if _, err := t.WriteTo(u.Out); err != nil {
			return err
		}
		if len(errs) > 0 {
			return ui.Silent{Exit: 1}
		}
		return nil
	}
	return cmd
}

// instancesOf returns the instances of a service, "" for all.
func instancesOf(ctx context.Context, where *place, service string) ([]discovery.Instance, error) {
	if service == "" {
		return where.snapshot(ctx)
	}
	return where.instances(ctx, service)
}

// levelRow is the level of an instance, as /debug/log tells it.
type levelRow struct {
	Service  string `json:"service"`
	Instance string `json:"instance"`
	Level    string `json:"level"` // "": whatever its own logger takes
	Least    string `json:"least"` // that gets through
}

// levelOrder is a level that is to be; service "" is all.
type levelOrder struct{ service, level string }

// parseLevels tells what is to be changed from what is to be shown.
func parseLevels(args []string) (orders []levelOrder, shown []string, err error) {
	for _, arg := range args {
		service, level, ok := strings.Cut(arg, "=")
		if !ok {
			if _, err := filter.ParseLevel(arg); err == nil {
				orders = append(orders, levelOrder{"", arg})
			} else {
				shown = append(shown, arg)
			}
			continue
		}
		if _, err := filter.ParseLevel(level); err != nil && level != "default" || service == "" {
			return nil, nil, ui.Usagef("level: %q: %w", arg, cmp.Or(err, fmt.Errorf("it names no service"))).Then("write, for instance, cart=debug")
		}
		orders = append(orders, levelOrder{service, level})
	}
	return orders, shown, nil
}
