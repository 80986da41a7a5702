package main

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/resilience"
	"github.com/spf13/cobra"
)

// faultRow is a fault of an instance.
type faultRow struct {
	Service  string `json:"service"`
	Instance string `json:"instance"`
	resilience.FaultState
}

func newChaos(u *ui.UI) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "chaos [SERVICE]",
		Short: "Make calls go wrong on purpose, for a while",
		Long: `Make calls that a service takes go wrong, in each of its instances: late, with an error, or with an answer that is lost. A fault ends
by itself. Without --delay, --error and --lose the faults that there are are listed.

Processes allow it only when they were started with --allow-faults (HANSE_ALLOW_FAULTS=1), and take orders from their own machine only.`,
		Example: `  HANSE_ALLOW_FAULTS=1 hanse dev
  hanse chaos catalog --delay 300ms --percent 20
  hanse chaos catalog --delay 2s --instance 4a02b69f
  hanse chaos bank --error unavailable --method /bank.v1.Bank/Pay --for 30s
  hanse chaos bank --lose --metadata user=drill
  hanse chaos
  hanse chaos bank --stop`,
		Args: argCount(0, 1, "the name of a service"),
	}
	var flags placeFlags
	flags.add(cmd)
	flags.addChanging(cmd)
	f := cmd.Flags()
	delay := f.Duration("delay", 0, "calls wait for so `long` first")
	code := f.String("error", "", "calls are answered with this `code` of gRPC, such as unavailable, and their handlers do not run")
	lose := f.Bool("lose", false, "handlers run, and their answers are lost")
	method := f.String("method", "", "of one method only, `/contract/Method`, or a whole contract/*")
	metadata := f.StringArray("metadata", nil, "of calls that carry this `key=value`, or the key with any value; repeatable")
	only := f.String("instance", "", "in the instance alone whose `ID` begins so; hanse ps shows the IDs")
	percent := f.Float64("percent", 100, "of so many `percent` of the calls")
	lasts := f.Duration("for", time.Minute, "for so `long`, at most 1h")
	stop := f.Bool("stop", false, "end the faults of the service, or of all")
	u.JSONFlag(cmd, "an array of faults")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		form := url.Values{}
		begin := *delay != 0 || *code != "" || *lose
		switch {
		case begin && *stop:
			return ui.Usagef("--stop ends faults: it goes with none of --delay, --error and --lose")
		case begin && len(args) == 0:
			return ui.Usagef("say whose calls go wrong").Then("write hanse chaos SERVICE")
		case begin:
			fault := resilience.Fault{Method: *method, Percent: *percent, Delay: *delay, Lose: *lose, For: *lasts}
			form.Set("percent", strconv.FormatFloat(*percent, 'g', -1, 64))
			form.Set("for", lasts.String())
			if *percent == 0 {
				return ui.Usagef("--percent 0 would strike no call")
			}
			if *delay != 0 {
				form.Set("delay", delay.String())
			}
			if *lose {
				form.Set("lose", "true")
			}
			if *code != "" {
				name := strings.ToUpper(strings.ReplaceAll(*code, "-", "_"))
				if fault.Error.UnmarshalJSON([]byte(strconv.Quote(name))) != nil {
					return ui.Usagef("gRPC has no code %q", *code).Then("%s", cmp.Or(ui.DidYouMean(strings.ToLower(name), codeNames), "try unavailable"))
				}
				form.Set("error", name)
			}
			if *method != "" {
				form.Set("method", *method)
			}
			form["metadata"] = *metadata
			if err := fault.Check(); err != nil {
				return ui.Usagef("%w", err)
			}
		case !*stop:
			for _, name := range []string{"method", "metadata", "percent", "for"} {
				if cmd.Flags().Changed(name) {
					return ui.Usagef("--%s alone makes nothing go wrong", name).Then("add --delay, --error or --lose")
				}
			}
		}
		where, err := flags.find()
		if err != nil {
			return err
		}
		if begin || *stop {
			if err := where.mayChange(); err != nil {
				return err
			}
		}
		var list []discovery.Instance
		if len(args) == 1 {
			list, err = where.instances(cmd.Context(), args[0])
		} else {
			list, err = where.snapshot(cmd.Context())
		}
		if err != nil {
			return err
		}
		if *only != "" {
			if list, err = beginsWith(list, *only); err != nil {
				return err
			}
		}
		rows := []faultRow{}
		reached := 0
		var errs []error
		for _, i := range list {
			form.Set("service", i.Service)
			verb := http.MethodGet
			switch {
			case begin:
				verb = http.MethodPost
			case *stop:
				verb = http.MethodDelete
			}
			var reports []struct{ Faults []resilience.FaultState }
			if err := where.ask(cmd.Context(), i, verb, "/debug/faults", form, &reports); err != nil {
				if len(args) == 1 || verb == http.MethodGet {
					errs = append(errs, fmt.Errorf("%s: %w", instanceLabel(i), err))
				}
				continue
			}
			reached++
			for _, r := range reports {
				for _, f := range r.Faults {
					rows = append(rows, faultRow{i.Service, i.ID, f})
				}
			}
		}
		if reached == 0 && len(errs) > 0 {
			return noneOf(map[bool]string{true: "nothing goes wrong", false: "nothing is known"}[begin], errs)
		}
		for _, err := range errs {
			u.Notef("not reached: %v", err)
		}
		if u.JSON {
			return u.PrintJSON(rows)
		}
		if len(rows) == 0 {
			u.Printf("no faults\n")
			return nil
		}
		_, err = faultTable(rows).WriteTo(uWriter{u})
		return err
	}
	return cmd
}

// beginsWith returns the one instance whose ID begins with prefix.
func beginsWith(list []discovery.Instance, prefix string) ([]discovery.Instance, error) {
	var found []discovery.Instance
	var ids []string
	for _, i := range list {
		if strings.HasPrefix(i.ID, prefix) {
			found = append(found, i)
		}
		ids = append(ids, shortID(i.ID))
	}
	switch len(found) {
	case 1:
		return found, nil
	case 0:
		return nil, ui.Usagef("no instance has an ID that begins with %q", prefix).Then("there are %s", strings.Join(ids, ", "))
	}
	return nil, ui.Usagef("%d instances have an ID that begins with %q", len(found), prefix).Then("write more of it")
}

// codeNames are those of gRPC's codes that are errors.
var codeNames = []string{
	"cancelled", "unknown", "invalid_argument", "deadline_exceeded", "not_found", "already_exists", "permission_denied", "resource_exhausted",
	"failed_precondition", "aborted", "out_of_range", "unimplemented", "internal", "unavailable", "data_loss", "unauthenticated",
}

func faultTable(rows []faultRow) *ui.Table {
	t := ui.NewTable("SERVICE", "INSTANCE", "FAULT", "WHAT", "OF", "ENDS IN", "STRUCK")
	for _, r := range rows {
		var what []string
		if r.Delay > 0 {
			what = append(what, "delay "+r.Delay.String())
		}
		if r.Error != "" {
			what = append(what, "error "+r.Error)
		}
		if r.Lose {
			what = append(what, "answer lost")
		}
		of := cmp.Or(r.Method, "all methods")
		for key, value := range r.Metadata {
			of += " " + key + "=" + cmp.Or(value, "*")
		}
		if r.Percent > 0 && r.Percent < 100 {
			of = fmt.Sprintf("%v%% of %s", r.Percent, of)
		}
		t.Row(ui.Strong.Sprint(r.Service), shortID(r.Instance), strconv.Itoa(r.ID), strings.Join(what, ", "), of, r.Left.Round(time.Second).String(), strconv.FormatUint(r.Calls, 10))
	}
	return t
}
