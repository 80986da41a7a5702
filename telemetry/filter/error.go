package filter

import (
	"fmt"
	"unicode/utf8"
)

// Error is what is wrong in the text of a filter, and where.
type Error struct {
	Query   string // the text
	Pos     int    // where it is, in bytes from 0
	End     int    // where that ends; Pos < End, except at the end of the text
	Message string // what is wrong and what to do, without the place
}

// Error tells the place as a column, from 1.
func (e *Error) Error() string {
	return fmt.Sprintf("column %d: %s", e.Column(), e.Message)
}

// Column is the number of the first character that is wrong, from 1.
func (e *Error) Column() int { return utf8.RuneCountInString(e.Query[:e.Pos]) + 1 }
