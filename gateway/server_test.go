package gateway_test

import (
	"context"
	"net/http/httptest"
	"testing"

	"github.com/hanse-go/hanse/gateway"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
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

const (
	unaryPath = "/grpc.testing.TestService/UnaryCall"
	emptyPath = "/grpc.testing.TestService/EmptyCall"
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
	port.HTTP = h
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
