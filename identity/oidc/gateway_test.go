package oidc_test

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/gateway/edge"
	"github.com/hanse-go/hanse/identity/oidc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
)

// claimed answers with what the gateway says of the user.
type claimed struct {
	testpb.UnimplementedTestServiceServer
}

func (claimed) UnaryCall(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	var all []string
	for _, key := range slices.Sorted(maps.Keys(md)) {
		if strings.HasPrefix(key, edge.ClaimPrefix) {
			all = append(all, strings.TrimPrefix(key, edge.ClaimPrefix)+"="+strings.Join(md[key], "+"))
		}
	}
	return &testpb.SimpleResponse{Username: strings.Join(all, " ")}, nil
}

// The gateway lets in who has a token, and services are told whose it is.
func TestGateway(t *testing.T) {
	issuer := newIssuer(t)
	k := newKey(t, "1", jose.ES256)
	issuer.publish(k)
	users := issuer.verifier(t)

	ctx, cancel := context.WithCancel(context.Background())
	quiet := slog.New(slog.DiscardHandler)
	app := &hanse.App{Registry: new(discovery.Memory), Logger: quiet}
	outside := &hanse.App{Registry: app.Registry, Logger: quiet} // what the gateway calls as
	svc := &hanse.Service{Name: "tell"}
	testpb.RegisterTestServiceServer(svc, claimed{})
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &edge.Gateway{
		Registry: app.Registry, Conn: outside.Conn, Listener: lis, Logger: quiet,
		Settings: edge.Settings{Rules: []edge.Rule{{Match: []string{"*"}, Auth: "user"}}},
		Users:    users.StreamInterceptor, Claims: oidc.Claims("email", "groups", "name", "none"),
	}
	ended := make(chan error, 2)
	go func() { ended <- app.Run(ctx, svc) }()
	go func() { ended <- g.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		if err := outside.Close(); err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	ask := func(path, token string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+lis.Addr().String()+path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Hanse-Claim-Sub", "eve")
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body)
	}
	const call = "/grpc.testing.TestService/UnaryCall"
	good := k.token(t, issuer.claims(claims{"groups": []string{"a", "b"}, "name": "Änne"}))
	known := time.NewTicker(5 * time.Millisecond) // what the gateway learns by itself
	defer known.Stop()
	for code := 0; code != 200; <-known.C {
		code, _ = ask(call, good)
	}
	if code, body := ask(call, good); code != 200 || !strings.Contains(body, `email=ann@example.com groups=[\"a\",\"b\"] name-bin=Änne sub=ann`) {
		t.Errorf("%d %s", code, body)
	}
	if code, body := ask(call, ""); code != 401 {
		t.Errorf("without a token: %d %s", code, body)
	}
	if code, body := ask(call, newKey(t, "1", jose.ES256).token(t, issuer.claims(nil))); code != 401 {
		t.Errorf("a token of somebody else: %d %s", code, body)
	}
}
