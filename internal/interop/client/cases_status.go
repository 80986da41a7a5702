package main

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

func customMetadata(ctx context.Context, h *harness) error {
	const (
		initialKey, initialValue   = "x-grpc-test-echo-initial", "test_initial_metadata_value"
		trailingKey, trailingValue = "x-grpc-test-echo-trailing-bin", "\xab\xab\xab"
	)
	check := func(kind string, header, trailer metadata.MD) error {
		if v := header[initialKey]; len(v) != 1 || v[0] != initialValue {
			return fmt.Errorf("%s: got the header %q, want %q once", kind, v, initialValue)
		}
		if v := trailer[trailingKey]; len(v) != 1 || v[0] != trailingValue {
			return fmt.Errorf("%s: got the trailer %q, want %q once", kind, v, trailingValue)
		}
		return nil
	}
	ctx = metadata.AppendToOutgoingContext(ctx, initialKey, initialValue, trailingKey, trailingValue)

	var header, trailer metadata.MD
	if _, err := h.client.UnaryCall(ctx, largeCall(), grpc.Header(&header), grpc.Trailer(&trailer)); err != nil {
		return err
	}
	if err := check("unary", header, trailer); err != nil {
		return err
	}
	stream, err := h.client.FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	if _, err := ask(stream, largeRequest, largeResponse); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	if err := atEnd(stream.Recv); err != nil {
		return err
	}
	if header, err = stream.Header(); err != nil {
		return err
	}
	return check("stream", header, stream.Trailer())
}

func statusCodeAndMessage(ctx context.Context, h *harness) error {
	want := &testpb.EchoStatus{Code: int32(codes.Unknown), Message: "test status message"}
	if err := echoedStatus(ctx, h, want); err != nil {
		return err
	}
	stream, err := h.client.FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	if err := stream.Send(&testpb.StreamingOutputCallRequest{ResponseStatus: want}); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	_, err = stream.Recv()
	return isStatus(err, want)
}

func specialStatusMessage(ctx context.Context, h *harness) error {
	return echoedStatus(ctx, h, &testpb.EchoStatus{
		Code: int32(codes.Unknown), Message: "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n",
	})
}

func echoedStatus(ctx context.Context, h *harness, want *testpb.EchoStatus) error {
	_, err := h.client.UnaryCall(ctx, &testpb.SimpleRequest{ResponseStatus: want})
	return isStatus(err, want)
}

func isStatus(err error, want *testpb.EchoStatus) error {
	if st := status.Convert(err); st.Code() != codes.Code(want.Code) || st.Message() != want.Message {
		return fmt.Errorf("got %v with message %q, want %v with %q", st.Code(), st.Message(), codes.Code(want.Code), want.Message)
	}
	return nil
}

func unimplementedMethod(ctx context.Context, h *harness) error {
	_, err := h.client.UnimplementedCall(ctx, &testpb.Empty{})
	return hasCode(err, codes.Unimplemented)
}

func unimplementedService(ctx context.Context, h *harness) error {
	_, err := testpb.NewUnimplementedServiceClient(h.conn).UnimplementedCall(ctx, &testpb.Empty{})
	return hasCode(err, codes.Unimplemented)
}

func cancelAfterBegin(ctx context.Context, h *harness) error {
	ctx, cancel := context.WithCancel(ctx)
	stream, err := h.client.StreamingInputCall(ctx)
	if err != nil {
		cancel()
		return err
	}
	cancel()
	_, err = stream.CloseAndRecv()
	return hasCode(err, codes.Canceled)
}

func cancelAfterFirstResponse(ctx context.Context, h *harness) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := h.client.FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	if _, err := ask(stream, requestSizes[0], responseSizes[0]); err != nil {
		return err
	}
	cancel()
	_, err = stream.Recv()
	return hasCode(err, codes.Canceled)
}

func timeoutOnSleepingServer(ctx context.Context, h *harness) error {
	ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	stream, err := h.client.FullDuplexCall(ctx)
	if err == nil {
		// What Send returns is of no interest: Recv has the status.
		_ = stream.Send(&testpb.StreamingOutputCallRequest{Payload: newPayload(requestSizes[0])})
		_, err = stream.Recv()
	}
	return hasCode(err, codes.DeadlineExceeded)
}
