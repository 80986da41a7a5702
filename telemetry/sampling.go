package telemetry

import (
	"encoding/binary"
	"math/rand/v2"

	"go.opentelemetry.io/otel/trace"
)

// newTraceID draws an ID. Nobody may guess anything of it, and everybody may see it: quick and good is enough.
func newTraceID() (id trace.TraceID) {
	binary.LittleEndian.PutUint64(id[:8], rand.Uint64()|1) // never zero; the other half decides about ratios
	binary.LittleEndian.PutUint64(id[8:], rand.Uint64())
	return id
}

func newSpanID() (id trace.SpanID) {
	binary.LittleEndian.PutUint64(id[:], rand.Uint64()|1)
	return id
}

// sampling decides which traces are recorded.
type sampling struct {
	parent bool   // as the caller did
	bound  uint64 // of those that begin here, trace IDs below it
}

func newSampling(c *Config) sampling {
	if !c.Traces.On() {
		return sampling{parent: true} // what the caller decided is passed on
	}
	s := sampling{parent: c.Sampler == ParentBasedRatio || c.Sampler == ParentBasedOn || c.Sampler == ParentBasedOff}
	switch c.Sampler {
	case AlwaysOn, ParentBasedOn:
		s.bound = everyTrace
	case AlwaysOff, ParentBasedOff:
	default:
		ratio := c.Ratio
		if ratio == 0 {
			ratio = defaultRatio
		}
		if ratio >= 1 {
			s.bound = everyTrace
		} else if ratio > 0 {
			s.bound = uint64(ratio * everyTrace)
		}
	}
	return s
}

const (
	defaultRatio = 0.05
	everyTrace   = 1 << 63
)

// takes decides about a span of the trace. Programs with other SDKs of OpenTelemetry decide in the same way by the same ratio.
func (s sampling) takes(id *trace.TraceID, hasParent, parentSampled bool) bool {
	if s.parent && hasParent {
		return parentSampled
	}
	return binary.BigEndian.Uint64(id[8:])>>1 < s.bound
}
