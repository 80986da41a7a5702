package grpcwire_test

import (
	"context"
	"fmt"
	"log"
	"net"

	"github.com/hanse-go/hanse/rpc"
	"github.com/hanse-go/hanse/rpc/grpcwire"
	testpb "google.golang.org/grpc/interop/grpc_testing"
)

var _ rpc.Wire = grpcwire.Wire{}

type server struct {
	testpb.UnimplementedTestServiceServer
}

func (server) EmptyCall(context.Context, *testpb.Empty) (*testpb.Empty, error) {
	return &testpb.Empty{}, nil
}

// A server and a client that speak by grpc-go's transport. Either would do with the other's default, or with any gRPC peer.
func Example() {
	srv := &rpc.Server{Name: "tester"}
	testpb.RegisterTestServiceServer(srv, server{})
	srv.Start()
	defer srv.Stop()

	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	port := &rpc.Port{Servers: []*rpc.Server{srv}, Wire: grpcwire.Wire{}}
	defer port.Close()
	go port.Serve(lis)

	conn, err := rpc.Dial(lis.Addr().String(), rpc.WithWire(grpcwire.Wire{}))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	_, err = testpb.NewTestServiceClient(conn).EmptyCall(context.Background(), &testpb.Empty{})
	fmt.Println(err)
	// Output: <nil>
}
