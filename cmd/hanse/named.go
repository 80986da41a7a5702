package main

import (
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// named is a flag with a name for something, which a variable names where the flag does not. The zero value names nothing.
type named struct {
	name string // "": nothing
	flag *pflag.Flag
}

// namedFlag gives cmd such a flag.
func namedFlag(cmd *cobra.Command, flag, variable, usage string) *named {
	n := new(named)
	cmd.Flags().StringVar(&n.name, flag, os.Getenv(variable), usage)
	n.flag = cmd.Flags().Lookup(flag)
	return n
}

// given reports whether the flag names it, whether or not the variable names the same.
func (n *named) given() bool { return n.flag != nil && n.flag.Changed && n.name != "" }
