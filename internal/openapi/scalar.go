package openapi

import (
	"math"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// scalar returns the schema of a value as protobuf's JSON mapping writes it.
func scalar(k protoreflect.Kind) *Schema {
	switch k {
	case protoreflect.BoolKind:
		return &Schema{Type: Types{"boolean"}}
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return &Schema{Type: Types{"integer"}, Format: "int32"}
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return &Schema{Type: Types{"integer"}, Format: "uint32", Minimum: pointer(0.0), Maximum: pointer(float64(math.MaxUint32))}
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return &Schema{Type: Types{"string"}, Format: "int64", Pattern: signed} // numbers of JavaScript end at 53 bits
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return &Schema{Type: Types{"string"}, Format: "uint64", Pattern: unsigned}
	case protoreflect.FloatKind:
		return &Schema{Type: Types{"number"}, Format: "float"}
	case protoreflect.DoubleKind:
		return &Schema{Type: Types{"number"}, Format: "double"}
	case protoreflect.BytesKind:
		return &Schema{Type: Types{"string"}, ContentEncoding: "base64"}
	}
	return &Schema{Type: Types{"string"}}
}

const (
	signed   = `^-?[0-9]+$`
	unsigned = `^[0-9]+$`
)

// keys returns the schema of a map's keys, which JSON writes as strings whatever they are; nil where any string is one.
func keys(f protoreflect.FieldDescriptor) *Schema {
	switch f.Kind() {
	case protoreflect.StringKind:
		return nil
	case protoreflect.BoolKind:
		return &Schema{Enum: []any{"true", "false"}}
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return &Schema{Pattern: unsigned}
	}
	return &Schema{Pattern: signed}
}

func pointer[T any](v T) *T { return &v }
