package rpc_test

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"github.com/hanse-go/hanse/rpc"
	pb "github.com/hanse-go/hanse/rpc/internal/paritypb"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// benchEcho is the smallest useful service.
type benchEcho struct{ pb.UnimplementedParityServer }

func (benchEcho) Unary(_ context.Context, in *pb.Request) (*pb.Reply, error) {
	return &pb.Reply{Data: in.Data}, nil
}

func (benchEcho) Checked(_ context.Context, in *pb.CheckedRequest) (*pb.Reply, error) {
	return &pb.Reply{Text: in.ShipTo}, nil
}

func (benchEcho) Chat(s grpc.BidiStreamingServer[pb.Request, pb.Reply]) error {
	for {
		in, err := s.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.Send(&pb.Reply{Data: in.Data}); err != nil {
			return err
		}
	}
}

// direct is the least that a stub's call can cost while caller and handler share no memory: a Go call, and a copy of each message.
type direct struct{ srv pb.ParityServer }

func (d direct) Invoke(ctx context.Context, _ string, args, reply any, _ ...grpc.CallOption) error {
	in := new(pb.Request)
	proto.Merge(in, args.(*pb.Request))
	out, err := d.srv.Unary(ctx, in)
	if err != nil {
		return err
	}
	proto.Merge(reply.(*pb.Reply), out)
	return nil
}

func (direct) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	panic("not used")
}

// inProcessConn returns a connection to a server of this process.
func inProcessConn(tb testing.TB, srv *rpc.Server, service pb.ParityServer) *rpc.Conn {
	tb.Helper()
	pb.RegisterParityServer(srv, service)
	srv.Name = "parity"
	srv.Start()
	client := &rpc.Client{Service: "caller", Local: map[string]*rpc.Server{"parity": srv}}
	conn := rpc.NewConn("parity")
	if err := conn.Bind(client); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		client.Close()
		srv.Stop()
		if err := srv.Drain(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	return conn
}

// BenchmarkUnary compares a call within the process with a Go call: at most four times its time, at most 16 allocations.
func BenchmarkUnary(b *testing.B) {
	for _, size := range []int{100, 64 << 10} {
		name := map[int]string{100: "100B", 64 << 10: "64KiB"}[size]
		in := &pb.Request{Data: bytes.Repeat([]byte("x"), size)}
		run := func(b *testing.B, conn grpc.ClientConnInterface) {
			client := pb.NewParityClient(conn)
			b.ReportAllocs()
			for b.Loop() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				if _, err := client.Unary(ctx, in); err != nil {
					b.Fatal(err)
				}
				cancel()
			}
		}
		b.Run(name+"/direct", func(b *testing.B) { run(b, direct{benchEcho{}}) })
		b.Run(name+"/inprocess", func(b *testing.B) { run(b, inProcessConn(b, &rpc.Server{}, benchEcho{})) })
	}
}

// BenchmarkUnaryParallel is the same from several goroutines.
func BenchmarkUnaryParallel(b *testing.B) {
	in := &pb.Request{Data: bytes.Repeat([]byte("x"), 100)}
	run := func(b *testing.B, conn grpc.ClientConnInterface) {
		client := pb.NewParityClient(conn)
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				if _, err := client.Unary(ctx, in); err != nil {
					b.Error(err)
				}
				cancel()
			}
		})
	}
	b.Run("direct", func(b *testing.B) { run(b, direct{benchEcho{}}) })
	b.Run("inprocess", func(b *testing.B) { run(b, inProcessConn(b, &rpc.Server{}, benchEcho{})) })
}

// BenchmarkChat sends a message and waits for its answer, on one stream.
func BenchmarkChat(b *testing.B) {
	s, err := pb.NewParityClient(inProcessConn(b, &rpc.Server{}, benchEcho{})).Chat(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	in := &pb.Request{Data: bytes.Repeat([]byte("x"), 100)}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Send(in); err != nil {
			b.Fatal(err)
		}
		if _, err := s.Recv(); err != nil {
			b.Fatal(err)
		}
	}
}
