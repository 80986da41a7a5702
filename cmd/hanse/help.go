package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// help returns the function that prints the help of the root command (its groups) and of every other one.
func help(u *ui.UI, groups []group) func(*cobra.Command, []string) {
	return func(cmd *cobra.Command, _ []string) {
		if cmd.HasParent() {
			commandHelp(u, cmd)
			return
		}
		rootHelp(u, cmd, groups)
	}
}

func rootHelp(u *ui.UI, root *cobra.Command, groups []group) {
	fmt.Fprintf(u.Out, "%s\n%s.\n\n%s\n", ui.Strong.Sprint("Hanse"), root.Short, heading("Usage"))
	fmt.Fprintf(u.Out, "  hanse COMMAND [flags]\n")
	width := 0
	for _, g := range groups {
		for _, cmd := range g.commands {
			width = max(width, len(cmd.Name()))
		}
	}
	for _, g := range groups {
		if len(g.commands) == 0 {
			continue
		}
		fmt.Fprintf(u.Out, "\n%s\n", heading(g.title))
		for _, cmd := range g.commands {
			fmt.Fprintf(u.Out, "  %s%s  %s\n", ui.Accent.Sprint(cmd.Name()), strings.Repeat(" ", width-len(cmd.Name())), cmd.Short)
		}
	}
	if root.Example != "" {
		fmt.Fprintf(u.Out, "\n%s\n%s\n", heading("Examples"), root.Example)
	}
	fmt.Fprintf(u.Out, "\n%s explains a command.\n", ui.Accent.Sprint("hanse help COMMAND"))
}

func commandHelp(u *ui.UI, cmd *cobra.Command) {
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	fmt.Fprintf(u.Out, "%s\n\n%s\n  %s\n", text, heading("Usage"), cmd.UseLine())
	table := ui.NewTable("", "")
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			table.Row("  "+ui.Accent.Sprint(c.Name()), c.Short)
		}
	}
	if table.Len() > 0 {
		fmt.Fprintf(u.Out, "\n%s\n", heading("Commands"))
		table.WriteTo(u.Out)
	}
	if cmd.Example != "" {
		fmt.Fprintf(u.Out, "\n%s\n%s\n", heading("Examples"), cmd.Example)
	}
	writeFlags(u.Out, cmd.LocalFlags())
}

// writeFlags lists flags in two columns: how they are written, and what they do with their default.
func writeFlags(w io.Writer, flags *pflag.FlagSet) {
	table := ui.NewTable("", "")
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		name := "    --" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", --" + f.Name
		}
		if value != "" {
			name += " " + strings.ToUpper(value)
		}
		switch f.DefValue {
		case "", "false", "0", "0s", "[]":
		default:
			usage += ui.Faint.Sprint(" (default " + f.DefValue + ")")
		}
		table.Row("  "+name, usage)
	})
	if table.Len() > 0 {
		fmt.Fprintf(w, "\n%s\n", heading("Flags"))
		table.WriteTo(w)
	}
}

func heading(text string) string { return ui.Strong.Sprint(text) }

// newHelp returns the command help, which is only another spelling of --help.
func newHelp(u *ui.UI) *cobra.Command {
	return &cobra.Command{
		Use:    "help [COMMAND]",
		Short:  "Explain a command",
		Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			found, rest, err := root.Find(args)
			if err != nil {
				return err
			}
			if found == root && len(rest) > 0 {
				return root.Args(root, rest)
			}
			return found.Help()
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			var names []string
			if len(args) == 0 {
				for _, c := range cmd.Root().Commands() {
					if c.IsAvailableCommand() {
						names = append(names, c.Name()+"\t"+c.Short)
					}
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}
