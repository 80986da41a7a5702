package wire

import (
	"net"

	"github.com/hanse-go/hanse/internal/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"
)

// Server speaks to the clients of a port. Its methods are safe for concurrent use.
type Server interface {
	// Serve takes over a connection, which is a [*crypto/tls.Conn] whose handshake is over, or else an [*Accepted]. Its client preface is
	// still to be read. Serve returns before the connection ends. The port has seen to MaxConnections and HandshakeTimeout.
	Serve(conn net.Conn)

	// Drain sends GOAWAY, and returns when no call runs, or after Stop.
	Drain()

	// Stop closes all connections and waits for the server's goroutines, but not for handlers, which may go on after it.
	Stop()
}

// ServerConfig says where a server delivers calls.
type ServerConfig struct {
	// Handle runs a call, unary or streaming, on a goroutine of the wire's. The context of the stream has the metadata, the deadline and
	// the peer of the call, with ":authority" in the metadata. Its error is the call's status.
	Handle func(method string, stream grpc.ServerStream) error

	// Router is package rpc's own, for the wire that is a part of that package, which needs no Handle.
	Router any
	// Web serves the requests over HTTP/2 that are not gRPC.
	Web *http2.Web

	StatsHandler stats.Handler // may be nil
	Limits       Limits
}
