// Package wire is the seam between package rpc and what speaks gRPC over a connection: [Link] and [Server] are all that rpc knows of a
// wire, and [LinkConfig] and [ServerConfig] are all that a wire knows of rpc. An rpc.Wire makes both.
package wire

import "math"

// Metadata that Hanse sends. Unknown keys with the same prefix are ignored by both sides.
const (
	InstanceKey     = "hanse-instance"      // request: the instance that is meant
	NotProcessedKey = "hanse-not-processed" // trailer: "1" says that no handler saw the call, so another instance may get it
)

// PushbackKey is the trailer by which a server says when the call may be made again, in milliseconds; negative: not at all (gRFC A6).
const PushbackKey = "grpc-retry-pushback-ms"

// NoLimit is the size of a message that has no limit: what its length prefix can say, and no less than any platform's int.
const NoLimit = math.MaxInt32
