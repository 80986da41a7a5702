// Package redact writes protobuf messages for people who look at a running system: as JSON, of a bounded length, and without what
// their authors marked as nobody's business.
//
//	text := redact.JSON(request, 16<<10)
//
// A field is left out that has the option debug_redact, or an option of its own whose value is an enum's with debug_redact, as in
// [(sensitivity) = SECRET]. This is the rule of protobuf's own debug output in C++.
package redact

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Mark stands in the JSON where a value was left out.
const Mark = "[redacted]"

// Text is a message that was written.
type Text struct {
	JSON     string // always valid JSON, also when it was cut
	Cut      bool   // it was longer than allowed: strings, lists and fields are missing
	Redacted bool   // some values are Mark
}

// JSON writes m as JSON, in protobuf's mapping, with about limit bytes at most: what does not fit is left out, and the brackets
// are closed. A nil message is null. It only reads m.
func JSON(m proto.Message, limit int) Text {
	if m == nil {
		return Text{JSON: "null"}
	}
	w := writer{limit: limit}
	w.message(m.ProtoReflect(), 0)
	return Text{JSON: string(w.out), Cut: w.cut, Redacted: w.redacted}
}

// Hidden reports whether values of the field are not to be shown.
func Hidden(fd protoreflect.FieldDescriptor) bool {
	options, ok := fd.Options().(*descriptorpb.FieldOptions)
	if !ok || options == nil {
		return false
	}
	return options.GetDebugRedact() || marked(options.ProtoReflect(), 0)
}

// marked reports whether one of the options, or one in a message of them, is an enum's value with debug_redact.
func marked(options protoreflect.Message, depth int) (found bool) {
	if depth > maxDepth {
		return false
	}
	options.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if depth == 0 && !fd.IsExtension() { // the standard ones say nothing of this
			return true
		}
		each := func(v protoreflect.Value) {
			switch {
			case fd.Enum() != nil:
				value := fd.Enum().Values().ByNumber(v.Enum())
				if value == nil {
					return
				}
				o, _ := value.Options().(*descriptorpb.EnumValueOptions)
				found = found || o.GetDebugRedact()
			case fd.Message() != nil:
				found = found || marked(v.Message(), depth+1)
			}
		}
		switch {
		case fd.IsMap():
		case fd.IsList():
			for i := range v.List().Len() {
				each(v.List().Get(i))
			}
		default:
			each(v)
		}
		return !found
	})
	return found
}
