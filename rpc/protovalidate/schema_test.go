package protovalidate_test

import (
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// orders is a contract with rules: order.proto, as its compiler would write it.
const orders = `
name: "orders.proto" package: "orders" syntax: "proto3"
dependency: "google/protobuf/duration.proto"
enum_type { name: "Size" value { name: "SIZE_UNSPECIFIED" number: 0 } value { name: "SMALL" number: 1 } value { name: "LARGE" number: 2 } }
message_type { name: "Order"
  field { name: "plain" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "name" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL options { [buf.validate.field] { string { min_len: 2 max_len: 5 pattern: "^[a-z]*$" } } } }
  field { name: "mail" number: 3 type: TYPE_STRING label: LABEL_OPTIONAL options { [buf.validate.field] { ignore: IGNORE_IF_ZERO_VALUE string { email: true } } } }
  field { name: "site" number: 4 type: TYPE_STRING label: LABEL_OPTIONAL options { [buf.validate.field] { ignore: IGNORE_ALWAYS string { uri: true } } } }
  field { name: "code" number: 5 type: TYPE_STRING label: LABEL_OPTIONAL proto3_optional: true oneof_index: 0 options { [buf.validate.field] { required: true string { len: 3 prefix: "A" uuid: false } } } }
  field { name: "count" number: 6 type: TYPE_INT32 label: LABEL_OPTIONAL options { [buf.validate.field] { int32 { gte: 0 lt: 10 } } } }
  field { name: "outside" number: 7 type: TYPE_DOUBLE label: LABEL_OPTIONAL options { [buf.validate.field] { double { gt: 5 lt: -5 } ignore: IGNORE_IF_ZERO_VALUE } } }
  field { name: "big" number: 8 type: TYPE_INT64 label: LABEL_OPTIONAL options { [buf.validate.field] { int64 { lte: 7 } } } }
  field { name: "size" number: 9 type: TYPE_ENUM type_name: ".orders.Size" label: LABEL_OPTIONAL options { [buf.validate.field] { enum { defined_only: true in: [0, 1] } } } }
  field { name: "tags" number: 10 type: TYPE_STRING label: LABEL_REPEATED options { [buf.validate.field] { repeated { max_items: 2 unique: true items { string { min_len: 1 } } } } } }
  field { name: "wait" number: 11 type: TYPE_MESSAGE type_name: ".google.protobuf.Duration" label: LABEL_OPTIONAL options { [buf.validate.field] { duration { lte { seconds: 60 } } } } }
  field { name: "even" number: 12 type: TYPE_INT32 label: LABEL_OPTIONAL options { [buf.validate.field] { cel { id: "even" message: "must be even" expression: "this % 2 == 0" } } } }
  field { name: "notes" number: 13 type: TYPE_MESSAGE type_name: ".orders.Order.NotesEntry" label: LABEL_REPEATED options { [buf.validate.field] { map { max_pairs: 3 keys { string { max_len: 4 } } values { string { not_in: ["bad"] } } } } } }
  field { name: "data" number: 14 type: TYPE_BYTES label: LABEL_OPTIONAL options { [buf.validate.field] { bytes { max_len: 4 prefix: "\x01" } } } }
  field { name: "exact" number: 15 type: TYPE_DOUBLE label: LABEL_OPTIONAL options { [buf.validate.field] { double { gte: 0 lte: 0 finite: true } } } }
  field { name: "agreed" number: 16 type: TYPE_BOOL label: LABEL_OPTIONAL options { [buf.validate.field] { bool { const: false } } } }
  nested_type { name: "NotesEntry" options { map_entry: true }
    field { name: "key" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
    field { name: "value" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL } }
  oneof_decl { name: "_code" }
}
message_type { name: "Broken"
  field { name: "text" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL options { [buf.validate.field] { cel { id: "x" expression: "this +" } } } }
}
`

var _ = validate.E_Field // the extension that orders has

// message returns a message of orders.
func message(t testing.TB, name protoreflect.Name) protoreflect.MessageDescriptor {
	t.Helper()
	file := &descriptorpb.FileDescriptorProto{}
	if err := prototext.Unmarshal([]byte(orders), file); err != nil {
		t.Fatal(err)
	}
	desc, err := protodesc.NewFile(file, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return desc.Messages().ByName(name)
}
