package http2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/hanse-go/hanse/internal/hpack"
)

const (
	responseBuffer = 4 << 10 // what a handler writes is sent when it is more; a response that fits gets a Content-Length
	responsePiece  = 64 << 10
	copyBuffer     = 32 << 10
)

var (
	responseBuffers = sync.Pool{New: func() any { return new([responseBuffer]byte) }}
	copyBuffers     = sync.Pool{New: func() any { return new([copyBuffer]byte) }}
)

var errHandlerReturned = errors.New("http2: the response was used after its handler had returned")

// responseWriter is the http.ResponseWriter of a request. As the interface demands, a handler uses it from one goroutine at a time.
type responseWriter struct {
	call    *webCall
	header  http.Header
	buf     []byte // written and not sent; nil or of a pool
	written int64  // bytes of the body
	ended   bool   // END_STREAM was sent
	over    bool   // the handler has returned

	status   int                // 0: WriteHeader was not called
	fields   responseFields     // what it found
	trailers []string           // declared, in canonical form
	memory   [responseHead]byte // of fields.block, usually

	mu         sync.Mutex
	headerSent bool // guarded by mu, for sendContinue may be called by another goroutine
	deadline   *time.Timer
	expired    bool
}

// Header returns the fields of the header to be, and in the end of the trailers.
func (w *responseWriter) Header() http.Header {
	if w.header == nil {
		w.header = make(http.Header)
	}
	return w.header
}

// WriteHeader sets the status, and the header as it is now. A status of 1xx is sent at once; another one may follow it.
func (w *responseWriter) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("http2: invalid status %d", status))
	}
	switch {
	case w.status != 0 || w.over:
		return
	case status == http.StatusSwitchingProtocols: // RFC 9113 section 8.6
		w.call.web.logger().Warn("an HTTP handler answered 101, which HTTP/2 does not have", "path", w.call.header.Path)
		return
	case status < 200:
		var memory [responseHead]byte
		f := &Frames{HeadMore: hpack.AppendLiteral(memory[:0], ":status", strconv.Itoa(status), false)}
		f.HeadMore = appendFields(f.HeadMore, w.header, nil)
		w.call.body.continued()
		w.call.stream.Send(f) // what is wrong with the stream is told by the next Write
		return
	}
	w.status = status
	w.fields = snapshot(w.memory[:0], status, w.header)
	for _, name := range w.fields.trailers {
		w.declareTrailer(name)
	}
	if w.fields.close {
		w.call.conn.conn.Drain()
	}
}

// Write writes a part of the body.
func (w *responseWriter) Write(p []byte) (int, error) {
	if err := w.account(len(p)); err != nil {
		return 0, err
	}
	if w.call.header.Method == http.MethodHead {
		w.buffer(p[:min(len(p), responseBuffer)]) // it may show the Content-Type
		return len(p), nil
	}
	n := 0
	for {
		k := w.buffer(p[n:])
		if n += k; n == len(p) {
			return n, nil
		}
		// More than the buffer holds: large pieces go without it.
		piece := w.buf
		if len(piece) == 0 {
			piece = p[n:min(len(p), n+responsePiece)]
			n += len(piece)
		}
		if err := w.send(piece, nil, false); err != nil {
			return n, err
		}
		w.buf = w.buf[:0]
	}
}

// WriteString writes a part of the body.
func (w *responseWriter) WriteString(s string) (int, error) {
	if len(s) <= responseBuffer-len(w.buf) {
		if err := w.account(len(s)); err != nil {
			return 0, err
		}
		w.buffer(nil)
		w.buf = append(w.buf, s...)
		return len(s), nil
	}
	return w.Write([]byte(s))
}

// ReadFrom writes all that r has, without a copy of what is more than the buffer.
func (w *responseWriter) ReadFrom(r io.Reader) (n int64, err error) {
	memory := copyBuffers.Get().(*[copyBuffer]byte)
	defer func() {
		if memory != nil {
			copyBuffers.Put(memory)
		}
	}()
	for {
		k, readErr := r.Read(memory[:])
		direct := k > responseBuffer && len(w.buf) == 0 && w.call.header.Method != http.MethodHead
		switch {
		case direct:
			if err = w.account(k); err == nil {
				err = w.send(memory[:k], releaseCopyBuffer, false)
				memory = copyBuffers.Get().(*[copyBuffer]byte)
			}
		case k > 0:
			_, err = w.Write(memory[:k])
		}
		if err != nil {
			return n, err
		}
		n += int64(k)
		if readErr == io.EOF {
			return n, nil
		}
		if readErr != nil {
			return n, readErr
		}
	}
}

func releaseCopyBuffer(p []byte) { copyBuffers.Put((*[copyBuffer]byte)(p[:copyBuffer])) }

// account counts n bytes of the body, or says why there may not be as many.
func (w *responseWriter) account(n int) error {
	if w.over {
		return errHandlerReturned
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if !bodyAllowed(w.status) {
		return http.ErrBodyNotAllowed
	}
	if w.written += int64(n); w.fields.length >= 0 && w.written > w.fields.length {
		return http.ErrContentLength
	}
	return nil
}

// buffer takes the beginning of p, all that fits, unless the buffer is empty and p is larger than it.
func (w *responseWriter) buffer(p []byte) int {
	if len(w.buf) == 0 && len(p) > responseBuffer {
		return 0
	}
	if w.buf == nil {
		w.buf = responseBuffers.Get().(*[responseBuffer]byte)[:0]
	}
	n := min(len(p), responseBuffer-len(w.buf))
	w.buf = append(w.buf, p[:n]...)
	return n
}

// Flush sends what was written, and the header.
func (w *responseWriter) Flush() { w.FlushError() }

// FlushError sends what was written, and the header.
func (w *responseWriter) FlushError() error {
	if w.over {
		return errHandlerReturned
	}
	err := w.send(w.buf, nil, false)
	if w.buf != nil {
		w.buf = w.buf[:0]
	}
	return err
}

// end sends the rest when the handler has returned.
func (w *responseWriter) end() {
	if w.status != 0 && w.fields.length > w.written && bodyAllowed(w.status) && w.call.header.Method != http.MethodHead {
		w.call.web.logger().Warn("an HTTP handler wrote less than its Content-Length", "path", w.call.header.Path, "length", w.fields.length, "wrote", w.written)
		w.call.stream.Reset(InternalError)
		return
	}
	w.send(w.buf, nil, true) // the client is gone if this fails
}

// complete reports whether all of the body was written that the header announces.
func (w *responseWriter) complete() bool { return w.status != 0 && w.fields.length == w.written }

// close gives back what the response holds.
func (w *responseWriter) close() {
	w.over = true
	if w.buf != nil {
		responseBuffers.Put((*[responseBuffer]byte)(w.buf[:responseBuffer]))
		w.buf = nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.deadline != nil {
		w.deadline.Stop()
	}
	w.expired = true
}

// send sends a piece of the body, after the header if that was not sent yet, and the trailers if it is the last. Unless it is, it then
// waits until the client takes it. With release, p is given to it when it was sent.
func (w *responseWriter) send(p []byte, release func([]byte), last bool) error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	f := Frames{Data: p, Release: release, End: last, Last: last}
	head := w.call.header.Method == http.MethodHead
	w.mu.Lock()
	first := !w.headerSent
	w.headerSent = true
	w.mu.Unlock()
	if first {
		f.Head, f.HeadMore = w.fields.template, w.responseHeader(p, last)
	}
	if head {
		f.Data, f.End = nil, true
	} else if last {
		f.TrailMore = w.trailerBlock()
	}
	if w.ended || !first && len(f.Data) == 0 && !f.End {
		if release != nil {
			release(p)
		}
		return w.failure(w.call.aborted())
	}
	w.ended = f.End
	err := w.call.awaitRoom(false)
	if err == nil {
		err = w.call.stream.Send(&f)
	} else if release != nil {
		release(p)
	}
	if err == nil && !f.End {
		err = w.call.stream.Wait(nil)
	}
	if err != nil {
		w.call.gone(err) // a stream that this end has reset gets no OnAbort
	}
	return w.failure(err)
}

// failure tells a deadline from other errors.
func (w *responseWriter) failure(err error) error {
	if err == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.expired {
		return fmt.Errorf("http2: writing the response: %w", os.ErrDeadlineExceeded)
	}
	return err
}

// sendContinue tells the client to send the body that it holds back. It is called by the goroutine that reads the body.
func (w *responseWriter) sendContinue() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.headerSent {
		w.call.stream.Send(&Frames{HeadMore: hpack.AppendLiteral(nil, ":status", "100", false)}) // Read finds out if it failed
	}
}

// SetReadDeadline makes reading the request's body fail from t on. See [http.ResponseController].
func (w *responseWriter) SetReadDeadline(t time.Time) error { return w.call.body.setDeadline(t) }

// SetWriteDeadline makes writing fail from t on, and resets the stream then. See [http.ResponseController].
func (w *responseWriter) SetWriteDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return errHandlerReturned
	}
	if w.deadline != nil {
		w.deadline.Stop()
	}
	switch {
	case t.IsZero():
	case time.Until(t) <= 0:
		w.expire()
	default:
		w.deadline = time.AfterFunc(time.Until(t), func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.expire()
		})
	}
	return nil
}

// expire resets the stream. The lock is held.
func (w *responseWriter) expire() {
	if !w.expired {
		w.expired = true
		w.call.stream.Reset(InternalError)
	}
}

// EnableFullDuplex does nothing: reading and writing at once is always possible.
func (w *responseWriter) EnableFullDuplex() error { return nil }

// CloseNotify is there for old handlers: it tells once that the request's context has ended.
func (w *responseWriter) CloseNotify() <-chan bool {
	gone := make(chan bool, 1)
	context.AfterFunc(&w.call.ctx, func() { gone <- true })
	return gone
}
