// Package migrate is a program of three services on grpc-go, and the same moved to Hanse.
//
// The services plan a ship's arrival in harbour: [tides] knows how deep the water is, [berths] asks it which places at the quay a ship
// can lie at, and [pilots] asks both for the berth and the first time to pass the bar. Their code is in the packages of these names and
// is the same before and after: a grpc-go handler and a plain generated client need no change. What changes is main: compare
// before/NAME/main.go with after/NAME/main.go, below.
//
// Before, everything has a fixed address:
//
//	go run ./migrate/before/tides     # 127.0.0.1:7401
//	go run ./migrate/before/berths    # 127.0.0.1:7402
//	go run ./migrate/before/pilots    # 127.0.0.1:7403
//
// Stop any of them, run its counterpart at the same address, and go on when you like. The callers that have not moved go on dialling that
// address; one that has moved is told the address of what has not:
//
//	go run ./migrate/after/tides
//	go run ./migrate/after/berths --target tides=127.0.0.1:7401
//	go run ./migrate/after/pilots --target tides=127.0.0.1:7401 --target berths=127.0.0.1:7402
//
// Any order works, servers first or clients first, and so does the way back. When all have moved the targets go, for services find each
// other, and so may the fixed addresses.
//
// To lose no call while a server restarts at its address the handlers call with [google.golang.org/grpc.WaitForReady], which means the
// same on both sides.
//
// # Tides
//
//	  import (
//	- 	"context"
//	- 	"flag"
//	- 	"log"
//	- 	"net"
//	- 	"os/signal"
//	- 	"syscall"
//	-
//	+ 	"github.com/hanse-go/hanse"
//	  	harbourv1 "github.com/hanse-go/hanse/examples/migrate/proto/harbour/v1"
//	  	"github.com/hanse-go/hanse/examples/migrate/tides"
//	- 	"google.golang.org/grpc"
//	  )
//
//	  func main() {
//	- 	addr := flag.String("addr", "127.0.0.1:7401", "address to serve on")
//	- 	flag.Parse()
//	-
//	- 	server := grpc.NewServer()
//	- 	harbourv1.RegisterTidesServer(server, tides.Server{})
//	-
//	- 	lis, err := net.Listen("tcp", *addr)
//	- 	if err != nil {
//	- 		log.Fatal(err)
//	- 	}
//	- 	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
//	- 	defer stop()
//	- 	context.AfterFunc(ctx, server.GracefulStop)
//	-
//	- 	log.Printf("tides serves on %s", lis.Addr())
//	- 	if err := server.Serve(lis); err != nil {
//	- 		log.Fatal(err)
//	- 	}
//	+ 	app := &hanse.App{Addr: "127.0.0.1:7401"}
//	+ 	svc := &hanse.Service{Name: "tides"}
//	+ 	harbourv1.RegisterTidesServer(svc, tides.Server{})
//	+ 	app.Main(svc)
//	  }
//
// # Berths
//
//	  import (
//	  	"context"
//	- 	"flag"
//	- 	"log"
//	- 	"net"
//	- 	"os/signal"
//	- 	"syscall"
//
//	+ 	"github.com/hanse-go/hanse"
//	  	"github.com/hanse-go/hanse/examples/migrate/berths"
//	  	harbourv1 "github.com/hanse-go/hanse/examples/migrate/proto/harbour/v1"
//	- 	"google.golang.org/grpc"
//	- 	"google.golang.org/grpc/credentials/insecure"
//	  )
//
//	  func main() {
//	- 	addr := flag.String("addr", "127.0.0.1:7402", "address to serve on")
//	- 	tidesAddr := flag.String("tides", "127.0.0.1:7401", "address of the tides service")
//	- 	flag.Parse()
//	-
//	- 	tidesConn, err := grpc.NewClient(*tidesAddr, grpc.WithTransportCredentials(insecure.NewCredentials()))
//	- 	if err != nil {
//	- 		log.Fatal(err)
//	- 	}
//	- 	defer tidesConn.Close()
//	-
//	- 	server := grpc.NewServer()
//	- 	harbourv1.RegisterBerthsServer(server, &berths.Server{Tides: harbourv1.NewTidesClient(tidesConn)})
//	-
//	- 	lis, err := net.Listen("tcp", *addr)
//	- 	if err != nil {
//	- 		log.Fatal(err)
//	- 	}
//	- 	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
//	- 	defer stop()
//	- 	context.AfterFunc(ctx, server.GracefulStop)
//	-
//	- 	log.Printf("berths serves on %s", lis.Addr())
//	- 	if err := server.Serve(lis); err != nil {
//	- 		log.Fatal(err)
//	- 	}
//	+ 	app := &hanse.App{Addr: "127.0.0.1:7402"}
//	+ 	app.Main(&hanse.Service{Name: "berths", Setup: setup})
//	  }
//
//	+ func setup(_ context.Context, s *hanse.Service) error {
//	+ 	harbourv1.RegisterBerthsServer(s, &berths.Server{Tides: harbourv1.NewTidesClient(s.Conn("tides"))})
//	+ 	return nil
//	+ }
//	+
//
// # Pilots
//
//	  import (
//	  	"context"
//	- 	"flag"
//	- 	"log"
//	- 	"net"
//	- 	"os/signal"
//	- 	"syscall"
//
//	+ 	"github.com/hanse-go/hanse"
//	  	"github.com/hanse-go/hanse/examples/migrate/pilots"
//	  	harbourv1 "github.com/hanse-go/hanse/examples/migrate/proto/harbour/v1"
//	- 	"google.golang.org/grpc"
//	- 	"google.golang.org/grpc/credentials/insecure"
//	  )
//
//	  func main() {
//	- 	addr := flag.String("addr", "127.0.0.1:7403", "address to serve on")
//	- 	tidesAddr := flag.String("tides", "127.0.0.1:7401", "address of the tides service")
//	- 	berthsAddr := flag.String("berths", "127.0.0.1:7402", "address of the berths service")
//	- 	flag.Parse()
//	-
//	- 	tidesConn, err := grpc.NewClient(*tidesAddr, grpc.WithTransportCredentials(insecure.NewCredentials()))
//	- 	if err != nil {
//	- 		log.Fatal(err)
//	- 	}
//	- 	defer tidesConn.Close()
//	-
//	- 	berthsConn, err := grpc.NewClient(*berthsAddr, grpc.WithTransportCredentials(insecure.NewCredentials()))
//	- 	if err != nil {
//	- 		log.Fatal(err)
//	- 	}
//	- 	defer berthsConn.Close()
//	-
//	- 	server := grpc.NewServer()
//	- 	harbourv1.RegisterPilotsServer(server, &pilots.Server{
//	- 		Tides:  harbourv1.NewTidesClient(tidesConn),
//	- 		Berths: harbourv1.NewBerthsClient(berthsConn),
//	- 	})
//	-
//	- 	lis, err := net.Listen("tcp", *addr)
//	- 	if err != nil {
//	- 		log.Fatal(err)
//	- 	}
//	- 	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
//	- 	defer stop()
//	- 	context.AfterFunc(ctx, server.GracefulStop)
//	-
//	- 	log.Printf("pilots serves on %s", lis.Addr())
//	- 	if err := server.Serve(lis); err != nil {
//	- 		log.Fatal(err)
//	- 	}
//	+ 	app := &hanse.App{Addr: "127.0.0.1:7403"}
//	+ 	app.Main(&hanse.Service{Name: "pilots", Setup: setup})
//	  }
//
//	+ func setup(_ context.Context, s *hanse.Service) error {
//	+ 	harbourv1.RegisterPilotsServer(s, &pilots.Server{
//	+ 		Tides:  harbourv1.NewTidesClient(s.Conn("tides")),
//	+ 		Berths: harbourv1.NewBerthsClient(s.Conn("berths")),
//	+ 	})
//	+ 	return nil
//	+ }
//	+
//
// [tides]: https://pkg.go.dev/github.com/hanse-go/hanse/examples/migrate/tides
// [berths]: https://pkg.go.dev/github.com/hanse-go/hanse/examples/migrate/berths
// [pilots]: https://pkg.go.dev/github.com/hanse-go/hanse/examples/migrate/pilots
package migrate
