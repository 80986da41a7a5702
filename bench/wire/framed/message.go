package framed

import (
	"encoding/binary"
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"
)

// Message is what a frame carries.
type Message interface {
	Size() int
	Append(b []byte) ([]byte, error) // the encoding, Size bytes
	Decode(b []byte) error           // must not keep b
}

// Proto is a protobuf message.
type Proto struct{ proto.Message }

// Size returns the length of the encoding in bytes.
func (p Proto) Size() int { return proto.Size(p.Message) }

// Append appends the encoding to b.
func (p Proto) Append(b []byte) ([]byte, error) {
	return proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(b, p.Message)
}

// Decode sets the message to what b encodes.
func (p Proto) Decode(b []byte) error { return proto.Unmarshal(b, p.Message) }

// Bytes is a message without encoding.
type Bytes struct{ B []byte }

// Size returns the number of bytes.
func (m *Bytes) Size() int { return len(m.B) }

// Append appends the bytes to b.
func (m *Bytes) Append(b []byte) ([]byte, error) { return append(b, m.B...), nil }

// Decode copies b.
func (m *Bytes) Decode(b []byte) error {
	m.B = append(m.B[:0], b...)
	return nil
}

// A frame is the length of the message, the number of its call, the message.
const (
	headerSize = 8
	maxMessage = 16 << 20
	large      = 16 << 10 // messages of this size are written from a buffer of their own
)

func appendHeader(b []byte, size int, id uint32) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(size))
	return binary.BigEndian.AppendUint32(b, id)
}

func parseHeader(b []byte) (size int, id uint32, err error) {
	n := binary.BigEndian.Uint32(b)
	if n > maxMessage {
		return 0, 0, fmt.Errorf("framed: a message of %d bytes; at most %d are allowed", n, maxMessage)
	}
	return int(n), binary.BigEndian.Uint32(b[4:]), nil
}

// buffer is a pooled slice.
type buffer struct{ b []byte }

var (
	smallBuffers = sync.Pool{New: func() any { return &buffer{make([]byte, 0, 2<<10)} }}
	largeBuffers = sync.Pool{New: func() any { return &buffer{make([]byte, 0, 72<<10)} }}
)

// newBuffer returns an empty buffer with room for size bytes.
func newBuffer(size int) *buffer {
	pool := &smallBuffers
	if size > 2<<10 {
		pool = &largeBuffers
	}
	buf := pool.Get().(*buffer)
	if cap(buf.b) < size {
		buf.b = make([]byte, 0, size)
	}
	return buf
}

func (b *buffer) free() {
	pool := &smallBuffers
	if cap(b.b) > 2<<10 {
		pool = &largeBuffers
	}
	b.b = b.b[:0]
	pool.Put(b)
}
