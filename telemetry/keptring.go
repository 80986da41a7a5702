package telemetry

import (
	"encoding/binary"
	"slices"

	"go.opentelemetry.io/otel/trace"
)

// keptRing is what a cell remembers of spans, one after another as they end: memory that is written in its order is nearly free. Its lock
// is that of the cell.
type keptRing struct {
	blocks []*keptBlock // a ring: behind the one at is the oldest
	at     int
}

// keptBlock is spans that ended one after another.
type keptBlock struct {
	n      int
	newest int64                 // when the last of them ended, by the clock
	filter [keptFilter]uint64    // which traces may be among them
	spans  [keptInBlock]keptSpan // without pointers, so that they cost the garbage collector nothing
}

const (
	keptInBlock = 560 // so that a block has 32 KiB
	keptFilter  = 128 // for two bits of each span; of traces that are not there it lets one in fifty pass
	keptBlocks  = 480 // of all cells: 15 MiB
)

// keptSpan is what is remembered of a span.
type keptSpan struct {
	traceID    trace.TraceID
	id, parent trace.SpanID
	start      int64 // by the clock
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

// traceHash is of that half of a trace ID that is random with all who make some.
func traceHash(id *trace.TraceID) uint64 {
	return binary.LittleEndian.Uint64(id[8:]) * 0x9e3779b97f4a7c15 >> 32
}

// place returns the place for a span of the trace that ended, which is that of the oldest where there are most blocks.
func (r *keptRing) place(k *keeper, id *trace.TraceID, ended int64) *keptSpan {
	var b *keptBlock
	if len(r.blocks) > 0 {
		b = r.blocks[r.at]
	}
	if b == nil || b.n == keptInBlock {
		b = r.next(k, ended)
	}
	h := traceHash(id)
	b.filter[h>>6%keptFilter] |= 1 << (h % 64)
	b.filter[h>>19%keptFilter] |= 1 << (h >> 13 % 64)
	b.newest = max(b.newest, ended)
	b.n++
	return &b.spans[b.n-1]
}

// next opens a block: the oldest, if that is of no use any more or there are most, or a new one.
func (r *keptRing) next(k *keeper, now int64) *keptBlock {
	if len(r.blocks) > 0 {
		r.at = (r.at + 1) % len(r.blocks)
		oldest := r.blocks[r.at]
		useful := now-oldest.newest < int64(keptFor)
		if !useful || len(r.blocks) >= k.most {
			if useful {
				k.lost.Add(uint64(oldest.n))
			}
			oldest.n, oldest.newest, oldest.filter = 0, now, [keptFilter]uint64{}
			return oldest
		}
	}
	b := &keptBlock{newest: now}
	r.blocks = slices.Insert(r.blocks, r.at, b)
	return b
}

// take takes the spans of a trace that are not too old.
func (r *keptRing) take(spans []keptSpan, id *trace.TraceID, now int64) []keptSpan {
	for _, b := range r.blocks {
		if now-b.newest >= int64(keptFor) || !b.mayHave(id) {
			continue
		}
		for i := range b.spans[:b.n] {
			if at := &b.spans[i]; at.traceID == *id && now-at.start-at.took < int64(keptFor) {
				spans = append(spans, *at)
				*at = keptSpan{} // of no trace
			}
		}
	}
	return spans
}

func (b *keptBlock) mayHave(id *trace.TraceID) bool {
	h := traceHash(id)
	return b.filter[h>>6%keptFilter]>>(h%64)&1 != 0 && b.filter[h>>19%keptFilter]>>(h>>13%64)&1 != 0
}
