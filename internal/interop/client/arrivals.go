package main

import (
	"context"
	"sync/atomic"

	"google.golang.org/grpc/stats"
)

// arrivals remembers whether the last message that came was compressed, which only a stats handler is told. The messages of the cases that
// ask are made of zeros, so that compression shows in their size.
type arrivals struct{ compressed atomic.Bool }

func (a *arrivals) HandleRPC(_ context.Context, s stats.RPCStats) {
	if in, ok := s.(*stats.InPayload); ok {
		a.compressed.Store(in.CompressedLength < in.Length)
	}
}

func (*arrivals) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (*arrivals) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (*arrivals) HandleConn(context.Context, stats.ConnStats)                       {}
