package reflection

import (
	"bytes"
	"encoding/json"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// FormatJSON writes a message in protobuf's JSON form: on one line, or indented. protojson puts blanks at random, so that nobody
// relies on them; here they are regular. types may be nil.
func FormatJSON(m proto.Message, types *Types, indent bool) ([]byte, error) {
	data, err := protojson.MarshalOptions{Resolver: types, AllowPartial: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if indent {
		err = json.Indent(&b, data, "", "  ")
	} else {
		err = json.Compact(&b, data)
	}
	return b.Bytes(), err
}
