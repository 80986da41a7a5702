// Command pilots runs the pilots service on grpc-go.
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"os/signal"
	"syscall"

	"github.com/hanse-go/hanse/examples/migrate/pilots"
	harbourv1 "github.com/hanse-go/hanse/examples/migrate/proto/harbour/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:7403", "address to serve on")
	tidesAddr := flag.String("tides", "127.0.0.1:7401", "address of the tides service")
	berthsAddr := flag.String("berths", "127.0.0.1:7402", "address of the berths service")
	flag.Parse()

	tidesConn, err := grpc.NewClient(*tidesAddr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer tidesConn.Close()

	berthsConn, err := grpc.NewClient(*berthsAddr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer berthsConn.Close()

	server := grpc.NewServer()
	harbourv1.RegisterPilotsServer(server, &pilots.Server{
		Tides:  harbourv1.NewTidesClient(tidesConn),
		Berths: harbourv1.NewBerthsClient(berthsConn),
	})

	lis, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, server.GracefulStop)

	log.Printf("pilots serves on %s", lis.Addr())
	if err := server.Serve(lis); err != nil {
		log.Fatal(err)
	}
}
