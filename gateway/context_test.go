package gateway_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/gateway"
	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// contextBackend looks at the contexts of the calls that it is given.
type contextBackend func(ctx context.Context)

func (contextBackend) Contracts() []protoreflect.ServiceDescriptor {
	return []protoreflect.ServiceDescriptor{testpb.File_grpc_testing_test_proto.Services().ByName("TestService")}
}

func (f contextBackend) Call(_ string, stream grpc.ServerStream) error {
	f(stream.Context())
	return stream.SendMsg(&testpb.Empty{})
}

// TestContext holds what the context of a call has, in whatever order it is asked, and when it ends.
func TestContext(t *testing.T) {
	type key struct{}
	var kept context.Context
	request := func(backend contextBackend, fields ...string) {
		t.Helper()
		r := httptest.NewRequestWithContext(context.WithValue(t.Context(), key{}, "value"), http.MethodPost, emptyPath, strings.NewReader("{}"))
		r.Host, r.RemoteAddr = "shop", "192.0.2.1:7"
		r.Header.Set("Content-Type", "application/json")
		for _, f := range fields {
			name, value, _ := strings.Cut(f, ": ")
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		(&gateway.Handler{Backend: backend}).ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	values := func(ctx context.Context, key string) []string {
		return ctx.(interface{ IncomingValues(string) []string }).IncomingValues(key)
	}
	request(func(ctx context.Context) {
		kept = ctx
		for key, want := range map[string][]string{":authority": {"shop"}, "hanse-instance": nil, "hanse-priority": nil, "idempotency-key": nil, "x-one": {"1"}, "none": nil} {
			if got := values(ctx, key); !slices.Equal(got, want) {
				t.Errorf("%s is %q", key, got)
			}
		}
		md, ok := metadata.FromIncomingContext(ctx)
		if !ok || !slices.Equal(md["x-one"], []string{"1"}) || !slices.Equal(md[":authority"], []string{"shop"}) || len(md["x-request-id"]) != 1 {
			t.Errorf("metadata %v", md)
		}
		for range 2 {
			if p, ok := peer.FromContext(ctx); !ok || p.Addr.String() != "192.0.2.1:7" {
				t.Errorf("peer %v", p)
			}
		}
		if method, _ := grpc.Method(ctx); method != emptyPath {
			t.Errorf("method %q", method)
		}
		if v := ctx.Value(key{}); v != "value" {
			t.Errorf("a value of the request's context is %v", v)
		}
		if d, ok := ctx.Deadline(); !ok || time.Until(d) > time.Hour || time.Until(d) < time.Minute || ctx.Err() != nil {
			t.Errorf("deadline %v, %t, error %v", d, ok, ctx.Err())
		}
	}, "X-One: 1", "Connect-Timeout-Ms: 3600000", "Hanse-Priority: critical")
	if kept.Err() != context.Canceled {
		t.Errorf("after the call: %v", kept.Err())
	}

	request(func(ctx context.Context) {
		for key, want := range map[string][]string{"hanse-instance": {"a"}, "idempotency-key": {"b"}, "x-bin": {"\x00"}} {
			if got := values(ctx, key); !slices.Equal(got, want) {
				t.Errorf("%s is %q", key, got)
			}
		}
		ctx = peer.NewContext(ctx, &peer.Peer{})
		if p, _ := peer.FromContext(ctx); p.Addr != nil {
			t.Errorf("peer %v", p)
		}
	}, "Hanse-Instance: a", "Idempotency-Key: b", "X-Bin: AA==")
}
