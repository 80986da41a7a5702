package rpc

import (
	"math/bits"
	"sync"
)

// buffer is memory for the bytes of messages, from a pool. It has no reference count: who has it, frees it.
type buffer struct {
	b       []byte
	class   int          // of its pool; -1: none
	release func([]byte) // frees it; made when it is first sent by reference
}

const (
	minBufferBits = 10 // 1 KiB
	maxBufferBits = 22 // 4 MiB; what is larger is left to the garbage collector

	// The large ones have a page more, for what stands around a payload of just a power of two, which would need twice as much otherwise.
	pageFromBits = 14
	bufferPage   = 8 << 10
)

// bufferPools hold plain bytes and nothing else, so that they may be shared by all.
var bufferPools [maxBufferBits - minBufferBits + 1]sync.Pool

// newBuffer returns a buffer of length 0 and at least the given capacity.
func newBuffer(capacity int) *buffer {
	least := max(capacity, 1<<minBufferBits)
	if least > 1<<pageFromBits {
		least -= bufferPage
	}
	width := bits.Len(uint(least - 1))
	if width > maxBufferBits {
		return &buffer{b: make([]byte, 0, capacity), class: -1}
	}
	class := width - minBufferBits
	if b, ok := bufferPools[class].Get().(*buffer); ok {
		return b
	}
	size := 1 << width
	if width >= pageFromBits {
		size += bufferPage
	}
	return &buffer{b: make([]byte, 0, size), class: class}
}

// free gives the buffer back. A nil buffer is freed already.
func (b *buffer) free() {
	if b != nil && b.class >= 0 {
		b.b = b.b[:0]
		bufferPools[b.class].Put(b)
	}
}

// releaser is what gives the buffer back when the connection has written it.
func (b *buffer) releaser() func([]byte) {
	if b.release == nil {
		b.release = func([]byte) { b.free() }
	}
	return b.release
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
