package openapi

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// extension returns the value of an extension that options have; nil if they have it not. The options are read anew from bytes:
// descriptors that were made at run time may have the extension in a type of their own, or as an unknown field.
func extension(options proto.Message, x protoreflect.ExtensionType) any {
	if options == nil || !options.ProtoReflect().IsValid() {
		return nil
	}
	data, err := proto.Marshal(options)
	if err != nil || len(data) == 0 {
		return nil
	}
	again := options.ProtoReflect().Type().New().Interface()
	if proto.Unmarshal(data, again) != nil || !proto.HasExtension(again, x) {
		return nil
	}
	return proto.GetExtension(again, x)
}
