package oidc

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
)

// Forward passes the token of the call that is handled on to the services that its handler calls, as "authorization: Bearer TOKEN". For one
// call it is an option; the context of the call must come from the handler's:
//
//	client.Charge(ctx, req, grpc.PerRPCCredentials(oidc.Forward{}))
//
// For all calls of a service it is an interceptor:
//
//	svc.ClientUnaryInterceptors = []grpc.UnaryClientInterceptor{oidc.Forward{}.UnaryInterceptor}
//	svc.ClientStreamInterceptors = []grpc.StreamClientInterceptor{oidc.Forward{}.StreamInterceptor}
//
// A call that has an authorization of its own keeps that, and one without a user has none. Whoever gets the token can act as the user until
// it expires: pass it on to services that you trust with that. Its zero value is ready for use.
type Forward struct {
	// Plaintext sends tokens over connections without TLS, too, where everybody on the way can read them. Else such calls fail. Calls
	// within a process need none.
	Plaintext bool
}

var _ credentials.PerRPCCredentials = Forward{}

// GetRequestMetadata implements [credentials.PerRPCCredentials].
func (f Forward) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	token, ok := FromContext(ctx)
	if !ok || token.raw == "" {
		return nil, nil
	}
	if own, _ := metadata.FromOutgoingContext(ctx); len(own.Get("authorization")) > 0 {
		return nil, nil
	}
	return map[string]string{"authorization": "Bearer " + token.raw}, nil
}

// RequireTransportSecurity implements [credentials.PerRPCCredentials].
func (f Forward) RequireTransportSecurity() bool { return !f.Plaintext }

// UnaryInterceptor is a [grpc.UnaryClientInterceptor].
func (f Forward) UnaryInterceptor(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return invoke(ctx, method, req, reply, cc, f.with(ctx, opts)...)
}

// StreamInterceptor is a [grpc.StreamClientInterceptor].
func (f Forward) StreamInterceptor(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, begin grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return begin(ctx, desc, cc, method, f.with(ctx, opts)...)
}

// with adds the token's credentials, before those that the call has itself. Calls without a user need no TLS for them.
func (f Forward) with(ctx context.Context, opts []grpc.CallOption) []grpc.CallOption {
	if _, ok := FromContext(ctx); !ok {
		return opts
	}
	return append([]grpc.CallOption{grpc.PerRPCCredentials(f)}, opts...)
}
