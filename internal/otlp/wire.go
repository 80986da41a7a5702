package otlp

import (
	"math"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// The functions below append one field each. Those whose name ends in Field leave out the zero value, as proto3 does; what has to be
// there although it is zero is written with a function that says always.

func stringField(b []byte, num protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return stringAlways(b, num, s)
}

func stringAlways(b []byte, num protowire.Number, s string) []byte {
	b = protowire.AppendTag(b, num, protowire.BytesType)
	if utf8.ValidString(s) {
		return protowire.AppendString(b, s)
	}
	b, start := open(b)
	for _, r := range s { // yields U+FFFD for what is no UTF-8
		b = utf8.AppendRune(b, r)
	}
	return closeField(b, start)
}

func varintField(b []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return varintAlways(b, num, v)
}

func varintAlways(b []byte, num protowire.Number, v uint64) []byte {
	b = protowire.AppendTag(b, num, protowire.VarintType)
	return protowire.AppendVarint(b, v)
}

func boolField(b []byte, num protowire.Number, v bool) []byte {
	return varintField(b, num, protowire.EncodeBool(v))
}

func fixed32Field(b []byte, num protowire.Number, v uint32) []byte {
	if v == 0 {
		return b
	}
	b = protowire.AppendTag(b, num, protowire.Fixed32Type)
	return protowire.AppendFixed32(b, v)
}

func fixed64Field(b []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return fixed64Always(b, num, v)
}

func fixed64Always(b []byte, num protowire.Number, v uint64) []byte {
	b = protowire.AppendTag(b, num, protowire.Fixed64Type)
	return protowire.AppendFixed64(b, v)
}

func doubleAlways(b []byte, num protowire.Number, v float64) []byte {
	return fixed64Always(b, num, math.Float64bits(v))
}

func bytesAlways(b []byte, num protowire.Number, v []byte) []byte {
	b = protowire.AppendTag(b, num, protowire.BytesType)
	return protowire.AppendBytes(b, v)
}

// openField begins a field whose length is known when it has been written. closeField ends it.
func openField(b []byte, num protowire.Number) ([]byte, int) {
	return open(protowire.AppendTag(b, num, protowire.BytesType))
}

// open leaves one byte for the length, which is enough for most.
func open(b []byte) ([]byte, int) {
	return append(b, 0), len(b) + 1
}

func closeField(b []byte, start int) []byte {
	n := len(b) - start
	if n < 0x80 {
		b[start-1] = byte(n)
		return b
	}
	more := protowire.SizeVarint(uint64(n)) - 1
	var room [9]byte
	b = append(b, room[:more]...)
	copy(b[start+more:], b[start:start+n])
	protowire.AppendVarint(b[:start-1], uint64(n))
	return b
}
