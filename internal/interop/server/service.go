package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Metadata that calls want back, as a header and as a trailer.
const (
	echoInitial  = "x-grpc-test-echo-initial"
	echoTrailing = "x-grpc-test-echo-trailing-bin"
)

// maxPayload is the limit of one payload that a client asks for, in bytes.
const maxPayload = 64 << 20

// service implements the contract. What it inherits is unimplemented on purpose, and CacheableUnaryCall because it needs GET.
type service struct {
	testpb.UnimplementedTestServiceServer
	id string // of the server
}

func (*service) EmptyCall(context.Context, *testpb.Empty) (*testpb.Empty, error) {
	return &testpb.Empty{}, nil
}

func (s *service) UnaryCall(ctx context.Context, req *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	header, trailer := echoes(ctx)
	if err := errors.Join(grpc.SetHeader(ctx, header), grpc.SetTrailer(ctx, trailer)); err != nil {
		return nil, err
	}
	if err := checkCompressed(ctx, req.ExpectCompressed); err != nil {
		return nil, err
	}
	if err := wanted(req.ResponseStatus); err != nil {
		return nil, err
	}
	payload, err := newPayload(req.ResponseType, req.ResponseSize)
	if err != nil {
		return nil, err
	}
	if err := compressAsAsked(ctx, req.ResponseCompressed); err != nil {
		return nil, err
	}
	resp := &testpb.SimpleResponse{Payload: payload}
	if req.FillServerId {
		resp.ServerId = s.id
	}
	return resp, nil
}

func (*service) StreamingOutputCall(req *testpb.StreamingOutputCallRequest, stream grpc.ServerStreamingServer[testpb.StreamingOutputCallResponse]) error {
	if err := wanted(req.ResponseStatus); err != nil {
		return err
	}
	// gRPC's Go API chooses the compressor of a call and not of a message, so the first message speaks for all.
	if params := req.ResponseParameters; len(params) > 0 {
		if err := compressAsAsked(stream.Context(), params[0].Compressed); err != nil {
			return err
		}
	}
	return respond(stream.Context(), req, stream.Send)
}

func (*service) StreamingInputCall(stream grpc.ClientStreamingServer[testpb.StreamingInputCallRequest, testpb.StreamingInputCallResponse]) error {
	var size int
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&testpb.StreamingInputCallResponse{AggregatedPayloadSize: int32(size)})
		}
		if err != nil {
			return err
		}
		if err := checkCompressed(stream.Context(), req.ExpectCompressed); err != nil {
			return err
		}
		size += len(req.GetPayload().GetBody())
	}
}

func (*service) FullDuplexCall(stream grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
	header, trailer := echoes(stream.Context())
	if len(header) > 0 {
		if err := stream.SendHeader(header); err != nil {
			return err
		}
	}
	stream.SetTrailer(trailer)
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := wanted(req.ResponseStatus); err != nil {
			return err
		}
		if err := respond(stream.Context(), req, stream.Send); err != nil {
			return err
		}
	}
}

func (*service) HalfDuplexCall(stream grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
	var reqs []*testpb.StreamingOutputCallRequest
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		reqs = append(reqs, req)
	}
	for _, req := range reqs {
		if err := respond(stream.Context(), req, stream.Send); err != nil {
			return err
		}
	}
	return nil
}

// respond sends the responses that req asks for.
func respond(ctx context.Context, req *testpb.StreamingOutputCallRequest, send func(*testpb.StreamingOutputCallResponse) error) error {
	for _, p := range req.ResponseParameters {
		if err := wait(ctx, time.Duration(p.IntervalUs)*time.Microsecond); err != nil {
			return err
		}
		payload, err := newPayload(req.ResponseType, p.Size)
		if err != nil {
			return err
		}
		if err := send(&testpb.StreamingOutputCallResponse{Payload: payload}); err != nil {
			return err
		}
	}
	return nil
}

// echoes returns the metadata that the caller wants back.
func echoes(ctx context.Context) (header, trailer metadata.MD) {
	md, _ := metadata.FromIncomingContext(ctx)
	if values := md[echoInitial]; len(values) > 0 {
		header = metadata.Pairs(echoInitial, values[0])
	}
	if values := md[echoTrailing]; len(values) > 0 {
		trailer = metadata.Pairs(echoTrailing, values[0])
	}
	return header, trailer
}

// wanted returns the error that the caller asks for.
func wanted(s *testpb.EchoStatus) error {
	if s.GetCode() == 0 {
		return nil
	}
	return status.Error(codes.Code(s.Code), s.Message)
}

func newPayload(kind testpb.PayloadType, size int32) (*testpb.Payload, error) {
	if kind != testpb.PayloadType_COMPRESSABLE || size < 0 || size > maxPayload {
		return nil, status.Errorf(codes.InvalidArgument, "a payload of type %v with %d bytes cannot be made", kind, size)
	}
	return &testpb.Payload{Type: kind, Body: make([]byte, size)}, nil
}

// checkCompressed refuses a message that came compressed, or not, against the caller's word.
func checkCompressed(ctx context.Context, expected *testpb.BoolValue) error {
	if expected != nil && expected.Value != arrivedCompressed(ctx) {
		return status.Errorf(codes.InvalidArgument, "the message should come with compressed=%v and did not", expected.Value)
	}
	return nil
}

// compressAsAsked chooses whether the responses are compressed, where the caller cares.
func compressAsAsked(ctx context.Context, asked *testpb.BoolValue) error {
	if asked == nil {
		return nil
	}
	name := "identity"
	if asked.Value {
		name = gzip.Name
	}
	return rpc.SetSendCompressor(ctx, name)
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}
