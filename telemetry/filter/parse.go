package filter

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxQuery is how long the text of a filter may be, in bytes.
const maxQuery = 4096

// Parse reads a filter. What is wrong with it is an [*Error].
func Parse(text string) (Filter, error) {
	if len(text) > maxQuery {
		return Filter{}, &Error{Query: text, Pos: 0, End: len(text), Message: fmt.Sprintf("a filter has at most %d bytes, and this one %d", maxQuery, len(text))}
	}
	if i := invalid(text); i >= 0 {
		return Filter{}, &Error{Query: text, Pos: i, End: i + 1, Message: "this is no UTF-8"}
	}
	s := scanner{query: text}
	var f Filter
	for {
		s.spaces()
		if s.done() {
			return f, nil
		}
		t, err := s.term()
		if err == nil && !s.done() && !s.atSpace() {
			err = s.errorAt(s.pos, len(text), "leave a space before the next term")
		}
		if err != nil {
			return Filter{}, err
		}
		f.terms = append(f.terms, t)
	}
}

// invalid returns where text is no UTF-8, or -1.
func invalid(text string) int {
	for i, r := range text {
		if _, n := utf8.DecodeRuneInString(text[i:]); r == utf8.RuneError && n == 1 {
			return i
		}
	}
	return -1
}

// scanner reads a filter from its beginning to its end.
type scanner struct {
	query string
	pos   int
}

func (s *scanner) done() bool { return s.pos >= len(s.query) }

func (s *scanner) rest() string { return s.query[s.pos:] }

func (s *scanner) atSpace() bool {
	r, _ := utf8.DecodeRuneInString(s.rest())
	return unicode.IsSpace(r)
}

func (s *scanner) spaces() {
	s.pos = len(s.query) - len(strings.TrimLeftFunc(s.rest(), unicode.IsSpace))
}

func (s *scanner) errorAt(pos, end int, format string, args ...any) error {
	return &Error{Query: s.query, Pos: pos, End: end, Message: fmt.Sprintf(format, args...)}
}

// untilSpace returns what stands before the next white space.
func (s *scanner) untilSpace() string {
	text := s.rest()
	if i := strings.IndexFunc(text, unicode.IsSpace); i >= 0 {
		text = text[:i]
	}
	return text
}

func (s *scanner) term() (Term, error) {
	t := Term{Pos: s.pos}
	if strings.HasPrefix(s.rest(), "-") {
		t.Negated = true
		s.pos++
		if s.done() || s.atSpace() {
			return t, s.errorAt(t.Pos, s.pos, `nothing is behind the -: write what must not be, or "-" for the sign itself`)
		}
	}
	if strings.HasPrefix(s.rest(), "-") && t.Negated {
		return t, s.errorAt(s.pos, s.pos+1, `a second -: write "%s" for the text`, s.untilSpace())
	}
	if name, op := s.head(); op != "" {
		return s.field(t, name, op)
	}
	v, quoted, err := s.marked(s.rest())
	if err != nil {
		return t, err
	}
	if !quoted && v.Regexp == nil {
		v.Text = s.untilSpace()
		s.pos += len(v.Text)
	}
	if v.Text == "" {
		return t, s.errorAt(t.Pos, s.pos, "this looks for nothing: leave it out")
	}
	t.Values = []Value{v}
	return t, nil
}

// head looks at the name and the operator of a field; op is "" where there is none. It does not move.
func (s *scanner) head() (name string, op Op) {
	text := strings.TrimPrefix(s.rest(), "@")
	end := 0
	for i, r := range text {
		if !(unicode.IsLetter(r) || r == '_' || i > 0 && (unicode.IsDigit(r) || strings.ContainsRune(".-/", r))) {
			break
		}
		end = i + utf8.RuneLen(r)
	}
	if end == 0 {
		return "", ""
	}
	name, text = s.rest()[:end+len(s.rest())-len(text)], text[end:]
	if strings.HasPrefix(text, "://") {
		return "", ""
	}
	for _, op := range []Op{AtLeast, AtMost, Greater, Less, Is, Equal, "!="} {
		if strings.HasPrefix(text, string(op)) {
			return name, op
		}
	}
	return "", ""
}

func (s *scanner) field(t Term, name string, op Op) (Term, error) {
	start := s.pos
	s.pos += len(name) + len(op)
	if op == "!=" {
		return t, s.errorAt(start+len(name), s.pos, "write -%s=… for what is not so", name)
	}
	t.Op = op
	if attr, ok := strings.CutPrefix(name, "@"); ok {
		t.Name = attr
	} else {
		f, meant := fieldOf(name)
		if meant != "" {
			return t, s.errorAt(start, start+len(name), "no field %s: did you mean %s? (@%s is an attribute of that name)", name, meant, name)
		}
		t.Field, t.Name = f, name
		if f != "" {
			t.Name = string(f)
		}
	}
	for {
		if s.done() || s.atSpace() || strings.HasPrefix(s.rest(), ",") {
			return t, s.errorAt(start, s.pos, `no value is behind %s%s: write one, * for any, or "%s" for the text`, name, op, s.query[start:s.pos])
		}
		at := s.pos
		v, err := s.value()
		if err == nil {
			err = s.check(&t, &v, at)
		}
		if err != nil {
			return t, err
		}
		t.Values = append(t.Values, v)
		if !strings.HasPrefix(s.rest(), ",") {
			return t, nil
		}
		if t.compares() {
			return t, s.errorAt(s.pos, s.pos+1, "%s compares with one value", op)
		}
		s.pos++
	}
}

// value reads one value of a field.
func (s *scanner) value() (Value, error) {
	text, _, _ := strings.Cut(s.untilSpace(), ",")
	v, quoted, err := s.marked(text)
	if err != nil || quoted || v.Regexp != nil {
		return v, err
	}
	v.Text = text
	v.Pattern = strings.Contains(v.Text, "*")
	s.pos += len(v.Text)
	return v, nil
}

// marked reads a quoted text or a regular expression, if that is next. The latter ends within limit, which is what follows or its beginning.
func (s *scanner) marked(limit string) (v Value, quoted bool, err error) {
	start, text := s.pos, s.rest()
	switch {
	case strings.HasPrefix(text, `"`):
		var b strings.Builder
		for i := 1; i < len(text); i++ {
			switch c := text[i]; {
			case c == '"':
				s.pos += i + 1
				v.Text = b.String()
				return v, true, nil
			case c == '\\' && i+1 < len(text) && (text[i+1] == '"' || text[i+1] == '\\'):
				i++
				b.WriteByte(text[i])
			default:
				b.WriteByte(c)
			}
		}
		return v, false, s.errorAt(start, len(s.query), `no closing "`)
	case strings.HasPrefix(text, "/"):
		source, end, noCase := regexpIn(limit)
		if end == 0 {
			return v, false, nil
		}
		s.pos += end
		v.Text, v.NoCase = source, noCase
		expr := source
		if noCase {
			expr = "(?i)" + source
		}
		if v.Regexp, err = regexp.Compile(expr); err != nil {
			return v, false, s.errorAt(start, s.pos, "%s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		}
	}
	return v, false, nil
}

// regexpIn returns the regular expression with which text begins, and where it ends; 0 when it does not begin with one.
func regexpIn(text string) (source string, end int, noCase bool) {
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text):
			i++
			if text[i] != '/' {
				b.WriteByte('\\')
			}
			b.WriteByte(text[i])
		case text[i] == '/':
			end, noCase = i+1, false
			if strings.HasPrefix(text[end:], "i") {
				end, noCase = end+1, true
			}
			r, _ := utf8.DecodeRuneInString(text[end:])
			if b.Len() == 0 || end < len(text) && !unicode.IsSpace(r) {
				return "", 0, false
			}
			return b.String(), end, noCase
		default:
			b.WriteByte(text[i])
		}
	}
	return "", 0, false
}

func (t *Term) compares() bool {
	return t.Op != Is && t.Op != Equal
}

// check makes of a value's text what the field compares.
func (s *scanner) check(t *Term, v *Value, at int) error {
	if v.Text == "" && !t.compares() {
		return nil // the empty text, quoted
	}
	switch t.Field {
	case Level:
		if v.Regexp != nil || v.Pattern && v.Text != "*" || v.Pattern && t.compares() {
			return s.errorAt(at, s.pos, "write a level, such as level:warn")
		}
		if v.Pattern {
			return nil
		}
		l, err := ParseLevel(v.Text)
		if err != nil {
			return s.errorAt(at, s.pos, "%s", err)
		}
		v.Level = l
		return nil
	case Trace, Span:
		if !t.compares() && v.Regexp == nil && v.Text != "*" && strings.Trim(v.Text, "0123456789abcdefABCDEF") != "" {
			return s.errorAt(at, s.pos, "%q is no ID of a %s: it has the digits 0 to 9 and a to f", v.Text, t.Field)
		}
	case Duration:
		if !t.compares() && v.Text != "*" {
			return s.errorAt(t.Pos, s.pos, "compare a duration with > or <: duration>%s", v.Text)
		}
	}
	if !t.compares() {
		return nil
	}
	if t.Field != "" && t.Field != Duration && t.Field != Status {
		return s.errorAt(t.Pos, s.pos, "%s is not compared with %s: write %s:%s", t.Name, t.Op, t.Name, v.Text)
	}
	if v.Regexp == nil && !v.Pattern {
		if n, err := strconv.ParseFloat(v.Text, 64); err == nil && n == n {
			if t.Field == Duration {
				return s.errorAt(at, s.pos, "a duration has a unit: %sms or %ss", v.Text, v.Text)
			}
			v.Number = n
			return nil
		}
		if d, err := time.ParseDuration(v.Text); err == nil && t.Field != Status {
			v.Duration, v.Unit = d, true
			return nil
		}
	}
	if t.Field == Duration {
		return s.errorAt(at, s.pos, "%q is no duration: write one such as 100ms or 1.5s", v.Text)
	}
	return s.errorAt(at, s.pos, `%q is neither a number nor a duration: put quotes around %q to look for the text`, v.Text, s.query[t.Pos:s.pos])
}
