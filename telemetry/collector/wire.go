package collector

import (
	"encoding/hex"
	"errors"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// errWire is returned for bytes that are not what they should be.
var errWire = errors.New("not a message of OTLP in protobuf")

// deepest is how deep values may be nested in one another.
const deepest = 16

// fields reads the fields of a protobuf message one after the other, without making anything of them.
type fields struct {
	rest []byte
	num  protowire.Number
	typ  protowire.Type
	val  uint64 // of a number
	data []byte // of a string, bytes or a message; a part of what is read
	err  error
}

// next goes to the next field. It returns false at the end, and at a mistake.
func (f *fields) next() bool {
	if len(f.rest) == 0 {
		return false
	}
	// Nearly all fields are short and have a small number: this is half of the work of a collector.
	if b := f.rest; len(b) > 1 && b[0]&0x87 == byte(protowire.BytesType) && b[0] >= 8 && b[1] < 0x80 {
		if end := 2 + int(b[1]); end <= len(b) {
			f.num, f.typ, f.val, f.data, f.rest = protowire.Number(b[0]>>3), protowire.BytesType, 0, b[2:end], b[end:]
			return true
		}
	}
	num, typ, n := protowire.ConsumeTag(f.rest)
	if n < 0 {
		f.err = errWire
		return false
	}
	f.rest, f.num, f.typ, f.val, f.data = f.rest[n:], num, typ, 0, nil
	switch typ {
	case protowire.VarintType:
		f.val, n = protowire.ConsumeVarint(f.rest)
	case protowire.Fixed64Type:
		f.val, n = protowire.ConsumeFixed64(f.rest)
	case protowire.Fixed32Type:
		var v uint32
		v, n = protowire.ConsumeFixed32(f.rest)
		f.val = uint64(v)
	case protowire.BytesType:
		f.data, n = protowire.ConsumeBytes(f.rest)
	default:
		n = protowire.ConsumeFieldValue(num, typ, f.rest)
	}
	if n < 0 {
		f.err = errWire
		return false
	}
	f.rest = f.rest[n:]
	return true
}

// message reports whether the field is number num with a length, which messages, strings and bytes have.
func (f *fields) message(num protowire.Number) bool {
	return f.num == num && f.typ == protowire.BytesType
}

// readAttr reads a KeyValue.
func readAttr(b []byte) (a Attr, err error) { return readAttrAt(b, 0) }

func readAttrAt(b []byte, depth int) (a Attr, err error) {
	f := fields{rest: b}
	for f.next() {
		switch {
		case f.message(1):
			a.Key = string(f.data)
		case f.message(2):
			if a.Value, err = readValue(f.data, depth); err != nil {
				return a, err
			}
		}
	}
	if a.Value == nil {
		a.Value = ""
	}
	return a, f.err
}

// readValue reads an AnyValue.
func readValue(b []byte, depth int) (v any, err error) {
	if depth > deepest {
		return nil, errWire
	}
	v = ""
	f := fields{rest: b}
	for f.next() {
		switch {
		case f.message(1):
			v = string(f.data)
		case f.num == 2 && f.typ == protowire.VarintType:
			v = f.val != 0
		case f.num == 3 && f.typ == protowire.VarintType:
			v = int64(f.val)
		case f.num == 4 && f.typ == protowire.Fixed64Type:
			v = math.Float64frombits(f.val)
		case f.message(5):
			list := []any{}
			for e := (fields{rest: f.data}); e.next() || e.err != nil; {
				if e.err != nil {
					return nil, e.err
				}
				if e.message(1) {
					item, err := readValue(e.data, depth+1)
					if err != nil {
						return nil, err
					}
					list = append(list, item)
				}
			}
			v = list
		case f.message(6):
			list := []Attr{}
			for e := (fields{rest: f.data}); e.next() || e.err != nil; {
				if e.err != nil {
					return nil, e.err
				}
				if e.message(1) {
					item, err := readAttrAt(e.data, depth+1)
					if err != nil {
						return nil, err
					}
					list = append(list, item)
				}
			}
			v = list
		case f.message(7):
			v = append([]byte{}, f.data...)
		}
	}
	return v, f.err
}

// appendMessage appends a field that is a message, which write appends.
func appendMessage(b []byte, num protowire.Number, write func([]byte) []byte) []byte {
	b = protowire.AppendTag(b, num, protowire.BytesType)
	at := len(b)
	b = append(b, 0) // room for the length, which hardly ever is longer
	b = write(b)
	size := len(b) - at - 1
	if extra := protowire.SizeVarint(uint64(size)) - 1; extra > 0 {
		b = append(b, make([]byte, extra)...)
		copy(b[at+1+extra:], b[at+1:at+1+size])
	}
	protowire.AppendVarint(b[:at], uint64(size))
	return b
}

func appendString(b []byte, num protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), s)
}

func appendFixed64(b []byte, num protowire.Number, v uint64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(b, num, protowire.Fixed64Type), v)
}

func appendVarint(b []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}

// appendAttr appends a KeyValue as field num.
func appendAttr(b []byte, num protowire.Number, a Attr) []byte {
	return appendMessage(b, num, func(b []byte) []byte {
		b = appendString(b, 1, a.Key)
		return appendMessage(b, 2, func(b []byte) []byte { return appendValue(b, a.Value) })
	})
}

// appendValue appends the content of an AnyValue.
func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return protowire.AppendString(protowire.AppendTag(b, 1, protowire.BytesType), v)
	case bool:
		n := uint64(0)
		if v {
			n = 1
		}
		return protowire.AppendVarint(protowire.AppendTag(b, 2, protowire.VarintType), n)
	case int64:
		return protowire.AppendVarint(protowire.AppendTag(b, 3, protowire.VarintType), uint64(v))
	case float64:
		return appendFixed64(b, 4, math.Float64bits(v))
	case []any:
		return appendMessage(b, 5, func(b []byte) []byte {
			for _, e := range v {
				b = appendMessage(b, 1, func(b []byte) []byte { return appendValue(b, e) })
			}
			return b
		})
	case []Attr:
		return appendMessage(b, 6, func(b []byte) []byte {
			for _, a := range v {
				b = appendAttr(b, 1, a)
			}
			return b
		})
	case []byte:
		return protowire.AppendBytes(protowire.AppendTag(b, 7, protowire.BytesType), v)
	}
	return b
}

// hexID writes an ID, and nothing where it is all zero.
func hexID(id []byte) string {
	for _, b := range id {
		if b != 0 {
			return hex.EncodeToString(id)
		}
	}
	return ""
}
