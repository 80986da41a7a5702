package openapi

import (
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

const schemas = "#/components/schemas/"

// message returns the schema of a message: itself where it is small and known to all, else a reference to a component.
func (b *builder) message(m protoreflect.MessageDescriptor) *Schema {
	if known := wellKnown(m.FullName()); known != nil {
		return known
	}
	name := string(m.FullName())
	if !b.doc.Components.Schemas.Has(name) {
		s := &Schema{}
		b.doc.Components.Schemas.Set(name, s) // before its fields: it may have itself within
		b.fill(s, m, nil)
	}
	return &Schema{Ref: schemas + name}
}

// fill describes the fields of a message, without those whose names are left out.
func (b *builder) fill(s *Schema, m protoreflect.MessageDescriptor, left []string) {
	if m.FullName() == "google.protobuf.Any" {
		*s = *anything()
		return
	}
	s.Title = string(m.Name())
	s.Description = b.comments.Of(m)
	s.Type = Types{"object"}
	s.Deprecated = deprecated(m)
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		if slices.Contains(left, string(f.Name())) {
			continue
		}
		s.Properties.Set(f.JSONName(), b.field(f))
		if required(f) {
			s.Required = append(s.Required, f.JSONName())
		}
	}
	for i := range m.Oneofs().Len() {
		if o := m.Oneofs().Get(i); !o.IsSynthetic() {
			if c := b.choice(o, left); c != nil {
				s.AllOf = append(s.AllOf, c)
			}
		}
	}
}

// choice returns the schema that lets no more than one field of the oneof be there.
func (b *builder) choice(o protoreflect.OneofDescriptor, left []string) *Schema {
	var options, present []*Schema
	for i := range o.Fields().Len() {
		f := o.Fields().Get(i)
		if slices.Contains(left, string(f.Name())) {
			return nil // it is chosen elsewhere
		}
		options = append(options, &Schema{Title: f.JSONName(), Required: []string{f.JSONName()}})
		present = append(present, &Schema{Required: []string{f.JSONName()}})
	}
	if len(options) == 1 {
		return nil // nothing to choose
	}
	options = append(options, &Schema{Title: "none", Not: &Schema{AnyOf: present}})
	return &Schema{Title: string(o.Name()), Description: b.comments.Of(o), OneOf: options}
}

// field returns the schema of a field, all that is said about it included.
func (b *builder) field(f protoreflect.FieldDescriptor) *Schema {
	s := b.value(f)
	s.Description = b.comments.Of(f)
	s.Deprecated = deprecated(f)
	for _, behavior := range behaviors(f) {
		switch behavior {
		case annotations.FieldBehavior_OUTPUT_ONLY:
			s.ReadOnly = true
		case annotations.FieldBehavior_INPUT_ONLY:
			s.WriteOnly = true
		case annotations.FieldBehavior_IMMUTABLE:
			s.Rules = append(s.Rules, "cannot be changed once it is set")
		}
	}
	if f.HasDefault() && f.Enum() == nil && f.Kind() != protoreflect.BytesKind {
		s.Default = f.Default().Interface()
	}
	if b.constraints != nil {
		b.constraints(f, s)
	}
	return s
}

// value returns the schema of a field's value: of the list or the map if it is one.
func (b *builder) value(f protoreflect.FieldDescriptor) *Schema {
	switch {
	case f.IsMap():
		return &Schema{Type: Types{"object"}, PropertyNames: keys(f.MapKey()), AdditionalProperties: b.single(f.MapValue())}
	case f.IsList():
		return &Schema{Type: Types{"array"}, Items: b.single(f)}
	}
	return b.single(f)
}

// single returns the schema of one value of a field.
func (b *builder) single(f protoreflect.FieldDescriptor) *Schema {
	switch f.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return b.message(f.Message())
	case protoreflect.EnumKind:
		return b.enum(f.Enum())
	}
	return scalar(f.Kind())
}

// enum returns the schema of an enum: a reference.
func (b *builder) enum(e protoreflect.EnumDescriptor) *Schema {
	if e.FullName() == "google.protobuf.NullValue" {
		return &Schema{Type: Types{"null"}}
	}
	name := string(e.FullName())
	if !b.doc.Components.Schemas.Has(name) {
		s := &Schema{Title: string(e.Name()), Description: b.comments.Of(e), Type: Types{"string"}, Deprecated: deprecated(e)}
		for i := range e.Values().Len() {
			v := e.Values().Get(i)
			s.Enum = append(s.Enum, string(v.Name()))
			if text := b.comments.Of(v); text != "" {
				s.Values.Set(string(v.Name()), text)
			}
		}
		b.doc.Components.Schemas.Set(name, s)
	}
	return &Schema{Ref: schemas + name}
}

// required reports whether a message must have the field.
func required(f protoreflect.FieldDescriptor) bool {
	return f.Cardinality() == protoreflect.Required || slices.Contains(behaviors(f), annotations.FieldBehavior_REQUIRED)
}

// behaviors returns what google.api.field_behavior says about a field.
func behaviors(f protoreflect.FieldDescriptor) []annotations.FieldBehavior {
	all, _ := extension(f.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	return all
}

// deprecated reports whether a declaration is marked so.
func deprecated(d protoreflect.Descriptor) bool {
	switch o := d.Options().(type) {
	case *descriptorpb.FieldOptions:
		return o.GetDeprecated()
	case *descriptorpb.MessageOptions:
		return o.GetDeprecated()
	case *descriptorpb.EnumOptions:
		return o.GetDeprecated()
	case *descriptorpb.MethodOptions:
		return o.GetDeprecated()
	case *descriptorpb.ServiceOptions:
		return o.GetDeprecated()
	}
	return false
}

// summary returns the first sentence of a comment, or its first paragraph where that is one line.
func summary(text string) string {
	text, _, _ = strings.Cut(text, "\n\n")
	text = strings.Join(strings.Fields(text), " ")
	for i := range len(text) {
		if text[i] == '.' && (i+1 == len(text) || text[i+1] == ' ') && !abbreviated(text[:i]) {
			return text[:i]
		}
	}
	return text
}

// abbreviated reports whether the text ends in a word that a full stop belongs to.
func abbreviated(text string) bool {
	word := text[strings.LastIndexAny(text, " (")+1:]
	return strings.Contains(word, ".") || slices.Contains([]string{"vs", "cf", "etc", "approx", "resp"}, word)
}
