package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

// testCase is one of https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md.
type testCase struct {
	name string
	run  func(context.Context, *harness) error
}

// cases are all but those that need credentials of a cloud, HTTP caches, load reports, and a choice of compression for each message, which
// gRPC's Go API does not have.
var cases = []testCase{
	{"empty_unary", emptyUnary},
	{"large_unary", largeUnary},
	{"client_compressed_unary", clientCompressedUnary},
	{"server_compressed_unary", serverCompressedUnary},
	{"client_streaming", clientStreaming},
	{"server_streaming", serverStreaming},
	{"server_compressed_streaming", serverCompressedStreaming},
	{"ping_pong", pingPong},
	{"empty_stream", emptyStream},
	{"custom_metadata", customMetadata},
	{"status_code_and_message", statusCodeAndMessage},
	{"special_status_message", specialStatusMessage},
	{"unimplemented_method", unimplementedMethod},
	{"unimplemented_service", unimplementedService},
	{"cancel_after_begin", cancelAfterBegin},
	{"cancel_after_first_response", cancelAfterFirstResponse},
	{"timeout_on_sleeping_server", timeoutOnSleepingServer},
	{"pick_first_unary", pickFirstUnary},
	{"rpc_soak", rpcSoak},
	{"channel_soak", channelSoak},
	{"huge_unary", hugeUnary},
}

// harness is what a case works with.
type harness struct {
	config *config
	conn   *rpc.Conn
	client testpb.TestServiceClient
	seen   *arrivals
}

// Sizes of payloads that the descriptions fix.
const (
	largeRequest  = 271828
	largeResponse = 314159
)

var (
	requestSizes  = []int{27182, 8, 1828, 45904}
	responseSizes = []int32{31415, 9, 2653, 58979}
)

func newPayload(size int) *testpb.Payload { return &testpb.Payload{Body: make([]byte, size)} }

func largeCall() *testpb.SimpleRequest {
	return &testpb.SimpleRequest{ResponseSize: largeResponse, Payload: newPayload(largeRequest)}
}

// hasSize checks a payload that came.
func hasSize(p *testpb.Payload, size int) error {
	if p.GetType() != testpb.PayloadType_COMPRESSABLE || len(p.GetBody()) != size {
		return fmt.Errorf("got a payload of type %v with %d bytes, want %d", p.GetType(), len(p.GetBody()), size)
	}
	return nil
}

// hasCode checks how a call ended.
func hasCode(err error, want codes.Code) error {
	if status.Code(err) != want {
		return fmt.Errorf("the call ended with %w, want %v", orEnd(err), want)
	}
	return nil
}

// atEnd checks that a stream ended well.
func atEnd[T any](recv func() (T, error)) error {
	if _, err := recv(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("the stream ended with %w, want %w", orEnd(err), io.EOF)
	}
	return nil
}

func orEnd(err error) error {
	if err == nil {
		return errors.New("no error")
	}
	return err
}

func emptyUnary(ctx context.Context, h *harness) error {
	_, err := h.client.EmptyCall(ctx, &testpb.Empty{})
	return err
}

func largeUnary(ctx context.Context, h *harness) error {
	resp, err := h.client.UnaryCall(ctx, largeCall())
	if err != nil {
		return err
	}
	return hasSize(resp.Payload, largeResponse)
}

func clientStreaming(ctx context.Context, h *harness) error {
	stream, err := h.client.StreamingInputCall(ctx)
	if err != nil {
		return err
	}
	total := 0
	for _, size := range requestSizes {
		if err := stream.Send(&testpb.StreamingInputCallRequest{Payload: newPayload(size)}); err != nil {
			return err
		}
		total += size
	}
	resp, err := stream.CloseAndRecv()
	if err != nil {
		return err
	}
	if int(resp.AggregatedPayloadSize) != total {
		return fmt.Errorf("the server saw %d bytes, want %d", resp.AggregatedPayloadSize, total)
	}
	return nil
}

func serverStreaming(ctx context.Context, h *harness) error {
	req := &testpb.StreamingOutputCallRequest{}
	for _, size := range responseSizes {
		req.ResponseParameters = append(req.ResponseParameters, &testpb.ResponseParameters{Size: size})
	}
	stream, err := h.client.StreamingOutputCall(ctx, req)
	if err != nil {
		return err
	}
	for _, size := range responseSizes {
		resp, err := stream.Recv()
		if err != nil {
			return err
		}
		if err := hasSize(resp.Payload, int(size)); err != nil {
			return err
		}
	}
	return atEnd(stream.Recv)
}

func pingPong(ctx context.Context, h *harness) error {
	stream, err := h.client.FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	for i, size := range responseSizes {
		resp, err := ask(stream, requestSizes[i], size)
		if err != nil {
			return err
		}
		if err := hasSize(resp.Payload, int(size)); err != nil {
			return err
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return atEnd(stream.Recv)
}

type duplex = grpc.BidiStreamingClient[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]

// ask sends a payload and receives one.
func ask(stream duplex, send int, want int32) (*testpb.StreamingOutputCallResponse, error) {
	err := stream.Send(&testpb.StreamingOutputCallRequest{
		Payload: newPayload(send), ResponseParameters: []*testpb.ResponseParameters{{Size: want}},
	})
	if err != nil {
		return nil, err
	}
	return stream.Recv()
}

func emptyStream(ctx context.Context, h *harness) error {
	stream, err := h.client.FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return atEnd(stream.Recv)
}

func pickFirstUnary(ctx context.Context, h *harness) error {
	first := ""
	for i := range 100 {
		resp, err := h.client.UnaryCall(ctx, &testpb.SimpleRequest{ResponseSize: 1, Payload: newPayload(1), FillServerId: true})
		if err != nil {
			return fmt.Errorf("call %d: %w", i, err)
		}
		if resp.ServerId == "" {
			return fmt.Errorf("call %d: the server tells no ID", i)
		}
		if i == 0 {
			first = resp.ServerId
		}
		if resp.ServerId != first {
			return fmt.Errorf("call %d went to %s, the first to %s", i, resp.ServerId, first)
		}
	}
	return nil
}

// hugeUnary is no official case: 16 MiB each way, which is more than the windows of a connection and the usual limit of a message.
func hugeUnary(ctx context.Context, h *harness) error {
	const size = 16 << 20
	resp, err := h.client.UnaryCall(ctx, &testpb.SimpleRequest{ResponseSize: size, Payload: newPayload(size)}, grpc.MaxCallRecvMsgSize(size+1024))
	if err != nil {
		return err
	}
	return hasSize(resp.Payload, size)
}
