package conformancepb

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/grpc/metadata"
)

// HeadersOf returns md as the contract has it, sorted by name: values whose name ends in -bin are base64 text.
func HeadersOf(md metadata.MD) []*Header {
	var headers []*Header
	for _, name := range slices.Sorted(maps.Keys(md)) {
		values := slices.Clone(md[name])
		if isBinary(name) {
			for i, v := range values {
				values[i] = base64.RawStdEncoding.EncodeToString([]byte(v))
			}
		}
		headers = append(headers, &Header{Name: name, Value: values})
	}
	return headers
}

// MetadataOf returns headers as metadata, the values of one name in their order. It is an error when a value whose name ends in -bin is
// not base64 text.
func MetadataOf(headers []*Header) (metadata.MD, error) {
	md := metadata.MD{}
	for _, h := range headers {
		for _, v := range h.Value {
			if isBinary(h.Name) {
				data, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(v, "="))
				if err != nil {
					return nil, fmt.Errorf("value %q of %s: %w", v, h.Name, err)
				}
				v = string(data)
			}
			md.Append(h.Name, v)
		}
	}
	return md, nil
}

func isBinary(name string) bool { return strings.HasSuffix(strings.ToLower(name), "-bin") }
