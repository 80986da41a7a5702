package openapi

import "google.golang.org/protobuf/reflect/protoreflect"

// wellKnown returns the schema of a message that has a JSON form of its own, and nil for others.
func wellKnown(name protoreflect.FullName) *Schema {
	switch name {
	case "google.protobuf.Timestamp":
		return &Schema{Type: Types{"string"}, Format: "date-time"}
	case "google.protobuf.Duration":
		return &Schema{Type: Types{"string"}, Pattern: `^-?[0-9]+(\.[0-9]{1,9})?s$`, Examples: []any{"1.5s"}}
	case "google.protobuf.FieldMask":
		return &Schema{Type: Types{"string"}, Format: "field-mask", Examples: []any{"name,address.city"}}
	case "google.protobuf.Struct":
		return &Schema{Type: Types{"object"}, AdditionalProperties: &Schema{}}
	case "google.protobuf.Value":
		return &Schema{}
	case "google.protobuf.ListValue":
		return &Schema{Type: Types{"array"}, Items: &Schema{}}
	case "google.protobuf.Empty":
		return &Schema{Type: Types{"object"}}
	}
	if kind, ok := wrappers[name]; ok {
		s := scalar(kind)
		s.Type = append(s.Type, "null")
		return s
	}
	return nil
}

// wrappers are the messages that are written as the one value in them.
var wrappers = map[protoreflect.FullName]protoreflect.Kind{
	"google.protobuf.DoubleValue": protoreflect.DoubleKind,
	"google.protobuf.FloatValue":  protoreflect.FloatKind,
	"google.protobuf.Int64Value":  protoreflect.Int64Kind,
	"google.protobuf.UInt64Value": protoreflect.Uint64Kind,
	"google.protobuf.Int32Value":  protoreflect.Int32Kind,
	"google.protobuf.UInt32Value": protoreflect.Uint32Kind,
	"google.protobuf.BoolValue":   protoreflect.BoolKind,
	"google.protobuf.StringValue": protoreflect.StringKind,
	"google.protobuf.BytesValue":  protoreflect.BytesKind,
}

// anything is the schema of google.protobuf.Any.
func anything() *Schema {
	s := &Schema{
		Title: "Any", Type: Types{"object"}, AdditionalProperties: &Schema{},
		Description: "A message of the type that \"@type\" names, with its fields beside it. A message with a JSON form of its own, such as a timestamp, is in the field \"value\".",
	}
	s.Properties.Set("@type", &Schema{Type: Types{"string"}, Examples: []any{"type.googleapis.com/google.protobuf.Duration"}})
	return s
}

// httpBody is the message that stands for bytes and their media type.
const httpBody protoreflect.FullName = "google.api.HttpBody"
