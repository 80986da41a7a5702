package otlp

import (
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// partialSuccess reads an Export…ServiceResponse of any signal: how many items were refused, and a remark.
func partialSuccess(b []byte) (refused uint64, remark string) {
	fields(b, func(num protowire.Number, _ uint64, message []byte) {
		if num != 1 {
			return
		}
		fields(message, func(num protowire.Number, n uint64, text []byte) {
			switch num {
			case 1:
				refused = uint64(max(0, int64(n)))
			case 2:
				remark = short(text)
			}
		})
	})
	return refused, remark
}

// statusMessage reads the message of a google.rpc.Status.
func statusMessage(b []byte) (message string) {
	fields(b, func(num protowire.Number, _ uint64, text []byte) {
		if num == 2 {
			message = short(text)
		}
	})
	return message
}

// fields calls f with each field of a message that is a varint or has a length, and stops at what is none.
func fields(b []byte, f func(num protowire.Number, varint uint64, bytes []byte)) {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return
		}
		b = b[n:]
		switch typ {
		case protowire.VarintType:
			v, n := protowire.ConsumeVarint(b)
			if n < 0 {
				return
			}
			f(num, v, nil)
			b = b[n:]
		case protowire.BytesType:
			v, n := protowire.ConsumeBytes(b)
			if n < 0 {
				return
			}
			f(num, 0, v)
			b = b[n:]
		default:
			n := protowire.ConsumeFieldValue(num, typ, b)
			if n < 0 {
				return
			}
			b = b[n:]
		}
	}
}

// short makes one line of bounded length of what a receiver says.
func short(text []byte) string {
	if len(text) > maxMessage {
		text = text[:maxMessage]
	}
	return strings.Join(strings.Fields(strings.ToValidUTF8(string(text), "")), " ")
}
