package gateway

import (
	"math"
	"time"
)

// Limits are on what one call may take. Of every field 0 is the default and -1 switches the limit off. Those of the called service hold
// besides, and those of the server that the handler is on: that of [github.com/hanse-go/hanse/rpc.Port] ends replies of which a client takes
// nothing, by its Limits.StallTimeout; a server of net/http has no such limit by itself.
type Limits struct {
	// MessageBytes is the size of one request message, as it is sent and again when it was decompressed. Default: what the backend says by
	// a method MaxRecvMsgSize() int, else 4 MiB.
	MessageBytes int
	// TotalBytes is what the messages that are being received may take together, each from 16 KiB on. Default: 256 MiB.
	TotalBytes int
	// Depth is how deeply a request message may be nested. Default: 100.
	Depth int
	// Timeout is what a unary call may take whose client sets no deadline of its own. Default: as long as it needs, as for calls by gRPC.
	Timeout time.Duration
	// ReadTimeout is what the message of a unary call may take to arrive. Default: 30 s.
	ReadTimeout time.Duration
}

// limits returns the limits with the defaults filled in. None is math.MaxInt, or 0 for durations.
func (h *Handler) limits() *Limits {
	h.init()
	return &h.resolved
}

func (l Limits) resolved(message int) Limits {
	l.MessageBytes = orDefault(l.MessageBytes, message, math.MaxInt-1)
	l.TotalBytes = orDefault(l.TotalBytes, 256<<20, math.MaxInt)
	l.Depth = orDefault(l.Depth, 100, math.MaxInt)
	l.Timeout = max(l.Timeout, 0)
	l.ReadTimeout = orDefault(l.ReadTimeout, 30*time.Second, 0)
	return l
}

func orDefault[T ~int | ~int64](n, byDefault, none T) T {
	switch {
	case n == 0:
		return byDefault
	case n < 0:
		return none
	}
	return n
}
