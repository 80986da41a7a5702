package hpack

import "slices"

// A Template is a list of fields that is sent often. It is immutable and safe for concurrent use. Encoders know templates by their
// pointer and keep them for as long as their connection lives: make few, and keep them.
type Template struct{ fields []Field }

// NewTemplate returns a template of fields, whose names are in lower case.
func NewTemplate(fields ...Field) *Template { return &Template{fields: slices.Clone(fields)} }

// Fields are the template's fields. They must not be changed.
func (t *Template) Fields() []Field { return t.fields }
