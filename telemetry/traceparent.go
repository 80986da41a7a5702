package telemetry

import (
	"encoding/hex"

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

func (p *parent) valid() bool { return p.trace.IsValid() && p.span.IsValid() }

// parseTraceParent reads a header. Of what is malformed nothing is taken.
func (p *parent) parse(s string) bool {
	if len(s) < traceParentLen || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return false
	}
	var version, flags [1]byte
	if !fromHex(version[:], s[:2]) || version[0] == 0xff || !fromHex(flags[:], s[53:55]) || !fromHex(p.trace[:], s[3:35]) || !fromHex(p.span[:], s[36:52]) {
		return false
	}
	if len(s) > traceParentLen && (version[0] == 0 || s[traceParentLen] != '-') { // later versions may say more
		return false
	}
	p.flags, p.remote = trace.TraceFlags(flags[0])&(trace.FlagsSampled|trace.FlagsRandom), true
	return p.valid()
}

// fromHex decodes small letters, and only those.
func fromHex(dst []byte, s string) bool {
	for i := range dst {
		hi, lo := nibble[s[2*i]], nibble[s[2*i+1]]
		if hi|lo > 0x0f {
			return false
		}
		dst[i] = hi<<4 | lo
	}
	return true
}

var nibble = func() (table [256]byte) {
	for i := range table {
		table[i] = 0xff
	}
	for i := range byte(16) {
		table["0123456789abcdef"[i]] = i
	}
	return table
}()

// appendTraceParent writes a header.
func appendTraceParent(dst []byte, t *trace.TraceID, s *trace.SpanID, flags trace.TraceFlags) []byte {
	dst = append(dst, "00-"...)
	dst = hex.AppendEncode(dst, t[:])
	dst = append(dst, '-')
	dst = hex.AppendEncode(dst, s[:])
	dst = append(dst, '-')
	return hex.AppendEncode(dst, []byte{byte(flags)})
}
