package hanse_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/discovery"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/reflection"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"
)

func greeterNamed(name string) *hanse.Service {
	s := greeter()
	s.Name = name
	return s
}

func TestHealth(t *testing.T) {
	broken := make(chan error, 1)
	broken <- nil
	cart := greeterNamed("cart")
	cart.Check("database", func(context.Context) error {
		err := <-broken
		broken <- err
		return err
	})
	payment := &hanse.Service{Name: "payment"}
	testpb.RegisterUnimplementedServiceServer(payment, testpb.UnimplementedUnimplementedServiceServer{})
	r := run(t, new(hanse.App), cart, payment)
	client := healthpb.NewHealthClient(r.stock("cart"))
	inProcess := healthpb.NewHealthClient(r.Conn("cart"))

	const up, down = healthpb.HealthCheckResponse_SERVING, healthpb.HealthCheckResponse_NOT_SERVING
	check := func(want map[string]healthpb.HealthCheckResponse_ServingStatus) {
		t.Helper()
		for service, status := range want {
			for path, c := range map[string]healthpb.HealthClient{"TCP": client, "in process": inProcess} {
				resp, err := c.Check(t.Context(), &healthpb.HealthCheckRequest{Service: service})
				if err != nil || resp.Status != status {
					t.Errorf("health of %q by %s: %v, %v, want %v", service, path, resp.GetStatus(), err, status)
				}
			}
		}
	}
	check(map[string]healthpb.HealthCheckResponse_ServingStatus{"": up, "cart": up, "payment": up,
		"grpc.testing.TestService": up, "grpc.testing.UnimplementedService": up})
	<-broken
	broken <- errTest
	check(map[string]healthpb.HealthCheckResponse_ServingStatus{"": down, "cart": down, "payment": up,
		"grpc.testing.TestService": down, "grpc.testing.UnimplementedService": up})
	if _, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{Service: "nothing"}); status.Code(err) != codes.NotFound || !strings.Contains(err.Error(), "cart, payment") {
		t.Errorf("health of an unknown service: %v", err)
	}
	all, err := client.List(t.Context(), &healthpb.HealthListRequest{})
	if err != nil || len(all.Statuses) != 3 || all.Statuses["cart"].Status != down || all.Statuses["payment"].Status != up {
		t.Errorf("List: %v, %v", all, err)
	}

	// A watch ends with the drain, after it told of it.
	watch, err := client.Watch(t.Context(), &healthpb.HealthCheckRequest{Service: "payment"})
	if err != nil {
		t.Fatal(err)
	}
	unknown, err := client.Watch(t.Context(), &healthpb.HealthCheckRequest{Service: "nothing"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		stream healthpb.Health_WatchClient
		status healthpb.HealthCheckResponse_ServingStatus
	}{{watch, up}, {unknown, healthpb.HealthCheckResponse_SERVICE_UNKNOWN}} {
		if resp, err := want.stream.Recv(); err != nil || resp.Status != want.status {
			t.Errorf("watch: %v, %v, want %v", resp.GetStatus(), err, want.status)
		}
	}
	r.stop()
	if resp, err := watch.Recv(); err != nil || resp.Status != down {
		t.Errorf("watch while it drains: %v, %v", resp.GetStatus(), err)
	}
	if _, err := watch.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("end of the watch: %v", err)
	}
	r.end()
}

// TestHealthOfASharedContract holds that of several services with one contract the addressed one is meant, and all where none is.
func TestHealthOfASharedContract(t *testing.T) {
	broken := greeterNamed("broken")
	broken.Check("database", func(context.Context) error { return errTest })
	r := run(t, new(hanse.App), broken, greeterNamed("fine"))
	for authority, want := range map[string]healthpb.HealthCheckResponse_ServingStatus{
		"fine":    healthpb.HealthCheckResponse_SERVING,
		"broken":  healthpb.HealthCheckResponse_NOT_SERVING,
		"unknown": healthpb.HealthCheckResponse_NOT_SERVING,
	} {
		resp, err := healthpb.NewHealthClient(r.stock("fine", grpc.WithAuthority(authority))).Check(t.Context(), &healthpb.HealthCheckRequest{Service: "grpc.testing.TestService"})
		if err != nil || resp.Status != want {
			t.Errorf("asked of %s: %v, %v, want %v", authority, resp.GetStatus(), err, want)
		}
	}
}

// TestOwnHealth holds that a service which brings its own health or reflection, as programs on grpc-go do, keeps it.
func TestOwnHealth(t *testing.T) {
	svc := greeter()
	own := health.NewServer()
	own.SetServingStatus("mine", healthpb.HealthCheckResponse_SERVING)
	healthpb.RegisterHealthServer(svc, own)
	reflection.Register(svc)
	r := run(t, new(hanse.App), svc)
	resp, err := healthpb.NewHealthClient(r.stock("greeter", grpc.WithAuthority("greeter"))).Check(t.Context(), &healthpb.HealthCheckRequest{Service: "mine"})
	if err != nil || resp.Status != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("own health: %v, %v", resp, err)
	}
}

func TestReflection(t *testing.T) {
	payment := &hanse.Service{Name: "payment"}
	testpb.RegisterUnimplementedServiceServer(payment, testpb.UnimplementedUnimplementedServiceServer{})
	r := run(t, new(hanse.App), greeterNamed("cart"), payment)
	own := []string{"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"}
	for authority, want := range map[string][]string{
		"":        {"grpc.testing.TestService", "grpc.testing.UnimplementedService"},
		"cart":    {"grpc.testing.TestService"},
		"payment": {"grpc.testing.UnimplementedService"},
	} {
		var opts []grpc.DialOption
		if authority != "" {
			opts = append(opts, grpc.WithAuthority(authority))
		}
		conn := r.stock("cart", opts...)
		for version, list := range map[string]func(context.Context, grpc.ClientConnInterface) ([]string, error){"v1": listV1, "v1alpha": listV1Alpha} {
			got, err := list(t.Context(), conn)
			slices.Sort(got)
			if all := append(slices.Clone(own), want...); err != nil || !slices.Equal(got, all) {
				t.Errorf("%s, authority %q: %v, %v, want %v", version, authority, got, err, all)
			}
		}
	}
	if got, err := listV1(t.Context(), r.Conn("payment")); err != nil || !slices.Contains(got, "grpc.testing.UnimplementedService") || slices.Contains(got, "grpc.testing.TestService") {
		t.Errorf("in process: %v, %v", got, err)
	}
	// A client that keeps its stream open does not hold the drain up.
	stream, err := reflectionv1.NewServerReflectionClient(r.stock("cart")).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stream.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}})
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	r.end()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the drain took %v", took)
	}
}

func listV1(ctx context.Context, conn grpc.ClientConnInterface) (names []string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		return nil, err
	}
	stream.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}})
	resp, err := stream.Recv()
	for _, s := range resp.GetListServicesResponse().GetService() {
		names = append(names, s.Name)
	}
	return names, err
}

func listV1Alpha(ctx context.Context, conn grpc.ClientConnInterface) (names []string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := reflectionv1alpha.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		return nil, err
	}
	stream.Send(&reflectionv1alpha.ServerReflectionRequest{MessageRequest: &reflectionv1alpha.ServerReflectionRequest_ListServices{}})
	resp, err := stream.Recv()
	for _, s := range resp.GetListServicesResponse().GetService() {
		names = append(names, s.Name)
	}
	return names, err
}

func TestReflectionIsOffForOthers(t *testing.T) {
	for _, tt := range []struct {
		addr string
		set  *bool
		want bool
	}{
		{"127.0.0.1:0", nil, true},
		{"localhost:0", nil, true},
		{"0.0.0.0:0", nil, false},
		{":0", nil, false},
		{"0.0.0.0:0", new(true), true},
		{"127.0.0.1:0", new(false), false},
	} {
		r := run(t, &hanse.App{Addr: tt.addr, Reflection: tt.set}, greeter())
		for _, authority := range []string{"greeter", "other"} {
			_, err := listV1(t.Context(), r.stock("greeter", grpc.WithAuthority(authority)))
			if (err == nil) != tt.want || err != nil && status.Code(err) != codes.Unimplemented {
				t.Errorf("%s, set %v, authority %s: %v", tt.addr, tt.set, authority, err)
			}
		}
		r.end()
	}
}

func TestHTTP(t *testing.T) {
	answer := func(s string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, s) })
	}
	shop := &hanse.Service{Name: "shop"}
	shop.Handle("/", answer("shop's page"))
	shop.Handle("GET /cart", answer("shop's cart"))
	cart := greeterNamed("cart")
	cart.Handle("GET /cart/items", answer("cart's items"))
	admin := &hanse.Service{Name: "office"}
	admin.Handle("/", answer("office"))
	admin.Handle("GET /cart", answer("office's cart")) // has a listener of its own, so that it is no conflict
	r := run(t, &hanse.App{Addrs: map[string]string{"office": "127.0.0.1:0"}}, shop, cart, admin, greeterNamed("plain"))

	get := func(addr, host, path string) string {
		t.Helper()
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://"+addr+path, nil)
		req.Host = host
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusOK {
			return resp.Status
		}
		return string(body)
	}
	shared := r.addr("shop")
	if shared != r.addr("cart") || shared == r.addr("office") {
		t.Errorf("addresses: %v", r.instances)
	}
	for _, tt := range []struct{ addr, host, path, want string }{
		{shared, shared, "/", "shop's page"},
		{shared, shared, "/cart", "shop's cart"},
		{shared, shared, "/cart/items", "cart's items"}, // the more specific of two services
		{shared, "cart", "/cart/items", "cart's items"},
		{shared, "cart:8443", "/cart/items", "cart's items"},
		{shared, "cart.localhost", "/cart/items", "cart's items"},
		{shared, "CART.localhost.:1", "/cart/items", "cart's items"},
		{shared, "shop.localhost", "/cart/items", "shop's page"},
		{shared, "cart", "/", "404 Not Found"},
		{shared, "plain", "/", "404 Not Found"},
		{r.addr("office"), "anything", "/cart", "office's cart"},
	} {
		if got := get(tt.addr, tt.host, tt.path); got != tt.want {
			t.Errorf("GET %s from %s: %q, want %q", tt.path, tt.host, got, tt.want)
		}
	}
	if got := r.instances["shop"].Metadata["http"]; got != "http://"+shared {
		t.Errorf("announced for HTTP: %q", got)
	}
	if got := r.instances["plain"].Metadata["http"]; got != "" {
		t.Errorf("announced for HTTP without handlers: %q", got)
	}
}

func TestAdmin(t *testing.T) {
	broken := make(chan error, 1)
	broken <- nil
	cart := greeterNamed("cart")
	cart.Check("database", func(context.Context) error {
		err := <-broken
		broken <- err
		return err
	})
	hang := make(chan struct{})
	defer close(hang)
	stuck := &hanse.Service{Name: "stuck"}
	stuck.Check("deaf", func(context.Context) error { <-hang; return nil })
	stuck.Check("panics", func(context.Context) error { panic("ouch") })
	r := run(t, &hanse.App{AdminAddr: "127.0.0.1:0"}, cart, stuck)

	base := "http://" + r.instances["cart"].Admin
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(path, accept string) (int, string) {
		t.Helper()
		req, _ := http.NewRequestWithContext(t.Context(), "GET", base+path, nil)
		req.Header.Set("Accept", accept)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	for _, tt := range []struct {
		path, accept string
		code         int
		want         string
	}{
		{"/", "", 200, `<a href="/readyz">`},
		{"/healthz", "", 200, "ok\n"},
		{"/readyz?service=cart", "", 200, "ok    cart database\n"},
		{"/readyz?service=crat", "", 404, "did you mean cart?"},
		{"/readyz", "", 503, "fail  stuck deaf: no answer within 900ms\nfail  stuck panics: panic: ouch"},
		{"/readyz", "application/json", 503, `{"service":"stuck","check":"deaf","reason":"no answer within 900ms"}`},
		{"/debug/pprof/", "", 200, `<a href="goroutine?debug=1">`},
		{"/debug/pprof/goroutine?debug=1", "", 200, "goroutine profile: total"},
		{"/debug/pprof/nothing", "", 404, "no such profile"},
		{"/debug/pprof/heap?gc=1", "", 200, "\x1f\x8b"},
		{"/debug/pprof/profile?seconds=0.05", "", 200, "\x1f\x8b"},
		{"/debug/pprof/trace?seconds=0.05", "", 200, "go 1."},
	} {
		if code, body := get(tt.path, tt.accept); code != tt.code || !strings.Contains(body, tt.want) {
			t.Errorf("GET %s: %d %.300q, want %d %q", tt.path, code, body, tt.code, tt.want)
		}
	}
	<-broken
	broken <- errTest
	if code, body := get("/readyz?service=cart", ""); code != 503 || !strings.Contains(body, "fail  cart database: this went wrong") {
		t.Errorf("with a broken database: %d %q", code, body)
	}
	var answer struct {
		Ready bool
		State string
	}
	if _, body := get("/readyz?service=cart", "application/json"); json.Unmarshal([]byte(body), &answer) != nil || answer.Ready || answer.State != "ready" {
		t.Errorf("as JSON: %q", body)
	}
}

func TestPortInUse(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	addr := lis.Addr().String()
	for name, app := range map[string]*hanse.App{
		"--addr HOST:PORT (App.Addr)":           {Addr: addr},
		"--addr greeter=HOST:PORT (App.Addrs)":  {Addrs: map[string]string{"greeter": addr}},
		"--admin-addr HOST:PORT (App.AdminAddr": {AdminAddr: addr},
	} {
		r := begin(t, app, greeter())
		wantError(t, r.wait(), "address "+addr+" is in use by process ", "hanse.test", name)
		if strings.Contains(r.err.Error(), "\n") {
			t.Errorf("more than one line: %v", r.err)
		}
	}
}

func TestIPv6(t *testing.T) {
	if lis, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skip("this machine has no IPv6: ", err)
	} else {
		lis.Close()
	}
	r := run(t, &hanse.App{Addr: "[::1]:0", AdminAddr: "[::1]:0"}, greeter())
	if addr := r.addr("greeter"); !strings.HasPrefix(addr, "[::1]:") {
		t.Errorf("announced as %s", addr)
	}
	if got := hello(r.stock("greeter"), "six"); got != "Hello, six!" {
		t.Errorf("got %q", got)
	}
	caller := &hanse.App{Registry: r.registry, Path: "tcp"}
	defer caller.Close()
	if got := hello(caller.Conn("greeter"), "six"); got != "Hello, six!" {
		t.Errorf("got %q", got)
	}
}

// network is a registry that other machines read.
type network struct{ *discovery.Memory }

func (network) Scope() discovery.Scope { return discovery.ScopeNetwork }

func TestLoopbackIsNotAnnouncedToOthers(t *testing.T) {
	r := begin(t, &hanse.App{Registry: network{new(discovery.Memory)}}, greeter())
	wantError(t, r.wait(), "service greeter: cannot announce it", "127.0.0.1:", "--addr :8443 (HANSE_ADDR, App.Addr)", "--advertise HOST:PORT (HANSE_ADVERTISE, App.Advertise)")
	reg := network{new(discovery.Memory)}
	ok := run(t, &hanse.App{Registry: reg, Advertise: "greeter.example.com:443", AdminAddr: "127.0.0.1:0"}, greeter())
	if got := ok.addr("greeter"); got != "greeter.example.com:443" {
		t.Errorf("announced as %s", got)
	}
	if got := ok.instances["greeter"].Admin; got != "" {
		t.Errorf("the admin listener is announced as %s", got)
	}
}

func TestListenerAndTargets(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, &hanse.App{Listener: lis, Addr: "127.0.0.1:1"}, greeter())
	if r.addr("greeter") != lis.Addr().String() {
		t.Errorf("announced as %s, listens on %s", r.addr("greeter"), lis.Addr())
	}
	r.end()
	if conn, err := net.Dial("tcp", lis.Addr().String()); err == nil {
		conn.Close()
		t.Error("Run left the listener open")
	}
	if lis, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	unused := begin(t, &hanse.App{Listener: lis, Addrs: map[string]string{"greeter": ":0"}}, greeter())
	wantError(t, unused.wait(), "App.Listener is for services without an entry in App.Addrs")
	if err := lis.Close(); err == nil {
		t.Error("Run left the listener open when it failed")
	}
	r = run(t, new(hanse.App), greeter())
	caller := &hanse.App{Targets: map[string]string{"other-name": r.addr("greeter")}}
	defer caller.Close()
	if got := hello(caller.Conn("other-name"), "x"); got != "Hello, x!" {
		t.Errorf("by target: %q", got)
	}
	// A target comes first, even where the service runs in this app.
	elsewhere := &hanse.Service{Name: "greeter"}
	testpb.RegisterTestServiceServer(elsewhere, greetServer{before: func(context.Context) error { return status.Error(codes.Internal, "the wrong one") }})
	var got string
	front := &hanse.Service{Name: "front", Setup: func(_ context.Context, s *hanse.Service) error {
		got = hello(s.Conn("greeter"), "x")
		return nil
	}}
	run(t, &hanse.App{Targets: map[string]string{"greeter": r.addr("greeter")}}, elsewhere, front)
	if got != "Hello, x!" {
		t.Errorf("by target instead of the sibling: %q", got)
	}
	wrong := begin(t, &hanse.App{Targets: map[string]string{"x": "::"}}, greeter())
	wantError(t, wrong.wait(), "App.Targets (--target)", `"::"`)
}

// TestRegistryThatOnlyFinds holds that an app whose registry takes no announcements runs all the same.
func TestRegistryThatOnlyFinds(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := begin(t, &hanse.App{Listener: lis, Registry: discovery.Static{"greeter": {lis.Addr().String()}}}, greeter())
	caller := &hanse.App{Registry: r.App.Registry}
	defer caller.Close()
	if got := hello(caller.Conn("greeter"), "x"); got != "Hello, x!" {
		t.Errorf("got %q", got)
	}
	r.end()
}

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

func TestConfigFile(t *testing.T) {
	type settings struct {
		Greeting string `default:"Hello"`
		Times    int    `default:"1"`
	}
	withFile := func(content string) (settings, error) {
		file := t.TempDir() + "/shop.yaml"
		if err := writeFile(file, content); err != nil {
			t.Fatal(err)
		}
		var cfg settings
		svc := &hanse.Service{Name: "cart", Setup: func(_ context.Context, s *hanse.Service) error { return s.Config(&cfg) }}
		ctx, cancel := context.WithCancel(t.Context())
		svc.Go("stop", func(context.Context) error { cancel(); return nil })
		return cfg, errors.Join((&hanse.App{ConfigFile: file}).Run(ctx, svc), func() error {
			if cfg.Times != 3 && !strings.Contains(content, "tims") {
				return fmt.Errorf("times %d", cfg.Times)
			}
			return nil
		}())
	}
	if _, err := withFile("cart: {times: 3}\n"); err != nil {
		t.Error(err)
	}
	_, err := withFile("cart: {tims: 3}\n")
	wantError(t, err, `no setting "tims"`, `did you mean "times"?`, "shop.yaml:1")
	wantError(t, (&hanse.Service{Name: "cart"}).Config(&settings{}), "call it in Setup")
}
