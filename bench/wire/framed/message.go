package framed

import (
	"encoding/binary"
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"
)

// Codec turns messages, which are pointers, into bytes and back.
type Codec interface {
	Size(m any) int
	Append(b []byte, m any) ([]byte, error) // the encoding: Size bytes; Size was called just before
	Decode(b []byte, m any) error           // must not keep b
}

// Proto is the Codec of protobuf messages.
type Proto struct{}

// Size returns the length of the encoding in bytes.
func (Proto) Size(m any) int { return proto.Size(m.(proto.Message)) }

// Append appends the encoding to b.
func (Proto) Append(b []byte, m any) ([]byte, error) {
	return proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(b, m.(proto.Message))
}

// Decode sets the message to what b encodes.
func (Proto) Decode(b []byte, m any) error { return proto.Unmarshal(b, m.(proto.Message)) }

// Bytes is the Codec of *[]byte, which are carried as they are.
type Bytes struct{}

// Size returns the number of bytes.
func (Bytes) Size(m any) int { return len(*m.(*[]byte)) }

// Append appends the bytes to b.
func (Bytes) Append(b []byte, m any) ([]byte, error) { return append(b, *m.(*[]byte)...), nil }

// Decode copies b.
func (Bytes) Decode(b []byte, m any) error {
	to := m.(*[]byte)
	*to = append((*to)[:0], b...)
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
