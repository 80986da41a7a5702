package main

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	testpb "google.golang.org/grpc/interop/grpc_testing"
)

var (
	compressed   = &testpb.BoolValue{Value: true}
	uncompressed = &testpb.BoolValue{Value: false}
)

func clientCompressedUnary(ctx context.Context, h *harness) error {
	req := largeCall()
	// A probe: the server must tell that what should be compressed is not.
	req.ExpectCompressed = compressed
	if _, err := h.client.UnaryCall(ctx, req); hasCode(err, codes.InvalidArgument) != nil {
		return fmt.Errorf("the server does not look at compression: %w", orEnd(err))
	}
	for _, opts := range [][]grpc.CallOption{{grpc.UseCompressor(gzip.Name)}, nil} {
		resp, err := h.client.UnaryCall(ctx, req, opts...)
		if err != nil {
			return err
		}
		if err := hasSize(resp.Payload, largeResponse); err != nil {
			return err
		}
		req.ExpectCompressed = uncompressed
	}
	return nil
}

func serverCompressedUnary(ctx context.Context, h *harness) error {
	for _, asked := range []*testpb.BoolValue{compressed, uncompressed} {
		req := largeCall()
		req.ResponseCompressed = asked
		resp, err := h.client.UnaryCall(ctx, req)
		if err != nil {
			return err
		}
		if err := errors.Join(hasSize(resp.Payload, largeResponse), h.cameCompressed(asked.Value)); err != nil {
			return err
		}
	}
	return nil
}

func serverCompressedStreaming(ctx context.Context, h *harness) error {
	want := []*testpb.ResponseParameters{{Compressed: compressed, Size: 31415}, {Compressed: uncompressed, Size: 92653}}
	stream, err := h.client.StreamingOutputCall(ctx, &testpb.StreamingOutputCallRequest{ResponseParameters: want})
	if err != nil {
		return err
	}
	for _, w := range want {
		resp, err := stream.Recv()
		if err != nil {
			return err
		}
		if err := errors.Join(hasSize(resp.Payload, int(w.Size)), h.cameCompressed(w.Compressed.Value)); err != nil {
			return err
		}
	}
	return atEnd(stream.Recv)
}

// cameCompressed checks the last message that came.
func (h *harness) cameCompressed(want bool) error {
	if got := h.seen.compressed.Load(); got != want {
		return fmt.Errorf("the response came with compressed=%v, want %v", got, want)
	}
	return nil
}
