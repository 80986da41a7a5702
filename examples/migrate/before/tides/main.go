// Command tides runs the tides service on grpc-go.
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"os/signal"
	"syscall"

	harbourv1 "github.com/hanse-go/hanse/examples/migrate/proto/harbour/v1"
	"github.com/hanse-go/hanse/examples/migrate/tides"
	"google.golang.org/grpc"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:7401", "address to serve on")
	flag.Parse()

	server := grpc.NewServer()
	harbourv1.RegisterTidesServer(server, tides.Server{})

	lis, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, server.GracefulStop)

	log.Printf("tides serves on %s", lis.Addr())
	if err := server.Serve(lis); err != nil {
		log.Fatal(err)
	}
}
