package telemetry

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/internal/otlp"
	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
)

// keeper remembers the spans of traces that are not recorded for a moment. When one of them turns out to have failed, or to have taken
// long, it and those of its trace are sent after all.
type keeper struct {
	spans  *spans
	slow   time.Duration
	shards [keptShards]keptShard

	lost    atomic.Uint64 // spans that were forgotten before their time, because there were too many
	refused atomic.Uint64 // traces that were worth it, and came too fast

	mu     sync.Mutex // of the budget
	budget float64
	since  time.Time
}

const (
	keptShards = 64
	keptFor    = 5 * time.Second
	firstKept  = 64   // places of a shard, and at most
	maxKept    = 4096 // of 56 bytes: 14 MiB in all

	// Of the traces that are worth it, so many are taken a second, and so many at once.
	keptRate  = 100
	keptBurst = 200
	// maxTaken is how many traces of a shard are remembered as taken.
	maxTaken = 64
)

// keptShard is the spans of some traces.
type keptShard struct {
	mu    sync.Mutex
	ring  []keptSpan // a power of two long; without pointers, so that it costs the garbage collector nothing
	next  int
	taken map[trace.TraceID]time.Time // traces that are sent, until when
}

// keptSpan is what is remembered of a span.
type keptSpan struct {
	traceID    trace.TraceID
	id, parent trace.SpanID
	start      int64 // Unix time in nanoseconds; 0: none
	took       int64 // nanoseconds
	name       uint32
	flags      trace.TraceFlags
	code       uint8
	bits       uint8
}

const (
	keptRemote = 1 << iota
	keptFailed
)

func newKeeper(t *Telemetry) *keeper {
	return &keeper{spans: t.spans, slow: t.config.Slow, budget: keptBurst, since: time.Now()}
}

func (k *keeper) shard(id *trace.TraceID) *keptShard {
	return &k.shards[binary.LittleEndian.Uint64(id[:])>>8%keptShards]
}

// ended decides about a span that has ended.
func (k *keeper) ended(s *Span, took time.Duration, code codes.Code, message string, reached *Reached) {
	why := ""
	switch isFailed := s.phase.Load()&failed != 0; {
	case isFailed || s.method != nil && isError(trace.SpanKindServer, code):
		why = "error"
	case k.slow > 0 && took >= k.slow && s.method != nil && !s.method.streams.Load():
		why = "slow"
	}
	at := s.start.UnixNano()
	shard := k.shard(&s.traceID)
	shard.mu.Lock()
	if len(shard.taken) > 0 {
		now := s.start.Add(took)
		if until, ok := shard.taken[s.traceID]; ok && now.Before(until) {
			shard.mu.Unlock()
			k.spans.add(s, nil, took, code, message, reached, or(why, "trace"))
			return
		}
	}
	if why == "" || !k.take(s.start.Add(took)) {
		shard.put(k, keptSpan{
			traceID: s.traceID, id: s.id, parent: s.parent, start: at, took: int64(took), name: s.nameID(), flags: s.flags,
			code: uint8(code), bits: s.keptBits(),
		})
		shard.mu.Unlock()
		return
	}
	older := shard.takeTrace(&s.traceID, s.start.Add(took))
	shard.mu.Unlock()
	for i := range older {
		k.send(&older[i])
	}
	k.spans.add(s, nil, took, code, message, reached, why)
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (s *Span) keptBits() (bits uint8) {
	if s.remote {
		bits |= keptRemote
	}
	if s.phase.Load()&failed != 0 {
		bits |= keptFailed
	}
	return bits
}

// take takes from the budget, or counts a trace that is not sent although it was worth it.
func (k *keeper) take(now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if d := now.Sub(k.since); d > 0 {
		k.budget, k.since = min(k.budget+d.Seconds()*keptRate, keptBurst), now
	}
	if k.budget < 1 {
		k.refused.Add(1)
		return false
	}
	k.budget--
	return true
}

// put remembers a span, in the place of the oldest. The ring grows while that is not old enough to be forgotten. The lock is held.
func (s *keptShard) put(k *keeper, span keptSpan) {
	if s.next >= len(s.ring) && len(s.ring) < maxKept {
		s.grow(span.start)
	}
	at := &s.ring[s.next&(len(s.ring)-1)]
	if at.start != 0 && span.start-at.start < int64(keptFor) {
		k.lost.Add(1)
	}
	*at = span
	s.next++
}

// grow makes the ring larger when its oldest span is still of use.
func (s *keptShard) grow(now int64) {
	if len(s.ring) == 0 {
		s.ring = make([]keptSpan, firstKept)
		return
	}
	oldest := s.next & (len(s.ring) - 1)
	if now-s.ring[oldest].start >= int64(keptFor) {
		return
	}
	ring := make([]keptSpan, 2*len(s.ring))
	n := copy(ring, s.ring[oldest:])
	n += copy(ring[n:], s.ring[:oldest])
	s.ring, s.next = ring, n
}

// takeTrace takes the spans of a trace, which is sent from now on. The lock is held.
func (s *keptShard) takeTrace(id *trace.TraceID, now time.Time) (spans []keptSpan) {
	if s.taken == nil {
		s.taken = make(map[trace.TraceID]time.Time)
	}
	if len(s.taken) >= maxTaken {
		for id, until := range s.taken {
			if !now.Before(until) {
				delete(s.taken, id)
			}
		}
	}
	if len(s.taken) < maxTaken {
		s.taken[*id] = now.Add(keptFor)
	}
	for i := range s.ring {
		if at := &s.ring[i]; at.traceID == *id && at.start != 0 && now.UnixNano()-at.start-at.took < int64(keptFor) {
			spans = append(spans, *at)
			*at = keptSpan{}
		}
	}
	return spans
}

// send sends a span that was remembered.
func (k *keeper) send(s *keptSpan) {
	name := k.spans.telemetry.names.get(s.name)
	if name == nil || !k.spans.room() {
		return
	}
	one := otlp.Span{
		TraceID: s.traceID, SpanID: s.id, ParentID: s.parent, ParentRemote: s.bits&keptRemote != 0, Flags: s.flags,
		Name: name.name, Kind: name.kind, Start: s.start, End: s.start + s.took,
	}
	code := codes.Code(s.code)
	if m := name.method; m != nil {
		one.Encoded = m.encoded
		one.Status = statusOf(m.kind, code)
		one.Attributes = callAttributes(nil, m.kind, code, nil)
	}
	if s.bits&keptFailed != 0 {
		one.Status = otelcodes.Error
	}
	one.Attributes = append(one.Attributes, attribute.String("hanse.kept", "trace"))
	p := name.scope.pile()
	p.mu.Lock()
	defer p.mu.Unlock()
	k.spans.put(p, &one)
}
