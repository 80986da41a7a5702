// Package grpckeys finds the keys under which grpc's packages keep the values of a call in its context. A context that answers for them
// itself is one object, where grpc's own functions make a chain of them.
package grpckeys

import (
	"context"
	"slices"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// Keys are the keys. The values are a metadata.MD in Incoming, a *peer.Peer in Peer, a grpc.ServerTransportStream in Stream; what is in
// Outgoing has a type that grpc does not tell.
type Keys struct{ Incoming, Outgoing, Peer, Stream any }

// Get learns the keys by asking grpc's public functions for the values of a context that tells which key it was asked for.
var Get = sync.OnceValue(func() *Keys {
	keys := new(Keys)
	ask := func(key *any, get func(ctx context.Context)) {
		get(probe{context.Background(), key})
	}
	ask(&keys.Incoming, func(ctx context.Context) { metadata.FromIncomingContext(ctx) })
	ask(&keys.Outgoing, func(ctx context.Context) { metadata.FromOutgoingContext(ctx) })
	ask(&keys.Peer, func(ctx context.Context) { peer.FromContext(ctx) })
	ask(&keys.Stream, func(ctx context.Context) { grpc.ServerTransportStreamFromContext(ctx) })
	return keys
})

// probe is a context without values that notes the key it is asked for.
type probe struct {
	context.Context
	key *any
}

func (p probe) Value(key any) any {
	*p.key = key
	return nil
}

// Found reports whether grpc's packages find their values by these keys in a context of another kind than theirs. A release of grpc that
// keeps them in another way makes it false: then only contexts made by grpc's own functions will do.
var Found = sync.OnceValue(func() bool {
	c := answers{Context: context.Background(), md: metadata.MD{"key": {"value"}}, peer: new(peer.Peer), stream: stream("/grpckeys.Test/Found")}
	md, _ := metadata.FromIncomingContext(c)
	p, _ := peer.FromContext(c)
	_, outgoing := metadata.FromOutgoingContext(c)
	name, _ := grpc.Method(c)
	return slices.Equal(md["key"], []string{"value"}) && slices.Equal(metadata.ValueFromIncomingContext(c, "key"), []string{"value"}) &&
		p == c.peer && grpc.ServerTransportStreamFromContext(c) == c.stream && name == c.stream.Method() && !outgoing
})

// answers is a context as callers of this package make them.
type answers struct {
	context.Context
	md     metadata.MD
	peer   *peer.Peer
	stream grpc.ServerTransportStream
}

func (a answers) Value(key any) any {
	switch keys := Get(); key {
	case keys.Incoming:
		return a.md
	case keys.Peer:
		return a.peer
	case keys.Stream:
		return a.stream
	}
	return nil
}

// stream is one that only knows its method.
type stream string

func (s stream) Method() string             { return string(s) }
func (stream) SetHeader(metadata.MD) error  { return nil }
func (stream) SendHeader(metadata.MD) error { return nil }
func (stream) SetTrailer(metadata.MD) error { return nil }
