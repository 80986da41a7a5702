package rpc

import (
	"github.com/hanse-go/hanse/rpc/internal/wire"
)

// Wire is what speaks gRPC over the connections of a [Port] or a [Client]. Both have a field of this type, and nil is the default. The
// other one is in package [github.com/hanse-go/hanse/rpc/grpcwire]. Clients and servers of different wires, and any other gRPC peer,
// understand each other.
//
// Only packages of Hanse can implement it, for its methods take types that are internal: they change with what rpc needs of a wire.
type Wire interface {
	// Name says which one it is, as HANSE_WIRE does: "hanse" or "grpc-go".
	Name() string

	// NewLink makes a connection to one instance, which begins to connect.
	NewLink(wire.LinkConfig) (wire.Link, error)
	// NewServer makes what serves the connections of one port.
	NewServer(wire.ServerConfig) wire.Server
}

// DefaultWire returns the wire that nil stands for.
func DefaultWire() Wire { return hanseWire{} }

// wireOr returns w or, when it is nil, the default wire.
func wireOr(w Wire) Wire {
	if w == nil {
		w = DefaultWire()
	}
	return w
}

// hanseWire is our own gRPC on our own HTTP/2.
type hanseWire struct{}

// Name returns "hanse".
func (hanseWire) Name() string { return "hanse" }

// NewLink implements [Wire].
func (hanseWire) NewLink(cfg wire.LinkConfig) (wire.Link, error) { return newWireLink(cfg), nil }

// NewServer implements [Wire].
func (hanseWire) NewServer(cfg wire.ServerConfig) wire.Server {
	return newWireServer(cfg.Router.(*router), cfg.Limits, cfg.Web)
}
