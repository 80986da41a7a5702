// Package where decides which events a person means, by conditions such as
//
//	order.total.units>100
//	lines.sku=X-1
//	key=4711
//	metadata.tenant!=acme
//
// A condition is a path, an operator and a value. Operators are =, !=, >, >=, <, <= and ~, which is "contains" whatever the case. A path is an
// attribute of the event or leads to a field of its message, through lists (any element, or the one of a number) and maps (by key). Where
// both are meant by one name, "event." or "data." in front of it says which.
package where

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/events"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Filter is conditions that an event must all meet. The zero value is met by every one.
type Filter struct {
	attributes []func(*events.Stored) bool
	fields     []func(protoreflect.Message) bool
}

// Parse reads conditions. The descriptor is that of the topic's messages; nil when it is not known, and then no condition is about a field.
func Parse(conditions []string, md protoreflect.MessageDescriptor) (*Filter, error) {
	f := new(Filter)
	for _, text := range conditions {
		if err := f.add(text, md); err != nil {
			e := ui.Usagef("--where %s: %w", ui.Shorten(text, 60), err)
			if inner, ok := err.(*ui.Error); ok {
				e = ui.Usagef("--where %s: %s", ui.Shorten(text, 60), inner.What)
				e.Do = inner.Do
			}
			return nil, e
		}
	}
	return f, nil
}

// operator is how a value is compared.
type operator string

var operators = []operator{"!=", ">=", "<=", "==", "=", ">", "<", "~"}

// holds says whether the operator holds for the result of a comparison. != is for who asks for = and turns the answer round.
func (op operator) holds(c int) bool {
	switch op {
	case ">":
		return c > 0
	case ">=":
		return c >= 0
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	}
	return c == 0
}

// split takes a condition apart.
func split(text string) (path string, op operator, value string, err error) {
	at := strings.IndexAny(text, "=!<>~")
	if at >= 0 {
		for _, op := range operators {
			if strings.HasPrefix(text[at:], string(op)) {
				path, value = strings.TrimSpace(text[:at]), strings.TrimSpace(text[at+len(op):])
				if op == "==" {
					op = "="
				}
				if path == "" {
					break
				}
				return path, op, value, nil
			}
		}
	}
	return "", "", "", ui.Errorf("it is no condition").Then("write PATH=VALUE, with =, !=, >, >=, <, <= or ~ (contains) between them, such as total.units>100 or key=4711")
}

func (f *Filter) add(text string, md protoreflect.MessageDescriptor) error {
	path, op, value, err := split(text)
	if err != nil {
		return err
	}
	negated := op == "!="
	if negated {
		op = "="
	}
	name, saysEvent := strings.CutPrefix(path, "event.")
	field, saysData := strings.CutPrefix(path, "data.")
	if saysEvent = saysEvent && !hasField(md, "event"); !saysEvent {
		name = path
	}
	if saysData = saysData && !hasField(md, "data"); !saysData {
		field = path
	}
	attribute, isAttribute := attributeOf(name)
	switch {
	case saysEvent && !isAttribute:
		return noAttribute(name)
	case isAttribute && !saysEvent && hasField(md, path):
		return ui.Errorf("%s is an attribute of events and a field of %s", firstOf(path), md.Name()).Then("write event.%s or data.%s", path, path)
	case isAttribute:
		match, err := attribute.matcher(op, value)
		if err != nil {
			return fmt.Errorf("%s %w", path, err)
		}
		f.attributes = append(f.attributes, func(s *events.Stored) bool { return match(s) != negated })
		return nil
	}
	if md == nil {
		return ui.Errorf("it is not known what the topic's events carry, so they cannot be told by a field").Then("use an attribute: %s", ui.List(attributeNames(), "or"))
	}
	match, err := compileField(md, strings.Split(field, "."), op, value)
	if err != nil {
		if !strings.Contains(path, ".") {
			if near := ui.Nearest(path, attributeNames()); len(near) > 0 {
				return ui.Errorf("%s has no field %q", md.Name(), path).Then("did you mean the attribute %s?", ui.List(near, "or"))
			}
		}
		return err
	}
	f.fields = append(f.fields, func(m protoreflect.Message) bool { return match(m) != negated })
	return nil
}

func firstOf(path string) string {
	first, _, _ := strings.Cut(path, ".")
	return first
}

func hasField(md protoreflect.MessageDescriptor, path string) bool {
	if md == nil {
		return false
	}
	first := firstOf(path)
	return md.Fields().ByName(protoreflect.Name(first)) != nil || md.Fields().ByJSONName(first) != nil
}

// NeedsData reports whether the message of an event must be read to decide.
func (f *Filter) NeedsData() bool { return len(f.fields) > 0 }

// Attributes reports whether an event meets the conditions about its attributes.
func (f *Filter) Attributes(s *events.Stored) bool {
	return !slices.ContainsFunc(f.attributes, func(match func(*events.Stored) bool) bool { return !match(s) })
}

// Data reports whether an event meets the conditions about its message. One that cannot be read meets none.
func (f *Filter) Data(m proto.Message) bool {
	if len(f.fields) == 0 {
		return true
	}
	if m == nil {
		return false
	}
	return !slices.ContainsFunc(f.fields, func(match func(protoreflect.Message) bool) bool { return !match(m.ProtoReflect()) })
}

// ordered compares what has an order.
func ordered[T cmp.Ordered](op operator, want T) func(T) bool {
	return func(is T) bool { return op.holds(cmp.Compare(is, want)) }
}

// contains is the operator ~.
func contains(want string) func(string) bool {
	want = strings.ToLower(want)
	return func(is string) bool { return strings.Contains(strings.ToLower(is), want) }
}
