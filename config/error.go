package config

import (
	"fmt"
	"strings"
)

// Error is one setting that cannot be used. [Loader.Load] and [Loader.Check] return all that they find at once, joined with
// [errors.Join].
//
// A Validate method may return such errors, too, alone or joined, with Path (of a setting within its struct, such as rules[1].name) and Reason:
// they are shown with where the setting stands.
type Error struct {
	Path   string // of the setting, such as cart.max-items; empty when the file as a whole is meant
	Source Source // where the bad value stands
	Reason string // what is wrong and what to do
	Line   string // the line of the file, without the values that stand beside the bad one; empty elsewhere and where it may be secret

	caret, width int // where in Line the bad part begins and how many characters it has
}

// Error returns "shop.yaml:3:3: cart.max-itmes: …", followed by the line with a caret below what is wrong.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Source.Kind != Default {
		b.WriteString(e.Source.String() + ": ")
	}
	if e.Path != "" {
		b.WriteString(e.Path + ": ")
	}
	b.WriteString(e.Reason)
	if e.Line == "" {
		return b.String()
	}
	fmt.Fprintf(&b, "\n    %s\n    ", e.Line)
	for i, r := range []rune(e.Line) {
		switch {
		case i < e.caret && r == '\t':
			b.WriteByte('\t') // so that the caret stands below its mark at every width of tabs
		case i < e.caret:
			b.WriteByte(' ')
		case i < e.caret+e.width:
			b.WriteByte('^')
		}
	}
	return b.String()
}
