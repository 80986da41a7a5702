package telemetry

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
)

// calls counts the calls of one method, by the code that they ended with. The zero value is ready. It is safe for concurrent use.
type calls struct {
	byCode [codes.Unauthenticated + 2]atomic.Pointer[series] // the last is of codes that there are not
}

// series are the calls that ended with one code. Each processor counts in a shard of its own, so that they do not wait for each other's
// memory.
type series struct {
	since  time.Time
	shards []atomic.Pointer[tally]
}

func newSeries(since time.Time) *series {
	return &series{since: since, shards: make([]atomic.Pointer[tally], shardCount())}
}

// record counts a call. sample is valid where the call's trace is recorded; it becomes the example of calls that took as long.
func (c *calls) record(took time.Duration, code codes.Code, sample trace.SpanContext) {
	at := &c.byCode[min(code, codes.Unauthenticated+1)]
	s := at.Load()
	if s == nil {
		s = newSeries(time.Now().Add(-max(took, 0)))
		if !at.CompareAndSwap(nil, s) {
			s = at.Load()
		}
	}
	s.record(took, sample)
}

// record counts one more.
func (s *series) record(took time.Duration, sample trace.SpanContext) {
	own := shards.Get().(*shard)
	shard := &s.shards[own.number%uint32(len(s.shards))]
	t := shard.Load()
	if t == nil {
		t = new(tally)
		if !shard.CompareAndSwap(nil, t) {
			t = shard.Load()
		}
	}
	t.add(took, sample)
	shards.Put(own)
}

// totals adds up the shards.
func (s *series) totals(all *totals) {
	*all = totals{}
	for i := range s.shards {
		if t := s.shards[i].Load(); t != nil {
			all.add(t)
		}
	}
}

// shard is the number of a shard that one processor uses at a time.
type shard struct{ number uint32 }

// shards hands out shards. A sync.Pool gives a processor what it had before, without a lock, which is all that is wanted here: two that
// have the same one are slower, not wrong.
var shards = sync.Pool{New: func() any { return &shard{nextShard.Add(1)} }}

var nextShard atomic.Uint32

// shardCount bounds what a series takes on machines with many processors.
func shardCount() int { return min(runtime.GOMAXPROCS(0), 16) }

// codeNames are the codes as the semantic conventions write them.
var codeNames = [...]string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED",
	"FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED", otherCode,
}

const otherCode = "_OTHER"

// isError tells whether a call that ended with the code failed: for who called with all but OK, for who served it only where that is no
// fault of the call.
func isError(kind trace.SpanKind, code codes.Code) bool {
	if kind == trace.SpanKindClient {
		return code != codes.OK
	}
	switch code {
	case codes.Unknown, codes.DeadlineExceeded, codes.Unimplemented, codes.Internal, codes.Unavailable, codes.DataLoss:
		return true
	}
	return code > codes.Unauthenticated
}
