package wire

import (
	"context"
	"crypto/tls"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"
)

// Link is one connection to one instance, made again when it breaks. It does not retry calls: what became of a call is in its report.
// Its methods are safe for concurrent use. It connects by itself from the start until Retire or Close.
type Link interface {
	// Invoke makes a unary call. It fills r before it returns.
	Invoke(ctx context.Context, method string, args, reply any, opts []grpc.CallOption, r *Report) error

	// NewStream begins a streaming call. It calls done once when the stream has ended, also when it could not be made; r is filled
	// before that.
	NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts []grpc.CallOption, r *Report, done func(error)) (grpc.ClientStream, error)

	Retire()  // makes no new connection from now on
	DialNow() // ends the pause between two attempts to connect
	Close()   // ends what is in flight with Canceled and waits for its goroutines
}

// LinkConfig says how a link gets its connection and what it may carry.
type LinkConfig struct {
	Dial           func(ctx context.Context) (net.Conn, error)
	Authority      string
	Instance       string      // sent as InstanceKey; "": not sent
	TLS            *tls.Config // nil: plaintext
	StatsHandlers  []stats.Handler
	MaxRecvMsgSize int // resolved: never 0 or negative
	MaxSendMsgSize int
	Keepalive      bool // the peer is known to allow pings

	// OnState is called from one goroutine with each new state; err is set when it is Unreachable.
	OnState func(state State, err error)
}

// State says whether a link can carry a call.
type State int32

// The states of a link. It begins as Connecting.
const (
	Connecting State = iota
	Ready
	Unreachable // the last attempt to connect failed; others follow
)

// Report says how far one attempt of a call came. It is written while the call runs and may be read after it. The zero value is that of
// a call that did not begin.
type Report struct {
	Sent         atomic.Bool  // the request's headers went to the connection, and the peer did not say that it ignored them
	Answered     atomic.Bool  // the status came from the peer
	NotProcessed atomic.Bool  // the peer said that it did not process the call
	Asked        atomic.Int64 // what the peer asked by PushbackKey, as ParsePushback reads it
}

// Pushback returns how long the peer asked to wait before the call is made again, negative when it asked not to make it again, and
// whether it asked.
func (r *Report) Pushback() (time.Duration, bool) {
	n := r.Asked.Load()
	if n <= 0 {
		return time.Duration(n), n < 0
	}
	return time.Duration(n-1) * time.Millisecond, true
}

// ParsePushback reads the value of PushbackKey: a number above 0 is one more than the milliseconds to wait, -1 stands for no. What is no
// number means no, too (gRFC A6).
func ParsePushback(value string) int64 {
	ms, err := strconv.ParseInt(value, 10, 32)
	if err != nil || ms < 0 {
		return -1
	}
	return ms + 1
}

// NeverProcessed reports whether the call can be sent elsewhere whatever it does.
func (r *Report) NeverProcessed() bool { return !r.Sent.Load() || r.NotProcessed.Load() }
