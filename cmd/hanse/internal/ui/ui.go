// Package ui is the voice of the hanse command: what it prints, where, and in which colours, so that every command speaks alike.
//
// A [UI] is made once by main and handed to each command. Results go to Out, everything about the work on them (progress, notes,
// errors) to Err. Text may be styled with [Style] or any ANSI sequence: the writers remove what the other end cannot show, so that
// a pipe, a file, a dumb terminal and NO_COLOR need no thought in a command.
package ui

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/charmbracelet/colorprofile"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// UI is where a command reads and writes. Make one with [New].
type UI struct {
	In  io.Reader
	Out io.Writer // results
	Err io.Writer // notes, progress and errors

	// JSON is set by the flag --json of the commands that have it: Out gets JSON and nothing else.
	JSON bool

	// Terminal reports whether Err is a terminal that can redraw a line; InTerminal and OutTerminal, whether In and Out are terminals.
	Terminal, InTerminal, OutTerminal bool

	width int
	size  func() (columns, rows int) // now; nil: there is no terminal
}

// New returns a UI on the given files, with colours as env (in the form of [os.Environ]) and the files allow.
func New(in, out, errw *os.File, env []string) *UI {
	u := &UI{
		In:          in,
		Out:         writer(out, env),
		Err:         writer(errw, env),
		Terminal:    isTerminal(errw) && lookup(env, "TERM") != "dumb",
		InTerminal:  isTerminal(in),
		OutTerminal: isTerminal(out),
	}
	for _, f := range []*os.File{out, errw} {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			u.width = w
			u.size = func() (int, int) {
				w, h, err := term.GetSize(int(f.Fd()))
				if err != nil {
					return 0, 0
				}
				return w, h
			}
			break
		}
	}
	return u
}

// Width is the width of the terminal in columns, and 100 where there is none.
func (u *UI) Width() int {
	if u.width == 0 {
		return 100
	}
	return u.width
}

// Size is how many columns and rows the terminal has now, and 100 and 40 where that is not known.
func (u *UI) Size() (columns, rows int) {
	if u.size != nil {
		columns, rows = u.size()
	}
	if columns <= 0 {
		columns = u.Width()
	}
	if rows <= 0 {
		rows = 40
	}
	return columns, rows
}

// Printf writes a result.
func (u *UI) Printf(format string, args ...any) { fmt.Fprintf(u.Out, format, args...) }

// Notef writes a line about the work, which is no result.
func (u *UI) Notef(format string, args ...any) { fmt.Fprintf(u.Err, format+"\n", args...) }

// JSONFlag gives cmd the flag --json, which sets JSON. What is printed then follows what: "an array of files".
func (u *UI) JSONFlag(cmd *cobra.Command, what string) {
	cmd.Flags().BoolVar(&u.JSON, "json", false, "print "+what+" as JSON")
}

// PrintJSON writes v to Out as indented JSON.
func (u *UI) PrintJSON(v any) error {
	enc := json.NewEncoder(u.Out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// writer returns a writer to f that reduces colours to what f shows.
func writer(f *os.File, env []string) io.Writer {
	if lookup(env, "NO_COLOR") != "" { // any value counts, also those that strconv.ParseBool does not take
		env = append(env[:len(env):len(env)], "NO_COLOR=1")
	}
	profile := colorprofile.NoTTY
	switch {
	case isTerminal(f):
		profile = colorprofile.Env(env) // not Detect, which may run tmux
	case lookup(env, "CLICOLOR_FORCE") == "1" && lookup(env, "NO_COLOR") == "":
		profile = max(colorprofile.ANSI, colorprofile.Env(env))
	}
	return &colorprofile.Writer{Forward: f, Profile: profile}
}

// lookup returns the last value of name in env, in which later ones win.
func lookup(env []string, name string) (value string) {
	for _, e := range env {
		if len(e) > len(name) && e[len(name)] == '=' && e[:len(name)] == name {
			value = e[len(name)+1:]
		}
	}
	return value
}
