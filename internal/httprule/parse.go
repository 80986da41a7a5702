package httprule

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxTemplate bounds the length of a template in bytes, and with it all work that a hostile contract can cause.
const maxTemplate = 4096

// Parse reads a path template:
//
//	Template = "/" [ Segments ] [ ":" Literal ]
//	Segments = Segment { "/" Segment }
//	Segment  = "*" | "**" | Literal | "{" Field { "." Field } [ "=" Segments ] "}"
//
// A variable without "=" is one segment. There is at most one "**". It need not be the last segment, although the annotation's
// documentation wants it to be: well-known contracts have others behind it. Literals may be percent-encoded.
func Parse(text string) (*Template, error) {
	p := parser{text: text, t: &Template{text: text, multi: -1}}
	if err := p.template(); err != nil {
		return nil, fmt.Errorf("path template %q: %w", text, err)
	}
	return p.t, nil
}

type parser struct {
	text string
	at   int // index of the next byte
	t    *Template
}

func (p *parser) template() error {
	switch {
	case len(p.text) > maxTemplate:
		return fmt.Errorf("it has %d bytes, more than %d", len(p.text), maxTemplate)
	case !utf8.ValidString(p.text):
		return fmt.Errorf("it is no valid UTF-8 text")
	case !p.take('/'):
		return fmt.Errorf("it does not begin with a slash")
	case p.at == len(p.text):
		return nil // the root
	}
	if err := p.segments(false); err != nil {
		return err
	}
	if p.take(':') {
		verb, err := p.literal("verb")
		if err != nil {
			return err
		}
		p.t.Verb = verb
	}
	if p.at < len(p.text) {
		return p.unexpected()
	}
	return nil
}

// segments reads segments up to one that no slash follows.
func (p *parser) segments(inside bool) error {
	for {
		if err := p.segment(inside); err != nil {
			return err
		}
		if !p.take('/') {
			return nil
		}
	}
}

func (p *parser) segment(inside bool) error {
	switch p.next() {
	case '*':
		p.at++
		s := Segment{Kind: Single}
		if p.take('*') {
			s.Kind = Multi
			if p.t.multi >= 0 {
				return fmt.Errorf("it has a second ** at byte %d: where the first one ended would be unclear", p.at-1)
			}
			p.t.multi = len(p.t.Segments)
		}
		p.t.Segments = append(p.t.Segments, s)
		return nil
	case '{':
		if inside {
			return fmt.Errorf("a variable is inside another one at byte %d", p.at+1)
		}
		return p.variable()
	}
	text, err := p.literal("segment")
	if err != nil {
		return err
	}
	if dots(text) {
		return fmt.Errorf("its segment %q is never in a path: clients resolve it", text)
	}
	p.t.Segments = append(p.t.Segments, Segment{Text: text})
	return nil
}

func (p *parser) variable() error {
	opened := p.at + 1
	p.at++ // the brace
	field, err := p.field()
	if err != nil {
		return err
	}
	v := Variable{Field: field, Start: len(p.t.Segments)}
	for _, other := range p.t.Variables {
		if other.Field == field {
			return fmt.Errorf("variable %s is there twice", field)
		}
	}
	multi := p.t.multi
	if p.take('=') {
		if err := p.segments(true); err != nil {
			return err
		}
	} else {
		p.t.Segments = append(p.t.Segments, Segment{Kind: Single})
	}
	if !p.take('}') {
		if p.at == len(p.text) {
			return fmt.Errorf("the brace at byte %d is not closed", opened)
		}
		return p.unexpected()
	}
	v.End = len(p.t.Segments)
	v.Multi = v.End-v.Start > 1 || p.t.multi != multi
	p.t.Variables = append(p.t.Variables, v)
	return nil
}

// field reads the path of a field.
func (p *parser) field() (string, error) {
	start := p.at
	for {
		begin := p.at
		for p.at < len(p.text) && (isLetter(p.text[p.at]) || p.at > begin && isDigit(p.text[p.at])) {
			p.at++
		}
		if p.at == begin {
			return "", fmt.Errorf("there is no name of a field at byte %d", p.at+1)
		}
		if !p.take('.') {
			return p.text[start:p.at], nil
		}
	}
}

// literal reads text up to the next byte that has a meaning.
func (p *parser) literal(what string) (string, error) {
	start := p.at
	for p.at < len(p.text) && !p.ends() {
		if c := p.text[p.at]; c <= ' ' || c == 0x7f || c == '?' || c == '#' || c == '*' || c == '{' {
			return "", p.unexpected()
		}
		p.at++
	}
	if p.at == start {
		if p.at == len(p.text) {
			return "", fmt.Errorf("it ends with an empty %s", what)
		}
		return "", fmt.Errorf("there is no %s at byte %d", what, p.at+1)
	}
	text, ok := unescape(p.text[start:p.at], false)
	if !ok || !utf8.ValidString(text) {
		return "", fmt.Errorf("%q is wrongly percent-encoded", p.text[start:p.at])
	}
	return text, nil
}

// ends reports whether a literal ends before the next byte: at a slash, a closing brace, or the colon of the verb, which is the last
// colon of the last segment.
func (p *parser) ends() bool {
	switch p.text[p.at] {
	case '/', '}':
		return true
	case ':':
		return !strings.ContainsAny(p.text[p.at+1:], ":/}")
	}
	return false
}

func (p *parser) next() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

func (p *parser) take(c byte) bool {
	if p.next() != c {
		return false
	}
	p.at++
	return true
}

func (p *parser) unexpected() error {
	if p.at == len(p.text) {
		return fmt.Errorf("it ends too early")
	}
	r, _ := utf8.DecodeRuneInString(p.text[p.at:])
	return fmt.Errorf("unexpected %q at byte %d", r, p.at+1)
}

func isLetter(c byte) bool { return c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
