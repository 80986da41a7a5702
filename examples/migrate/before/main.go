// Command before runs one service of the harbour on stock grpc-go, at an address that its callers are told.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/hanse-go/hanse/examples/migrate/berths"
	"github.com/hanse-go/hanse/examples/migrate/pilots"
	harbourv1 "github.com/hanse-go/hanse/examples/migrate/proto/harbour/v1"
	"github.com/hanse-go/hanse/examples/migrate/tides"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func main() {
	service := flag.String("service", "", "the service to run: tides, berths or pilots")
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	tidesAddr := flag.String("tides", "127.0.0.1:7001", "address of tides")
	berthsAddr := flag.String("berths", "127.0.0.1:7002", "address of berths")
	flag.Parse()
	if err := run(*service, *listen, *tidesAddr, *berthsAddr); err != nil {
		log.Fatal(err)
	}
}

func run(service, listen, tidesAddr, berthsAddr string) error {
	srv := grpc.NewServer()
	switch service {
	case "tides":
		harbourv1.RegisterTidesServer(srv, tides.Server{})
	case "berths":
		toTides, err := dial(tidesAddr)
		if err != nil {
			return err
		}
		defer toTides.Close()
		harbourv1.RegisterBerthsServer(srv, &berths.Server{Tides: harbourv1.NewTidesClient(toTides)})
	case "pilots":
		toTides, err := dial(tidesAddr)
		if err != nil {
			return err
		}
		defer toTides.Close()
		toBerths, err := dial(berthsAddr)
		if err != nil {
			return err
		}
		defer toBerths.Close()
		harbourv1.RegisterPilotsServer(srv, &pilots.Server{Berths: harbourv1.NewBerthsClient(toBerths), Tides: harbourv1.NewTidesClient(toTides)})
	default:
		return fmt.Errorf("no service %q: there are tides, berths and pilots", service)
	}

	lis, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-stop
		srv.GracefulStop()
	}()
	return srv.Serve(lis)
}

func dial(addr string) (*grpc.ClientConn, error) {
	return grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
}
