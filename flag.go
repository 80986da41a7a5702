package hanse

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/hanse-go/hanse/internal/nearest"
)

// settingFlag is a setting as a [flag.Value].
type settingFlag struct {
	*setting
	values *values
	seen   bool
}

func (f *settingFlag) String() string { return "" }

func (f *settingFlag) Set(s string) error {
	if !f.seen && f.reset != nil { // what the environment said
		f.reset(f.values)
	}
	f.seen = true
	return f.apply(f.values, s)
}

// IsBoolFlag tells package flag that the flag may stand without a value.
func (f *settingFlag) IsBoolFlag() bool { return f.arg == "" }

// fromFlags applies the command line. It returns [flag.ErrHelp] when help was asked for and given.
func (v *values) fromFlags(program string, services []*Service) error {
	if flag.Parsed() {
		return nil
	}
	fs := flag.CommandLine
	var own []*flag.Flag
	fs.VisitAll(func(f *flag.Flag) { own = append(own, f) })
	var errs []error
	for _, s := range settings() {
		if fs.Lookup(s.flag) != nil {
			errs = append(errs, fmt.Errorf("the flag -%s is registered by this program, but Main has one of that name: rename the program's", s.flag))
			continue
		}
		fs.Var(&settingFlag{setting: s, values: v}, s.flag, s.help)
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	fs.Init(program, flag.ContinueOnError)
	fs.SetOutput(io.Discard) // errors are reported by Main, and help goes to standard output
	fs.Usage = func() {}
	err := fs.Parse(os.Args[1:])
	fs.SetOutput(os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		writeHelp(os.Stdout, program, v.offered, own)
		return err
	case err != nil:
		return fmt.Errorf("%w%s; %s --help lists the flags", err, v.flagHint(err), program)
	case fs.NArg() > 0:
		arg := fs.Arg(0)
		if slices.Contains(v.offered, arg) {
			return fmt.Errorf("unexpected argument %q: did you mean --services=%s?", arg, arg)
		}
		return fmt.Errorf("unexpected argument %q; %s --help lists the flags", arg, program)
	}
	return nil
}

// flagHint names the flag that was probably meant by one that does not exist.
func (v *values) flagHint(err error) string {
	name, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
	if !ok {
		return ""
	}
	var names []string
	flag.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	if near := nearest.Name(strings.TrimPrefix(name, "-"), names); near != "" {
		return ", did you mean --" + near + "?"
	}
	return ""
}

// writeHelp describes the program: its services, Main's flags with their variables, and its own flags.
func writeHelp(w io.Writer, program string, services []string, own []*flag.Flag) {
	var b strings.Builder
	fmt.Fprintf(&b, "Usage: %s [flags]\n\nServices: %s\n", program, strings.Join(services, ", "))
	group := ""
	for _, s := range settings() {
		if s.group != group {
			group = s.group
			fmt.Fprintf(&b, "\n%s\n", group)
		}
		left := "--" + s.flag
		if s.arg != "" {
			left += " " + s.arg
		}
		if s.env != "" {
			fmt.Fprintf(&b, "  %-34s %s\n", left, s.env)
		} else {
			fmt.Fprintf(&b, "  %s\n", left)
		}
		for _, line := range wrap(s.help, 84) {
			fmt.Fprintf(&b, "      %s\n", line)
		}
	}
	if len(own) > 0 {
		fmt.Fprintf(&b, "\nFlags of %s\n", program)
		for _, f := range own {
			arg, usage := flag.UnquoteUsage(f)
			left := "--" + f.Name
			if arg != "" {
				left += " " + arg
			}
			if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" {
				usage += fmt.Sprintf(" (default %s)", f.DefValue)
			}
			fmt.Fprintf(&b, "  %s\n", left)
			for _, line := range wrap(usage, 84) {
				fmt.Fprintf(&b, "      %s\n", line)
			}
		}
	}
	b.WriteString("\nFlags take one dash or two. A flag wins over its environment variable. Where there may be several\n" +
		"addresses, registries or targets, repeat the flag or put spaces between them in the variable.\n")
	io.WriteString(w, b.String())
}

// wrap breaks a text into lines of at most width bytes, between words.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
