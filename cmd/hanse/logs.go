package main

import (
	"encoding/json"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/control"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/logs"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/spf13/cobra"
)

func newLogs(u *ui.UI) *cobra.Command {
	var follow bool
	var lines int
	cmd := &cobra.Command{
		Use:   "logs [SERVICE]…",
		Short: "Show what services print",
		Long: `Show the last lines that the services of the running system printed; without a name those of all.

hanse dev keeps the last 20,000 lines. Under the name hanse it speaks itself: what it built, and why it restarted something.`,
		Example: `  hanse logs                   the last 100 lines of all services
  hanse logs -f cart payment   two services, and what they print from now on
  hanse logs -n 1000 --json cart`,
	}
	system := systemFlag(cmd)
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with new lines until Ctrl-C")
	cmd.Flags().IntVarP(&lines, "lines", "n", 100, "show the last `N` lines")
	u.JSONFlag(cmd, "one object per line")
	cmd.ValidArgsFunction = completeServices(system, "")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if lines < 0 {
			return ui.Usagef("logs: -n is %d", lines).Then("give the number of lines to show")
		}
		sys, err := findSystem(*system)
		if err != nil {
			return err
		}
		var r logs.Renderer
		client := control.NewClient(sys.Control)
		if status, err := client.Status(cmd.Context()); err == nil {
			for _, s := range status.Services {
				r.Width = max(r.Width, len(s.Name))
			}
		}
		enc := json.NewEncoder(u.Out)
		enc.SetEscapeHTML(false)
		err = client.Logs(cmd.Context(), args, lines, follow, func(l logs.Line) {
			if u.JSON {
				_ = enc.Encode(l) // a reader that is gone ends the command by a signal
				return
			}
			u.Printf("%s", r.Render(l))
		})
		return asUI(err)
	}
	return cmd
}
