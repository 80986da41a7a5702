package rpc

import (
	"encoding/binary"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Each message on a wire has five bytes before it: a flag that says whether it is compressed, and its length in big-endian order
// (gRPC's PROTOCOL-HTTP2, "Length-Prefixed-Message").
const (
	messagePrefix  = 5
	compressedFlag = 1
)

// message is a message as it came from a wire.
type message struct {
	data       []byte
	buf        *buffer // what holds data; nil: the memory of whoever gave the bytes
	compressed bool
}

// owned returns the message in memory of its own.
func (m message) owned() message {
	if m.buf == nil {
		m.buf = newBuffer(len(m.data))
		m.buf.b = append(m.buf.b, m.data...)
		m.data = m.buf.b
	}
	return m
}

func (m message) free() { m.buf.free() }

// firstPiece is what is allocated on the word of a length prefix; more follows as the bytes come.
const firstPiece = 64<<10 + bufferPage

// assembler puts the messages of one direction of a call together from DATA frames, whose borders mean nothing.
type assembler struct {
	prefix  [messagePrefix]byte
	nPrefix int     // bytes of it that have come; all of them: inside a message
	size    int     // of the message, when the prefix is complete
	buf     *buffer // the message so far; nil: nothing yet
}

// next takes bytes from p up to the end of one message at most, and returns what it did not take. Without a complete message, ok is
// false and all of p was taken. The message lies in p, and must be used or copied before p ends, unless it has a buffer.
func (a *assembler) next(p []byte, limit int) (m message, rest []byte, ok bool, err error) {
	if a.nPrefix < messagePrefix {
		n := copy(a.prefix[a.nPrefix:], p)
		a.nPrefix += n
		p = p[n:]
		if a.nPrefix < messagePrefix {
			return message{}, nil, false, nil
		}
		if a.prefix[0] > compressedFlag {
			return message{}, nil, false, status.Errorf(codes.Internal, "grpc: received unexpected payload format %d", a.prefix[0])
		}
		length := binary.BigEndian.Uint32(a.prefix[1:])
		if uint64(length) > uint64(limit) {
			return message{}, nil, false, status.Errorf(codes.ResourceExhausted, "grpc: received message larger than max (%d vs. %d)", length, limit)
		}
		a.size = int(length)
	}
	m.compressed = a.prefix[0] == compressedFlag
	if a.buf == nil {
		if len(p) >= a.size {
			m.data, rest = p[:a.size:a.size], p[a.size:]
			a.nPrefix = 0
			return m, rest, true, nil
		}
		a.buf = newBuffer(min(a.size, max(firstPiece, len(p))))
	}
	n := min(len(p), a.size-len(a.buf.b))
	if a.placed(p) {
		a.buf.b = a.buf.b[:len(a.buf.b)+n]
	} else {
		a.reserve(n)
		a.buf.b = append(a.buf.b, p[:n]...)
	}
	if len(a.buf.b) < a.size {
		return message{}, p[n:], false, nil
	}
	m.data, m.buf = a.buf.b, a.buf
	a.buf, a.nPrefix = nil, 0
	return m, p[n:], true, nil
}

// worthPlacing is how much of a message must be missing for its bytes to be read to where they belong.
const worthPlacing = 8 << 10

// place returns where up to n of the next bytes belong, or nil if they may as well be copied.
func (a *assembler) place(n int) []byte {
	if n = min(n, a.outstanding()); n < worthPlacing {
		return nil
	}
	if a.buf == nil {
		a.buf = newBuffer(min(a.size, max(firstPiece, n)))
	}
	a.reserve(n)
	have := len(a.buf.b)
	return a.buf.b[have : have+n]
}

// placed reports whether p is where place said.
func (a *assembler) placed(p []byte) bool {
	have := len(a.buf.b)
	return len(p) > 0 && cap(a.buf.b) > have && &p[0] == &a.buf.b[:have+1][have]
}

// reserve makes room for n more bytes of the message: at least as much again as there is, but no more than it needs.
func (a *assembler) reserve(n int) {
	have := len(a.buf.b)
	if cap(a.buf.b)-have < n {
		a.buf = a.buf.grown(min(max(n, 2*have), a.size-have))
	}
}

// outstanding is how many bytes the message that has begun still lacks; 0 between messages and inside of a prefix.
func (a *assembler) outstanding() int {
	if a.nPrefix < messagePrefix {
		return 0
	}
	if a.buf == nil {
		return a.size
	}
	return a.size - len(a.buf.b)
}

// held is how many bytes of a message that is not complete have been kept.
func (a *assembler) held() int {
	if a.buf == nil {
		return 0
	}
	return len(a.buf.b)
}

// cut reports whether a message has begun that is not complete.
func (a *assembler) cut() bool { return a.nPrefix > 0 }

// drop frees what has come of a message that will not be completed.
func (a *assembler) drop() {
	a.buf.free()
	a.buf, a.nPrefix = nil, 0
}

// errCut is the status of a call whose stream ended inside of a message.
var errCut = status.Error(codes.Internal, "the stream ended in the middle of a message")
