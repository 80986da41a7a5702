package rpc_test

import (
	"bytes"
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/hanse-go/hanse/identity"
	"github.com/hanse-go/hanse/rpc"
	pb "github.com/hanse-go/hanse/rpc/internal/paritypb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// wireConn returns a connection to a server that is reached over TCP.
func wireConn(tb testing.TB) *rpc.Conn {
	tb.Helper()
	return wireConnTo(tb, &rpc.Server{Name: "parity"})
}

// wireConnTo does that with a server that has no contracts yet.
func wireConnTo(tb testing.TB, srv *rpc.Server) *rpc.Conn {
	tb.Helper()
	pb.RegisterParityServer(srv, benchEcho{})
	srv.Start()
	lis := loopback(tb)
	port := &rpc.Port{Servers: []*rpc.Server{srv}}
	done := make(chan error, 1)
	go func() { done <- port.Serve(lis) }()
	conn, err := rpc.Dial(lis.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		conn.Close()
		port.Close()
		srv.Stop()
		if err := <-done; err != nil {
			tb.Error(err)
		}
	})
	return conn
}

// BenchmarkIdentity makes unary calls over TCP with mutual TLS, as BenchmarkWire does without.
func BenchmarkIdentity(b *testing.B) {
	shop, err := identity.NewAuthority("shop")
	if err != nil {
		b.Fatal(err)
	}
	for _, bb := range []struct {
		name     string
		parallel int
	}{{"c1", 0}, {"c64", 64}} {
		b.Run(bb.name, func(b *testing.B) {
			srv := &rpc.Server{Name: "parity"}
			pb.RegisterParityServer(srv, benchEcho{})
			srv.Start()
			lis := loopback(b)
			port := &rpc.Port{Servers: []*rpc.Server{srv}, Identity: shop}
			done := make(chan error, 1)
			go func() { done <- port.Serve(lis) }()
			conn := rpc.NewConn("parity")
			client := &rpc.Client{Service: "caller", Registry: known("tcp://" + lis.Addr().String()), Identity: shop}
			if err := conn.Bind(client); err != nil {
				b.Fatal(err)
			}
			in := &pb.Request{Data: bytes.Repeat([]byte("x"), 100)}
			call := func() {
				if _, err := pb.NewParityClient(conn).Unary(context.Background(), in); err != nil {
					b.Error(err)
				}
			}
			b.ReportAllocs()
			if bb.parallel == 0 {
				for b.Loop() {
					call()
				}
			} else {
				b.SetParallelism(bb.parallel / runtime.GOMAXPROCS(0))
				b.RunParallel(func(p *testing.PB) {
					for p.Next() {
						call()
					}
				})
			}
			client.Close()
			port.Close()
			srv.Stop()
			if err := <-done; err != nil {
				b.Error(err)
			}
		})
	}
}

// BenchmarkMetadata makes unary calls over TCP with metadata that the handler looks at, and with headers of the reply: without that of the
// caller and of the handler, whose own it is.
func BenchmarkMetadata(b *testing.B) {
	sent := metadata.NewOutgoingContext(context.Background(), metadata.Pairs("x-tenant", "bremen", "x-user", "6f9619ff-8b86-d011", "x-request", "17"))
	header := metadata.Pairs("x-served-by", "echo-3", "x-region", "north", "x-cost", "17")
	conn := wireConnTo(b, &rpc.Server{Name: "parity", UnaryInterceptors: []grpc.UnaryServerInterceptor{
		func(ctx context.Context, in any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			if len(metadata.ValueFromIncomingContext(ctx, "x-tenant")) != 1 {
				b.Error("no tenant")
			}
			grpc.SetHeader(ctx, header)
			return handle(ctx, in)
		},
	}})
	client := pb.NewParityClient(conn)
	in := &pb.Request{Data: bytes.Repeat([]byte("x"), 100)}
	b.ReportAllocs()
	b.SetParallelism(64)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if _, err := client.Unary(sent, in); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkWire makes unary calls over TCP, client and server in one process: allocations are those of both, the contexts of the callers
// among them.
func BenchmarkWire(b *testing.B) {
	for _, bb := range []struct {
		name     string
		parallel int
		deadline bool
		size     int
	}{{"c1", 0, true, 100}, {"c64", 64, true, 100}, {"c64/default timeout", 64, false, 100}, {"c1/64 KiB", 0, true, 64 << 10}, {"c64/64 KiB", 64, true, 64 << 10}} {
		b.Run(bb.name, func(b *testing.B) {
			client := pb.NewParityClient(wireConn(b))
			in := &pb.Request{Data: bytes.Repeat([]byte("x"), bb.size)}
			call := func() {
				ctx := context.Background()
				if bb.deadline {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, time.Minute)
					defer cancel()
				}
				if _, err := client.Unary(ctx, in); err != nil {
					b.Error(err)
				}
			}
			b.ReportAllocs()
			if bb.parallel == 0 {
				for b.Loop() {
					call()
				}
				return
			}
			b.SetParallelism(bb.parallel)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					call()
				}
			})
		})
	}
}
