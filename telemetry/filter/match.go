package filter

import (
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Record is what a filter is applied to: a log line or a span.
type Record interface {
	// Texts calls yield with each text in which words are looked for, until it returns false.
	Texts(yield func(string) bool)
	// Field returns the value of a field, and false where the record has none. A level is a [slog.Level] or a text that [ParseLevel]
	// reads, a duration a [time.Duration], the status of a span error, refused, ok or unset, an ID a text in hex, in small letters.
	Field(Field) (slog.Value, bool)
	// Attr returns the attribute of a name.
	Attr(name string) (slog.Value, bool)
}

// Match reports whether r is wanted.
func (f Filter) Match(r Record) bool {
	for i := range f.terms {
		if f.terms[i].match(r) == f.terms[i].Negated {
			return false
		}
	}
	return true
}

// codes are the attributes in which a call's code is.
var codes = []string{"rpc.response.status_code", "http.response.status_code", "rpc.grpc.status_code", "http.status_code"}

// match leaves out whether the term is negated.
func (t *Term) match(r Record) bool {
	if t.IsText() {
		found := false
		r.Texts(func(text string) bool {
			found = t.Values[0].in(text)
			return !found
		})
		return found
	}
	if t.Field == "" {
		value, ok := r.Attr(t.Name)
		return ok && t.holds(value)
	}
	value, ok := r.Field(t.Field)
	if !ok {
		value, ok = r.Attr(t.Name)
	}
	if ok && t.holds(value) {
		return true
	}
	if t.Field == Status {
		for _, name := range codes {
			if value, ok := r.Attr(name); ok && t.holds(value) {
				return true
			}
		}
	}
	return false
}

// holds reports whether what the term asks of a field is so for a value of it.
func (t *Term) holds(value slog.Value) bool {
	if t.Field == Level {
		return t.levelHolds(value)
	}
	if t.compares() {
		v := &t.Values[0]
		if v.Unit {
			d, ok := duration(value)
			return ok && compare(t.Op, d, v.Duration)
		}
		n, ok := number(value)
		return ok && compare(t.Op, n, v.Number)
	}
	text := value.String()
	for i := range t.Values {
		if t.Values[i].is(t.Field, text) {
			return true
		}
	}
	return false
}

func (t *Term) levelHolds(value slog.Value) bool {
	level, ok := levelIn(value)
	for i := range t.Values {
		v := &t.Values[i]
		switch {
		case v.Pattern:
			return true
		case !ok:
		case t.Op == Is && level >= v.Level, t.Op == Equal && level == v.Level, t.compares() && compare(t.Op, level, v.Level):
			return true
		}
	}
	return false
}

func levelIn(value slog.Value) (slog.Level, bool) {
	if l, ok := value.Any().(slog.Level); ok {
		return l, true
	}
	l, err := ParseLevel(value.String())
	return l, err == nil
}

func compare[T float64 | time.Duration | slog.Level](op Op, a, b T) bool {
	switch op {
	case Greater:
		return a > b
	case AtLeast:
		return a >= b
	case Less:
		return a < b
	case AtMost:
		return a <= b
	}
	return false
}

func number(value slog.Value) (float64, bool) {
	switch value.Kind() {
	case slog.KindInt64:
		return float64(value.Int64()), true
	case slog.KindUint64:
		return float64(value.Uint64()), true
	case slog.KindFloat64:
		return value.Float64(), true
	case slog.KindString:
		n, err := strconv.ParseFloat(value.String(), 64)
		return n, err == nil
	}
	return 0, false
}

func duration(value slog.Value) (time.Duration, bool) {
	switch value.Kind() {
	case slog.KindDuration:
		return value.Duration(), true
	case slog.KindString:
		d, err := time.ParseDuration(value.String())
		return d, err == nil
	}
	return 0, false
}

// in reports whether v is somewhere in a text.
func (v *Value) in(text string) bool {
	if v.Regexp != nil {
		return v.Regexp.MatchString(text)
	}
	return contains(text, v.Text)
}

// is reports whether the text of a field is v.
func (v *Value) is(f Field, text string) bool {
	switch {
	case v.Regexp != nil:
		return v.Regexp.MatchString(text)
	case v.Pattern:
		if f == Method && like(text, "*/"+v.Text) || like(text, v.Text) {
			return true
		}
		return f == Method && like(text, "*."+v.Text)
	case strings.EqualFold(text, v.Text):
		return true
	}
	switch f {
	case Method:
		want := strings.TrimPrefix(v.Text, "/")
		rest, ok := cutSuffixFold(text, want)
		return ok && want != "" && (rest == "" || strings.HasSuffix(rest, "/") || strings.HasSuffix(rest, "."))
	case Status:
		return strings.EqualFold(strings.ReplaceAll(text, "_", ""), strings.ReplaceAll(v.Text, "_", ""))
	case Trace, Span:
		return v.Text != "" && len(text) > len(v.Text) && strings.EqualFold(text[:len(v.Text)], v.Text)
	}
	return false
}

func cutSuffixFold(text, suffix string) (string, bool) {
	at := len(text) - len(suffix)
	if at < 0 || !strings.EqualFold(text[at:], suffix) {
		return text, false
	}
	return text[:at], true
}

// like reports whether text is what a pattern says, in which each * stands for any text.
func like(text, pattern string) bool {
	text, pattern = strings.ToLower(text), strings.ToLower(pattern)
	first, pattern, some := strings.Cut(pattern, "*")
	text, ok := strings.CutPrefix(text, first)
	if !ok || !some {
		return ok && text == ""
	}
	for {
		part, rest, more := strings.Cut(pattern, "*")
		if !more {
			return strings.HasSuffix(text, part)
		}
		_, text, ok = strings.Cut(text, part)
		if !ok {
			return false
		}
		pattern = rest
	}
}

// contains reports whether part is in text, capitals or not.
func contains(text, part string) bool {
	if ascii(part) && ascii(text) {
		return containsASCII(text, part)
	}
	return strings.Contains(strings.ToLower(text), strings.ToLower(part))
}

func ascii(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// containsASCII takes no memory: it is called for each text of each record.
func containsASCII(text, part string) bool {
	if part == "" {
		return true
	}
	small := lower(part[0])
	for i := 0; i+len(part) <= len(text); i++ {
		if lower(text[i]) != small {
			continue
		}
		j := 1
		for j < len(part) && lower(text[i+j]) == lower(part[j]) {
			j++
		}
		if j == len(part) {
			return true
		}
	}
	return false
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
