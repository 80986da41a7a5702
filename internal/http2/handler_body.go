package http2

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/hanse-go/hanse/internal/hpack"
)

// requestBody is a request's Body. The reader of the connection puts into it what came, up to the stream's window; what the handler
// reads is given back as credit. Read and Close may be called concurrently.
type requestBody struct {
	call     *webCall
	none     bool  // the request has no body
	declared int64 // Content-Length; -1: not said

	mu            sync.Mutex
	wake          sync.Cond // something changed for Read
	chunks        [][]byte  // what was not read yet
	room          [1][]byte // memory of chunks
	offset        int       // into the first of them
	taken         []byte    // by Whole
	buffered      int       // bytes not read yet
	received      int64     // bytes that came
	err           error     // what Read returns when chunks is empty; io.EOF in the end
	closed        bool      // by the handler: what comes is dropped
	over          bool      // the handler has returned
	wantsContinue bool      // the client waits for a status of 100
	trailer       []hpack.Field
	deadline      *time.Timer
}

// The memory of bodies comes in two sizes; a body that says it is in between takes just what it needs.
const (
	bodyChunk  = 16 << 10
	smallChunk = 2 << 10
)

var (
	bodyChunks  = sync.Pool{New: func() any { return new([bodyChunk]byte) }}
	smallChunks = sync.Pool{New: func() any { return new([smallChunk]byte) }}
)

// put takes a copy of p. It reports false when the body is longer than declared.
func (b *requestBody) put(p []byte) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.received += int64(len(p))
	switch {
	case b.declared >= 0 && b.received > b.declared:
		return false
	case b.over:
		return true // Finish gives the credit
	case b.closed || b.err != nil:
		b.call.stream.Consumed(len(p))
		return true
	}
	b.buffered += len(p)
	if len(b.chunks) == 0 {
		b.chunks = b.room[:0]
	}
	for len(p) > 0 {
		last := len(b.chunks) - 1
		if last < 0 || len(b.chunks[last]) == cap(b.chunks[last]) {
			b.chunks = append(b.chunks, b.newChunk(len(p)))
			last++
		}
		chunk := b.chunks[last]
		n := min(len(p), cap(chunk)-len(chunk))
		b.chunks[last] = append(chunk, p[:n]...)
		p = p[n:]
	}
	b.wake.Broadcast()
	return true
}

// newChunk returns memory for the next n bytes or more: for all of a small body.
func (b *requestBody) newChunk(n int) []byte {
	switch {
	case 0 <= b.declared && b.declared <= smallChunk:
		return smallChunks.Get().(*[smallChunk]byte)[:0]
	case 0 <= b.declared && b.declared < bodyChunk/2:
		return make([]byte, 0, max(n, int(b.declared-b.received)+n))
	}
	return bodyChunks.Get().(*[bodyChunk]byte)[:0]
}

func freeChunk(chunk []byte) {
	switch cap(chunk) {
	case smallChunk:
		smallChunks.Put((*[smallChunk]byte)(chunk[:smallChunk]))
	case bodyChunk:
		bodyChunks.Put((*[bodyChunk]byte)(chunk[:bodyChunk]))
	}
}

// Whole returns the body if all of it has come, in one piece of memory, and nothing was read yet. Read returns io.EOF then. The bytes are
// valid until the handler returns.
func (b *requestBody) Whole() (data []byte, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.err != io.EOF || len(b.chunks) != 1 || b.taken != nil || b.offset > 0 {
		return nil, false
	}
	b.taken = b.chunks[0]
	b.chunks = b.chunks[:0]
	b.call.stream.Consumed(b.buffered)
	b.buffered = 0
	return b.taken, true
}

// missing is how much shorter the body is than declared.
func (b *requestBody) missing() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(0, b.declared-b.received)
}

// fail makes Read return err when all that came has been read.
func (b *requestBody) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = err
	}
	b.wake.Broadcast()
}

func (b *requestBody) trailers(fields []hpack.Field) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trailer = fields
}

// Read reads from the body, waiting for the client.
func (b *requestBody) Read(p []byte) (n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.buffered == 0 && b.err == nil && !b.closed && len(p) > 0 {
		if b.wantsContinue {
			b.wantsContinue = false
			b.mu.Unlock()
			b.call.response.sendContinue()
			b.mu.Lock()
			continue
		}
		b.wake.Wait()
	}
	switch {
	case b.closed:
		return 0, http.ErrBodyReadAfterClose
	case len(p) == 0:
		return 0, nil
	case b.buffered == 0:
		if b.err == io.EOF {
			b.copyTrailers()
		}
		return 0, b.err
	}
	for n < len(p) && len(b.chunks) > 0 {
		chunk := b.chunks[0]
		k := copy(p[n:], chunk[b.offset:])
		n += k
		if b.offset += k; b.offset == len(chunk) {
			b.offset = 0
			freeChunk(chunk)
			b.chunks[0] = nil
			b.chunks = b.chunks[1:]
		}
	}
	b.buffered -= n
	b.call.stream.Consumed(n)
	return n, nil
}

// continued is called when the handler itself answered 100.
func (b *requestBody) continued() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wantsContinue = false
}

// copyTrailers gives the handler the trailers that were declared. Only the goroutine that reads the body may look at them before.
func (b *requestBody) copyTrailers() {
	declared := b.call.request.Trailer
	for _, f := range b.trailer {
		name := http.CanonicalHeaderKey(f.Name)
		if _, ok := declared[name]; ok {
			declared[name] = append(declared[name], f.Value)
		}
	}
	b.trailer = nil
}

// Close makes Read fail and drops what comes. The client may go on sending.
func (b *requestBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed && !b.over {
		b.closed = true
		if n := b.drop(); n > 0 {
			b.call.stream.Consumed(n)
		}
		b.wake.Broadcast()
	}
	return nil
}

// end drops what the handler has not read.
func (b *requestBody) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over, b.closed = true, true
	b.drop()
	freeChunk(b.taken)
	b.taken = nil
	if b.deadline != nil {
		b.deadline.Stop()
	}
	b.wake.Broadcast()
}

func (b *requestBody) drop() (n int) {
	for _, chunk := range b.chunks {
		freeChunk(chunk)
	}
	n, b.buffered, b.chunks, b.offset = b.buffered, 0, nil, 0
	return n
}

// setDeadline makes Read fail from then on.
func (b *requestBody) setDeadline(t time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return errHandlerReturned
	}
	if b.deadline != nil {
		b.deadline.Stop()
	}
	if t.IsZero() {
		return nil
	}
	b.deadline = time.AfterFunc(time.Until(t), func() {
		b.fail(fmt.Errorf("http2: reading the request's body: %w", os.ErrDeadlineExceeded))
	})
	return nil
}
