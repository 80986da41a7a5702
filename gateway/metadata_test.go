package gateway_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/gateway"
	"github.com/hanse-go/hanse/identity"
	"github.com/hanse-go/hanse/internal/certtest"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// TestMetadata holds what of a request a handler sees, and what of its metadata the client.
func TestMetadata(t *testing.T) {
	var seen metadata.MD
	url := serve(t, &server{empty: func(ctx context.Context) error {
		seen, _ = metadata.FromIncomingContext(ctx)
		if _, limited := ctx.Deadline(); limited {
			t.Error("there is a deadline")
		}
		return fail3(
			grpc.SetHeader(ctx, metadata.Pairs("x-head", "1", "x-head", "2", "x-head-bin", "\x00\xff", "content-type", "text/html", "transfer-encoding", "x", "bad key", "x")),
			grpc.SetTrailer(ctx, metadata.Pairs("x-tail", "3", "x-tail-bin", "\x01")),
		)
	}})
	a := post(t, url+emptyPath, "{}", jsonType, "X-Two: a", "X-Two: b", "X-Raw-Bin: AAH/,AA==", "Traceparent: 00-1-2-3", "Idempotency-Key: k", "X-Request-Id: mine",
		"Hanse-Priority: critical", "Hanse-Instance: i", "Hanse-Claim-Sub: root", "Te: trailers", "Connection: x-hop", "Grpc-Timeout: 1S", "Authorization: Bearer x")
	if a.status != 200 {
		t.Fatalf("%+v", a)
	}
	for key, want := range map[string][]string{
		"x-two": {"a", "b"}, "x-raw-bin": {"\x00\x01\xff", "\x00"}, "traceparent": {"00-1-2-3"}, "idempotency-key": {"k"}, "x-request-id": {"mine"},
		"hanse-priority": nil, "hanse-instance": {"i"}, "hanse-claim-sub": nil, "te": nil, "connection": nil, "grpc-timeout": nil, "content-length": nil,
		"authorization": {"Bearer x"}, "content-type": {"application/json"}, ":authority": {strings.TrimPrefix(url, "http://")},
	} {
		if got := seen[key]; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	for name, want := range map[string][]string{
		"X-Head": {"1", "2"}, "X-Head-Bin": {"AP8"}, "Trailer-X-Tail": {"3"}, "Trailer-X-Tail-Bin": {"AQ"}, "Content-Type": {"application/json"}, "X-Request-Id": {"mine"},
	} {
		if got := a.header[name]; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for _, id := range []string{"", "two words", strings.Repeat("x", 129), "ä"} {
		a := post(t, url+emptyPath, "{}", jsonType, "X-Request-Id: "+id)
		if got := a.header.Get("X-Request-Id"); len(got) != 32 || !slices.Equal(seen["x-request-id"], []string{got}) {
			t.Errorf("the ID %q became %q, and %q for the handler", id, got, seen["x-request-id"])
		}
	}
}

// fail3 is the first error, for errors.Join would make a status of it that is Unknown.
func fail3(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestDeadline(t *testing.T) {
	var left time.Duration
	url := serve(t, &server{empty: func(ctx context.Context) error {
		deadline, _ := ctx.Deadline()
		if left = time.Until(deadline); left > time.Minute {
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	}}, func(_ *rpc.Server, h *gateway.Handler) { h.Limits.Timeout = time.Hour })
	for fields, want := range map[string]time.Duration{
		jsonType + "|Connect-Timeout-Ms: 7200000": 2 * time.Hour, // the client's own counts
		jsonType:                            time.Hour,
		webTypeLine + "|Grpc-Timeout: 120M": 2 * time.Hour,
	} {
		body := "{}"
		if strings.HasPrefix(fields, webTypeLine) {
			body = envelope(0, "")
		}
		if a := post(t, url+emptyPath, body, strings.Split(fields, "|")...); a.status != 200 || left > want || left < want-time.Minute {
			t.Errorf("%s: %v, %+v", fields, left, a)
		}
	}
	a := post(t, url+emptyPath, "{}", jsonType, "Connect-Timeout-Ms: 10")
	if a.status != 504 || codeOf(t, a) != "deadline_exceeded" {
		t.Errorf("%+v", a)
	}
}

// TestPeer holds that a handler knows a caller over HTTPS as it knows one by gRPC, over both versions of HTTP, and that rules hold.
func TestPeer(t *testing.T) {
	ca := certtest.NewAuthority(t)
	id := identity.ID{System: "shop", Service: "cart"}
	uri, err := url.Parse(id.String())
	if err != nil {
		t.Fatal(err)
	}
	client := ca.Issue(t, &x509.Certificate{URIs: []*url.URL{uri}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	srv := &rpc.Server{Name: "test", Allow: []identity.Rule{{Callers: []string{id.String()}}}}
	seen := make(chan *peer.Peer, 1)
	testpb.RegisterTestServiceServer(srv, &server{empty: func(ctx context.Context) error {
		if caller, ok := identity.Caller(ctx); !ok || caller != id {
			return status.Errorf(codes.Internal, "the caller is %v", caller)
		}
		if md, _ := metadata.FromIncomingContext(ctx); len(md["hanse-priority"]) != 1 {
			return status.Error(codes.Internal, "a member may not say how urgent its call is")
		}
		p, _ := peer.FromContext(ctx)
		seen <- p
		return nil
	}})
	srv.Start()
	port := &rpc.Port{Servers: []*rpc.Server{srv}, TLS: &tls.Config{
		Certificates: []tls.Certificate{*ca.Leaf(t, "127.0.0.1")}, ClientCAs: ca.Pool, ClientAuth: tls.VerifyClientCertIfGiven,
	}}
	port.HTTP = &gateway.Handler{Backend: port}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go port.Serve(lis)
	defer func() {
		port.Close()
		srv.Drain(context.Background())
	}()
	for _, http2 := range []bool{false, true} {
		for _, known := range []bool{true, false} {
			config := &tls.Config{RootCAs: ca.Pool}
			if known {
				config.Certificates = []tls.Certificate{*client}
			}
			transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: http2}
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+lis.Addr().String()+emptyPath, strings.NewReader("{}"))
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Hanse-Priority", "critical")
			resp, err := transport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			transport.CloseIdleConnections()
			if !known {
				if resp.StatusCode != 403 {
					t.Errorf("HTTP/2 %t: a stranger gets %s", http2, resp.Status)
				}
				continue
			}
			if resp.StatusCode != 200 || (resp.ProtoMajor == 2) != http2 {
				t.Errorf("%s %s", resp.Proto, resp.Status)
				continue
			}
			p := <-seen
			if info, ok := p.AuthInfo.(credentials.TLSInfo); !ok || len(info.State.VerifiedChains) == 0 || p.LocalAddr == nil || p.Addr.Network() != "tcp" {
				t.Errorf("HTTP/2 %t: %+v", http2, p)
			}
		}
	}
}

func TestCORS(t *testing.T) {
	for name, tt := range map[string]struct {
		cors            gateway.CORS
		origin          string
		preflight, post int
		allow, expose   string
	}{
		"off":           {gateway.CORS{}, "https://shop.example", 405, 403, "", ""},
		"allowed":       {gateway.CORS{Origins: []string{"https://shop.example"}}, "https://shop.example", 204, 200, "https://shop.example", "*"},
		"another":       {gateway.CORS{Origins: []string{"https://shop.example"}}, "https://shop.example.evil", 405, 403, "", ""},
		"another port":  {gateway.CORS{Origins: []string{"https://shop.example"}}, "https://shop.example:8443", 405, 403, "", ""},
		"null":          {gateway.CORS{Origins: []string{"https://shop.example"}}, "null", 405, 403, "", ""},
		"all":           {gateway.CORS{Origins: []string{"*"}}, "https://any.example", 204, 200, "*", "*"},
		"a mistake":     {gateway.CORS{Origins: []string{"*"}, Credentials: true}, "https://any.example", 405, 403, "", ""},
		"with cookies":  {gateway.CORS{Origins: []string{"https://shop.example"}, Credentials: true}, "https://shop.example", 204, 200, "https://shop.example", "Content-Encoding, Connect-Content-Encoding, Grpc-Status, Grpc-Message, Grpc-Status-Details-Bin, Grpc-Encoding, X-Request-Id, Retry-After"},
		"no page":       {gateway.CORS{}, "", 405, 200, "", ""},
		"its own pages": {gateway.CORS{}, "self", 405, 200, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			url := serve(t, &server{}, func(_ *rpc.Server, h *gateway.Handler) { h.CORS = tt.cors })
			fields := []string{"Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type"}
			origin := tt.origin
			if origin == "self" {
				origin = url
			}
			if origin != "" {
				fields = append(fields, "Origin: "+origin)
			}
			a := do(t, http.MethodOptions, url+emptyPath, "", fields...)
			if a.status != tt.preflight || a.header.Get("Access-Control-Allow-Origin") != tt.allow || (a.status == 204) != (a.header.Get("Access-Control-Allow-Methods") == "POST") {
				t.Errorf("preflight: %d %v", a.status, a.header)
			}
			if a.status == 204 && (!strings.Contains(a.header.Get("Access-Control-Allow-Headers"), "Connect-Protocol-Version") || a.header.Get("Access-Control-Max-Age") != "7200" || !slices.Contains(a.header["Vary"], "Origin")) {
				t.Errorf("preflight: %v", a.header)
			}
			fields[0], fields[1] = jsonType, "Connect-Protocol-Version: 1"
			a = post(t, url+emptyPath, "{}", fields...)
			if a.status != tt.post || a.header.Get("Access-Control-Allow-Origin") != tt.allow || a.header.Get("Access-Control-Expose-Headers") != tt.expose {
				t.Errorf("call: %d %v", a.status, a.header)
			}
			if got := a.header.Get("Access-Control-Allow-Credentials") == "true"; got != (tt.cors.Credentials && tt.allow != "") {
				t.Errorf("credentials: %t", got)
			}
		})
	}
}

func TestCORSCheck(t *testing.T) {
	for name, tt := range map[string]struct {
		cors gateway.CORS
		want string
	}{
		"fine":                {gateway.CORS{Origins: []string{"https://a.example", "http://localhost:8080"}, Credentials: true}, ""},
		"a path":              {gateway.CORS{Origins: []string{"https://a.example/"}}, `"https://a.example/" is no origin`},
		"no scheme":           {gateway.CORS{Origins: []string{"a.example"}}, `"a.example" is no origin`},
		"all and one":         {gateway.CORS{Origins: []string{"*", "https://a.example"}}, `"*" alone`},
		"all with cookies":    {gateway.CORS{Origins: []string{"*"}, Credentials: true}, "name the origins"},
		"headers for nothing": {gateway.CORS{Headers: []string{"X-Key"}}, "has no Origins"},
	} {
		err := gateway.Config{CORS: tt.cors}.Check()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
