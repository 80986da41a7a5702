package grpctext

import (
	"strings"
	"unicode/utf8"
)

// EncodeMessage makes the value of a grpc-message header: what is not printable ASCII, and the percent sign, becomes %XX, and
// what is not UTF-8 becomes U+FFFD (gRPC's PROTOCOL-HTTP2, "Percent-Encoded").
func EncodeMessage(msg string) string {
	i := 0
	for i < len(msg) && plainStatusByte(msg[i]) {
		i++
	}
	if i == len(msg) {
		return msg
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	b.Grow(len(msg) + 16)
	b.WriteString(msg[:i])
	for _, r := range msg[i:] { // ranging makes invalid bytes U+FFFD
		if r < utf8.RuneSelf && plainStatusByte(byte(r)) {
			b.WriteByte(byte(r))
			continue
		}
		var buf [utf8.UTFMax]byte
		for _, c := range buf[:utf8.EncodeRune(buf[:], r)] {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

func plainStatusByte(c byte) bool { return c >= ' ' && c <= '~' && c != '%' }

// DecodeMessage reads the value of a grpc-message header. What is malformed stays as it is: an error must never be lost for the
// way in which it was spelt.
func DecodeMessage(s string) string {
	i := strings.IndexByte(s, '%')
	if i < 0 {
		return s
	}
	b := append(make([]byte, 0, len(s)), s[:i]...)
	for ; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, ok1 := unhex(s[i+1])
			lo, ok2 := unhex(s[i+2])
			if ok1 && ok2 {
				b = append(b, hi<<4|lo)
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

func unhex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
