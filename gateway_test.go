package hanse_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/gateway"
	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
)

const jsonCall = "/grpc.testing.TestService/EmptyCall"

// tellsName is a TestService that tells its name in the header.
func tellsName(name string) *hanse.Service {
	s := &hanse.Service{Name: name}
	testpb.RegisterTestServiceServer(s, namedServer{name: name})
	return s
}

type namedServer struct {
	testpb.UnimplementedTestServiceServer
	name string
}

func (n namedServer) EmptyCall(ctx context.Context, _ *testpb.Empty) (*testpb.Empty, error) {
	return &testpb.Empty{}, grpc.SetHeader(ctx, metadata.Pairs("served-by", n.name))
}

// post sends an empty message in JSON, and returns who has served it, or the status.
func post(t *testing.T, addr, host, path string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+path, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	req.Header.Set("Content-Type", "application/json")
	resp, body := roundTrip(t, req)
	if by := resp.Header.Get("Served-By"); by != "" {
		return by
	}
	return resp.Status + " " + strings.ReplaceAll(body, `": `, `":`) // protobuf's JSON has spaces at random
}

func TestGateway(t *testing.T) {
	page := func(name string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Served-By", name) })
	}
	store := &hanse.Service{Name: "store"}
	store.Handle("/", page("the store's pages"))
	store.Handle("POST /grpc.testing.TestService/UnaryCall", page("the store's own UnaryCall"))
	store.Handle("/grpc.testing.UnimplementedService/", page("the store's own folder"))
	testpb.RegisterUnimplementedServiceServer(store, testpb.UnimplementedUnimplementedServiceServer{})
	r := run(t, &hanse.App{Addrs: map[string]string{"wine": "127.0.0.1:0", "beer": "127.0.0.1:0"}}, store, tellsName("cart"), tellsName("wine"), tellsName("beer"))
	shared := r.addr("store")
	for _, tt := range []struct{ addr, host, path, want string }{
		{shared, shared, jsonCall, "cart"}, // the one that has the contract, and not the pages for everything
		{shared, "cart", jsonCall, "cart"},
		{shared, "cart.localhost:1", jsonCall, "cart"},
		{shared, shared, "/elsewhere", "the store's pages"},
		{shared, shared, "/grpc.testing.TestService/UnaryCall", "the store's own UnaryCall"},
		{shared, "cart", "/grpc.testing.TestService/UnaryCall", "501 Not Implemented"},
		{shared, shared, "/grpc.testing.UnimplementedService/UnimplementedCall", "the store's own folder"},
		{shared, "cart", "/elsewhere", "404 Not Found"},
		{r.addr("wine"), "localhost", jsonCall, "wine"},
		{r.addr("beer"), "localhost", jsonCall, "beer"},
		{shared, shared, "/grpc.health.v1.Health/Check", `200 OK {"status":"SERVING"}`},
	} {
		if got := post(t, tt.addr, tt.host, tt.path); got != tt.want && !strings.HasPrefix(got, tt.want+" ") {
			t.Errorf("POST %s to %s: %q, want %q", tt.path, tt.host, got, tt.want)
		}
	}
}

// TestGatewayRoutesByHost holds that of two services with one contract the named one is called, and that nobody guesses.
func TestGatewayRoutesByHost(t *testing.T) {
	r := run(t, new(hanse.App), tellsName("wine"), tellsName("beer"))
	addr := r.addr("wine")
	for _, name := range []string{"wine", "beer"} {
		if got := post(t, addr, name+".localhost:8080", jsonCall); got != name {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := post(t, addr, addr, jsonCall); !strings.HasPrefix(got, "501 ") || !strings.Contains(got, "several services") {
		t.Errorf("without a name: %q", got)
	}
}

// elsewhere is a listener that says it is reached from everywhere.
type elsewhere struct{ net.Listener }

func (elsewhere) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80} }

// TestGatewayHosts holds that on a loopback listener calls must be addressed to this machine or a service, so that no page can make them by
// giving its own name the address 127.0.0.1.
func TestGatewayHosts(t *testing.T) {
	const refused = "403 Forbidden what is served here"
	plain := run(t, new(hanse.App), tellsName("cart"))
	proxied := run(t, &hanse.App{Hosts: []string{"shop.example"}}, tellsName("cart"))
	open := run(t, &hanse.App{Hosts: []string{"*"}}, tellsName("cart"))
	for _, tt := range []struct {
		app        *runningApp
		host, want string
	}{
		{plain, plain.addr("cart"), "cart"},
		{plain, "localhost:1", "cart"},
		{plain, "[::1]:80", "cart"},
		{plain, "a.LOCALHOST.", "cart"},
		{plain, "cart", "cart"},
		{plain, "cart:8080", "cart"},
		{plain, "evil.example", refused},
		{plain, "evil.example:80", refused},
		{plain, "cart.evil.example", refused},
		{plain, "127.0.0.1.evil.example", refused},
		{plain, "wine", refused},
		{proxied, "shop.example:8080", "cart"},
		{proxied, "SHOP.example.", "cart"},
		{proxied, "localhost", "cart"},
		{proxied, "evil.example", refused},
		{open, "evil.example", "cart"},
	} {
		if got := post(t, tt.app.addr("cart"), tt.host, jsonCall); got != tt.want && !strings.HasPrefix(got, tt.want+" ") {
			t.Errorf("%s: %q, want %q", tt.host, got, tt.want)
		}
	}
	resp, err := (&http.Client{Transport: run(t, &hanse.App{Path: "tcp"}, tellsName("wine")).HTTPTransport()}).Post("http://wine"+jsonCall, "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("by the transport: %s", resp.Status)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	run(t, &hanse.App{Listener: elsewhere{lis}, Advertise: "127.0.0.1"}, tellsName("beer"))
	if got := post(t, lis.Addr().String(), "evil.example", jsonCall); got != "beer" {
		t.Errorf("on a listener that others reach: %q", got)
	}
	err = (&hanse.App{Hosts: []string{"https://shop.example"}}).Run(t.Context(), tellsName("cart"))
	if err == nil || !strings.Contains(err.Error(), `"https://shop.example" is no name of a host`) {
		t.Errorf("a bad name: %v", err)
	}
}

func TestNoGateway(t *testing.T) {
	r := run(t, &hanse.App{NoGateway: true}, tellsName("cart"))
	if got := post(t, r.addr("cart"), "", jsonCall); !strings.HasPrefix(got, "404 ") {
		t.Errorf("got %q", got)
	}
}

func TestGatewayMistakes(t *testing.T) {
	err := (&hanse.App{Gateway: gateway.Config{CORS: gateway.CORS{Origins: []string{"shop.example.com"}}}}).Run(t.Context(), tellsName("cart"))
	if err == nil || !strings.Contains(err.Error(), `App.Gateway: CORS.Origins: "shop.example.com" is no origin`) {
		t.Errorf("Run: %v", err)
	}
}

// TestGatewayDrain holds that an app that stops waits for a call that came by HTTP, also for one whose message has not come yet.
func TestGatewayDrain(t *testing.T) {
	began, finish := make(chan struct{}), make(chan struct{})
	s := &hanse.Service{Name: "cart"}
	testpb.RegisterTestServiceServer(s, slowServer{began: began, finish: finish})
	r := run(t, new(hanse.App), s)
	got := make(chan string, 1)
	go func() { got <- post(t, r.addr("cart"), "", jsonCall) }()
	<-began
	r.stop()
	for { // until the app takes no more connections
		conn, err := net.Dial("tcp", r.addr("cart"))
		if err != nil {
			break
		}
		conn.Close()
	}
	close(finish)
	if answer := <-got; !strings.HasPrefix(answer, "200 ") {
		t.Errorf("the call ended with %q", answer)
	}
	<-r.done
	if r.err != nil {
		t.Error(r.err)
	}
}

type slowServer struct {
	testpb.UnimplementedTestServiceServer
	began, finish chan struct{}
}

func (s slowServer) EmptyCall(context.Context, *testpb.Empty) (*testpb.Empty, error) {
	close(s.began)
	<-s.finish
	return &testpb.Empty{}, nil
}
