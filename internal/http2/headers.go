package http2

import (
	"errors"
	"strconv"

	"github.com/hanse-go/hanse/internal/hpack"
)

// maxParts is how many frames a header block may come in.
const maxParts = 64

func (r *reader) readHeaders(f frame, p []byte) *ConnError {
	if f.stream == 0 {
		return connError(ProtocolError, "HEADERS without a stream")
	}
	if f.flags&flagPadded != 0 {
		if len(p) == 0 || int(p[0]) >= len(p) {
			return connError(ProtocolError, "HEADERS with more padding than it is long")
		}
		p = p[1 : len(p)-int(p[0])]
	}
	selfish := false
	if f.flags&flagPriority != 0 {
		if len(p) < 5 {
			return connError(FrameSizeError, "HEADERS with a part of a priority")
		}
		selfish = dependsOn(p) == f.stream
		p = p[5:]
	}
	end := f.flags&flagEndStream != 0
	if f.flags&flagEndHeaders == 0 {
		r.block.id, r.block.end, r.block.parts = f.stream, end, 1
		r.block.b = append(r.block.b[:0], p...)
		return r.boundBlock()
	}
	return r.headers(f.stream, p, end, selfish)
}

func (r *reader) readContinuation(f frame, p []byte) *ConnError {
	if r.block.id == 0 {
		return connError(ProtocolError, "CONTINUATION without HEADERS before it")
	}
	r.block.parts++
	r.block.b = append(r.block.b, p...)
	if f.flags&flagEndHeaders == 0 {
		if len(p) == 0 {
			return connError(EnhanceYourCalm, "CONTINUATION without anything")
		}
		return r.boundBlock()
	}
	id := r.block.id
	r.block.id = 0
	err := r.headers(id, r.block.b, r.block.end, false)
	if cap(r.block.b) > initialFrame {
		r.block.b = nil
	}
	return err
}

// boundBlock bounds what is collected of a header block before it can be decoded (CVE-2024-27316 and its kin).
func (r *reader) boundBlock() *ConnError {
	if len(r.block.b) > r.c.cfg.MaxHeaderList+initialFrame || r.block.parts >= maxParts {
		return connError(EnhanceYourCalm, "a header block of more than %d bytes in %d frames", len(r.block.b), r.block.parts)
	}
	return nil
}

// headers handles a complete header block. Whatever becomes of the stream, the block is decoded: the table must follow the peer's.
func (r *reader) headers(id uint32, block []byte, end, selfish bool) *ConnError {
	c := r.c
	s := c.table.get(id)
	first := false
	if s == nil && !c.client {
		if id&1 == 0 {
			return connError(ProtocolError, "the client opened stream %d, whose ID is even", id)
		}
		if first = id > r.lastID.Load(); first {
			r.lastID.Store(id)
			r.opened[id>>1%uint32(len(r.opened))] = id
		}
	}
	b, err := r.dec.Decode(block)
	tooLarge := errors.Is(err, hpack.ErrListTooLarge)
	if err != nil && !tooLarge {
		return connError(CompressionError, "%v", err)
	}
	if s == nil && !first {
		return r.lateHeaders(id)
	}
	h := &r.header
	if !tooLarge {
		run := b.Run
		if len(run.Fields) == 0 {
			r.noRun = hpack.Run{}
			run = &r.noRun
		}
		h = r.known(run)
		if len(b.Rest) > 0 {
			r.header = *h
			h = &r.header
			h.Rest = b.Rest
			h.fields(b.Rest)
		}
	}
	if first {
		return r.request(id, h, end, selfish, tooLarge)
	}

	state := s.state.Load()
	wrong, kind := "", trailers
	if c.client && state&gotHead == 0 {
		kind = response
	}
	switch {
	case state&aborted != 0:
		return nil
	case state&recvEnd != 0:
		return r.streamError(s, id, StreamClosed, "HEADERS after the end of the stream")
	case tooLarge:
		return r.streamError(s, id, FrameSizeError, "the header list is larger than "+strconv.Itoa(c.cfg.MaxHeaderList)+" bytes")
	case selfish:
		wrong = "a stream that depends on itself"
	case kind == trailers && !end:
		wrong = "trailers without the end of the stream"
	default:
		wrong = h.check(kind)
	}
	if wrong != "" {
		return r.streamError(s, id, ProtocolError, wrong)
	}
	if kind == response {
		if h.Status >= 200 {
			s.state.Or(gotHead)
		} else if end || h.Status == 101 {
			return r.streamError(s, id, ProtocolError, "a response that is not a final one ends the stream")
		} else if err := r.spend(2); err != nil { // of which it earns one
			return err
		}
	}
	r.control.earn(1)
	recv := s.recv
	if end && s.receivedEnd()&finished != 0 || !end && state&finished != 0 {
		return nil
	}
	recv.OnHeaders(h, end)
	return nil
}

// lateHeaders handles HEADERS on a stream that is not open.
func (r *reader) lateHeaders(id uint32) *ConnError {
	if r.c.client && r.idle(id) {
		return connError(ProtocolError, "HEADERS on stream %d, which is idle", id)
	}
	if r.c.client || r.c.wasReset(id) {
		return r.spend(1)
	}
	if r.opened[id>>1%uint32(len(r.opened))] == id {
		return connError(StreamClosed, "HEADERS on stream %d, which is closed", id)
	}
	return connError(ProtocolError, "stream %d was opened after a higher one", id)
}

// request opens a stream for the client's request.
func (r *reader) request(id uint32, h *Header, end, selfish, tooLarge bool) *ConnError {
	c := r.c
	if c.ending.Load() {
		c.mu.Lock()
		late := c.draining == drainLast && id > c.lastID
		c.mu.Unlock()
		if late {
			return r.spend(1) // the GOAWAY has told that it is not processed
		}
	}
	if tooLarge {
		return r.answerTooLarge(id, end)
	}
	if selfish {
		return r.streamError(nil, id, ProtocolError, "")
	}
	if h.check(request) != "" {
		return r.streamError(nil, id, ProtocolError, "")
	}
	if int(c.open.Load()) >= c.cfg.MaxStreams {
		return r.streamError(nil, id, RefusedStream, "")
	}
	s, recv := c.handler.NewStream(c, h, end)
	if s == nil {
		return r.streamError(nil, id, RefusedStream, "")
	}
	s.open(c, id, recv)
	if end {
		s.state.Store(recvEnd)
	}
	c.table.put(s, int(c.open.Add(1)))
	r.control.earn(1)
	recv.OnHeaders(h, end)
	return nil
}

// answerTooLarge answers a request whose header list is over the limit (RFC 6585 section 5).
func (r *reader) answerTooLarge(id uint32, end bool) *ConnError {
	c := r.c
	if err := r.spendReset(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.appendHeaders(id, nil, hpack.AppendLiteral(nil, ":status", "431", false), true)
	if !end {
		c.appendReset(id, NoError)
	}
	c.signal()
	return nil
}

// headerKind says what a header list is.
type headerKind uint8

const (
	request headerKind = iota
	response
	trailers
)

const (
	hasMethod = 1 << iota
	hasScheme
	hasAuthority
	hasPath
	hasProtocol
	hasStatus
)

// known is the header of the fields of a run, which is made once and must not be changed.
func (r *reader) known(run *hpack.Run) *Header {
	h, ok := run.Checked.(*Header)
	if !ok {
		h = &Header{Run: run}
		h.fields(run.Fields)
		run.Checked = h
	}
	return h
}

// check checks the list as RFC 9113 sections 8.2 and 8.3 demand, and says what is wrong.
func (h *Header) check(kind headerKind) (wrong string) {
	switch has := h.has; {
	case h.wrong != "":
		return h.wrong
	case kind == trailers && has != 0:
		return "a pseudo-header field in trailers"
	case kind == response && has != hasStatus:
		return "a response needs :status, and no other pseudo-header field"
	case kind != request:
		return ""
	case has&hasStatus != 0:
		return ":status in a request"
	case has&hasMethod == 0:
		return "a request without :method"
	case h.Method == "CONNECT" && has&hasProtocol == 0:
		if has != hasMethod|hasAuthority {
			return "CONNECT has :method and :authority only"
		}
		return ""
	case has&(hasScheme|hasPath) != hasScheme|hasPath:
		return "a request without :scheme or :path"
	case h.Path == "" || h.Path[0] != '/' && h.Path != "*":
		return ":path is no path"
	case has&hasProtocol != 0:
		return ":protocol, which SETTINGS did not allow"
	}
	return ""
}

func (h *Header) fields(fields []hpack.Field) {
	for i := 0; i < len(fields) && h.wrong == ""; i++ {
		h.field(fields[i].Name, fields[i].Value)
	}
}

func (h *Header) field(name, value string) {
	if !validValue(value) {
		h.wrong = "a control character in the value of " + strconv.Quote(name)
		return
	}
	if len(name) > 0 && name[0] == ':' {
		h.pseudo(name, value)
		return
	}
	h.regular = true
	if !validName(name) {
		h.wrong = "field name " + strconv.Quote(name)
		return
	}
	switch name { // RFC 9113 section 8.2.2
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
		h.wrong = "field " + name + ", which is specific to a connection"
	case "te":
		if value != "trailers" {
			h.wrong = "field te with a value other than trailers"
		}
	}
}

func (h *Header) pseudo(name, value string) {
	var bit uint8
	switch name {
	case ":method":
		bit, h.Method = hasMethod, value
	case ":scheme":
		bit, h.Scheme = hasScheme, value
	case ":authority":
		bit, h.Authority = hasAuthority, value
	case ":path":
		bit, h.Path = hasPath, value
	case ":protocol":
		bit, h.Protocol = hasProtocol, value
	case ":status":
		bit = hasStatus
		if len(value) != 3 || value[0] < '1' || value[0] > '9' || value[1]-'0' > 9 || value[2]-'0' > 9 {
			h.wrong = ":status " + strconv.Quote(value)
			return
		}
		h.Status = int(value[0]-'0')*100 + int(value[1]-'0')*10 + int(value[2]-'0')
	default:
		h.wrong = "unknown pseudo-header field " + strconv.Quote(name)
		return
	}
	switch {
	case h.regular:
		h.wrong = name + " behind an ordinary field"
	case h.has&bit != 0:
		h.wrong = name + " more than once"
	}
	h.has |= bit
}

// validName reports whether s is a token in lower case (RFC 9113 section 8.2.1).
func validName(s string) bool {
	for i := 0; i < len(s); i++ {
		if !nameBytes[s[i]] {
			return false
		}
	}
	return s != ""
}

var nameBytes = func() (ok [256]bool) {
	for _, b := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") {
		ok[b] = true
	}
	return ok
}()

// validValue reports whether s has no control character. Blanks at its ends, which RFC 9113 section 8.2.1 forbids, are let through:
// gRPC peers send metadata as it is.
func validValue(s string) bool {
	for i := 0; i < len(s); i++ {
		if b := s[i]; b < ' ' && b != '\t' || b == 0x7f {
			return false
		}
	}
	return true
}
