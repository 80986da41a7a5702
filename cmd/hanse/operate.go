package main

import (
	"errors"
	"strings"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/control"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/spf13/cobra"
)

func newStart(u *ui.UI) *cobra.Command {
	return operate(u, control.Start, &cobra.Command{
		Use:   "start SERVICE…",
		Short: "Start services that are stopped, or programs that only call",
		Long: `Start services that were stopped, or that hanse dev starts on demand only, and wait until they are ready. A program that only calls
services is started by its own name.`,
		Example: `  hanse start cart
  hanse start loadgen`,
	})
}

func newStop(u *ui.UI) *cobra.Command {
	return operate(u, control.Stop, &cobra.Command{
		Use:     "stop SERVICE…",
		Short:   "Let services finish what they do and end them",
		Long:    `Stop all processes of services: they take no new calls, finish what they do, and end. The other services go on.`,
		Example: `  hanse stop recommendation`,
	})
}

func newRestart(u *ui.UI) *cobra.Command {
	return operate(u, control.Restart, &cobra.Command{
		Use:   "restart SERVICE…",
		Short: "Replace the processes of services, one at a time, losing no call",
		Long: `Replace the processes of services by new ones, one after the other: the new one is ready before the old one drains. When a new one does
not get ready, the old one stays.`,
		Example: `  hanse restart cart checkout`,
	})
}

func newScale(u *ui.UI) *cobra.Command {
	return operate(u, control.Scale, &cobra.Command{
		Use:   "scale SERVICE=N…",
		Short: "Run services in N copies",
		Long: `Start or end processes until there are N of each service, and wait until they are ready or have drained. Where a service runs in one
process with others (hanse dev --one), the further copies are processes of its own.`,
		Example: `  hanse scale catalog=3
  hanse scale catalog=1 cart=2`,
	})
}

// operated is the answer of the commands with --json.
type operated struct {
	Service string   `json:"service"`
	Did     []string `json:"did"`
}

// operate makes cmd carry out an action on its arguments.
func operate(u *ui.UI, action control.Action, cmd *cobra.Command) *cobra.Command {
	what := "the name of a service"
	if action == control.Scale {
		what = "SERVICE=N"
	}
	cmd.Args = argCount(1, -1, what)
	system := systemFlag(cmd)
	u.JSONFlag(cmd, "what was done")
	cmd.ValidArgsFunction = completeServices(system, map[bool]string{true: "="}[action == control.Scale])
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var requests []control.Request
		if action == control.Scale {
			for _, arg := range args {
				name, n, err := serviceCount(arg)
				if err != nil {
					return ui.Usagef("scale: %w", err).Then("write hanse scale cart=3")
				}
				requests = append(requests, control.Request{Action: action, Services: []string{name}, Replicas: n})
			}
		} else {
			requests = append(requests, control.Request{Action: action, Services: args})
		}
		sys, err := findSystem(system.name)
		if err != nil {
			return err
		}
		client := control.NewClient(sys.Control)
		report := []operated{}
		for _, r := range requests {
			did := operated{Service: strings.Join(r.Services, " "), Did: []string{}}
			bar := u.Progress("%s %s", action, did.Service)
			err := client.Do(cmd.Context(), r, func(text string) {
				if !strings.HasSuffix(text, "…") { // else it has only begun
					did.Did = append(did.Did, text)
				}
				bar.Set("%s", text)
			})
			bar.Done()
			if !u.JSON {
				for _, text := range did.Did {
					u.Printf("%s %s\n", ui.Good.Sprint("✓"), text)
				}
			}
			if err != nil {
				return asUI(err)
			}
			report = append(report, did)
		}
		if u.JSON {
			return u.PrintJSON(report)
		}
		return nil
	}
	return cmd
}

// asUI gives an error of hanse dev the shape of this command's.
func asUI(err error) error {
	if e, ok := errors.AsType[*control.Error](err); ok {
		return ui.Errorf("%s", e.What).Then("%s", e.Do)
	}
	return err
}

// completeServices completes the names of the services, and of the programs that only call, of the running system.
func completeServices(system *named, suffix string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		sys, err := findSystem(system.name)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		status, err := control.NewClient(sys.Control).Status(cmd.Context())
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []string
		for _, s := range status.Services {
			names = append(names, s.Name+suffix)
		}
		directive := cobra.ShellCompDirectiveNoFileComp
		if suffix != "" {
			directive |= cobra.ShellCompDirectiveNoSpace
		}
		return names, directive
	}
}
