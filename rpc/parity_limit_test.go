package rpc_test

import (
	"context"
	"strings"
	"testing"

	pb "github.com/hanse-go/hanse/rpc/internal/paritypb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/protobuf/proto"
)

var limitCases = []parityCase{
	{name: "a request over the server's limit", run: limitOfServer},
	{name: "a reply over the client's limit", run: limitOfClient},
	{name: "a request over the client's sending limit", run: sendingLimitOfClient},
	{name: "a reply over the server's sending limit", run: sendingLimitOfServer},
	{name: "limits when nothing is said", run: defaultLimits},
	{name: "limits of one call", run: limitsOfCall},
	{name: "limits in a stream", run: limitsOfStream},
	{name: "limits count what is uncompressed", run: limitsAndGzip},
}

// sized returns a request that has exactly n bytes.
func sized(t *testing.T, n int) *pb.Request {
	t.Helper()
	in := &pb.Request{Data: make([]byte, n)}
	in.Data = make([]byte, n-(proto.Size(in)-n))
	if proto.Size(in) != n {
		t.Fatalf("the message has %d bytes, not %d", proto.Size(in), n)
	}
	return in
}

// wantLimit calls with just as much as the limit, and with one byte more.
func wantLimit(t *testing.T, call func(in *pb.Request) error, limit int) {
	t.Helper()
	if err := call(sized(t, limit)); err != nil {
		t.Errorf("%d bytes: %v", limit, err)
	}
	wantCode(t, call(sized(t, limit+1)), codes.ResourceExhausted)
}

func limitOfServer(t *testing.T, c *column) {
	client := c.serve(t, setup{server: side{maxRecv: 1000}})
	wantLimit(t, func(in *pb.Request) error { _, err := client.Unary(soon(t), in); return err }, 1000)
}

func limitOfClient(t *testing.T, c *column) {
	client := c.serve(t, setup{client: clientSide{maxRecv: 1000}})
	wantLimit(t, func(in *pb.Request) error { _, err := client.Unary(soon(t), in); return err }, 1000)
}

func sendingLimitOfClient(t *testing.T, c *column) {
	client := c.serve(t, setup{client: clientSide{maxSend: 1000}})
	wantLimit(t, func(in *pb.Request) error { _, err := client.Unary(soon(t), in); return err }, 1000)
}

func sendingLimitOfServer(t *testing.T, c *column) {
	client := c.serve(t, setup{server: side{maxSend: 1000}})
	wantLimit(t, func(in *pb.Request) error { _, err := client.Unary(soon(t), in); return err }, 1000)
}

func defaultLimits(t *testing.T, c *column) {
	var h handlers
	h.unary = func(ctx context.Context, in *pb.Request) (*pb.Reply, error) { return &pb.Reply{}, nil }
	client := c.serve(t, setup{handlers: h})
	wantLimit(t, func(in *pb.Request) error { _, err := client.Unary(soon(t), in); return err }, 4<<20)
	h.unary = nil
	client = c.serve(t, setup{handlers: h, server: side{maxRecv: -1}})
	wantLimit(t, func(in *pb.Request) error { _, err := client.Unary(soon(t), in); return err }, 4<<20)
}

func limitsOfCall(t *testing.T, c *column) {
	client := c.serve(t, setup{client: clientSide{maxRecv: 10, maxSend: 10}})
	wantLimit(t, func(in *pb.Request) error {
		_, err := client.Unary(soon(t), in, grpc.MaxCallRecvMsgSize(500), grpc.MaxCallSendMsgSize(1000))
		return err
	}, 500)
	wantLimit(t, func(in *pb.Request) error {
		_, err := client.Unary(soon(t), in, grpc.MaxCallRecvMsgSize(1000), grpc.MaxCallSendMsgSize(500))
		return err
	}, 500)
}

func limitsOfStream(t *testing.T, c *column) {
	exchange := func(client calls, opts ...grpc.CallOption) func(in *pb.Request) error {
		return func(in *pb.Request) error {
			s, err := client.Chat(soon(t), opts...)
			if err != nil {
				return err
			}
			if err := s.Send(&pb.Request{}); err != nil {
				return err
			}
			if _, err := s.Recv(); err != nil {
				return err
			}
			if err := s.Send(in); err != nil {
				return err
			}
			_, err = s.Recv()
			return err
		}
	}
	for _, s := range []setup{
		{server: side{maxRecv: 1000}},
		{server: side{maxSend: 1000}},
		{client: clientSide{maxRecv: 1000}},
		{client: clientSide{maxSend: 1000}},
	} {
		wantLimit(t, exchange(c.serve(t, s)), 1000)
	}
	wantLimit(t, exchange(c.serve(t, setup{}), grpc.MaxCallRecvMsgSize(1000)), 1000)
}

func limitsAndGzip(t *testing.T, c *column) {
	in := &pb.Request{Text: strings.Repeat("x", 100_000)}
	client := c.serve(t, setup{server: side{maxRecv: 50_000}})
	_, err := client.Unary(soon(t), in, grpc.UseCompressor(gzip.Name))
	wantCode(t, err, codes.ResourceExhausted)
	client = c.serve(t, setup{client: clientSide{maxRecv: 50_000}})
	_, err = client.Unary(soon(t), in, grpc.UseCompressor(gzip.Name))
	wantCode(t, err, codes.ResourceExhausted)
}
