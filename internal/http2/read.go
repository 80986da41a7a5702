package http2

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/internal/hpack"
)

const (
	// readBuffer is how much one read brings at most. A connection begins with firstBuffer, and most idle ones stay with it.
	readBuffer  = 64 << 10
	firstBuffer = 8 << 10
	// A receiver that has a place for it is read a frame's rest to directly, if that is worth another read; but no more of it than
	// mostPlaced at once, for the rest may never come.
	leastPlaced = 8 << 10
	mostPlaced  = 64 << 10
)

// reader is the part of a connection that reads. Only its goroutine touches it, but for what is atomic.
type reader struct {
	c      *Conn
	unread []byte // comes before what the network brings
	buf    []byte
	r, w   int       // buf[r:w] is to be handled
	at     time.Time // when the last read returned
	now    int64     // the same by the connection's clock

	frameLimit int // SETTINGS_MAX_FRAME_SIZE of this end

	dec    *hpack.Decoder
	noRun  hpack.Run // stands for runs without fields, which connections share
	header Header

	lastID   atomic.Uint32 // a server's: the highest stream that the client has opened
	opened   [64]uint32    // the last streams that the client has opened
	received int64         // DATA on the connection
	eaten    int64         // of it, since the last read: consumed at once

	load load

	data struct { // the DATA frame that is being read
		s         *Stream // nil: its bytes are thrown away
		left, pad int
		end       bool
	}
	block struct { // the header block that is being read
		id    uint32 // 0: none
		end   bool
		b     []byte
		parts int
	}

	control  bucket
	earned   int64 // what was seen of Conn.earned
	resets   bucket
	lastPing int64
	pingSeen int64 // Conn.earned at the last PING
	strikes  int
}

func (r *reader) init(c *Conn) {
	r.c = c
	r.frameLimit = initialFrame
	r.dec = hpack.NewDecoder(4096, uint32(c.cfg.MaxHeaderList))
	r.control = bucket{tokens: int64(c.cfg.MaxControl), most: int64(c.cfg.MaxControl), rate: controlRate}
	if n := int64(c.cfg.MaxResets); n < noLimit {
		r.resets = bucket{tokens: 2 * n, most: 2 * n, rate: min(n, 1e8)}
	}
}

// run reads until the connection ends, and returns why: a *ConnError, or the network's error.
func (r *reader) run() error {
	c := r.c
	r.buf = make([]byte, firstBuffer)
	expect := preface
	if c.client {
		expect = ""
	}
	for {
		called := c.now()
		placed, n, err := r.read()
		r.at = time.Now()
		r.now = int64(r.at.Sub(c.start))
		if r.load.read(called, r.now) && c.events.Saturated != nil {
			c.events.Saturated()
		}
		c.lastRead.Store(r.now)
		if placed != nil {
			r.data.left -= n
			r.deliverData(placed[:n])
		} else {
			r.w += n
		}
		filled := r.w == len(r.buf)
		if n := min(len(expect), r.w-r.r); n > 0 {
			if string(r.buf[r.r:r.r+n]) != expect[:n] {
				return r.fail(connError(ProtocolError, "not an HTTP/2 client preface"))
			}
			expect, r.r = expect[n:], r.r+n
		}
		if expect == "" {
			before := r.r
			if bad := r.frames(); bad != nil {
				return r.fail(bad)
			}
			r.endBatch(r.r != before)
		}
		if err != nil {
			return err
		}
		r.makeRoom(filled)
	}
}

// read reads to the end of the buffer, or to the place that a receiver has for what comes.
func (r *reader) read() (placed []byte, n int, err error) {
	if len(r.unread) > 0 {
		n := copy(r.buf[r.w:], r.unread)
		r.unread = r.unread[n:]
		return nil, n, nil
	}
	if r.data.left >= leastPlaced && r.data.s != nil && r.data.s.state.Load()&(aborted|finished) == 0 {
		if placer, ok := r.data.s.recv.(Placer); ok {
			most := min(r.data.left, mostPlaced)
			if placed = placer.Place(most); len(placed) > most {
				placed = placed[:most]
			}
		}
	}
	if len(placed) > 0 {
		n, err = r.c.nc.Read(placed)
		return placed, n, err
	}
	n, err = r.c.nc.Read(r.buf[r.w:])
	return nil, n, err
}

// makeRoom prepares the buffer for the next read. What is left in it is a frame that is not complete; of DATA it is the head at most.
func (r *reader) makeRoom(filled bool) {
	if r.r > 0 {
		r.w = copy(r.buf, r.buf[r.r:r.w])
		r.r = 0
	}
	switch size := len(r.buf); {
	case r.w == size:
		r.buf = append(make([]byte, 0, max(2*size, readBuffer)), r.buf...)
		r.buf = r.buf[:cap(r.buf)]
	case filled && size < readBuffer, r.w == 0 && size > readBuffer:
		next := make([]byte, readBuffer)
		copy(next, r.buf[:r.w])
		r.buf = next
	}
}

// endBatch is called when all that one read brought has been handled.
func (r *reader) endBatch(progress bool) {
	c := r.c
	r.tellEndBatch()
	switch rest := r.r < r.w && r.data.left == 0; {
	case !rest && r.block.id == 0:
		if c.partial.Load() != 0 {
			c.partial.Store(0)
		}
	case c.partial.Load() == 0 || progress && r.block.id == 0:
		c.partial.Store(r.now + 1)
	}
}

func (r *reader) tellEndBatch() {
	c := r.c
	if r.eaten > 0 {
		c.consumed(r.eaten)
		r.eaten = 0
	}
	if !c.client {
		c.handler.EndBatch(c)
	} else if c.events.EndBatch != nil {
		c.events.EndBatch()
	}
}

// fail tells the peer about an error of the connection, and gives it a moment to read that.
func (r *reader) fail(err *ConnError) error {
	c := r.c
	c.goAwayError(err)
	c.abortAll(err)
	r.tellEndBatch()
	// A peer that sends before it reads gets to the GOAWAY only when what it sends is taken.
	if c.nc.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		for total := 0; total < maxLinger; {
			n, readErr := c.nc.Read(r.buf)
			total += n
			if readErr != nil {
				if !errors.Is(readErr, os.ErrDeadlineExceeded) && !errors.Is(readErr, io.EOF) {
					err.Cause = readErr
				}
				break
			}
		}
	}
	written := time.NewTimer(lingerTime)
	select {
	case <-c.flushed:
	case <-written.C: // the peer does not read
	}
	written.Stop()
	return err
}

// maxLinger is how much is read and thrown away of a peer that goes on sending after GOAWAY.
const maxLinger = 1 << 20

func connError(code ErrCode, format string, args ...any) *ConnError {
	return &ConnError{Code: code, Local: true, Reason: fmt.Sprintf(format, args...)}
}

// frames handles the frames in the buffer, and leaves the beginning of one that is not complete.
func (r *reader) frames() *ConnError {
	for {
		if r.data.left > 0 || r.data.pad > 0 {
			if r.r == r.w {
				return nil
			}
			r.readData()
			continue
		}
		b := r.buf[r.r:r.w]
		if len(b) < frameHead {
			return nil
		}
		f := parseFrame(b)
		switch {
		case f.length > r.frameLimit, f.typ != frameData && f.length > r.c.cfg.MaxHeaderList+initialFrame:
			return connError(FrameSizeError, "a frame of type %d with %d bytes", f.typ, f.length)
		case r.block.id != 0 && (f.typ != frameContinuation || f.stream != r.block.id):
			return connError(ProtocolError, "a frame inside the header block of stream %d", r.block.id)
		case f.typ != frameSettings && !r.c.settled.Load():
			return connError(ProtocolError, "the first frame is not SETTINGS")
		}
		var err *ConnError
		if f.typ == frameData {
			head := frameHead
			if f.flags&flagPadded != 0 && f.length > 0 {
				if len(b) == frameHead {
					return nil
				}
				head++
			}
			r.r += head
			err = r.beginData(f, b[frameHead:head])
		} else {
			if len(b) < frameHead+f.length {
				return nil
			}
			r.r += frameHead + f.length
			err = r.frame(f, b[frameHead:frameHead+f.length])
		}
		if err != nil {
			return err
		}
	}
}

// frame handles a frame other than DATA.
func (r *reader) frame(f frame, p []byte) *ConnError {
	switch f.typ {
	case frameHeaders:
		return r.readHeaders(f, p)
	case frameContinuation:
		return r.readContinuation(f, p)
	case frameRSTStream:
		return r.readReset(f, p)
	case frameSettings:
		return r.readSettings(f, p)
	case framePing:
		return r.readPing(f, p)
	case frameGoAway:
		return r.readGoAway(f, p)
	case frameWindowUpdate:
		return r.readWindowUpdate(f, p)
	case framePriority:
		return r.readPriority(f, p)
	case framePushPromise:
		return connError(ProtocolError, "PUSH_PROMISE, which was not allowed")
	}
	return r.spend(1) // of unknown type: ignored (RFC 9113 section 4.1)
}

// find returns the stream that a frame is about, or nil if it is closed.
func (r *reader) find(f frame) (*Stream, *ConnError) {
	if f.stream == 0 {
		return nil, connError(ProtocolError, "frame of type %d without a stream", f.typ)
	}
	if s := r.c.table.get(f.stream); s != nil {
		return s, nil
	}
	if r.idle(f.stream) {
		return nil, connError(ProtocolError, "frame of type %d on stream %d, which is idle", f.typ, f.stream)
	}
	return nil, nil
}

// idle reports whether a stream was never opened.
func (r *reader) idle(id uint32) bool {
	if id&1 == 0 {
		return true
	}
	if !r.c.client {
		return id > r.lastID.Load()
	}
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	return id >= r.c.nextID
}

// beginData handles the head of a DATA frame. pad is the padding's length, if there is one.
func (r *reader) beginData(f frame, pad []byte) *ConnError {
	c := r.c
	s, bad := r.find(f)
	if bad != nil {
		return bad
	}
	n, padding := f.length, 0
	if f.flags&flagPadded != 0 {
		if len(pad) == 0 || int(pad[0]) >= f.length {
			return connError(ProtocolError, "a DATA frame with more padding than it is long")
		}
		padding = int(pad[0])
		n -= padding + 1
	}
	if r.received += int64(f.length); r.received > int64(c.cfg.ConnWindow)+c.granted.Load() {
		return connError(FlowControlError, "more DATA than the connection's window allows")
	}
	r.data.s, r.data.left, r.data.pad, r.data.end = nil, n, padding, false
	r.eaten += int64(f.length - n) // padding is consumed at once
	if s == nil {
		if c.client || c.wasReset(f.stream) {
			if n > 0 {
				return nil // was on its way when the stream was reset: as much as the windows allowed, in frames of any size
			}
			return r.spend(1)
		}
		return r.streamError(nil, f.stream, StreamClosed, "DATA on a closed stream")
	}
	state := s.state.Load()
	switch {
	case state&aborted != 0:
		return nil
	case state&recvEnd != 0:
		return r.streamError(s, s.id, StreamClosed, "DATA after the end of the stream")
	case c.client && state&gotHead == 0:
		return r.streamError(s, s.id, ProtocolError, "DATA before the response's header")
	}
	if s.received += int64(f.length); s.received > int64(c.cfg.StreamWindow)+s.granted.Load() {
		return r.streamError(s, s.id, FlowControlError, "more DATA than the stream's window allows")
	}
	if f.length > n && !s.Eager {
		s.credit.Add(int64(f.length - n))
	}
	end := f.flags&flagEndStream != 0
	switch {
	case n > 0:
		r.data.s, r.data.end = s, end
		r.control.earn(1)
	case end:
		r.deliver(s, nil, true)
	default:
		return r.spend(1)
	}
	return nil
}

// readData handles what the buffer has of a DATA frame's payload.
func (r *reader) readData() {
	d := &r.data
	p := r.buf[r.r:min(r.w, r.r+d.left)]
	if len(p) == 0 {
		n := min(d.pad, r.w-r.r)
		d.pad -= n
		r.r += n
		return
	}
	r.r += len(p)
	d.left -= len(p)
	r.deliverData(p)
}

// deliverData hands over bytes of the DATA frame that is being read, of which left more will come.
func (r *reader) deliverData(p []byte) {
	d := &r.data
	s, end := d.s, d.end && d.left == 0
	if d.left == 0 {
		d.s = nil
	}
	switch {
	case s == nil:
		r.eaten += int64(len(p))
	case len(p) > 0:
		r.deliver(s, p, end)
	}
}

// deliver hands DATA to a stream's receiver.
func (r *reader) deliver(s *Stream, p []byte, end bool) {
	n := int64(len(p))
	state := s.state.Load()
	if state&aborted != 0 {
		r.eaten += n
		return
	}
	over := false // the user wants no more
	switch {
	case s.Eager:
		r.eaten += n
		over = state&finished != 0
	case n > 0 && s.owed.Add(n) < 0:
		r.eaten += n
		over = true
	}
	recv := s.recv
	if end {
		over = s.receivedEnd()&finished != 0 || over
	} else if s.Eager && !over {
		r.eat(s)
	}
	if !over {
		recv.OnData(p, end)
	}
}

// eat gives credit for all that has come on an eager stream, if that is worth a frame.
func (r *reader) eat(s *Stream) {
	c := r.c
	if s.received-s.granted.Load() < c.streamCredit {
		return
	}
	c.mu.Lock()
	if s.state.Load()&aborted == 0 {
		s.grant(s.received - s.granted.Load())
	}
	c.mu.Unlock()
}

// receivedEnd notes END_STREAM, and returns the state before. A client whose request is not complete then, does not complete it.
func (s *Stream) receivedEnd() (before uint32) {
	before = s.mark(recvEnd)
	if c := s.conn; c.client && !isClosed(before|recvEnd) {
		c.mu.Lock()
		s.resetLocked(NoError, "")
		c.mu.Unlock()
	}
	return before
}

// streamError resets a stream because of what the peer sent on it. s is nil if it is not open.
func (r *reader) streamError(s *Stream, id uint32, code ErrCode, reason string) *ConnError {
	c := r.c
	if err := r.spendReset(); err != nil {
		return err
	}
	c.mu.Lock()
	if s == nil {
		c.appendReset(id, code)
		c.signal()
		c.mu.Unlock()
		return nil
	}
	recv := s.recv
	was := s.resetLocked(code, reason)
	if !was && code == StreamClosed && s.state.Load()&aborted == 0 { // the answer has ended it this moment
		c.appendReset(id, code)
		c.signal()
	}
	err := s.err
	done := s.state.Load()&finished != 0
	c.mu.Unlock()
	if was && !done {
		recv.OnAbort(err)
	}
	return nil
}

// appendReset sends RST_STREAM, and remembers that the peer may not know of it yet. The lock is held.
func (c *Conn) appendReset(id uint32, code ErrCode) {
	c.out.buf = appendRSTStream(c.out.buf, id, code)
	c.resets[c.resetAt%len(c.resets)] = id
	c.resetAt++
}

// wasReset reports whether this end has reset a stream not long ago.
func (c *Conn) wasReset(id uint32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, was := range c.resets {
		if was == id {
			return true
		}
	}
	return false
}
