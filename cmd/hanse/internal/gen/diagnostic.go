package gen

import (
	"fmt"
	"strings"
)

// Diagnostic is a remark about a place in a .proto file.
type Diagnostic struct {
	File    string `json:"file"`   // as the user would name it
	Line    int    `json:"line"`   // from 1; 0 when the remark is about the whole file
	Column  int    `json:"column"` // from 1, in characters
	Message string `json:"message"`

	source string // the line
}

// String returns "file:line:column: message".
func (d Diagnostic) String() string {
	switch {
	case d.File == "":
		return d.Message
	case d.Line == 0:
		return d.File + ": " + d.Message
	}
	return fmt.Sprintf("%s:%d:%d: %s", d.File, d.Line, d.Column, d.Message)
}

// Excerpt returns the source line and, below it, a caret under the column; "" when the line is not known.
func (d Diagnostic) Excerpt() string {
	if d.Line == 0 || strings.TrimSpace(d.source) == "" {
		return ""
	}
	var pad strings.Builder
	for i, r := range []rune(d.source) {
		if i >= d.Column-1 {
			break
		}
		if r == '\t' {
			pad.WriteByte('\t')
		} else {
			pad.WriteByte(' ')
		}
	}
	return fmt.Sprintf("%5d | %s\n      | %s^", d.Line, d.source, pad.String())
}

// SourceError is returned for .proto files with mistakes.
type SourceError struct{ Diagnostics []Diagnostic }

// Error lists all mistakes, one on a line.
func (e *SourceError) Error() string {
	lines := make([]string, len(e.Diagnostics))
	for i, d := range e.Diagnostics {
		lines[i] = d.String()
	}
	return strings.Join(lines, "\n")
}
