package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// wholeBody is a body that may have come in one piece before the handler was called: then it is read without a copy and without waiting. The
// bytes are valid until the handler returns.
type wholeBody interface{ Whole() (data []byte, ok bool) }

// readBody reads all of a unary call's body within the limits. What it returns is the caller's, if buf is nil. Else it may be in the memory
// of buf, and is not valid when the handler has returned.
func (h *Handler) readBody(ctx context.Context, w http.ResponseWriter, r *http.Request, held *held, buf *[]byte) ([]byte, error) {
	limits := h.limits()
	if r.ContentLength > int64(limits.MessageBytes) {
		return nil, errTooLarge(limits.MessageBytes)
	}
	if r.ContentLength == 0 {
		return []byte{}, nil
	}
	if buf == nil {
		buf = new([]byte)
	} else if b, ok := r.Body.(wholeBody); ok {
		if data, ok := b.Whole(); ok && len(data) <= limits.MessageBytes {
			return data, nil
		}
	}
	late := h.readBy(ctx, w, r)
	data, err := readAll(r.Body, r.ContentLength, limits.MessageBytes, held, *buf)
	if err = late.status(err); err == nil {
		*buf = data
	}
	return data, err
}

// arrival is the time that a message may take to arrive.
type arrival struct {
	w     http.ResponseWriter
	limit time.Duration // ReadTimeout
	set   bool          // there is a deadline
	call  bool          // it is the call's
}

// readBy gives reads of the request's body the time that a message may take to arrive. When it is there, status must be called.
func (h *Handler) readBy(ctx context.Context, w http.ResponseWriter, r *http.Request) arrival {
	a := arrival{w: w, limit: h.limits().ReadTimeout}
	var deadline time.Time
	deadline, a.set = ctx.Deadline()
	a.call = a.set
	if a.limit > 0 {
		if !a.set && r.ProtoMajor == 1 {
			a.set = true
			return a // ServeHTTP has just set it
		}
		if end := time.Now().Add(a.limit); !a.set || end.Before(deadline) {
			deadline, a.set, a.call = end, true, false
		}
	}
	if a.set {
		http.NewResponseController(w).SetReadDeadline(deadline) // where a server has none, the client decides how long it takes
	}
	return a
}

// status ends the time, and makes the error of a read the call's status.
func (a arrival) status(err error) error {
	if err == nil {
		if a.set {
			http.NewResponseController(a.w).SetReadDeadline(time.Time{})
		}
		return nil
	}
	if err = readError(err); a.set && !a.call && status.Code(err) == codes.DeadlineExceeded {
		return status.Errorf(codes.DeadlineExceeded, "the request's message took longer than %v to arrive", a.limit)
	}
	return err
}

// readAll reads a body that says it is length bytes long, -1 if it does not say, and may be limit bytes long. It uses the memory of buf if
// that is enough.
func readAll(r io.Reader, length int64, limit int, held *held, buf []byte) ([]byte, error) {
	first := int64(512)
	if length >= 0 {
		first = min(length, firstPiece) + 1 // one more, to see the end without more memory
	}
	if err := held.grow(int(first)); err != nil {
		return nil, err
	}
	data := buf[:0]
	if int64(cap(data)) < first {
		data = make([]byte, 0, first)
	}
	for {
		n, err := r.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		switch {
		case len(data) > limit:
			return nil, errTooLarge(limit)
		case err == io.EOF:
			return data, nil
		case err != nil:
			return nil, err
		}
		if len(data) == cap(data) {
			before := cap(data)
			data = slices.Grow(data, len(data))
			if err := held.grow(cap(data) - before); err != nil {
				return nil, err
			}
		}
	}
}

// readError is the status of a call whose request could not be read.
func readError(err error) error {
	if _, ok := status.FromError(err); ok {
		return err
	}
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return status.Error(codes.DeadlineExceeded, context.DeadlineExceeded.Error())
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return status.Error(codes.InvalidArgument, "the request ends before its end")
	}
	return status.Errorf(codes.Canceled, "the request could not be read: %v", err)
}

// sendError is the status of a call whose reply could not be written; nil if it could.
func sendError(err error) error {
	if err == nil {
		return nil
	}
	return status.Errorf(codes.Canceled, "the reply could not be written: %v", err)
}

func errTooLarge(limit int) error {
	return status.Errorf(codes.ResourceExhausted, "the message is larger than %d bytes, which is the most that is taken", limit)
}

// streamBody is the body of a stream. A read ends when the call's context does, and nothing is left behind on the connection if none
// waits then.
type streamBody struct {
	body io.Reader
	rc   *http.ResponseController

	mu      sync.Mutex
	err     error // why there is nothing to read any more
	reading bool
	whole   bool // all was read
}

// until ends reads with ctx, and not before. The returned function must be called when the call is over.
func (b *streamBody) until(ctx context.Context) (stop func() bool) {
	b.rc.SetReadDeadline(time.Time{})
	return context.AfterFunc(ctx, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.err = status.FromContextError(ctx.Err()).Err()
		if b.reading {
			b.rc.SetReadDeadline(time.Now()) // where a server has none, the read ends with the connection
		}
	})
}

func (b *streamBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	if b.err != nil {
		defer b.mu.Unlock()
		return 0, b.err
	}
	b.reading = true
	b.mu.Unlock()
	n, err := b.body.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading = false
	b.whole = b.whole || err == io.EOF
	if err != nil && err != io.EOF && b.err != nil {
		err = b.err
	}
	return n, err
}

// complete reports whether all of the body was read.
func (b *streamBody) complete() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.whole
}

// restTime is how long the rest of a stream may take to arrive whose call has ended. Over HTTP/1 net/http reads it before it answers, for many
// clients do not expect an answer earlier.
const restTime = 500 * time.Millisecond

// leave gives the rest of the body its time.
func (b *streamBody) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.whole && b.err == nil {
		b.rc.SetReadDeadline(time.Now().Add(restTime))
	}
}

// broken reports whether there is a rest of the body that nobody will read.
func (b *streamBody) broken() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err != nil
}
