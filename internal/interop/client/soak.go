package main

import (
	"context"
	"fmt"
	"time"

	testpb "google.golang.org/grpc/interop/grpc_testing"
)

// soak configures the cases that make many calls.
type soak struct {
	iterations int
	overall    time.Duration
}

// rpcSoak makes large calls on one connection.
func rpcSoak(ctx context.Context, h *harness) error {
	return h.config.soak.run(ctx, func(ctx context.Context) error { return largeUnary(ctx, h) })
}

// channelSoak makes each large call on a connection of its own.
func channelSoak(ctx context.Context, h *harness) error {
	return h.config.soak.run(ctx, func(ctx context.Context) error {
		conn, seen, err := h.config.dial()
		if err != nil {
			return err
		}
		defer conn.Close()
		return largeUnary(ctx, &harness{config: h.config, conn: conn, client: testpb.NewTestServiceClient(conn), seen: seen})
	})
}

func (s soak) run(ctx context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.overall)
	defer cancel()
	for i := range s.iterations {
		if err := call(ctx); err != nil {
			return fmt.Errorf("call %d of %d: %w", i+1, s.iterations, err)
		}
	}
	return nil
}
