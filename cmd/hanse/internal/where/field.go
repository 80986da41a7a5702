package where

import (
	"fmt"
	"strconv"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/call"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/internal/scalar"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// compileField returns what decides by the field to which a path leads. A field that is not set has its default value.
func compileField(md protoreflect.MessageDescriptor, path []string, op operator, value string) (func(protoreflect.Message) bool, error) {
	fd, err := call.FindField(md, path[0])
	if err != nil {
		return nil, err
	}
	rest := path[1:]
	switch {
	case fd.IsMap():
		if len(rest) == 0 {
			return nil, fmt.Errorf("%s is a map: write %s.KEY", fd.Name(), fd.Name())
		}
		key, err := call.ParseScalar(fd.MapKey(), rest[0])
		if err != nil {
			return nil, fmt.Errorf("the key %w", err)
		}
		match, err := compileValue(fd.MapValue(), rest[1:], op, value)
		if err != nil {
			return nil, err
		}
		return func(m protoreflect.Message) bool {
			v := m.Get(fd).Map().Get(key.MapKey())
			return v.IsValid() && match(v)
		}, nil
	case fd.IsList():
		at := -1
		if len(rest) > 0 {
			if n, err := strconv.ParseUint(rest[0], 10, 31); err == nil {
				at, rest = int(n), rest[1:]
			}
		}
		match, err := compileValue(fd, rest, op, value)
		if err != nil {
			return nil, err
		}
		return func(m protoreflect.Message) bool {
			list := m.Get(fd).List()
			for i := range list.Len() {
				if (at < 0 || at == i) && match(list.Get(i)) {
					return true
				}
			}
			return false
		}, nil
	}
	match, err := compileValue(fd, rest, op, value)
	if err != nil {
		return nil, err
	}
	return func(m protoreflect.Message) bool { return match(m.Get(fd)) }, nil
}

// compileValue decides by one value of the field.
func compileValue(fd protoreflect.FieldDescriptor, rest []string, op operator, value string) (func(protoreflect.Value) bool, error) {
	if md := fd.Message(); md != nil {
		if len(rest) > 0 {
			match, err := compileField(md, rest, op, value)
			if err != nil {
				return nil, err
			}
			return func(v protoreflect.Value) bool { return match(v.Message()) }, nil
		}
		return compileKnown(fd, op, value)
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%s is %s and has no fields", fd.Name(), scalar.Kind(fd))
	}
	match, err := compileScalar(fd, op, value)
	if err != nil {
		return nil, fmt.Errorf("%s %w", fd.Name(), err)
	}
	return match, nil
}

// compileKnown decides by messages that people write as one value.
func compileKnown(fd protoreflect.FieldDescriptor, op operator, value string) (func(protoreflect.Value) bool, error) {
	md := fd.Message()
	fields := md.Fields()
	switch md.FullName() {
	case "google.protobuf.Timestamp", "google.protobuf.Duration":
		seconds, nanos := fields.ByNumber(1), fields.ByNumber(2)
		var want int64
		if md.Name() == "Timestamp" {
			t, err := ParseTime(value, time.Now())
			if err != nil || op == "~" {
				return nil, fmt.Errorf("%s is a time, to be compared with one: %s", fd.Name(), TimeForms)
			}
			want = t.UnixNano()
		} else {
			d, err := time.ParseDuration(value)
			if err != nil || op == "~" {
				return nil, fmt.Errorf("%s is a duration, to be compared with one, such as 1m30s", fd.Name())
			}
			want = int64(d)
		}
		holds := ordered(op, want)
		return func(v protoreflect.Value) bool {
			m := v.Message()
			return holds(m.Get(seconds).Int()*int64(time.Second) + m.Get(nanos).Int())
		}, nil
	case "google.protobuf.StringValue", "google.protobuf.BytesValue", "google.protobuf.DoubleValue", "google.protobuf.FloatValue", "google.protobuf.Int64Value",
		"google.protobuf.UInt64Value", "google.protobuf.Int32Value", "google.protobuf.UInt32Value", "google.protobuf.BoolValue":
		match, err := compileValue(fields.ByNumber(1), nil, op, value)
		if err != nil {
			return nil, err
		}
		return func(v protoreflect.Value) bool { return match(v.Message().Get(fields.ByNumber(1))) }, nil
	}
	if fields.Len() == 0 {
		return nil, fmt.Errorf("%s is a message without fields", fd.Name())
	}
	return nil, ui.Errorf("%s is a message, not a value", fd.Name()).Then("name a field of it, such as %s.%s", fd.Name(), fields.Get(0).Name())
}

// compileScalar decides by a number, a truth value, text, bytes or an enum. Its error continues a sentence that begins with the field.
func compileScalar(fd protoreflect.FieldDescriptor, op operator, value string) (func(protoreflect.Value) bool, error) {
	if op == "~" {
		has := contains(value)
		switch fd.Kind() {
		case protoreflect.StringKind:
			return func(v protoreflect.Value) bool { return has(v.String()) }, nil
		case protoreflect.BytesKind:
			return func(v protoreflect.Value) bool { return has(string(v.Bytes())) }, nil
		case protoreflect.EnumKind:
			values := fd.Enum().Values()
			return func(v protoreflect.Value) bool {
				ed := values.ByNumber(v.Enum())
				return ed != nil && has(string(ed.Name()))
			}, nil
		}
		return nil, fmt.Errorf("is %s, and ~ is for text", scalar.Kind(fd))
	}
	if fd.Kind() == protoreflect.BytesKind { // compared as text; nobody writes base64 to search
		holds := ordered(op, value)
		return func(v protoreflect.Value) bool { return holds(string(v.Bytes())) }, nil
	}
	want, err := call.ParseScalar(fd, value)
	if err != nil {
		return nil, err
	}
	switch fd.Kind() {
	case protoreflect.BoolKind:
		if op != "=" {
			return nil, fmt.Errorf("is true or false: %s is not for it", op)
		}
		return func(v protoreflect.Value) bool { return v.Bool() == want.Bool() }, nil
	case protoreflect.EnumKind:
		holds := ordered(op, want.Enum())
		return func(v protoreflect.Value) bool { return holds(v.Enum()) }, nil
	case protoreflect.StringKind:
		holds := ordered(op, want.String())
		return func(v protoreflect.Value) bool { return holds(v.String()) }, nil
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		holds := ordered(op, want.Float())
		return func(v protoreflect.Value) bool { return holds(v.Float()) }, nil
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind, protoreflect.Fixed32Kind, protoreflect.Fixed64Kind:
		holds := ordered(op, want.Uint())
		return func(v protoreflect.Value) bool { return holds(v.Uint()) }, nil
	}
	holds := ordered(op, want.Int())
	return func(v protoreflect.Value) bool { return holds(v.Int()) }, nil
}
