package gateway

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// freeHeld is how much memory of a call is not counted: small messages always pass.
const freeHeld = firstPiece + 1

// held is the memory of a message that is on its way from a client to its decoder, counted for all calls of a handler.
type held struct {
	h       *Handler
	n       int
	counted int // of n
}

// grow says that the message takes n bytes more. Its error is the call's status.
func (m *held) grow(n int) error {
	if m.n += n; m.n <= freeHeld {
		return nil
	}
	more := int64(m.n - m.counted)
	if m.h.held.Add(more) > int64(m.h.limits().TotalBytes) {
		m.h.held.Add(-more)
		return status.Error(codes.ResourceExhausted, "the messages that are being received take too much memory: try again later, or send smaller ones")
	}
	m.counted = m.n
	return nil
}

// release gives all back.
func (m *held) release() {
	if m.counted > 0 {
		m.h.held.Add(-int64(m.counted))
	}
	m.n, m.counted = 0, 0
}
