package rpc

import (
	"context"
	"slices"
	"testing"

	pb "github.com/hanse-go/hanse/rpc/internal/paritypb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

type valuesServer struct{ pb.UnimplementedParityServer }

// values is what grpc's functions find in a handler's context.
func values(ctx context.Context) *pb.Reply {
	p, _ := peer.FromContext(ctx)
	method, _ := grpc.Method(ctx)
	grpc.SetHeader(ctx, metadata.Pairs("h", "header"))
	grpc.SetTrailer(ctx, metadata.Pairs("t", "trailer"))
	return &pb.Reply{List: append(metadata.ValueFromIncomingContext(ctx, "k"), p.Addr.String(), method)}
}

func (valuesServer) Unary(ctx context.Context, _ *pb.Request) (*pb.Reply, error) {
	return values(ctx), nil
}

func (valuesServer) Download(_ *pb.Request, s grpc.ServerStreamingServer[pb.Reply]) error {
	return s.Send(values(s.Context()))
}

// Calls within the process go on when a release of grpc keeps its values under other keys: only slower.
func TestCallsWithoutGRPCsKeys(t *testing.T) {
	work := keysWork
	t.Cleanup(func() { keysWork = work })
	keysWork = func() bool { return false }

	srv := &Server{Name: "parity"}
	pb.RegisterParityServer(srv, valuesServer{})
	srv.Start()
	defer srv.Stop()
	client := &Client{Service: "caller", Local: map[string]*Server{"parity": srv}}
	defer client.Close()
	conn := NewConn("parity")
	if err := conn.Bind(client); err != nil {
		t.Fatal(err)
	}
	c := pb.NewParityClient(conn)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "k", "v")

	check := func(path string, out *pb.Reply, err error, header, trailer metadata.MD) {
		t.Helper()
		if err != nil || !slices.Equal(out.List, []string{"v", "caller", path}) {
			t.Errorf("the handler sees %v, %v", out, err)
		}
		if !slices.Equal(header["h"], []string{"header"}) || !slices.Equal(trailer["t"], []string{"trailer"}) {
			t.Errorf("the caller gets %v and %v", header, trailer)
		}
	}
	var header, trailer metadata.MD
	out, err := c.Unary(ctx, &pb.Request{}, grpc.Header(&header), grpc.Trailer(&trailer))
	check(pb.Parity_Unary_FullMethodName, out, err, header, trailer)

	s, err := c.Download(ctx, &pb.Request{})
	if err != nil {
		t.Fatal(err)
	}
	out, err = s.Recv()
	header, _ = s.Header()
	s.Recv()
	check(pb.Parity_Download_FullMethodName, out, err, header, s.Trailer())
}
