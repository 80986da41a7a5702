package wire

import (
	"context"
	"crypto/tls"
	"net"
	"sync/atomic"

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
	Sent         atomic.Bool // the request's headers went to the connection, and the peer did not say that it ignored them
	Answered     atomic.Bool // the status came from the peer
	NotProcessed atomic.Bool // the peer said that it did not process the call
}

// NeverProcessed reports whether the call can be sent elsewhere whatever it does.
func (r *Report) NeverProcessed() bool { return !r.Sent.Load() || r.NotProcessed.Load() }
