package hpack

// A Field is one header field. Its strings are never changed, so they may be kept.
type Field struct {
	Name, Value string

	// Sensitive fields are sent as literals that are never indexed, by any hop (RFC 7541 section 7.1.3).
	Sensitive bool
}

// Size is the size of f as tables and lists count it: its bytes and an overhead of 32 (RFC 7541 section 4.1).
func (f Field) Size() uint64 { return uint64(len(f.Name)) + uint64(len(f.Value)) + fieldOverhead }

const fieldOverhead = 32
