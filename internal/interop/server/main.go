// Command server serves the contract of gRPC's interoperability tests with Hanse, for the clients of other gRPC implementations:
//
//	server --addr 127.0.0.1:10000
//	server --port 10000 --use_tls --tls_cert_file server.pem --tls_key_file server.key
//
// Beside it there is a page for plain HTTP, which other tests of the port use: GET / answers a line, other methods echo their body.
// It logs its address, and drains on SIGTERM.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/hanse-go/hanse/rpc"
	_ "google.golang.org/grpc/encoding/gzip" // some cases compress
	testpb "google.golang.org/grpc/interop/grpc_testing"
)

func main() {
	var c config
	flag.StringVar(&c.addr, "addr", "", "address to listen on (default: --port on 127.0.0.1)")
	flag.IntVar(&c.port, "port", 10000, "port on 127.0.0.1, without --addr; 0 takes a free one")
	flag.BoolVar(&c.tls, "use_tls", false, "serve TLS with the certificate below")
	flag.StringVar(&c.certFile, "tls_cert_file", "", "PEM file of the certificate; switches TLS on")
	flag.StringVar(&c.keyFile, "tls_key_file", "", "PEM file of its key")
	flag.DurationVar(&c.drain, "drain", 10*time.Second, "how long calls may run on after SIGTERM")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, c); err != nil {
		slog.Error("the interop server failed", "err", err)
		os.Exit(1)
	}
}

type config struct {
	addr              string
	port              int
	tls               bool
	certFile, keyFile string
	drain             time.Duration
}

// run serves until ctx ends, and then until no call runs.
func run(ctx context.Context, c config) error {
	if c.addr == "" {
		c.addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port))
	}
	srv := &rpc.Server{Name: "interop", MaxRecvMsgSize: -1, StatsHandlers: statsHandlers()}
	testpb.RegisterTestServiceServer(srv, &service{id: fmt.Sprintf("hanse-%d", os.Getpid())})
	if err := srv.Err(); err != nil {
		return err
	}
	srv.Start()
	port := &rpc.Port{Servers: []*rpc.Server{srv}, HTTP: page()}
	if c.tls || c.certFile != "" {
		cert, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
		if err != nil {
			return fmt.Errorf("--tls_cert_file and --tls_key_file: %w", err)
		}
		port.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	}
	lis, err := net.Listen("tcp", c.addr)
	if err != nil {
		return err
	}
	slog.Info("listening", "addr", lis.Addr().String())
	served := make(chan error, 1)
	go func() { served <- port.Serve(lis) }()
	select {
	case err := <-served:
		return errors.Join(err, port.Close())
	case <-ctx.Done():
	}
	slog.Info("draining")
	ctx, cancel := context.WithTimeout(context.Background(), c.drain)
	defer cancel()
	return errors.Join(port.Drain(ctx), srv.Drain(ctx), port.Close(), <-served)
}
