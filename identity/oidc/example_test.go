package oidc_test

import (
	"context"
	"fmt"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/gateway/edge"
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

// runGateway runs a gateway in front of a system, which users may call.
func runGateway(ctx context.Context) error {
	users := &oidc.Verifier{Issuer: "https://login.example.com", Audience: []string{"shop"}}
	app, err := hanse.FromEnv()
	if err != nil {
		return err
	}
	defer app.Close()
	g := &edge.Gateway{
		Registry: app.Registry, Conn: app.Conn, Telemetry: app.CallerTelemetry(), File: "gateway.yaml",
		Users: users.StreamInterceptor, Claims: oidc.Claims("email", "groups"),
	}
	return g.Run(ctx)
}

func ExampleClaims() {
	_ = runGateway
}
