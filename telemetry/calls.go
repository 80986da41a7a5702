package telemetry

import (
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
)

// calls counts the calls of one method, by the code that they ended with. The zero value is ready. It is safe for concurrent use.
type calls struct {
	byCode [codes.Unauthenticated + 2]atomic.Pointer[series] // the last is of codes that there are not
}

// series are the calls that ended with one code, counted by cell.
type series struct {
	since   time.Time
	cells   cells
	tallies []*tally // each guarded by its cell's lock; nil: nothing was counted there
}

func newSeries(since time.Time, c cells) *series {
	return &series{since: since, cells: c, tallies: make([]*tally, len(c))}
}

// of returns the calls that end with the code, one of which took so long.
func (c *calls) of(code codes.Code, took time.Duration, all cells) *series {
	at := &c.byCode[min(code, codes.Unauthenticated+1)]
	s := at.Load()
	if s == nil {
		s = newSeries(time.Now().Add(-max(took, 0)), all)
		if !at.CompareAndSwap(nil, s) {
			s = at.Load()
		}
	}
	return s
}

// record counts one more, in a cell that it finds itself.
func (s *series) record(took time.Duration, sample *exemplar) {
	n := s.cells.own()
	c := &s.cells[n]
	c.mu.Lock()
	s.recordIn(n, took, sample)
	c.mu.Unlock()
}

// recordIn counts one more in a cell whose lock is held. sample, which may be nil, is its trace: it becomes the example of calls that took as
// long.
func (s *series) recordIn(n int, took time.Duration, sample *exemplar) {
	t := s.tallies[n]
	if t == nil {
		t = new(tally)
		s.tallies[n] = t
	}
	t.add(took, sample)
}

// totals adds up the cells.
func (s *series) totals(all *totals) {
	*all = totals{}
	for n := range s.cells {
		c := &s.cells[n]
		c.mu.Lock()
		if t := s.tallies[n]; t != nil {
			all.add(t)
		}
		c.mu.Unlock()
	}
}

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
