package framed

import (
	"net"
	"runtime"
	"sync"
)

const enough = 64 << 10 // bytes that are worth a write without waiting for more

// flusher writes what others append, all that has gathered with one system call.
type flusher struct {
	conn  net.Conn
	codec Codec
	wake  chan struct{} // capacity 1

	mu       sync.Mutex
	err      error // of the connection, once it ended
	signaled bool
	pending  batch
}

// batch is a run of bytes with large messages in between, which are not copied.
type batch struct {
	small []byte
	large []insert
	size  int
}

// insert is a large message that goes before small[at].
type insert struct {
	at  int
	buf *buffer
}

func newFlusher(conn net.Conn, codec Codec) *flusher {
	return &flusher{conn: conn, codec: codec, wake: make(chan struct{}, 1)}
}

// add appends one frame. The caller holds f.mu.
func (f *flusher) add(id uint32, m any, size int, encoded *buffer) error {
	if f.err != nil {
		return f.err
	}
	f.pending.small = appendHeader(f.pending.small, size, id)
	if encoded != nil {
		f.pending.large = append(f.pending.large, insert{len(f.pending.small), encoded})
	} else {
		b, err := f.codec.Append(f.pending.small, m)
		if err != nil {
			f.pending.small = f.pending.small[:len(f.pending.small)-headerSize]
			return err
		}
		f.pending.small = b
	}
	f.pending.size += headerSize + size
	if !f.signaled {
		f.signaled = true
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// encodeLarge returns the encoding of a large message, and nil for others, which are encoded in their place.
func (f *flusher) encodeLarge(m any, size int) (*buffer, error) {
	if size < large {
		return nil, nil
	}
	buf := newBuffer(size)
	b, err := f.codec.Append(buf.b, m)
	if err != nil {
		buf.free()
		return nil, err
	}
	buf.b = b
	return buf, nil
}

// run writes until the connection fails or end is called.
func (f *flusher) run() {
	var writing batch
	var vectors net.Buffers
	for range f.wake {
		for {
			f.mu.Lock()
			if f.err != nil {
				f.mu.Unlock()
				return
			}
			if f.pending.size == 0 {
				f.signaled = false
				f.mu.Unlock()
				break
			}
			if f.pending.size < enough {
				f.mu.Unlock()
				runtime.Gosched() // whoever is ready to run may have something to add
				f.mu.Lock()
			}
			writing, f.pending = f.pending, writing
			f.mu.Unlock()
			var err error
			if len(writing.large) == 0 {
				_, err = f.conn.Write(writing.small)
			} else {
				vectors = writing.vectors(vectors[:0])
				rest := vectors // WriteTo consumes it
				_, err = rest.WriteTo(f.conn)
			}
			writing.reset()
			if err != nil {
				f.end(err)
				return
			}
		}
	}
}

func (b *batch) vectors(v net.Buffers) net.Buffers {
	from := 0
	for _, in := range b.large {
		v = append(v, b.small[from:in.at], in.buf.b)
		from = in.at
	}
	if from < len(b.small) {
		v = append(v, b.small[from:])
	}
	return v
}

func (b *batch) reset() {
	for i, in := range b.large {
		in.buf.free()
		b.large[i] = insert{}
	}
	b.small, b.large, b.size = b.small[:0], b.large[:0], 0
}

// end makes run return and add fail with err. The first error counts.
func (f *flusher) end(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return
	}
	f.err = err
	select {
	case f.wake <- struct{}{}:
	default:
	}
}
