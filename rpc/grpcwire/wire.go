// Package grpcwire is grpc-go's transport as a wire of package rpc, for a [github.com/hanse-go/hanse/rpc.Port] or
// [github.com/hanse-go/hanse/rpc.Client] that is to speak by it:
//
//	port := &rpc.Port{Servers: servers, Wire: grpcwire.Wire{}}
//
// An app takes it for all its calls, or has it at hand, for HANSE_WIRE=grpc-go or --wire grpc-go to ask for:
//
//	app := &hanse.App{Wire: grpcwire.Wire{}}
//	app := &hanse.App{Wire: grpcwire.Wire{Standby: true}}
//
// Routing, deadlines, interceptors, retries and drain do not depend on the wire. What does: a server of this one serves plain HTTP by
// HTTP/1 only and refuses requests over HTTP/2 that are not gRPC, it keeps fewer limits (see [Wire]), and calls cost more.
package grpcwire

import "github.com/hanse-go/hanse/rpc/internal/wire"

// Wire is an rpc.Wire. Its zero value is ready for use, and safe for concurrent use.
//
// Of rpc.Limits it does not keep, on HTTP/2 connections, HeaderTimeout, ResetBudget, ControlBudget, MaxQueuedBytes, MaxQueuedBytesTotal
// and StallTimeout: grpc-go has defences of its own in place of some of them, and none for others.
type Wire struct {
	// Standby makes an App use the wire only when its flags or environment ask for grpc-go. A Port and a Client, which have neither,
	// do not heed it.
	Standby bool
}

// Name returns "grpc-go".
func (Wire) Name() string { return "grpc-go" }

// OnStandby reports whether an App waits to be asked before it uses the wire.
func (w Wire) OnStandby() bool { return w.Standby }

// NewLink is for package rpc.
func (Wire) NewLink(cfg wire.LinkConfig) (wire.Link, error) { return newLink(cfg) }

// NewServer is for package rpc.
func (Wire) NewServer(cfg wire.ServerConfig) wire.Server { return newServer(cfg) }
