package wire

import (
	"context"
	"errors"
	"io"
	"strconv"
	"sync/atomic"

	"github.com/hanse-go/hanse/bench/wire/echopb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// echo is the service, for those that take what protoc-gen-go-grpc makes.
type echo struct{ echopb.UnimplementedEchoServer }

func (echo) Unary(_ context.Context, in *echopb.Message) (*echopb.Message, error) {
	return &echopb.Message{Body: in.Body}, nil
}

func (echo) Chat(s grpc.BidiStreamingServer[echopb.Message, echopb.Message]) error {
	for {
		in, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.Send(&echopb.Message{Body: in.Body}); err != nil {
			return err
		}
	}
}

// stubClient is a client by way of the stub.
func stubClient(cc grpc.ClientConnInterface, closeConn func()) *client {
	stub := echopb.NewEchoClient(cc)
	return &client{
		unary: func(ctx context.Context, in *echopb.Message) (int, error) {
			out, err := stub.Unary(ctx, in)
			return len(out.GetBody()), err
		},
		chat:  func(ctx context.Context) (chat, error) { return stub.Chat(ctx) },
		close: closeConn,
	}
}

// What a dressed call carries: one value differs in each call, as the ID of a request does.
const (
	tenantKey, tenant = "x-tenant", "hanse-bremen"
	userKey, user     = "x-user", "6f9619ff-8b86-d011-b42d-00c04fc964ff"
	requestKey        = "x-request-id"
	servedKey, served = "x-served-by", "echo-3"
	regionKey, region = "x-region", "eu-north-1"
	costKey, cost     = "x-cost", "17"
)

var lastRequest atomic.Uint64

func requestID() string { return strconv.FormatUint(1<<60+lastRequest.Add(1), 16) }

func dressClient(ctx context.Context, method string, in, out any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return invoke(metadata.AppendToOutgoingContext(ctx, tenantKey, tenant, userKey, user, requestKey, requestID()), method, in, out, cc, opts...)
}

func dressServer(ctx context.Context, in any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if v := metadata.ValueFromIncomingContext(ctx, tenantKey); len(v) != 1 || v[0] != tenant {
		return nil, status.Errorf(codes.InvalidArgument, "%s is %q", tenantKey, v)
	}
	if err := grpc.SetHeader(ctx, metadata.Pairs(servedKey, served, regionKey, region, costKey, cost)); err != nil {
		return nil, err
	}
	return handle(ctx, in)
}
