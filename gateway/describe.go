package gateway

import (
	"encoding/json"

	"github.com/hanse-go/hanse/internal/openapi"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Constraints returns what is demanded of a field's value beyond its type, as keywords of JSON Schema (draft 2020-12) that are added to the
// schema of the value: of the whole list or map for a repeated field or a map. What keywords cannot say is in a list of texts,
// "x-rules". It returns nil where nothing is demanded. [github.com/hanse-go/hanse/rpc/protovalidate.Constraints] is one.
type Constraints func(field protoreflect.FieldDescriptor) map[string]any

// Comment returns what the .proto file says about a declaration, where hanse gen has kept that, or "".
func Comment(d protoreflect.Descriptor) string { return openapi.Comment(d) }

// Schema returns the JSON Schema (draft 2020-12) of a message as protobuf's JSON mapping writes it, with the comments of its fields. It
// stands alone. constraints may be nil.
func Schema(m protoreflect.MessageDescriptor, constraints Constraints) (json.RawMessage, error) {
	return openapi.Standalone(m, openapi.Options{Constraints: openapi.Keywords(constraints)})
}
