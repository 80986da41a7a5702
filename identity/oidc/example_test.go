package oidc_test

import (
	"context"
	"fmt"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/identity/oidc"
	"google.golang.org/grpc"
)

// A service that only users of an issuer may call, and which passes their tokens on.
func Example() {
	users := &oidc.Verifier{Issuer: "https://login.example.com", Audience: []string{"shop"}}
	svc := &hanse.Service{
		Name:                     "checkout",
		UnaryInterceptors:        []grpc.UnaryServerInterceptor{users.UnaryInterceptor},
		StreamInterceptors:       []grpc.StreamServerInterceptor{users.StreamInterceptor},
		ClientUnaryInterceptors:  []grpc.UnaryClientInterceptor{oidc.Forward{}.UnaryInterceptor},
		ClientStreamInterceptors: []grpc.StreamClientInterceptor{oidc.Forward{}.StreamInterceptor},
	}
	svc.Check("issuer", users.Ready)

	handler := func(ctx context.Context) {
		if user, ok := oidc.FromContext(ctx); ok {
			fmt.Println("for", user.Subject)
		}
	}
	handler(oidc.NewContext(context.Background(), &oidc.Token{Subject: "ann"}))
	// Output: for ann
}
