// Command stock is examples/hello on grpc-go, to compare the time of a first build: it has health and reflection, as every app of Hanse.
package main

import (
	"context"
	"log"
	"net"
	"os"

	greeterv1 "github.com/hanse-go/hanse/examples/hello/proto/greeter/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
)

type greeter struct {
	greeterv1.UnimplementedGreeterServer
}

func (greeter) Hello(_ context.Context, req *greeterv1.HelloRequest) (*greeterv1.HelloResponse, error) {
	return &greeterv1.HelloResponse{Greeting: "Hello, " + req.GetName() + "!"}, nil
}

func main() {
	lis, err := net.Listen("tcp", os.Getenv("HANSE_ADDR"))
	if err != nil {
		log.Fatal(err)
	}
	srv := grpc.NewServer()
	greeterv1.RegisterGreeterServer(srv, greeter{})
	healthpb.RegisterHealthServer(srv, health.NewServer())
	reflection.Register(srv)
	log.Fatal(srv.Serve(lis))
}
