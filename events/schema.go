package events

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// schema is all that events of a topic ever had in them: the fields of the message type, and of those in it, by number, from all versions that
// were registered. So a number cannot come back with another meaning, and an older version of a program is never refused for what it lacks.
type schema struct {
	Version  int                       `json:"version"`
	Type     string                    `json:"type"`
	JSON     bool                      `json:"json,omitempty"` // some events are JSON, so names count
	Messages map[string]*schemaMessage `json:"messages"`
	Enums    map[string]*schemaEnum    `json:"enums,omitempty"`
}

type schemaMessage struct {
	Fields map[int]schemaField `json:"fields"`
}

type schemaField struct {
	Name     string `json:"name"`
	Kind     string `json:"kind"`
	Type     string `json:"type,omitempty"` // of a message or enum
	Repeated bool   `json:"repeated,omitempty"`
	Map      bool   `json:"map,omitempty"`
	Required bool   `json:"required,omitempty"`
	Oneof    string `json:"oneof,omitempty"`
	JSONName string `json:"json_name,omitempty"` // where it is not the usual one
}

type schemaEnum struct {
	Values map[int]string `json:"values"`
}

const schemaVersion = 1

// newSchema describes the message type of a topic.
func newSchema(d *declaration) *schema {
	s := &schema{
		Version: schemaVersion, Type: d.typeName(), JSON: d.json,
		Messages: make(map[string]*schemaMessage), Enums: make(map[string]*schemaEnum),
	}
	s.addMessage(d.typ.Descriptor())
	return s
}

func (s *schema) addMessage(md protoreflect.MessageDescriptor) {
	name := string(md.FullName())
	if s.Messages[name] != nil {
		return
	}
	m := &schemaMessage{Fields: make(map[int]schemaField)}
	s.Messages[name] = m
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		f := schemaField{
			Name: string(fd.Name()), Kind: fd.Kind().String(), Repeated: fd.IsList(), Map: fd.IsMap(),
			Required: fd.Cardinality() == protoreflect.Required,
		}
		if oneof := fd.ContainingOneof(); oneof != nil && !oneof.IsSynthetic() {
			f.Oneof = string(oneof.Name())
		}
		if fd.JSONName() != jsonName(f.Name) {
			f.JSONName = fd.JSONName()
		}
		if inner := fd.Message(); inner != nil {
			f.Type = string(inner.FullName())
			s.addMessage(inner)
		}
		if enum := fd.Enum(); enum != nil {
			f.Type = string(enum.FullName())
			s.addEnum(enum)
		}
		m.Fields[int(fd.Number())] = f
	}
}

func (s *schema) addEnum(ed protoreflect.EnumDescriptor) {
	e := &schemaEnum{Values: make(map[int]string)}
	for i := range ed.Values().Len() {
		v := ed.Values().Get(i)
		if number := int(v.Number()); e.Values[number] == "" { // the first of several names is the one that is written
			e.Values[number] = string(v.Name())
		}
	}
	s.Enums[string(ed.FullName())] = e
}

// wireKinds groups the kinds of fields that can be read as each other.
var wireKinds = map[string]string{
	"int32": "a varint", "int64": "a varint", "uint32": "a varint", "uint64": "a varint", "bool": "a varint",
	"sint32": "a zigzag varint", "sint64": "a zigzag varint",
	"fixed32": "four bytes", "sfixed32": "four bytes", "fixed64": "eight bytes", "sfixed64": "eight bytes",
}

// breaks says how a newer schema breaks s, one line for each place.
func (s *schema) breaks(newer *schema) (all []string) {
	if s.Type != newer.Type {
		return []string{fmt.Sprintf("the topic carries %s, and this program's declaration says %s: declare another topic for it", s.Type, newer.Type)}
	}
	asJSON := s.JSON || newer.JSON
	for _, name := range slices.Sorted(maps.Keys(newer.Messages)) {
		was := s.Messages[name]
		if was == nil {
			continue
		}
		now := newer.Messages[name]
		for _, number := range slices.Sorted(maps.Keys(now.Fields)) {
			if old, ok := was.Fields[number]; ok {
				if why := old.breaks(now.Fields[number], asJSON); why != "" {
					all = append(all, fmt.Sprintf("%s: field %d %s", name, number, why))
				}
				continue
			}
			if now.Fields[number].Required {
				all = append(all, fmt.Sprintf("%s: field %d (%s) is new and required, and older events lack it: make it optional", name, number, now.Fields[number].Name))
			}
			for _, other := range slices.Sorted(maps.Keys(was.Fields)) {
				if asJSON && was.Fields[other].Name == now.Fields[number].Name {
					all = append(all, fmt.Sprintf("%s: the name %s, which counts in JSON, was that of field %d and is now that of %d: give it another name", name, was.Fields[other].Name, other, number))
				}
			}
		}
		for _, number := range slices.Sorted(maps.Keys(was.Fields)) {
			if _, ok := now.Fields[number]; !ok && was.Fields[number].Required {
				all = append(all, fmt.Sprintf("%s: field %d (%s) is required by other programs and is gone: keep it", name, number, was.Fields[number].Name))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(newer.Enums)) {
		was := s.Enums[name]
		if was == nil {
			continue
		}
		numbers := make(map[string]int)
		for number, value := range was.Values {
			numbers[value] = number
		}
		for _, number := range slices.Sorted(maps.Keys(newer.Enums[name].Values)) {
			value := newer.Enums[name].Values[number]
			if old, ok := numbers[value]; ok && old != number {
				all = append(all, fmt.Sprintf("%s: %s was %d and is %d: give back its number", name, value, old, number))
			} else if old, ok := was.Values[number]; ok && old != value && asJSON {
				all = append(all, fmt.Sprintf("%s: %d was %s and is %s, and names count in JSON: use a number that is free", name, number, old, value))
			}
		}
	}
	return all
}

// breaks says how a newer form of the field cannot be read as f, or the other way round.
func (f schemaField) breaks(newer schemaField, asJSON bool) string {
	const remedy = "use a number that is free"
	was, is := f.String(), newer.String()
	switch {
	case f.Kind != newer.Kind && (asJSON || wireKinds[f.Kind] == "" || wireKinds[f.Kind] != wireKinds[newer.Kind]),
		f.Type != newer.Type, f.Repeated != newer.Repeated, f.Map != newer.Map:
		return fmt.Sprintf("was %s and is %s: %s", was, is, remedy)
	case asJSON && f.Name != newer.Name:
		return fmt.Sprintf("was named %s and is named %s, and names count in JSON: give back its name, or %s", f.Name, newer.Name, remedy)
	case f.Required != newer.Required:
		return fmt.Sprintf("(%s) is required in one version and not in the other: leave it as it was", newer.Name)
	case f.Oneof != newer.Oneof:
		return fmt.Sprintf("(%s) moved into or out of a oneof: %s", newer.Name, remedy)
	}
	return ""
}

func (f schemaField) String() string {
	s := f.Kind
	if f.Type != "" {
		s = f.Type
	}
	switch {
	case f.Map:
		s = "map of " + s
	case f.Repeated:
		s = "repeated " + s
	}
	return s + " " + f.Name
}

// merge adds what a newer schema, which does not break s, has more, and reports whether there was anything.
func (s *schema) merge(newer *schema) bool {
	changed := newer.JSON && !s.JSON
	s.JSON = s.JSON || newer.JSON
	for name, m := range newer.Messages {
		was := s.Messages[name]
		if was == nil {
			s.Messages[name], changed = m, true
			continue
		}
		for number, f := range m.Fields {
			if _, ok := was.Fields[number]; !ok {
				was.Fields[number], changed = f, true
			}
		}
	}
	for name, e := range newer.Enums {
		was := s.Enums[name]
		if was == nil {
			if s.Enums == nil {
				s.Enums = make(map[string]*schemaEnum)
			}
			s.Enums[name], changed = e, true
			continue
		}
		for number, value := range e.Values {
			if _, ok := was.Values[number]; !ok {
				was.Values[number], changed = value, true
			}
		}
	}
	return changed
}

// register checks the message type against what the topic is known to carry, and notes what is new in it.
func (d *declaration) register(ctx context.Context, keeper SchemaKeeper) error {
	for {
		text, revision, err := keeper.LoadSchema(ctx, d.info.Name)
		if err != nil {
			return fmt.Errorf("its schema cannot be read: %w", err)
		}
		mine := newSchema(d)
		all := mine
		if len(text) > 0 {
			if all, err = parseSchema(text); err != nil {
				return err
			}
			if breaks := all.breaks(mine); len(breaks) > 0 {
				return fmt.Errorf("%w: %s", ErrSchema, strings.Join(breaks, "; "))
			}
			if !all.merge(mine) {
				return nil
			}
		}
		if text, err = json.Marshal(all); err != nil {
			return err
		}
		ok, err := keeper.StoreSchema(ctx, d.info.Name, text, revision)
		if err != nil {
			return fmt.Errorf("its schema cannot be stored: %w", err)
		}
		if ok {
			return nil
		}
	}
}

func parseSchema(text []byte) (*schema, error) {
	s := new(schema)
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("%w: what is registered for it cannot be read: %w", ErrSchema, err)
	}
	if s.Version != schemaVersion {
		return nil, fmt.Errorf("%w: it is registered in version %d of the form, and this program knows version %d: use the newer version of Hanse", ErrSchema, s.Version, schemaVersion)
	}
	for _, m := range s.Messages {
		if m == nil {
			return nil, fmt.Errorf("%w: what is registered for it has an empty message", ErrSchema)
		}
		if m.Fields == nil {
			m.Fields = make(map[int]schemaField)
		}
	}
	for _, e := range s.Enums {
		if e == nil || e.Values == nil {
			return nil, fmt.Errorf("%w: what is registered for it has an empty enum", ErrSchema)
		}
	}
	if s.Messages == nil {
		s.Messages = make(map[string]*schemaMessage)
	}
	return s, nil
}
