package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/hanse-go/hanse/internal/comments"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const definitions = "#/$defs/"

// Standalone returns the JSON Schema of a message, with all that it refers to, and what the message's comment says.
func Standalone(m protoreflect.MessageDescriptor, o Options) (json.RawMessage, error) {
	b := &builder{constraints: o.Constraints, comments: new(comments.Reader), places: map[string]place{}, doc: &Document{}}
	s := b.message(m)
	if s.Ref != "" {
		s = b.doc.Components.Schemas.Get(string(m.FullName()))
	}
	data, err := marshal(s)
	if err != nil {
		return nil, err
	}
	refers := bytes.Contains(data, []byte(`"$ref":"`+schemas))
	if refers {
		defs, err := marshal(b.doc.Components.Schemas)
		if err != nil {
			return nil, err
		}
		data = append(append(append(data[:len(data)-1], `,"$defs":`...), defs...), '}')
		data = bytes.ReplaceAll(data, []byte(`"$ref":"`+schemas), []byte(`"$ref":"`+definitions))
	}
	return data, nil
}

// Comment returns the comment of a declaration in its .proto file.
func Comment(d protoreflect.Descriptor) string { return new(comments.Reader).Of(d) }

// Keywords makes Options.Constraints of a function that returns keywords of JSON Schema.
func Keywords(of func(protoreflect.FieldDescriptor) map[string]any) func(protoreflect.FieldDescriptor, *Schema) {
	if of == nil {
		return nil
	}
	return func(f protoreflect.FieldDescriptor, s *Schema) {
		keywords := of(f)
		if keywords == nil {
			return
		}
		rules := s.Rules
		s.Rules = nil
		data, err := json.Marshal(keywords)
		if err == nil {
			err = json.Unmarshal(data, s) // over what is there, within lists and maps as well
		}
		if err != nil {
			s.Rules = append(s.Rules, fmt.Sprintf("has constraints that cannot be read: %v", err))
		}
		s.Rules = append(rules, s.Rules...)
	}
}
