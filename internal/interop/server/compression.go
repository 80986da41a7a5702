package main

import (
	"context"
	"sync/atomic"

	"google.golang.org/grpc/stats"
)

func statsHandlers() []stats.Handler { return []stats.Handler{compressionStats{}} }

// compressionStats remembers of each call whether its last message came compressed, which only a stats handler is told. The messages of
// the cases that ask are made of zeros, so that compression shows in their size.
type compressionStats struct{}

type compressedKey struct{}

func (compressionStats) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	return context.WithValue(ctx, compressedKey{}, new(atomic.Bool))
}

func (compressionStats) HandleRPC(ctx context.Context, s stats.RPCStats) {
	if in, ok := s.(*stats.InPayload); ok {
		ctx.Value(compressedKey{}).(*atomic.Bool).Store(in.CompressedLength < in.Length)
	}
}

func (compressionStats) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context {
	return ctx
}
func (compressionStats) HandleConn(context.Context, stats.ConnStats) {}

func arrivedCompressed(ctx context.Context) bool {
	compressed, _ := ctx.Value(compressedKey{}).(*atomic.Bool)
	return compressed != nil && compressed.Load()
}
