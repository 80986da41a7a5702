package rpc

import (
	"math/bits"
	"sync"
)

// buffer is memory for the bytes of messages, from a pool. It has no reference count: who has it, frees it.
type buffer struct {
	b     []byte
	class int // of its pool; -1: none
}

const (
	minBufferBits = 10 // 1 KiB
	maxBufferBits = 22 // 4 MiB; what is larger is left to the garbage collector
)

// bufferPools hold plain bytes and nothing else, so that they may be shared by all.
var bufferPools [maxBufferBits - minBufferBits + 1]sync.Pool

// newBuffer returns a buffer of length 0 and at least the given capacity.
func newBuffer(capacity int) *buffer {
	class := max(bits.Len(uint(max(capacity, 1)-1)), minBufferBits) - minBufferBits
	if class >= len(bufferPools) {
		return &buffer{b: make([]byte, 0, capacity), class: -1}
	}
	if b, ok := bufferPools[class].Get().(*buffer); ok {
		return b
	}
	return &buffer{b: make([]byte, 0, 1<<(class+minBufferBits)), class: class}
}

// free gives the buffer back. A nil buffer is freed already.
func (b *buffer) free() {
	if b != nil && b.class >= 0 {
		b.b = b.b[:0]
		bufferPools[b.class].Put(b)
	}
}

// grown returns a buffer with the same bytes and room for at least n more, and frees b if that is another one.
func (b *buffer) grown(n int) *buffer {
	if cap(b.b)-len(b.b) >= n {
		return b
	}
	larger := newBuffer(len(b.b) + n)
	larger.b = append(larger.b, b.b...)
	b.free()
	return larger
}
