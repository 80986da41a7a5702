package scalar_test

import (
	"errors"
	"testing"

	"github.com/hanse-go/hanse/internal/scalar"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/typepb"
)

// The other kinds are tested by who reads queries and command lines with this package.
func TestParseEnum(t *testing.T) {
	closed := (&descriptorpb.FieldDescriptorProto{}).ProtoReflect().Descriptor().Fields().ByName("label")
	open := (&typepb.Type{}).ProtoReflect().Descriptor().Fields().ByName("syntax")
	for _, tt := range []struct {
		field protoreflect.FieldDescriptor
		text  string
		want  protoreflect.EnumNumber // -1: none
	}{
		{closed, "LABEL_REPEATED", 3},
		{closed, "3", 3},
		{closed, "0", -1},
		{closed, "4", -1},
		{closed, "label_repeated", -1},
		{closed, "", -1},
		{open, "SYNTAX_PROTO3", 1},
		{open, "77", 77},
		{open, "2147483648", -1},
	} {
		v, err := scalar.Parse(tt.field, tt.text)
		var none *scalar.EnumError
		if errors.As(err, &none) != (tt.want == -1) || err == nil && v.Enum() != tt.want {
			t.Errorf("%s of %q: %v, %v", tt.field.Name(), tt.text, v, err)
		}
		if none != nil && len(none.Names()) != tt.field.Enum().Values().Len() {
			t.Errorf("%q", none.Names())
		}
	}
}
