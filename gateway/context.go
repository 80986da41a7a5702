package gateway

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/hanse-go/hanse/internal/grpckeys"
	"github.com/hanse-go/hanse/internal/lazyctx"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// callContext is the context of a call: that of its request, with the deadline of the call and what grpc's packages look for. Few handlers
// look, so it makes that when it is asked.
type callContext struct {
	lazyctx.Context
	call    *call
	request *http.Request
	host    [1]string // the values of ":authority"
	given   bool      // the metadata is not that of the request's headers

	mu       sync.Mutex
	metadata metadata.MD
	peer     *peer.Peer
}

// begin makes c the context of a call. md is its metadata; nil: the request's headers.
func (c *callContext) begin(call *call, r *http.Request, md metadata.MD, deadline time.Time) {
	c.call, c.request, c.host = call, r, [1]string{r.Host}
	c.metadata, c.given = md, md != nil
	c.Begin(r.Context(), deadline)
}

// context returns the context for the backend: c, or a chain that grpc's packages build themselves when they would not find their values
// in c.
func (c *callContext) context() context.Context {
	if grpckeys.Found() {
		return c
	}
	ctx := metadata.NewIncomingContext(peer.NewContext(c, c.caller()), c.incoming())
	return grpc.NewContextWithServerTransportStream(ctx, transportStream{c.call})
}

func (c *callContext) Value(key any) any {
	switch keys := grpckeys.Get(); key {
	case keys.Incoming:
		return c.incoming()
	case keys.Peer:
		return c.caller()
	case keys.Stream:
		return transportStream{c.call}
	}
	return c.Context.Value(key)
}

// IncomingValues returns the values of a key of the metadata without making all of that. A Backend may ask for them.
func (c *callContext) IncomingValues(key string) []string {
	name := ""
	switch key { // those that package rpc looks for in each call
	case authorityKey:
		return c.host[:]
	case "hanse-instance":
		name = instanceKey
	case "hanse-priority":
		name = "Hanse-Priority"
	case "idempotency-key":
		name = "Idempotency-Key"
	}
	if name != "" && !c.given && c.request.Header[name] == nil {
		return nil
	}
	return c.incoming()[key]
}

func (c *callContext) incoming() metadata.MD {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.metadata == nil {
		c.metadata, _ = incoming(c.request) // what can be wrong was looked for by headerMetadata
	}
	return c.metadata
}

// caller returns the peer: that of the connection, which an rpc.Port puts into the request's context, or what the request itself says.
func (c *callContext) caller() *peer.Peer {
	if p, ok := peer.FromContext(c.Parent()); ok {
		return p
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.peer == nil {
		c.peer = peerOf(c.request)
	}
	return c.peer
}
