package telemetry

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/internal/otlp"
	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
)

// keeper has the spans of traces that are not recorded remembered for a moment, by the cells. When one of them turns out to have failed, or to
// have taken long, it and those of its trace are sent after all.
type keeper struct {
	spans *spans
	cells cells
	slow  time.Duration
	most  int // blocks of a cell

	lost    atomic.Uint64 // spans that were forgotten before their time, because there were too many
	refused atomic.Uint64 // traces that were worth it, and came too fast

	// Traces that are sent: until when. What is looked at with each span says only that there may be one.
	until atomic.Int64
	maybe [1024]atomic.Int64 // by hash

	mu     sync.Mutex
	taken  map[trace.TraceID]int64
	budget float64
	since  int64
}

const (
	keptFor = 5 * time.Second

	// Of the traces that are worth it, so many are taken a second, and so many at once.
	keptRate  = 100
	keptBurst = 200
)

func newKeeper(t *Telemetry) *keeper {
	return &keeper{spans: t.spans, cells: t.cells, slow: t.config.Slow, most: max(keptBlocks/len(t.cells), 1), taken: make(map[trace.TraceID]int64), budget: keptBurst}
}

// reason is why a span is worth it, or "".
func (k *keeper) reason(s *Span, took time.Duration, code codes.Code) string {
	switch {
	case s.phase.Load()&failed != 0 || s.method != nil && isError(trace.SpanKindServer, code):
		return "error"
	case s.slow(took, k.slow):
		return "slow"
	}
	return ""
}

// mayBeTaken reports whether the trace may be one that is sent, which isTaken knows.
func (k *keeper) mayBeTaken(id *trace.TraceID, now int64) bool {
	return k.until.Load() > now && k.maybe[traceHash(id)%uint64(len(k.maybe))].Load() > now
}

// keep remembers a span, whose cell is locked, if it is one of many. It returns false when it takes a closer look: then decide is to be called
// with the cell unlocked.
func (k *keeper) keep(c *cell, s *Span, e *ending) bool {
	if e.why != "" || k.mayBeTaken(&s.traceID, e.at) {
		return false
	}
	k.remember(c, s, e)
	return true
}

func (k *keeper) remember(c *cell, s *Span, e *ending) {
	at := c.kept.place(k, &s.traceID, e.at)
	at.traceID, at.id, at.parent, at.start, at.took = s.traceID, s.id, s.parent, e.at-int64(e.took), int64(e.took)
	at.name, at.flags, at.code, at.bits = s.nameID(), s.flags, uint8(e.code), s.keptBits()
}

// decide sends a span with those of its trace, or has it remembered.
func (k *keeper) decide(s *Span, e *ending) {
	k.mu.Lock()
	known := k.taken[s.traceID] > e.at
	take := !known && e.why != "" && k.take(e.at)
	if take {
		k.takes(&s.traceID, e.at+int64(keptFor))
	}
	k.mu.Unlock()
	switch {
	case known:
		if e.why == "" {
			e.why = "trace"
		}
	case take:
		var older []keptSpan
		for i := range k.cells { // what is put there from now on has seen that its trace is taken
			c := &k.cells[i]
			c.mu.Lock()
			older = c.kept.take(older, &s.traceID, e.at)
			c.mu.Unlock()
		}
		for i := range older {
			k.send(&older[i])
		}
	default:
		c := &k.cells[k.cells.own()]
		c.mu.Lock()
		k.remember(c, s, e)
		c.mu.Unlock()
		return
	}
	k.spans.add(s, nil, e)
}

// takes notes that a trace is sent. k.mu is held.
func (k *keeper) takes(id *trace.TraceID, until int64) {
	if len(k.taken) >= 2*keptBurst+int(keptFor.Seconds())*keptRate {
		for id, old := range k.taken {
			if old+int64(keptFor) <= until {
				delete(k.taken, id)
			}
		}
	}
	k.taken[*id] = until
	for _, at := range []*atomic.Int64{&k.until, &k.maybe[traceHash(id)%uint64(len(k.maybe))]} {
		at.Store(max(at.Load(), until))
	}
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

// take takes from the budget, or counts a trace that is not sent although it was worth it. k.mu is held.
func (k *keeper) take(now int64) bool {
	if d := now - k.since; d > 0 {
		k.budget, k.since = min(k.budget+time.Duration(d).Seconds()*keptRate, keptBurst), now
	}
	if k.budget < 1 {
		k.refused.Add(1)
		return false
	}
	k.budget--
	return true
}

// send sends a span that was remembered.
func (k *keeper) send(s *keptSpan) {
	name := k.spans.telemetry.names.get(s.name)
	if name == nil || !k.spans.room() {
		return
	}
	start := k.spans.telemetry.clock.unix(s.start)
	one := otlp.Span{
		TraceID: s.traceID, SpanID: s.id, ParentID: s.parent, ParentRemote: s.bits&keptRemote != 0, Flags: s.flags,
		Name: name.name, Kind: name.kind, Start: start, End: start + s.took,
	}
	code := codes.Code(s.code)
	if m := name.method; m != nil {
		one.Encoded = m.encoded
		one.Status = statusOf(m.kind, code)
		one.Attributes = m.endAttributes(nil, code, nil, 0)
	}
	if s.bits&keptFailed != 0 {
		one.Status = otelcodes.Error
	}
	one.Attributes = append(one.Attributes, attribute.String("hanse.kept", "trace"))
	p := name.scope.pile(k.cells.own())
	p.mu.Lock()
	defer p.mu.Unlock()
	k.spans.put(p, func(b []byte) []byte { return otlp.AppendSpan(b, &one) })
}
