package events

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Schema reads and writes the data of a topic's events without the program's own types, by what a [SchemaKeeper] keeps of them. Its fields
// are all that the message type ever had. Make one with [ParseSchema].
type Schema struct{ decl *declaration }

// ParseSchema reads what [SchemaKeeper.LoadSchema] returned.
func ParseSchema(text []byte) (*Schema, error) {
	s, err := parseSchema(text)
	if err != nil {
		return nil, err
	}
	md, err := s.descriptor()
	if err != nil {
		return nil, fmt.Errorf("%w: what is registered for it is no %s: %w", ErrSchema, s.Type, err)
	}
	return &Schema{&declaration{typ: dynamicpb.NewMessageType(md), name: s.Type, json: s.JSON}}, nil
}

// Message returns the descriptor of the message type.
func (s *Schema) Message() protoreflect.MessageDescriptor { return s.decl.typ.Descriptor() }

// Encode returns the data of an event, and its content type: JSON when some of the topic's events are, else protobuf.
func (s *Schema) Encode(msg proto.Message) (data []byte, contentType string, err error) {
	return s.decl.encode(msg)
}

// Decode reads the data of an event.
func (s *Schema) Decode(m *Message) (proto.Message, error) {
	msg := s.decl.typ.New().Interface()
	return msg, s.decl.decode(m, msg)
}

// descriptor makes the message type anew. It is in a file without a package, in which the parts of a name are messages within messages: that
// gives all types their names, whichever files they came from and however these need each other.
func (s *schema) descriptor() (protoreflect.MessageDescriptor, error) {
	var root descriptorpb.DescriptorProto // of which the file takes what is in it
	scopes := map[string]*descriptorpb.DescriptorProto{"": &root}
	var scope func(name string) *descriptorpb.DescriptorProto
	scope = func(name string) *descriptorpb.DescriptorProto {
		if scopes[name] == nil {
			outer, last := splitName(name)
			scopes[name] = &descriptorpb.DescriptorProto{Name: &last}
			in := scope(outer)
			in.NestedType = append(in.NestedType, scopes[name])
		}
		return scopes[name]
	}
	imported := make(map[string]bool)
	for _, name := range slices.Sorted(maps.Keys(s.Messages)) {
		if file := wellKnown(name); file != nil {
			imported[file.Path()] = true
		} else if err := s.describe(name, scope); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Enums)) {
		if file := wellKnown(name); file != nil {
			imported[file.Path()] = true
			continue
		}
		outer, last := splitName(name)
		in := scope(outer)
		in.EnumType = append(in.EnumType, s.Enums[name].descriptor(last))
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("schema.proto"), Syntax: proto.String("proto2"), Dependency: slices.Sorted(maps.Keys(imported)),
		MessageType: root.NestedType, EnumType: root.EnumType,
	}, protoregistry.GlobalFiles)
	if err != nil {
		return nil, err
	}
	messages := file.Messages()
	var found protoreflect.MessageDescriptor
	for part := range strings.SplitSeq(s.Type, ".") {
		if at := wellKnown(s.Type); at != nil {
			found = at.Messages().ByName(protoreflect.FullName(s.Type).Name())
		} else if found = messages.ByName(protoreflect.Name(part)); found != nil {
			messages = found.Messages()
		}
		if found == nil {
			return nil, errors.New("it is not described")
		}
	}
	return found, nil
}

// wellKnown returns the file of a type that comes with protobuf, nil for others. These have forms of their own in JSON.
func wellKnown(name string) protoreflect.FileDescriptor {
	if !strings.HasPrefix(name, "google.protobuf.") {
		return nil
	}
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return nil
	}
	return d.ParentFile()
}

func splitName(name string) (outer, last string) {
	at := strings.LastIndexByte(name, '.')
	return name[:max(at, 0)], name[at+1:]
}

// describe describes one message.
func (s *schema) describe(name string, scope func(string) *descriptorpb.DescriptorProto) error {
	m, of := scope(name), s.Messages[name]
	names, oneofs := make(map[string]bool), make(map[string]int32)
	// A name that came back with another number is that of the higher one.
	for _, number := range slices.Backward(slices.Sorted(maps.Keys(of.Fields))) {
		f := of.Fields[number]
		typ, ok := descriptorpb.FieldDescriptorProto_Type_value["TYPE_"+strings.ToUpper(f.Kind)]
		if !ok {
			return fmt.Errorf("field %d of %s is %q, which is no kind of field", number, name, f.Kind)
		}
		for names[f.Name] {
			f.Name, f.JSONName = fmt.Sprintf("%s_%d", f.Name, number), ""
		}
		names[f.Name] = true
		fd := &descriptorpb.FieldDescriptorProto{
			Name: &f.Name, Number: proto.Int32(int32(number)), Type: descriptorpb.FieldDescriptorProto_Type(typ).Enum(),
			JsonName: proto.String(cmp.Or(f.JSONName, jsonName(f.Name))),
		}
		label := descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL
		switch {
		case f.Repeated || f.Map:
			label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED
		case f.Required:
			label = descriptorpb.FieldDescriptorProto_LABEL_REQUIRED
		}
		fd.Label = label.Enum()
		if f.Type != "" {
			fd.TypeName = proto.String("." + f.Type)
		}
		if f.Map {
			scope(f.Type).Options = &descriptorpb.MessageOptions{MapEntry: proto.Bool(true)}
		}
		if f.Oneof != "" {
			at, ok := oneofs[f.Oneof]
			if !ok {
				at = int32(len(oneofs))
				oneofs[f.Oneof] = at
				m.OneofDecl = append(m.OneofDecl, &descriptorpb.OneofDescriptorProto{Name: &f.Oneof})
			}
			fd.OneofIndex = &at
		}
		m.Field = append(m.Field, fd)
	}
	slices.Reverse(m.Field)
	return nil
}

func (e *schemaEnum) descriptor(name string) *descriptorpb.EnumDescriptorProto {
	ed := &descriptorpb.EnumDescriptorProto{Name: &name}
	for _, number := range slices.Sorted(maps.Keys(e.Values)) {
		v := &descriptorpb.EnumValueDescriptorProto{Name: proto.String(e.Values[number]), Number: proto.Int32(int32(number))}
		if number == 0 { // the first is the default
			ed.Value = slices.Insert(ed.Value, 0, v)
		} else {
			ed.Value = append(ed.Value, v)
		}
	}
	return ed
}

// jsonName is the name of a field in JSON if it is given no other.
func jsonName(name string) string {
	parts := strings.Split(name, "_")
	for i, part := range parts[1:] {
		if part != "" && 'a' <= part[0] && part[0] <= 'z' {
			parts[i+1] = string(part[0]-'a'+'A') + part[1:]
		}
	}
	return strings.Join(parts, "")
}
