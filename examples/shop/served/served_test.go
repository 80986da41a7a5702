package served_test

import (
	"context"
	"testing"

	"github.com/hanse-go/hanse"
	greeterv1 "github.com/hanse-go/hanse/examples/hello/proto/greeter/v1"
	"github.com/hanse-go/hanse/examples/shop/served"
	"github.com/hanse-go/hanse/hansetest"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// relay asks the next greeter, and fails when there is none.
type relay struct {
	greeterv1.UnimplementedGreeterServer
	next greeterv1.GreeterClient
}

func (r relay) Hello(ctx context.Context, req *greeterv1.HelloRequest) (*greeterv1.HelloResponse, error) {
	if r.next == nil {
		return nil, status.Error(codes.NotFound, "nobody")
	}
	return r.next.Hello(ctx, req)
}

func service(name, next string) *hanse.Service {
	return &hanse.Service{
		Name:                    name,
		UnaryInterceptors:       []grpc.UnaryServerInterceptor{served.Server},
		ClientUnaryInterceptors: []grpc.UnaryClientInterceptor{served.Client},
		Setup: func(_ context.Context, s *hanse.Service) error {
			r := relay{}
			if next != "" {
				r.next = greeterv1.NewGreeterClient(s.Conn(next))
			}
			greeterv1.RegisterGreeterServer(s, r)
			return nil
		},
	}
}

// TestChain follows a call through three services, on every path: each tells what it called.
func TestChain(t *testing.T) {
	hansetest.EachPath(t, func(t *testing.T, on hansetest.Options) {
		ctx := t.Context()
		logs := make(chan []served.Call, 1)
		first := service("first", "second")
		first.UnaryInterceptors = []grpc.UnaryServerInterceptor{func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			ctx, l := served.Begin(ctx)
			reply, err := handle(ctx, req)
			logs <- l.Calls()
			return reply, err
		}}
		sys := on.Run(t, first, service("second", "third"), service("third", ""))
		client := greeterv1.NewGreeterClient(sys.Conn("first"))
		if _, err := client.Hello(ctx, &greeterv1.HelloRequest{}); status.Code(err) != codes.NotFound {
			t.Fatal(err)
		}
		calls := <-logs
		if len(calls) != 1 || len(calls[0].Calls) != 1 || len(calls[0].Calls[0].Calls) != 0 {
			t.Fatalf("calls %+v, want one within one", calls)
		}
		for _, c := range []struct {
			served.Call
			service string
		}{{calls[0], "second"}, {calls[0].Calls[0], "third"}} {
			if c.Service != c.service || c.Method != "Hello" || c.Code != "NotFound" || c.Instance == "" || c.Path == "" || c.Attempts != 1 || c.Took <= 0 {
				t.Errorf("call %+v, want Hello of %s", c.Call, c.service)
			}
		}
		if outer, inner := calls[0].Took, calls[0].Calls[0].Took; inner > outer {
			t.Errorf("the inner call took %v, the outer %v", inner, outer)
		}
	})
}

// TestNobodyAsks looks that a call without a log sends nothing more.
func TestNobodyAsks(t *testing.T) {
	sys := hansetest.Run(t, service("last", ""))
	var trailer metadata.MD
	_, err := greeterv1.NewGreeterClient(sys.Conn("last")).Hello(t.Context(), &greeterv1.HelloRequest{}, grpc.Trailer(&trailer))
	if status.Code(err) != codes.NotFound || len(trailer.Get("shop-served")) != 0 {
		t.Errorf("%v with trailer %v", err, trailer)
	}
}
