package main

import (
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/spf13/cobra"
)

// group is a heading in the help of the root command with the commands below it, in the order in which they are shown.
type group struct {
	title    string
	commands []*cobra.Command
}

// newRoot returns the command hanse with all that it can do.
func newRoot(u *ui.UI) *cobra.Command {
	groups := []group{
		{"Write", []*cobra.Command{newNew(u), newGen(u)}},
		{"Run", []*cobra.Command{newDev(u), newRun(u), newGateway(u), newHub(u), newStart(u), newStop(u), newRestart(u), newScale(u), newSplit(u)}},
		{"Look and try", []*cobra.Command{newCall(u), newPs(u), newTop(u), newLogs(u), newTrace(u), newLevel(u), newProfile(u), newAdvise(u), newEvents(u), newDashboard(u), newMCP(u)}},
		{"Protect and drill", []*cobra.Command{newPolicy(u), newChaos(u)}},
		{"More", []*cobra.Command{newContext(u), newCompletion(u), newVersion(u)}},
	}
	root := &cobra.Command{
		Use:   "hanse",
		Short: "Write ordinary gRPC services; run them as one process or as a hundred",
		Example: `  hanse new greeter                      a service that builds, tests and answers
  cd greeter && hanse dev                run it; what changes is restarted
  hanse call greeter/Hello name=World    call it from another terminal, without stubs
  hanse ps                               see what runs`,
		Args:              noSuchCommand(&groups),
		RunE:              func(cmd *cobra.Command, args []string) error { return cmd.Help() },
		Version:           buildVersion().String(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.SetOut(u.Out)
	root.SetErr(u.Err)
	root.SetFlagErrorFunc(flagError)
	root.SetHelpFunc(help(u, groups))
	root.SetHelpCommand(newHelp(u))
	for _, g := range groups {
		for _, cmd := range g.commands {
			cmd.DisableFlagsInUseLine = true
			root.AddCommand(cmd)
		}
	}
	root.AddCommand(newGuard())
	root.SetVersionTemplate("hanse {{.Version}}\n")
	root.PersistentFlags().BoolP("help", "h", false, "explain the command")
	return root
}
