package main

import (
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/spf13/cobra"
)

func newCompletion(u *ui.UI) *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print a script that completes hanse in bash, zsh, fish or powershell",
		Long: `Print a script that completes commands, flags and the names of running services in your shell.
SHELL is bash, zsh, fish or powershell.`,
		Example: `  source <(hanse completion bash)                                     now, in bash
  hanse completion zsh > "${fpath[1]}/_hanse"                         for good, in zsh
  hanse completion fish > ~/.config/fish/completions/hanse.fish       for good, in fish`,
		Args:      argCount(1, 1, "the name of a shell"),
		ValidArgs: shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(u.Out, true)
			case "zsh":
				return root.GenZshCompletion(u.Out)
			case "fish":
				return root.GenFishCompletion(u.Out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(u.Out)
			}
			return ui.Usagef("there is no completion for the shell %q", args[0]).Then("%s", ui.DidYouMean(args[0], shells))
		},
	}
}
