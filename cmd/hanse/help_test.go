package main

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// commands returns all commands that help lists, without the root.
func commands(t *testing.T) []*cobra.Command {
	t.Helper()
	var all []*cobra.Command
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() {
				all = append(all, c)
				walk(c)
			}
		}
	}
	walk(newRoot(&ui.UI{Out: io.Discard, Err: io.Discard}))
	if len(all) < 40 {
		t.Fatalf("%d commands", len(all))
	}
	return all
}

// All help speaks alike: a line that begins with a verb, sentences, flags that are named and written the same wherever they do the same.
func TestHelpSpeaksAlike(t *testing.T) {
	type usage struct{ command, short, value string }
	flags := make(map[string]usage)
	for _, cmd := range commands(t) {
		name := commandName(cmd)
		if s := cmd.Short; s == "" || len(s) > 80 || !unicode.IsUpper(rune(s[0])) || strings.HasSuffix(s, ".") {
			t.Errorf("%s: the line about it is %q", name, s)
		}
		if l := cmd.Long; l != "" && (!unicode.IsUpper(rune(l[0])) || !strings.Contains(l, ".")) {
			t.Errorf("%s: the text about it has no sentences: %q", name, l)
		}
		for line := range strings.Lines(cmd.Long + "\n" + cmd.Example) {
			if n := len([]rune(strings.TrimRight(line, "\n"))); n > 160 || strings.Contains(line, "\t") {
				t.Errorf("%s: a line of %d characters: %s", name, n, line)
			}
		}
		if cmd.Example == "" && name != "version" {
			t.Errorf("%s has no example", name)
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			value, text := pflag.UnquoteUsage(f)
			if text == "" || unicode.IsUpper([]rune(text)[0]) && !strings.HasPrefix(text, strings.ToUpper(value)) || strings.HasSuffix(text, ".") || strings.Contains(text, "(default: ") || strings.Contains(text, "(repeatable)") {
				t.Errorf("%s --%s: %q", name, f.Name, text)
			}
			// Of one name there is one letter, and one word for its value.
			if value == "duration" || value == "int" || value == "string" || value == "strings" || value == "float" {
				t.Errorf("%s --%s: nothing says what its %s is", name, f.Name, value)
			}
			other, seen := flags[f.Name]
			if !seen {
				flags[f.Name] = usage{name, f.Shorthand, strings.ToUpper(value)}
				return
			}
			if other.short != f.Shorthand && !slices.Contains([]string{"all", "header"}, f.Name) { // of split it makes a rule, and what drops all has no short way
				t.Errorf("--%s is -%s of %s, and -%s of %s", f.Name, f.Shorthand, name, other.short, other.command)
			}
			others := []string{"header", "key", "open", "source", "tls", "trace"}                                                     // what they mean is something else
			if other.value != strings.ToUpper(value) && !slices.Contains(others, f.Name) && name != "run" && other.command != "run" { // its are those of programs
				t.Errorf("--%s takes %s in %s, and %s in %s", f.Name, strings.ToUpper(value), name, other.value, other.command)
			}
		})
	}
}

// A command that takes --context either only looks, or has --confirm for a system in production.
func TestContextCommands(t *testing.T) {
	looks := []string{
		"dashboard", "mcp", "ps", "profile", "top", "logs", "trace ls", "trace show", "trace tail", "advise",
		"events ls", "events tail", "events dead ls", "events dead show",
	}
	changes := []string{"call", "policy set", "split", "level", "chaos", "events publish", "events replay", "events dead redeliver", "events dead drop"}
	var looked, changed []string
	for _, cmd := range commands(t) {
		switch {
		case cmd.Flags().Lookup("confirm") != nil:
			changed = append(changed, commandName(cmd))
		case cmd.Flags().Lookup("context") != nil:
			looked = append(looked, commandName(cmd))
		}
	}
	for _, list := range [][]string{looks, changes, looked, changed} {
		slices.Sort(list)
	}
	if !slices.Equal(looks, looked) || !slices.Equal(changes, changed) {
		t.Errorf("with --context: only looking %q, want %q; changing %q, want %q", looked, looks, changed, changes)
	}
}

// Examples are what the command takes: their flags and arguments are there.
func TestHelpExamples(t *testing.T) {
	comment := regexp.MustCompile(` {2,}\S.*$`)
	checked := 0
	for _, cmd := range append(commands(t), newRoot(&ui.UI{Out: io.Discard, Err: io.Discard})) {
		own := 0
		for line := range strings.Lines(cmd.Example) {
			line = comment.ReplaceAllString(strings.TrimSpace(line), "")
			for _, part := range regexp.MustCompile(`&&|<\(`).Split(line, -1) {
				words, err := shellWords(part)
				if err != nil {
					t.Errorf("%s: %s: %v", commandName(cmd), line, err)
				}
				for len(words) > 0 && strings.Contains(words[0], "=") { // variables
					words = words[1:]
				}
				if len(words) == 0 || words[0] != "hanse" {
					continue
				}
				checked++
				root := newRoot(&ui.UI{Out: io.Discard, Err: io.Discard})
				found, rest, err := root.Find(words[1:])
				if err != nil || found == root && len(rest) > 0 {
					t.Errorf("%s: %s: there is no such command", commandName(cmd), line)
					continue
				}
				if strings.HasPrefix(commandName(found), commandName(cmd)) || !cmd.HasParent() {
					own++
				}
				if err := found.ParseFlags(rest); err != nil {
					t.Errorf("%s: %s: %v", commandName(cmd), line, err)
				} else if err := found.ValidateArgs(found.Flags().Args()); err != nil {
					t.Errorf("%s: %s: %v", commandName(cmd), line, err)
				} else if err := found.ValidateFlagGroups(); err != nil {
					t.Errorf("%s: %s: %v", commandName(cmd), line, err)
				}
			}
		}
		if own == 0 && cmd.Example != "" {
			t.Errorf("%s: no example is of it", commandName(cmd))
		}
	}
	if checked < 100 {
		t.Errorf("%d examples are checked", checked)
	}
}

// shellWords splits a command as a shell does, up to a pipe.
func shellWords(line string) (words []string, err error) {
	var word strings.Builder
	begun, quote := false, rune(0)
	end := func() {
		if begun {
			words = append(words, word.String())
		}
		word.Reset()
		begun = false
	}
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, begun = r, true
		case r == ' ':
			end()
		case r == '|' || r == '>' || r == ';' || r == ')':
			end()
			return words, nil
		case r == '?' || r == '*' || r == '$' || r == '&':
			return nil, fmt.Errorf("%q is the shell's: quote it", r)
		default:
			begun = true
			word.WriteRune(r)
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("%q is not closed", quote)
	}
	end()
	return words, nil
}
