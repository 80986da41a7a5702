package telemetry

import (
	"encoding/binary"
	"slices"

	"go.opentelemetry.io/otel/trace"
)

// The headers of W3C Trace Context and Baggage.
const (
	TraceParentKey = "traceparent"
	TraceStateKey  = "tracestate"
	BaggageKey     = "baggage"
)

// traceParentLen is the length of one of version 00: 00-TRACE-PARENT-FLAGS.
const traceParentLen = 2 + 1 + 32 + 1 + 16 + 1 + 2

// parent is what a span knows of the one that it belongs to.
type parent struct {
	trace  trace.TraceID
	span   trace.SpanID
	flags  trace.TraceFlags
	remote bool
	state  string // tracestate as it came
}

func (p *parent) valid() bool { return p.trace != trace.TraceID{} && p.span != trace.SpanID{} }

// parseTraceParent reads a header. Of what is malformed nothing is taken.
func (p *parent) parse(s string) bool {
	if len(s) < traceParentLen || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return false
	}
	version, ok := hexByte(s[0], s[1])
	flags, well := hexByte(s[53], s[54])
	if !ok || !well || version == 0xff || !fromHex(p.trace[:8], s[3:]) || !fromHex(p.trace[8:], s[19:]) || !fromHex(p.span[:], s[36:]) {
		return false
	}
	if len(s) > traceParentLen && (version == 0 || s[traceParentLen] != '-') { // later versions may say more
		return false
	}
	p.flags, p.remote = trace.TraceFlags(flags)&(trace.FlagsSampled|trace.FlagsRandom), true
	return p.valid()
}

// fromHex decodes the first 16 digits of s into dst, which has 8 bytes. Digits are small letters, and only those.
func fromHex(dst []byte, s string) bool {
	high, ok := eightDigits(s[:8])
	low, well := eightDigits(s[8:16])
	binary.LittleEndian.PutUint32(dst[:4], high)
	binary.LittleEndian.PutUint32(dst[4:8], low)
	return ok && well
}

// eightDigits decodes them all at once, each in its byte of a word. The first byte of what they say is the lowest.
func eightDigits(s string) (uint32, bool) {
	const each = 0x0101010101010101
	_ = s[7]
	chars := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 | uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
	letters := chars >> 6 & each
	digits := chars&(0x0f*each) + 9*letters
	tens := (digits + 6*each) >> 4 & each // 1 where it is ten and more, which is so of letters and of no others
	ok := tens == letters && digits&(0x10*each) == 0 && digits+0x30*each+('a'-10-'0')*letters == chars
	pairs := (digits<<4 | digits>>8) & 0x00ff00ff00ff00ff
	pairs = (pairs | pairs>>8) & 0x0000ffff0000ffff
	return uint32(pairs | pairs>>16), ok
}

func hexByte(high, low byte) (byte, bool) {
	h, ok := digit(high)
	l, well := digit(low)
	return h<<4 | l, ok && well
}

func digit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

const hexDigits = "0123456789abcdef"

// hexPairs are the two digits of each byte, the first in the low half.
var hexPairs = func() (pairs [256]uint16) {
	for i := range pairs {
		pairs[i] = uint16(hexDigits[i>>4]) | uint16(hexDigits[i&15])<<8
	}
	return pairs
}()

// appendTraceParent writes a header.
func appendTraceParent(dst []byte, t *trace.TraceID, s *trace.SpanID, flags trace.TraceFlags) []byte {
	dst = slices.Grow(dst, traceParentLen)
	n := len(dst)
	dst = dst[:n+traceParentLen]
	to := dst[n:]
	to[0], to[1], to[2], to[35], to[52] = '0', '0', '-', '-', '-'
	for i, b := range t {
		binary.LittleEndian.PutUint16(to[3+2*i:], hexPairs[b])
	}
	for i, b := range s {
		binary.LittleEndian.PutUint16(to[36+2*i:], hexPairs[b])
	}
	binary.LittleEndian.PutUint16(to[53:], hexPairs[flags])
	return dst
}
