package http2

import (
	"math"
	"sync/atomic"
)

// Stream is one stream of a connection. It is made to be a field of the object of a call, so that a call is one allocation; the zero
// value is ready for [Conn.Open] and [Handler]. Its methods are safe for concurrent use once the stream is open. A client's Stream may
// be used again for another call when the receiver got the end, by OnHeaders or OnData, and none of its methods runs.
type Stream struct {
	conn  *Conn
	recv  Receiver
	id    uint32
	web   bool // a handler of Web sends: it does not wait for ever; set before it is open
	state atomic.Uint32

	// Eager says that what OnData gets is consumed when it returns: then Consumed is not called. Set it before the stream is open.
	Eager bool

	received int64        // DATA bytes, with padding; only the reader touches it
	granted  atomic.Int64 // how many bytes the peer was allowed on top of the window at the start
	credit   atomic.Int64 // consumed, and not yet granted
	owed     atomic.Int64 // received, and not yet consumed; far below 0: settled, the rest was given back

	// The connection's lock guards the rest.
	sendWindow int64
	held       *held // what the windows hold back; nil: nothing
	ending     bool  // END_STREAM was sent or is held
	err        error // why the stream was aborted
}

// The bits of a stream's state. Each is set once and never cleared. Whoever sets the bit that completes a condition acts on it.
const (
	sentEnd  = 1 << iota // END_STREAM is in the output
	recvEnd              // END_STREAM was received
	aborted              // reset by either end, or by the end of the connection
	finished             // the user is done with it
	gotHead              // a client has received the response's header
)

func isClosed(state uint32) bool {
	return state&aborted != 0 || state&(sentEnd|recvEnd) == sentEnd|recvEnd
}

// settled is what owed is near when the stream gives no credit any more.
const settled = math.MinInt64 / 2

// open makes s a new stream. A client's connection has its lock held; a server's reader is the only one to know s.
func (s *Stream) open(c *Conn, id uint32, r Receiver) {
	s.conn, s.recv, s.id = c, r, id
	s.received = 0
	for _, n := range [...]*atomic.Int64{&s.granted, &s.credit, &s.owed} { // most are 0, which costs less to see than to say
		if n.Load() != 0 {
			n.Store(0)
		}
	}
	if s.state.Load() != 0 {
		s.state.Store(0)
	}
	s.sendWindow = int64(c.peerWindow)
	s.held, s.ending, s.err = nil, false, nil
}

// ID is the stream's number on its connection.
func (s *Stream) ID() uint32 { return s.id }

// Conn is the stream's connection.
func (s *Stream) Conn() *Conn { return s.conn }

// mark sets bits of the state and returns what it was before. A stream that is closed by it leaves the table; one that is done gives
// its place to another. The lock is not held.
func (s *Stream) mark(bits uint32) (before uint32) {
	before, last := s.set(bits)
	if last {
		c := s.conn
		c.mu.Lock()
		c.freed()
		c.mu.Unlock()
	}
	return before
}

// markLocked is mark with the lock held.
func (s *Stream) markLocked(bits uint32) (before uint32) {
	before, last := s.set(bits)
	if last {
		s.conn.freed()
	}
	return before
}

func (s *Stream) set(bits uint32) (before uint32, tell bool) {
	c := s.conn
	before = s.state.Or(bits)
	after := before | bits
	if isClosed(after) && !isClosed(before) {
		c.table.remove(s)
	}
	if c.isDone(after) && !c.isDone(before) {
		tell = c.release()
	}
	return before, tell
}

// release gives a stream's place back, and reports whether somebody waits for that: freed is to be called then.
func (c *Conn) release() bool {
	n := c.open.Add(-1)
	return c.waiting.Load() > 0 || n == 0 && c.ending.Load()
}

// freed acts on a place that was given back. The lock is held.
func (c *Conn) freed() {
	c.admit()
	if c.open.Load() == 0 {
		c.signal() // a connection that drains may end
	}
}

// isDone reports whether a stream no longer counts: it is closed and, on a server, its handler has ended.
func (c *Conn) isDone(state uint32) bool { return isClosed(state) && (c.client || state&finished != 0) }

// Consumed gives n bytes of what the receiver got back as flow control credit: it may be called at once, in OnData, if the bytes have
// been decoded or copied (but see Eager), or later by any goroutine. What was not given back when the stream is finished or reset, Finish and Reset
// give back.
func (s *Stream) Consumed(n int) {
	if n <= 0 || s.owed.Add(-int64(n)) < 0 {
		return
	}
	c := s.conn
	if s.credit.Add(int64(n)) >= c.streamCredit && s.state.Load()&(recvEnd|aborted) == 0 {
		c.mu.Lock()
		if credit := s.credit.Load(); credit >= c.streamCredit && s.state.Load()&(recvEnd|aborted) == 0 {
			s.credit.Add(-credit)
			s.grant(credit)
		}
		c.mu.Unlock()
	}
	c.consumed(int64(n))
}

// grant lets the peer send more. The lock is held.
func (s *Stream) grant(credit int64) {
	c := s.conn
	s.granted.Add(credit)
	c.out.buf = appendWindowUpdate(c.out.buf, s.id, uint32(credit))
	c.signal()
}

// consumed gives credit to the connection.
func (c *Conn) consumed(n int64) {
	if c.credit.Add(n) < c.connCredit {
		return
	}
	c.mu.Lock()
	if credit := c.credit.Load(); credit >= c.connCredit {
		c.credit.Add(-credit)
		c.granted.Add(credit)
		c.out.buf = appendWindowUpdate(c.out.buf, 0, uint32(credit))
		c.signal()
	}
	c.mu.Unlock()
}

// settle gives back what is owed, once and for all.
func (s *Stream) settle() {
	if s.Eager {
		return
	}
	if n := s.owed.Swap(settled); n > 0 {
		s.conn.consumed(n)
	}
}

// Reset ends the stream in both directions by RST_STREAM, unless it has ended. What was queued is dropped. After it the receiver gets
// no more calls; one that runs meanwhile on another goroutine may still come to its end.
func (s *Stream) Reset(code ErrCode) {
	s.conn.mu.Lock()
	s.resetLocked(code, "")
	s.conn.mu.Unlock()
	s.settle()
}

// resetLocked reports whether the stream was open.
func (s *Stream) resetLocked(code ErrCode, reason string) bool {
	if isClosed(s.state.Load()) {
		return false
	}
	c := s.conn
	c.appendReset(s.id, code)
	c.signal()
	s.abortLocked(&StreamError{Code: code, Local: true, Reason: reason})
	return true
}

// abortLocked closes the stream, and reports whether it was open.
func (s *Stream) abortLocked(err error) bool {
	if s.err == nil {
		s.err = err
	}
	s.drop()
	s.conn.leaveCrowd(s)
	return !isClosed(s.markLocked(aborted))
}

// Finish tells that the stream's user is done with it and will give no more credit. A server must call it when the handler has ended, or
// send its last [Frames] as such: until then the stream counts against MaxStreams. A peer that uses its places to the full needs the
// latter, for it may open the next stream when it sees the end of this one. A stream whose sending side was not ended is reset with InternalError by it. A
// client needs it only for streams whose credit it has not given back; it resets those that have not ended (Cancel).
func (s *Stream) Finish() {
	c := s.conn
	if before := s.mark(finished); !isClosed(before) {
		c.mu.Lock()
		if c.client {
			s.resetLocked(Cancel, "")
		} else if !s.ending {
			s.resetLocked(InternalError, "the handler ended without an answer")
		}
		c.mu.Unlock()
	}
	s.settle()
}
