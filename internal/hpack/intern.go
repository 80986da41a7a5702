package hpack

import "encoding/binary"

// Literals of up to internMax bytes as sent are remembered in internSlots slots: the values of fields such as grpc-timeout repeat,
// though they are not worth a place in a table.
const (
	internMax   = 64
	internSlots = 128
)

// interned are the strings that were made of literals.
type interned [internSlots]internedString

type internedString struct {
	raw     string // as sent
	huffman bool
	value   string
}

// slot returns the slot for raw, which is not empty: it holds it already or will. Its hash looks at the ends only; a peer that makes
// all its strings collide loses what is saved for it, and nothing else.
func (in *interned) slot(raw []byte) *internedString {
	var a, b uint64
	switch n := len(raw); {
	case n >= 8:
		a, b = binary.LittleEndian.Uint64(raw), binary.LittleEndian.Uint64(raw[n-8:])
	case n >= 4:
		a, b = uint64(binary.LittleEndian.Uint32(raw)), uint64(binary.LittleEndian.Uint32(raw[n-4:]))
	default:
		a, b = uint64(raw[0])|uint64(raw[n/2])<<8, uint64(raw[n-1])
	}
	hash := (a ^ b*0x9ddfea08eb382d69 ^ uint64(len(raw))) * 0x9e3779b97f4a7c15
	return &in[hash>>57]
}
