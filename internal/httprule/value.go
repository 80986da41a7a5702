package httprule

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/hanse-go/hanse/internal/nearest"
	"github.com/hanse-go/hanse/internal/scalar"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// FieldError says which field of a request cannot have the value that it was given.
type FieldError struct {
	Field  string // its path, names joined by dots
	Reason string
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }

func fieldError(field, format string, args ...any) error {
	return &FieldError{field, fmt.Sprintf(format, args...)}
}

// SetPath gives the template's variables their values in a message, in place of those that it has. The error is a [*FieldError].
func (r *Rule) SetPath(m protoreflect.Message, values []string) error {
	for i, way := range r.Fields {
		at, name := m, r.Template.Variables[i].Field
		for _, fd := range way[:len(way)-1] {
			at = at.Mutable(FieldOf(at, fd)).Message()
		}
		fd := FieldOf(at, way[len(way)-1])
		v, err := parse(at, fd, values[i])
		if err != nil {
			return fieldError(name, "the path has a value that %v", err)
		}
		at.Set(fd, v)
	}
	return nil
}

// FieldOf returns what a field is in a message whose descriptor may be another copy of the same.
func FieldOf(m protoreflect.Message, fd protoreflect.FieldDescriptor) protoreflect.FieldDescriptor {
	if md := m.Descriptor(); md != fd.Parent() {
		if same := md.Fields().ByNumber(fd.Number()); same != nil {
			return same
		}
	}
	return fd
}

// parse reads the value of a scalar field, of a message that is a text, or of an element of a list of such.
func parse(m protoreflect.Message, fd protoreflect.FieldDescriptor, text string) (protoreflect.Value, error) {
	if !utf8.ValidString(text) {
		return protoreflect.Value{}, fmt.Errorf("is no valid UTF-8 text")
	}
	md := fd.Message()
	if md == nil {
		return scalar.Parse(fd, text)
	}
	v := m.NewField(fd)
	if fd.IsList() {
		v = v.List().NewElement()
	}
	if IsWrapper(md) {
		inner := v.Message().Descriptor().Fields().ByNumber(1)
		value, err := scalar.Parse(inner, text)
		if err == nil {
			v.Message().Set(inner, value)
		}
		return v, err
	}
	if md.FullName() == "google.protobuf.FieldMask" {
		paths := v.Message().Mutable(v.Message().Descriptor().Fields().ByNumber(1)).List()
		for path := range strings.SplitSeq(text, ",") {
			if path != "" {
				paths.Append(protoreflect.ValueOfString(snake(path)))
			}
		}
		return v, nil
	}
	quoted, err := json.Marshal(text)
	if err == nil {
		err = protojson.Unmarshal(quoted, v.Message().Interface())
	}
	if err != nil {
		return v, scalar.Wrong(fd, text)
	}
	return v, nil
}

// snake returns a path of a field mask as contracts write names: display_name for displayName. Clients send either.
func snake(path string) string {
	var b strings.Builder
	for i := range len(path) {
		c := path[i]
		if 'A' <= c && c <= 'Z' {
			b.WriteByte('_')
			c += 'a' - 'A'
		}
		b.WriteByte(c)
	}
	return b.String()
}

// noField says that a message lacks a field, and which one may be meant.
func noField(field string, md protoreflect.MessageDescriptor, name string) error {
	names := make([]string, md.Fields().Len())
	for i := range names {
		names[i] = string(md.Fields().Get(i).Name())
	}
	if near := nearest.Name(name, names); near != "" {
		return fieldError(field, "%s has no field %q; did you mean %q?", md.FullName(), name, near)
	}
	if len(names) == 0 {
		return fieldError(field, "%s has no fields", md.FullName())
	}
	return fieldError(field, "%s has no field %q; it has %s", md.FullName(), name, strings.Join(names, ", "))
}
