package websocket

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"
	"unicode/utf8"
)

// Kind is what a message holds.
type Kind byte

// The kinds of messages.
const (
	Text   Kind = 1
	Binary Kind = 2
)

// What frames are besides.
const (
	continuation = 0
	opClose      = 8
	opPing       = 9
	opPong       = 10

	final  = 0x80
	masked = 0x80
)

// Codes of RFC 6455 with which a connection is closed.
const (
	StatusNormal      = 1000
	StatusGoingAway   = 1001
	StatusProtocol    = 1002
	StatusUnsupported = 1003
	StatusNoCode      = 1005 // the peer's frame had none
	StatusInvalid     = 1007
	StatusTooBig      = 1009
)

// CloseError is how a peer has closed the connection, or how it was closed because of what the peer did.
type CloseError struct {
	Code   int
	Reason string
	Ours   bool // the peer broke the rules
}

// Error implements error.
func (e *CloseError) Error() string {
	if e.Ours {
		return fmt.Sprintf("websocket: closed with %d: %s", e.Code, e.Reason)
	}
	return fmt.Sprintf("websocket: the peer has closed with %d %s", e.Code, e.Reason)
}

// Conn is a connection. One goroutine may read while another one writes; Close and Shutdown may be called at any time.
type Conn struct {
	conn    net.Conn
	r       *bufio.Reader
	options Options

	reading time.Time // when the message that is read must be complete; the zero time: none has begun

	ended   bool // the peer has closed its side, or is gone
	waiting bool // messages are not kept

	ping *time.Timer

	mu     sync.Mutex // held while something is written
	closed bool       // our close frame was sent, or the connection is at its end
	out    []byte     // memory for frames
}

// Read returns the next message, which is the caller's. It answers pings. Its error is a *CloseError when the peer has closed the connection or
// has broken the rules; the answer to that was sent then.
func (c *Conn) Read() (Kind, []byte, error) {
	kind, message, err := c.read()
	e, ok := errors.AsType[*CloseError](err)
	c.ended = err != nil && (!ok || !e.Ours)
	if ok {
		code := e.Code
		if code == StatusNoCode {
			code = StatusNormal
		}
		reason := ""
		if e.Ours {
			reason = e.Reason
		}
		c.Shutdown(code, reason)
	}
	return kind, message, err
}

func (c *Conn) read() (kind Kind, message []byte, err error) {
	for {
		h, err := c.readHeader()
		if err != nil {
			return 0, nil, err
		}
		if h.op >= opClose {
			if err := c.control(h); err != nil {
				return 0, nil, err
			}
			continue
		}
		if c.waiting {
			if _, err := io.CopyN(io.Discard, c.r, int64(h.length)); err != nil {
				return 0, nil, err
			}
			continue
		}
		switch {
		case h.op == continuation && kind == 0:
			return 0, nil, broken("a frame goes on with a message that has not begun")
		case h.op != continuation && kind != 0:
			return 0, nil, broken("a message begins within another one")
		case h.op != continuation:
			kind = Kind(h.op)
			if t := c.options.MessageTimeout; t > 0 {
				c.reading = time.Now().Add(t)
			}
		}
		if limit := c.options.MaxMessage; limit > 0 && h.length > uint64(limit-len(message)) {
			return 0, nil, &CloseError{StatusTooBig, fmt.Sprintf("the message is larger than %d bytes, which is the most that is taken", limit), true}
		}
		if message, err = c.readPayload(message, h); err != nil {
			return 0, nil, err
		}
		if h.final {
			break
		}
	}
	c.reading = time.Time{}
	if kind == Text && !utf8.Valid(message) {
		return 0, nil, &CloseError{StatusInvalid, "a text is not UTF-8", true}
	}
	return kind, message, nil
}

func broken(format string, args ...any) error {
	return &CloseError{StatusProtocol, fmt.Sprintf(format, args...), true}
}

type header struct {
	op     byte
	final  bool
	length uint64
	mask   [4]byte
}

// wait sets what the next read may take.
func (c *Conn) wait() {
	deadline := c.reading
	if every := c.options.PingEvery; deadline.IsZero() && every > 0 {
		deadline = time.Now().Add(2 * every)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed { // Shutdown has set the last one
		c.conn.SetReadDeadline(deadline)
	}
}

func (c *Conn) readHeader() (h header, err error) {
	c.wait()
	var b [8]byte
	if _, err := io.ReadFull(c.r, b[:2]); err != nil {
		return h, err
	}
	h.op, h.final, h.length = b[0]&0x0f, b[0]&final != 0, uint64(b[1]&^masked)
	switch {
	case b[0]&0x70 != 0:
		return h, broken("a frame has reserved bits, but no extension was agreed on")
	case h.op > byte(Binary) && h.op < opClose || h.op > opPong:
		return h, broken("there is no frame %d", h.op)
	case b[1]&masked == 0:
		return h, broken("a client's frame is not masked")
	case h.op >= opClose && (!h.final || h.length > 125):
		return h, broken("a control frame is in pieces or too long")
	}
	switch h.length {
	case 126:
		if _, err := io.ReadFull(c.r, b[:2]); err != nil {
			return h, err
		}
		h.length = uint64(binary.BigEndian.Uint16(b[:2]))
	case 127:
		if _, err := io.ReadFull(c.r, b[:8]); err != nil {
			return h, err
		}
		if h.length = binary.BigEndian.Uint64(b[:8]); h.length>>63 != 0 {
			return h, broken("a frame has a length that is none")
		}
	}
	_, err = io.ReadFull(c.r, h.mask[:])
	return h, err
}

// piece is how much memory is taken before its bytes have come.
const piece = 64 << 10

// readPayload appends a frame's payload to dst.
func (c *Conn) readPayload(dst []byte, h header) ([]byte, error) {
	c.wait()
	start := len(dst)
	for left := h.length; left > 0; {
		n := int(min(left, uint64(max(piece, len(dst)))))
		if c.options.Take != nil {
			if err := c.options.Take(n); err != nil {
				return nil, err
			}
		}
		at := len(dst)
		dst = slices.Grow(dst, n)[:at+n]
		if _, err := io.ReadFull(c.r, dst[at:]); err != nil {
			return nil, err
		}
		left -= uint64(n)
	}
	for i := range dst[start:] {
		dst[start+i] ^= h.mask[i&3]
	}
	return dst, nil
}

// control answers a control frame. Its error ends the reading.
func (c *Conn) control(h header) error {
	payload, err := c.readPayload(nil, h)
	if err != nil {
		return err
	}
	switch h.op {
	case opPing:
		return c.write(opPong, payload)
	case opPong:
		return nil
	}
	if len(payload) == 0 {
		return &CloseError{Code: StatusNoCode}
	}
	if len(payload) == 1 {
		return broken("a close frame has half a code")
	}
	code := int(binary.BigEndian.Uint16(payload))
	if !validCode(code) {
		return broken("%d is no code to close with", code)
	}
	if !utf8.Valid(payload[2:]) {
		return &CloseError{StatusInvalid, "the reason for closing is not UTF-8", true}
	}
	return &CloseError{Code: code, Reason: string(payload[2:])}
}

// validCode reports whether an endpoint may send the code.
func validCode(code int) bool {
	return code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006 || code >= 3000 && code <= 4999
}

// Write sends a message. After an error the connection is of no more use.
func (c *Conn) Write(kind Kind, message []byte) error { return c.write(byte(kind), message) }

var errClosed = errors.New("websocket: the connection was closed")

func (c *Conn) write(op byte, payload []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errClosed
	}
	return c.writeLocked(op, payload)
}

func (c *Conn) writeLocked(op byte, payload []byte) error {
	b := append(c.out[:0], final|op)
	switch n := len(payload); {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	b = append(b, payload...)
	if cap(b) <= piece {
		c.out = b
	}
	return c.put(b)
}

// writePiece is how many bytes a peer has WriteTimeout for. It is what one record of TLS holds: one that was written in part cannot be gone
// on with.
const writePiece = 16 << 10

// put writes bytes, and closes the connection if the peer does not take them in time.
func (c *Conn) put(b []byte) (err error) {
	for t := c.options.WriteTimeout; len(b) > 0 && err == nil; {
		piece := b
		if t > 0 {
			piece = b[:min(len(b), writePiece)]
			c.conn.SetWriteDeadline(time.Now().Add(t))
		}
		b = b[len(piece):]
		_, err = c.conn.Write(piece)
	}
	if err != nil {
		c.closed = true
		c.conn.Close()
	}
	return err
}

// keepAlive begins to ask the peer for signs of life.
func (c *Conn) keepAlive() {
	every := c.options.PingEvery
	if every <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ping = time.AfterFunc(every, func() {
		c.mu.Lock() // what is written has a limit of its own
		defer c.mu.Unlock()
		if !c.closed && c.writeLocked(opPing, nil) == nil {
			c.ping.Reset(every)
		}
	})
}

// linger is how long the peer may take to close its side.
const linger = 2 * time.Second

// Shutdown sends the peer a close frame, once: with a code, and a reason that is cut if it is too long for one. A Read that waits
// ends within 2 s.
func (c *Conn) Shutdown(code int, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	payload := append(binary.BigEndian.AppendUint16(nil, uint16(code)), cut(reason, 123)...)
	if c.writeLocked(opClose, payload) == nil {
		c.closed = true
		c.conn.SetReadDeadline(time.Now().Add(linger))
	}
}

// cut returns as much of s as n bytes hold, in whole characters of UTF-8.
func cut(s string, n int) string {
	if !utf8.ValidString(s) {
		s = string([]rune(s)) // each invalid byte becomes U+FFFD
	}
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// Wait returns when the peer has closed its side too, or 2 s after Shutdown. Without it, what the peer has sent and nobody has read may take
// what was written away from it. It is called when no Read runs.
func (c *Conn) Wait() {
	if c.ended {
		return
	}
	c.waiting = true
	_, _, err := c.read()
	if e, ok := errors.AsType[*CloseError](err); ok && e.Ours { // its frames make no sense
		io.Copy(io.Discard, c.r)
	}
}

// Close closes the connection. Reads and writes fail from then on.
func (c *Conn) Close() error {
	err := c.conn.Close() // first: a write that waits for the peer has the lock
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.ping != nil {
		c.ping.Stop()
	}
	return err
}
