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

// readBody reads all of a unary call's body within the limits.
func (h *Handler) readBody(ctx context.Context, w http.ResponseWriter, r *http.Request, held *held) ([]byte, error) {
	limits := h.limits()
	if r.ContentLength > int64(limits.MessageBytes) {
		return nil, errTooLarge(limits.MessageBytes)
	}
	if r.ContentLength == 0 {
		return []byte{}, nil
	}
	late := h.readBy(ctx, http.NewResponseController(w))
	data, err := readAll(r.Body, r.ContentLength, limits.MessageBytes, held)
	return data, late(err)
}

// readBy gives reads of the request's body the time that a message may take to arrive. The returned function must be called when it is
// there, and makes the error of a read the call's status.
func (h *Handler) readBy(ctx context.Context, rc *http.ResponseController) func(error) error {
	limit := h.limits().ReadTimeout
	deadline, limited := ctx.Deadline()
	calls := limited
	if limit > 0 {
		if end := time.Now().Add(limit); !limited || end.Before(deadline) {
			deadline, limited, calls = end, true, false
		}
	}
	if limited {
		rc.SetReadDeadline(deadline) // where a server has none, the client decides how long it takes
	}
	return func(err error) error {
		if err == nil {
			if limited {
				rc.SetReadDeadline(time.Time{})
			}
			return nil
		}
		if err = readError(err); limited && !calls && status.Code(err) == codes.DeadlineExceeded {
			return status.Errorf(codes.DeadlineExceeded, "the request's message took longer than %v to arrive", limit)
		}
		return err
	}
}

// readAll reads a body that says it is length bytes long, -1 if it does not say, and may be limit bytes long.
func readAll(r io.Reader, length int64, limit int, held *held) ([]byte, error) {
	first := int64(512)
	if length >= 0 {
		first = min(length, firstPiece) + 1 // one more, to see the end without more memory
	}
	if err := held.grow(int(first)); err != nil {
		return nil, err
	}
	data := make([]byte, 0, first)
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
