package httprule

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Build makes the path that gives the template's variables these values: the reverse of matching. It fails when a value does not
// match the variable's segments, such as an empty one.
func (t *Template) Build(value func(field string) string) (string, error) {
	var b strings.Builder
	vars := t.Variables
	for i := 0; i < len(t.Segments); {
		b.WriteByte('/')
		if len(vars) == 0 || vars[0].Start != i {
			if t.Segments[i].Kind != Literal {
				return "", fmt.Errorf("path template %q: no field has a value for its %s", t, t.Segments[i])
			}
			b.WriteString(t.Segments[i].String())
			i++
			continue
		}
		v := vars[0]
		text := value(v.Field)
		if err := t.accepts(v, text); err != nil {
			return "", fmt.Errorf("path template %q: %s is %q: %w", t, v.Field, text, err)
		}
		b.WriteString(escape(text, v.Multi))
		i, vars = v.End, vars[1:]
	}
	if len(t.Segments) == 0 {
		b.WriteByte('/')
	}
	if t.Verb != "" {
		b.WriteString(":" + escape(t.Verb, false))
	}
	return b.String(), nil
}

// accepts says why a value cannot stand in a path as the value of v.
func (t *Template) accepts(v Variable, text string) error {
	if !utf8.ValidString(text) {
		return errors.New("it is no valid UTF-8 text")
	}
	if !v.Multi {
		return t.acceptsSegment(t.Segments[v.Start], text)
	}
	parts := strings.Split(text, "/")
	segments := t.Segments[v.Start:v.End]
	before, after := segments, segments[len(segments):]
	if t.multi >= v.Start && t.multi < v.End {
		before, after = t.Segments[v.Start:t.multi], t.Segments[t.multi+1:v.End]
		if text == "" {
			parts = nil
		}
	}
	rest := len(parts) - len(before) - len(after)
	if rest < 0 || rest > 0 && len(before) == len(segments) {
		return fmt.Errorf("it is not of the form %s", t.pattern(v))
	}
	for i, s := range before {
		if err := t.acceptsSegment(s, parts[i]); err != nil {
			return err
		}
	}
	for _, part := range parts[len(before) : len(before)+rest] {
		if dots(part) {
			return errDots(part)
		}
	}
	for i, s := range after {
		if err := t.acceptsSegment(s, parts[len(before)+rest+i]); err != nil {
			return err
		}
	}
	return nil
}

func (t *Template) acceptsSegment(s Segment, text string) error {
	switch {
	case s.Kind == Literal && text != s.Text:
		return fmt.Errorf("it has %q in the place of %q", text, s.Text)
	case text == "":
		return errors.New("a part of a path must not be empty")
	case dots(text):
		return errDots(text)
	}
	return nil
}

func errDots(text string) error {
	return fmt.Errorf("%q has a meaning of its own in paths", text)
}
