package gateway_test

import (
	"context"
	"io"
	"net/http/httptest"
	"testing"

	"github.com/hanse-go/hanse/gateway"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// server is a service whose methods are given by the test. Others are unimplemented.
type server struct {
	testpb.UnimplementedTestServiceServer
	unary func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error)
	empty func(context.Context) error
}

func (s *server) UnaryCall(ctx context.Context, req *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	if s.unary == nil {
		return &testpb.SimpleResponse{Payload: req.Payload}, nil
	}
	return s.unary(ctx, req)
}

func (s *server) EmptyCall(ctx context.Context, _ *testpb.Empty) (*testpb.Empty, error) {
	if s.empty == nil {
		return &testpb.Empty{}, nil
	}
	return &testpb.Empty{}, s.empty(ctx)
}

// StreamingOutputCall answers with payloads of the sizes that are asked for, and fails then if the status that is asked for says so.
func (s *server) StreamingOutputCall(req *testpb.StreamingOutputCallRequest, stream grpc.ServerStreamingServer[testpb.StreamingOutputCallResponse]) error {
	stream.SetHeader(metadata.Pairs("x-first", "1"))
	stream.SetTrailer(metadata.Pairs("x-last", "2"))
	for _, p := range req.ResponseParameters {
		if err := stream.Send(&testpb.StreamingOutputCallResponse{Payload: &testpb.Payload{Body: make([]byte, p.Size)}}); err != nil {
			return err
		}
	}
	if st := req.ResponseStatus; st != nil {
		return status.Error(codes.Code(st.Code), st.Message)
	}
	return nil
}

// StreamingInputCall counts bytes.
func (s *server) StreamingInputCall(stream grpc.ClientStreamingServer[testpb.StreamingInputCallRequest, testpb.StreamingInputCallResponse]) error {
	sum := 0
	for {
		req, err := stream.Recv()
		if err == io.EOF {
			return stream.SendAndClose(&testpb.StreamingInputCallResponse{AggregatedPayloadSize: int32(sum)})
		}
		if err != nil {
			return err
		}
		sum += len(req.GetPayload().GetBody())
	}
}

// FullDuplexCall sends back what it gets.
func (s *server) FullDuplexCall(stream grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
	for {
		req, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = stream.Send(&testpb.StreamingOutputCallResponse{Payload: req.Payload})
		}
		if err != nil {
			return err
		}
	}
}

const (
	outputPath = "/grpc.testing.TestService/StreamingOutputCall"
	inputPath  = "/grpc.testing.TestService/StreamingInputCall"
	duplexPath = "/grpc.testing.TestService/FullDuplexCall"
	unaryPath  = "/grpc.testing.TestService/UnaryCall"
	emptyPath  = "/grpc.testing.TestService/EmptyCall"
)

// serve serves impl by a port, and returns the address of its gateway, "http://HOST:PORT".
func serve(t *testing.T, impl *server, opts ...func(*rpc.Server, *gateway.Handler)) string {
	t.Helper()
	return serveContracts(t, func(r grpc.ServiceRegistrar) { testpb.RegisterTestServiceServer(r, impl) }, opts...)
}

// serveContracts serves what is registered.
func serveContracts(t *testing.T, register func(grpc.ServiceRegistrar), opts ...func(*rpc.Server, *gateway.Handler)) string {
	t.Helper()
	srv := &rpc.Server{Name: "test"}
	port := &rpc.Port{Servers: []*rpc.Server{srv}}
	h := &gateway.Handler{Backend: port}
	for _, opt := range opts {
		opt(srv, h)
	}
	register(srv)
	srv.Start()
	web := httptest.NewUnstartedServer(nil)
	if port.HTTP == nil {
		port.HTTP = h
	}
	go port.Serve(web.Listener)
	t.Cleanup(func() {
		if err := port.Close(); err != nil {
			t.Error(err)
		}
		if err := srv.Drain(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return "http://" + web.Listener.Addr().String()
}
