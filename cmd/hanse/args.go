package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// argCount returns a validator that wants between low and high arguments (high -1: any number) and names them by what.
func argCount(low, high int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < low:
			return ui.Usagef("%s needs %s", commandName(cmd), what).Then("usage: %s", cmd.UseLine())
		case high >= 0 && len(args) > high:
			return ui.Usagef("%s does not take %q", commandName(cmd), args[high]).Then("usage: %s", cmd.UseLine())
		}
		return nil
	}
}

// noSuchCommand refuses arguments of the root command, which are mistyped commands.
func noSuchCommand(groups *[]group) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		var names []string
		for _, g := range *groups {
			for _, c := range g.commands {
				names = append(names, c.Name())
			}
		}
		do := "hanse help lists the commands"
		if near := ui.Nearest(args[0], names); len(near) > 0 {
			do = "did you mean " + ui.List(near, "or") + "?"
		}
		return ui.Usagef("there is no command %q", args[0]).Then("%s", do)
	}
}

// flagError turns what pflag says about a flag into an error of ours, with the nearest flag.
func flagError(cmd *cobra.Command, err error) error {
	name := commandName(cmd)
	var missing *pflag.NotExistError
	if !errors.As(err, &missing) {
		return ui.Usagef("%s: %w", name, err).Then("%s --help explains the flags", cmd.CommandPath())
	}
	if missing.GetSpecifiedShortnames() != "" {
		return ui.Usagef("%s has no flag -%s", name, missing.GetSpecifiedName()).Then("%s --help lists its flags", cmd.CommandPath())
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
	flag := "--" + strings.TrimLeft(missing.GetSpecifiedName(), "-")
	do := fmt.Sprintf("%s --help lists its flags", cmd.CommandPath())
	if near := ui.Nearest(flag, names); len(near) > 0 {
		do = "did you mean " + ui.List(near, "or") + "?"
	}
	return ui.Usagef("%s has no flag %s", name, flag).Then("%s", do)
}

// commandName is the path of a command below hanse, which begins every error already; for the root itself it is "hanse".
func commandName(cmd *cobra.Command) string {
	if !cmd.HasParent() {
		return cmd.Name()
	}
	return strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
}
