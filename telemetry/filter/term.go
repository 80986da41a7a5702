package filter

import (
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Filter says which records are wanted. The zero value matches all. It is never changed and safe for concurrent use.
type Filter struct {
	terms []Term
}

// Term is one condition. A text has no Name and one Value.
type Term struct {
	Negated bool
	Field   Field   // "" for an attribute and for a text
	Name    string  // of the field or the attribute
	Op      Op      // "" for a text
	Values  []Value // one of which must match; for a comparison there is one
	Pos     int     // where it begins in the text that was parsed, in bytes
}

// Op is how a field is compared.
type Op string

// The ways to compare. Is and Equal differ for a level only, where Is means it and what is worse.
const (
	Is      Op = ":"
	Equal   Op = "="
	Greater Op = ">"
	AtLeast Op = ">="
	Less    Op = "<"
	AtMost  Op = "<="
)

// Value is what a term looks for.
type Value struct {
	Text    string         // without quotes; of a regular expression its source
	Regexp  *regexp.Regexp // of /…/, else nil; it looks anywhere in the text
	NoCase  bool           // /…/i; Regexp has it built in
	Pattern bool           // each * in Text stands for any text

	Level    slog.Level    // of the field level
	Number   float64       // of a comparison of numbers
	Duration time.Duration // of a comparison of durations
	Unit     bool          // the comparison is one of durations
}

// IsText reports whether the term looks for text, and not at a field.
func (t Term) IsText() bool { return t.Name == "" }

// Terms returns the conditions, all of which must hold, in the order in which they were written. They belong to the caller, except for
// their Values.
func (f Filter) Terms() []Term { return slices.Clone(f.terms) }

// And returns the filter that matches what both match.
func (f Filter) And(g Filter) Filter { return Filter{terms: slices.Concat(f.terms, g.terms)} }

// Empty reports whether f matches everything because it has no conditions.
func (f Filter) Empty() bool { return len(f.terms) == 0 }

// String returns a text that [Parse] makes an equal filter of.
func (f Filter) String() string {
	var b strings.Builder
	for i, t := range f.terms {
		if i > 0 {
			b.WriteByte(' ')
		}
		t.write(&b)
	}
	return b.String()
}

// String returns the term as it may stand in a filter.
func (t Term) String() string {
	var b strings.Builder
	t.write(&b)
	return b.String()
}

func (t Term) write(b *strings.Builder) {
	if t.Negated {
		b.WriteByte('-')
	}
	if t.IsText() {
		t.Values[0].write(b, false)
		return
	}
	if f, meant := fieldOf(t.Name); t.Field == "" && (f != "" || meant != "") {
		b.WriteByte('@')
	}
	b.WriteString(t.Name)
	b.WriteString(string(t.Op))
	for i, v := range t.Values {
		if i > 0 {
			b.WriteByte(',')
		}
		v.write(b, true)
	}
}

// write writes a text or, with field set, the value of a field.
func (v Value) write(b *strings.Builder, field bool) {
	switch {
	case v.Regexp != nil:
		b.WriteByte('/')
		writeEscaped(b, v.Text, '/')
		b.WriteByte('/')
		if v.NoCase {
			b.WriteByte('i')
		}
	case bare(v, field):
		b.WriteString(v.Text)
	default:
		b.WriteByte('"')
		writeEscaped(b, v.Text, '"')
		b.WriteByte('"')
	}
}

// bare reports whether v is read as it is without quotes.
func bare(v Value, field bool) bool {
	if v.Text == "" || !field && strings.HasPrefix(v.Text, "/") { // which may be a regular expression together with what follows
		return false
	}
	s := scanner{query: v.Text}
	if field {
		got, err := s.value()
		return err == nil && s.pos == len(v.Text) && got.Regexp == nil && got.Text == v.Text && got.Pattern == v.Pattern
	}
	t, err := s.term()
	return err == nil && s.pos == len(v.Text) && t.IsText() && !t.Negated && t.Values[0].Regexp == nil && t.Values[0].Text == v.Text
}

// writeEscaped writes text so that it does not end at a mark. In quotes a backslash is one that is written twice; in a regular
// expression it is part of it, and the mark cannot stand alone.
func writeEscaped(b *strings.Builder, text string, mark byte) {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case mark == '/' && c == '\\' && i+1 < len(text):
			b.WriteByte(c)
			i++
			b.WriteByte(text[i])
		case c == mark, mark == '"' && c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
}
