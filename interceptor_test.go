package hanse_test

import (
	"context"
	"slices"
	"testing"

	"github.com/hanse-go/hanse"
	"google.golang.org/grpc"
)

// TestInterceptors holds the order: the App's before the service's, the first outermost, on both sides of a call.
func TestInterceptors(t *testing.T) {
	var order []string
	server := func(name string) grpc.UnaryServerInterceptor {
		return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			order = append(order, name)
			return next(ctx, req)
		}
	}
	client := func(name string) grpc.UnaryClientInterceptor {
		return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, next grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			order = append(order, name)
			return next(ctx, method, req, reply, cc, opts...)
		}
	}
	back := greeterNamed("back")
	back.UnaryInterceptors = []grpc.UnaryServerInterceptor{server("server, service 1"), server("server, service 2")}
	var got string
	front := &hanse.Service{
		Name:                    "front",
		ClientUnaryInterceptors: []grpc.UnaryClientInterceptor{client("client, service")},
		Setup: func(_ context.Context, s *hanse.Service) error {
			got = hello(s.Conn("back"), "x")
			return nil
		},
	}
	run(t, &hanse.App{
		UnaryInterceptors:       []grpc.UnaryServerInterceptor{server("server, app")},
		ClientUnaryInterceptors: []grpc.UnaryClientInterceptor{client("client, app")},
	}, back, front).end()
	want := []string{"client, app", "client, service", "server, app", "server, service 1", "server, service 2"}
	if got != "Hello, x!" || !slices.Equal(order, want) {
		t.Errorf("got %q in the order %q, want %q", got, order, want)
	}
}
