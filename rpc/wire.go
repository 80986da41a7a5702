package rpc

import (
	"context"
	"crypto/tls"
	"net"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"
)

// The wire is what speaks gRPC over a connection. These few declarations are all that the rest of the package knows of it.

// remoteConfig says how a remote link gets its connection and what it may carry.
type remoteConfig struct {
	dial           func(ctx context.Context) (net.Conn, error)
	authority      string
	instance       string // sent as hanse-instance; "": not sent
	tls            *tls.Config
	statsHandlers  []stats.Handler
	maxRecvMsgSize int // resolved: never 0 or negative
	maxSendMsgSize int
	keepalive      bool // the peer is known to allow pings

	// onState is called from one goroutine with each new state; err is set when it is unreachable.
	onState func(state linkState, err error)
}

// remoteLink is one connection to one instance, made again when it breaks. It does not retry calls: what became of a call is in its
// report.
type remoteLink interface {
	invoke(ctx context.Context, method string, args, reply any, opts []grpc.CallOption, r *report) error
	// newStream calls done once when the stream has ended, also when it could not be made.
	newStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts []grpc.CallOption, r *report, done func(error)) (grpc.ClientStream, error)
	retire()  // makes no new connection from now on
	dialNow() // ends the pause between two attempts to connect
	close()   // ends what is in flight with Canceled and waits for its goroutines
}

// linkState says whether a remote link can carry a call.
type linkState int32

const (
	linkConnecting linkState = iota
	linkReady
	linkUnreachable // the last attempt to connect failed; others follow
)

// report says how far one attempt of a call came. It is written while the call runs and may be read after it.
type report struct {
	sent         atomic.Bool // the request's headers went to the connection, and the peer did not say that it ignored them
	answered     atomic.Bool // the status came from the peer
	notProcessed atomic.Bool // the peer said that it did not process the call
}

// neverProcessed reports whether the call can be sent elsewhere whatever it does.
func (r *report) neverProcessed() bool { return !r.sent.Load() || r.notProcessed.Load() }

// serverWire speaks to the clients of a port.
type serverWire interface {
	serve(conn net.Conn) // takes a connection over; its client preface is still to be read
	drain()              // sends GOAWAY; returns when no call runs, or after stop
	stop()               // closes all connections; handlers may still run after it
}

// serverWireConfig says where a server wire delivers calls.
type serverWireConfig struct {
	handle         func(method string, stream grpc.ServerStream) error
	statsHandler   stats.Handler // may be nil
	maxRecvMsgSize int           // resolved: never 0 or negative
}
