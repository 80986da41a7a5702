package http2

import (
	"bytes"
	"runtime"

	"github.com/hanse-go/hanse/internal/hpack"
)

// Frames is what one Send puts on the wire, together and in this order. The Frames are not kept.
type Frames struct {
	Head      *hpack.Template // HEADERS; nil with an empty HeadMore: none
	HeadMore  []byte          // behind Head: literals made by [hpack.AppendLiteral]; copied
	Data      []byte          // DATA; copied, unless Release is set
	Release   func([]byte)    // if set, Data is kept, not copied, until Release(Data) is called, once, when it was written or dropped; it must not block. Worth it from some 16 KiB on.
	Trail     *hpack.Template // trailers; need End
	TrailMore []byte          // behind Trail, as HeadMore
	End       bool            // END_STREAM on the last of them; with none of them an empty DATA frame carries it
	Last      bool            // with End, on a server: the handler has ended, so this is [Stream.Finish] too. The peer has the stream's place back when it sees the end.
}

// split cuts f into pieces and returns how many.
func (f *Frames) split(to *[3]piece) int {
	n := 0
	if f.Head != nil || len(f.HeadMore) > 0 {
		to[n] = piece{header: true, tmpl: f.Head, b: f.HeadMore}
		n++
	}
	trail := f.Trail != nil || len(f.TrailMore) > 0
	if len(f.Data) > 0 || f.End && n == 0 && !trail {
		to[n] = piece{b: f.Data, whole: f.Data, release: f.Release}
		n++
	}
	if trail {
		to[n] = piece{header: true, tmpl: f.Trail, b: f.TrailMore}
		n++
	}
	if n > 0 {
		to[n-1].end = f.End
	}
	return n
}

// piece is a header block or data that is to be sent.
type piece struct {
	header  bool
	end     bool // END_STREAM
	tmpl    *hpack.Template
	b       []byte // literals, or data
	whole   []byte // the data at first, for release
	release func([]byte)
	begun   bool // a part of the data is in the output by reference
}

func (p *piece) drop() {
	if p.release != nil && len(p.whole) > 0 {
		p.release(p.whole)
	}
}

// dropPiece drops a piece that will not be sent to its end. Its memory is in use until the part of it that is in the output was written.
func (c *Conn) dropPiece(p *piece) {
	if !p.begun || c.written {
		p.drop()
		return
	}
	c.out.refs = append(c.out.refs, ref{at: len(c.out.buf), whole: p.whole, release: p.release})
	c.signal()
}

// held is what a stream cannot send yet.
type held struct {
	s      *Stream
	pieces []piece
	size   int           // bytes of data
	empty  chan struct{} // closed when all was sent or dropped; made by Wait
	since  int64         // when some of it was sent last, by the connection's clock

	list       *heldList // that it is in; nil: it waits for the stream's window
	prev, next *held
}

// heldList is a queue of streams that take turns.
type heldList struct{ first, last *held }

func (l *heldList) push(h *held) {
	h.list, h.prev, h.next = l, l.last, nil
	if l.last != nil {
		l.last.next = h
	} else {
		l.first = h
	}
	l.last = h
}

func (h *held) unlist() {
	l := h.list
	if l == nil {
		return
	}
	if h.prev != nil {
		h.prev.next = h.next
	} else {
		l.first = h.next
	}
	if h.next != nil {
		h.next.prev = h.prev
	} else {
		l.last = h.prev
	}
	h.list, h.prev, h.next = nil, nil, nil
}

// Send puts f on the wire. It never blocks: what the peer's flow control windows do not allow yet waits in the stream; see
// [Stream.Wait]. Nor has it a limit: a server's handlers call [Stream.AwaitRoom] before. It returns ErrEnded after an End, and the
// *StreamError or *ConnError that ended the stream.
func (s *Stream) Send(f *Frames) error {
	_, err := s.SendOrHold(f)
	return err
}

// SendOrHold is Send, and reports whether the stream holds something back, so that its user may spare Wait.
func (s *Stream) SendOrHold(f *Frames) (held bool, err error) {
	c := s.conn
	if f.Last {
		defer s.settle()
	}
	c.mu.Lock()
	if f.Last {
		s.markLocked(finished)
	}
	switch {
	case s.err != nil:
		err = s.err
	case s.ending || isClosed(s.state.Load()):
		err = ErrEnded
	case c.err != nil:
		err = c.err
	default:
		s.send(f)
		c.passTurn(s)
		held, hurried := s.held != nil, c.hurry()
		c.mu.Unlock()
		if hurried {
			runtime.Gosched()
		}
		return held, nil
	}
	c.mu.Unlock()
	if f.Release != nil && len(f.Data) > 0 {
		f.Release(f.Data)
	}
	return false, err
}

// send appends f to the output, or holds what has to wait. The lock is held.
func (s *Stream) send(f *Frames) {
	s.ending = f.End
	if s.held == nil && s.conn.putAll(s, f) {
		s.conn.signal()
		return
	}
	var pieces [3]piece
	n := f.split(&pieces)
	i := 0
	if s.held == nil {
		for i < n && s.conn.put(s, &pieces[i], maxWindow) {
			i++
		}
		s.conn.signal()
	}
	if i < n {
		s.hold(pieces[i:n])
	}
}

// putAll appends f to the output if all of it may go at once, as nearly always, and by copy. The lock is held.
func (c *Conn) putAll(s *Stream, f *Frames) bool {
	n := len(f.Data)
	if int64(n) > min(int64(c.peerFrame), s.sendWindow, c.sendWindow) || n > 0 && f.Release != nil || c.out.size() >= highWater {
		return false
	}
	head, trail := f.Head != nil || len(f.HeadMore) > 0, f.Trail != nil || len(f.TrailMore) > 0
	data := n > 0 || f.End && !head && !trail
	if head {
		c.appendHeaders(s.id, f.Head, f.HeadMore, f.End && !data && !trail)
	}
	if data {
		var flags uint8
		if f.End && !trail {
			flags = flagEndStream
		}
		c.out.buf = append(appendFrame(c.out.buf, frameData, flags, s.id, n), f.Data...)
		c.out.earned++
		s.sendWindow -= int64(n)
		c.sendWindow -= int64(n)
	}
	if trail {
		c.appendHeaders(s.id, f.Trail, f.TrailMore, f.End)
	}
	if f.End && (head || data || trail) {
		c.ended(s)
	}
	return true
}

// hold keeps pieces until their turn comes.
func (s *Stream) hold(pieces []piece) {
	c := s.conn
	size := 0
	for i := range pieces {
		if !pieces[i].header {
			size += len(pieces[i].b)
		}
	}
	h := s.held
	if h == nil {
		h = &held{s: s, since: c.now()}
		s.held = h
	}
	for _, p := range pieces {
		if p.release == nil {
			p.b, p.whole = bytes.Clone(p.b), nil
		}
		h.pieces = append(h.pieces, p)
	}
	h.size += size
	c.queue(size)
	if h.list == nil {
		c.enlist(h)
		c.pump()
	}
}

// drop drops what is held. The lock is held.
func (s *Stream) drop() {
	h := s.held
	if h == nil {
		return
	}
	for i := range h.pieces {
		s.conn.dropPiece(&h.pieces[i])
	}
	h.pieces = nil
	h.unlist()
	s.conn.queue(-h.size)
	h.free()
}

// free tells that nothing is held any more.
func (h *held) free() {
	if h.s != nil {
		h.s.held = nil
	}
	if h.empty != nil {
		close(h.empty)
	}
}

// Wait waits until what was sent is no longer held back, by windows or by a slow connection. It returns the error that ended the
// stream, if one did, and ErrGaveUp when done is closed first.
func (s *Stream) Wait(done <-chan struct{}) error {
	c := s.conn
	c.mu.Lock()
	h := s.held
	if h == nil {
		defer c.mu.Unlock()
		return s.err
	}
	if h.empty == nil {
		h.empty = make(chan struct{})
	}
	empty := h.empty
	c.mu.Unlock()
	select {
	case <-empty:
		c.mu.Lock()
		defer c.mu.Unlock()
		return s.err
	case <-done:
		return ErrGaveUp
	}
}

// put appends p to the output, as far as the windows and the output's size allow, but no more than about most bytes. It reports
// whether all of p was put; p is shortened otherwise. The lock is held.
func (c *Conn) put(s *Stream, p *piece, most int) (all bool) {
	if p.header {
		if c.out.size() >= highWater && !c.client { // a client's headers are as many as it opens streams, and in their order
			return false
		}
		c.appendHeaders(s.id, p.tmpl, p.b, p.end)
		if p.end {
			c.ended(s)
		}
		return true
	}
	for {
		n := max(min(int64(len(p.b)), int64(c.peerFrame), s.sendWindow, c.sendWindow, int64(most)), 0)
		if n == 0 && len(p.b) > 0 || c.out.size() >= highWater {
			return false
		}
		last := int(n) == len(p.b)
		var flags uint8
		if last && p.end {
			flags = flagEndStream
		}
		c.out.buf = appendFrame(c.out.buf, frameData, flags, s.id, int(n))
		if p.release != nil && c.vectored {
			r := ref{at: len(c.out.buf), data: p.b[:n]}
			if last {
				r.whole, r.release = p.whole, p.release
			}
			p.begun = true
			c.out.refs = append(c.out.refs, r)
			c.out.refBytes += int(n)
		} else {
			c.out.buf = append(c.out.buf, p.b[:n]...)
			if last {
				p.drop()
			}
		}
		if n >= earningFrame || last {
			c.out.earned++
		}
		p.b = p.b[n:]
		s.sendWindow -= n
		c.sendWindow -= n
		most -= int(n)
		if last {
			if p.end {
				c.ended(s)
			}
			return true
		}
	}
}

// ended notes that END_STREAM is in the output. A server whose answer is complete needs no more of the request (RFC 9113 section 8.1).
func (c *Conn) ended(s *Stream) {
	if h := s.held; h != nil { // that was the last of it, and a client may use the stream again from the mark on
		s.held, h.s = nil, nil
	}
	if before := s.markLocked(sentEnd); !c.client && before&(recvEnd|aborted) == 0 {
		c.appendReset(s.id, NoError)
		s.markLocked(aborted)
	}
}

// appendHeaders appends a header block, in as many frames as it needs.
func (c *Conn) appendHeaders(stream uint32, tmpl *hpack.Template, more []byte, end bool) {
	var flags uint8 = flagEndHeaders
	if end {
		flags |= flagEndStream
	}
	start := len(c.out.buf)
	b := appendFrame(c.out.buf, frameHeaders, flags, stream, 0)
	b = c.enc.AppendTemplate(b, tmpl)
	b = append(b, more...)
	size := len(b) - start - frameHead
	if size <= c.peerFrame {
		b[start], b[start+1], b[start+2] = byte(size>>16), byte(size>>8), byte(size)
	} else {
		block := bytes.Clone(b[start+frameHead:])
		b = b[:start]
		typ, flags := frameHeaders, flags&^flagEndHeaders
		for len(block) > 0 {
			n := min(len(block), c.peerFrame)
			if n == len(block) {
				flags |= flagEndHeaders
			}
			b = append(appendFrame(b, typ, flags, stream, n), block[:n]...)
			typ, flags, block = frameContinuation, 0, block[n:]
		}
	}
	c.out.buf = b
	c.out.earned++
}

// queue counts n bytes that wait from now on, or -n that do not.
func (c *Conn) queue(n int) {
	c.queued.Add(int64(n))
	if c.cfg.Budget != nil {
		c.cfg.Budget.force(n)
	}
	if n >= 0 {
		return
	}
	if c.waiting.Load() > 0 {
		c.admit()
	}
	c.giveTurn()
}

// enlist puts h where it waits for what it needs next.
func (c *Conn) enlist(h *held) {
	switch p := &h.pieces[0]; {
	case p.header || len(p.b) == 0:
		c.ready.push(h)
	case h.s.sendWindow <= 0: // until WINDOW_UPDATE
	case c.sendWindow <= 0:
		c.starved.push(h)
	default:
		c.ready.push(h)
	}
}

// pump lets the streams that hold something back take turns while the output has room. The lock is held.
func (c *Conn) pump() {
	for c.out.size() < highWater {
		h := c.ready.first
		if h == nil {
			return
		}
		h.unlist()
		p := &h.pieces[0]
		before := len(p.b)
		all := c.put(h.s, p, initialFrame)
		if sent := before - len(p.b); sent > 0 && !p.header {
			h.size -= sent
			h.since = c.now()
			c.crowd.taken = h.since
			c.queue(-sent)
		}
		if all {
			h.pieces[0] = piece{}
			h.pieces = h.pieces[1:]
		}
		if len(h.pieces) > 0 {
			c.enlist(h)
		} else {
			h.free()
		}
		c.signal()
	}
}
