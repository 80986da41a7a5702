package rpc

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/status"
)

// newPlaceholder makes what client interceptors get as their *grpc.ClientConn, for many ask it for its target. It never dials, and a
// call on it fails.
func newPlaceholder(name string) (*grpc.ClientConn, error) {
	refused := status.Errorf(codes.Unavailable,
		"this grpc.ClientConn only stands for the connection to %q: a client interceptor must call the invoker or streamer that it was given", name)
	return grpc.NewClient("hanse:///"+name,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithResolvers(placeholderResolver{refused}),
		grpc.WithDisableServiceConfig(),
		grpc.WithUnaryInterceptor(func(context.Context, string, any, any, *grpc.ClientConn, grpc.UnaryInvoker, ...grpc.CallOption) error {
			return refused
		}),
		grpc.WithStreamInterceptor(func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, grpc.Streamer, ...grpc.CallOption) (grpc.ClientStream, error) {
			return nil, refused
		}),
	)
}

// placeholderResolver finds nothing when somebody makes the placeholder connect.
type placeholderResolver struct{ err error }

func (placeholderResolver) Scheme() string { return "hanse" }
func (r placeholderResolver) Build(_ resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	cc.ReportError(r.err)
	return r, nil
}
func (placeholderResolver) ResolveNow(resolver.ResolveNowOptions) {}
func (placeholderResolver) Close()                                {}
