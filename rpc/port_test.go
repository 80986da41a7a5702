package rpc_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"
)

// newServer returns a started server with the contracts, and its service.
func newServer(t *testing.T, name string, contracts ...string) (*rpc.Server, *echoService) {
	t.Helper()
	srv, e := &rpc.Server{Name: name, Instance: name + "-1"}, &echoService{name: name}
	for _, c := range contracts {
		srv.RegisterService(e.desc(c), e)
	}
	if err := srv.Err(); err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(srv.Stop)
	return srv, e
}

// serve runs the port on a listener of its own until the test ends, and returns the address.
func servePort(t *testing.T, port *rpc.Port) string {
	t.Helper()
	lis := loopback(t)
	done := make(chan error)
	go func() { done <- port.Serve(lis) }()
	t.Cleanup(func() {
		port.Close()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return lis.Addr().String()
}

// stockConn returns a connection of grpc-go.
func stockConn(t *testing.T, addr string, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	opts = append([]grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}, opts...)
	cc, err := grpc.NewClient("passthrough:///"+addr, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cc.Close() })
	return cc
}

func TestRouting(t *testing.T) {
	cart, _ := newServer(t, "cart", "shop.Cart", "shop.Common")
	catalog, _ := newServer(t, "catalog", "shop.Catalog", "shop.Common", "app.Own")
	shared, _ := newServer(t, "app", "app.Health", "app.Own")
	shared.Instance = ""
	addr := servePort(t, &rpc.Port{Servers: []*rpc.Server{cart, catalog}, Shared: shared})
	alone, _ := newServer(t, "alone", "shop.Alone")
	aloneAddr := servePort(t, &rpc.Port{Servers: []*rpc.Server{alone}})
	nameless, _ := newServer(t, "", "shop.Alone")
	nameless.Instance = ""
	namelessAddr := servePort(t, &rpc.Port{Servers: []*rpc.Server{nameless}})

	tests := []struct {
		addr, authority, contract, instance string
		reply                               string
		code                                codes.Code
		says                                string
		notProcessed                        bool
	}{
		{addr: addr, authority: "cart", contract: "shop.Cart", reply: "cart"},
		{addr: addr, authority: "cart", contract: "shop.Common", reply: "cart"},
		{addr: addr, authority: "catalog", contract: "shop.Common", reply: "catalog"},
		{addr: addr, authority: "cart", contract: "shop.Catalog", code: codes.Unimplemented, says: "unknown service shop.Catalog"},
		{addr: addr, authority: "cart", contract: "app.Health", reply: "app"},
		{addr: addr, authority: "cart", contract: "app.Own", reply: "app"},
		{addr: addr, authority: "catalog", contract: "app.Own", reply: "catalog"},
		{addr: addr, authority: "other", contract: "app.Own", reply: "app"},
		{addr: addr, authority: "other", contract: "app.Health", reply: "app"},
		{addr: addr, authority: "127.0.0.1:1", contract: "shop.Catalog", reply: "catalog"},
		{addr: addr, authority: "localhost", contract: "shop.Common", code: codes.Unimplemented, says: `"cart", "catalog"`},
		{addr: addr, authority: "localhost", contract: "shop.Missing", code: codes.Unimplemented, says: "unknown service shop.Missing"},
		{addr: aloneAddr, authority: "localhost", contract: "shop.Alone", reply: "alone"},
		{addr: aloneAddr, authority: "localhost", contract: "shop.Missing", code: codes.Unimplemented, says: "unknown service shop.Missing"},
		{addr: namelessAddr, authority: "whoever", contract: "shop.Alone", instance: "any", reply: ""},

		{addr: addr, authority: "cart", contract: "shop.Cart", instance: "cart-1", reply: "cart"},
		{addr: addr, authority: "cart", contract: "app.Health", instance: "cart-1", reply: "app"},
		{addr: addr, authority: "localhost", contract: "shop.Cart", instance: "cart-1", reply: "cart"},
		{addr: addr, authority: "cart", contract: "shop.Cart", instance: "cart-0", code: codes.Unavailable, says: "cart-0", notProcessed: true},
		{addr: addr, authority: "cart", contract: "shop.Cart", instance: "catalog-1", code: codes.Unavailable, says: "catalog-1", notProcessed: true},
		{addr: addr, authority: "payment", contract: "shop.Payment", instance: "payment-1", code: codes.Unavailable, says: "payment-1", notProcessed: true},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.authority, " ", test.contract, " ", test.instance), func(t *testing.T) {
			ctx := t.Context()
			if test.instance != "" {
				ctx = metadata.AppendToOutgoingContext(ctx, "hanse-instance", test.instance)
			}
			var trailer metadata.MD
			reply, err := callEcho(ctx, stockConn(t, test.addr), "/"+test.contract+"/Add", "x", grpc.CallAuthority(test.authority), grpc.Trailer(&trailer))
			if test.code != codes.OK {
				wantError(t, err, test.code, test.says)
			} else if err != nil || reply != test.reply+":x" {
				t.Fatal(reply, err)
			}
			if got := slices.Equal(trailer.Get("hanse-not-processed"), []string{"1"}); got != test.notProcessed {
				t.Errorf("trailer %v", trailer)
			}
		})
	}
}

func TestStockClientOfAPort(t *testing.T) {
	srv, _ := newServer(t, "echo", echoContract)
	addr := servePort(t, &rpc.Port{Servers: []*rpc.Server{srv}})
	cc := stockConn(t, addr, grpc.WithDefaultCallOptions(grpc.UseCompressor("gzip")))
	reply, err := callEcho(t.Context(), cc, addMethod, "x")
	if err != nil || reply != "echo:x" {
		t.Fatal(reply, err)
	}
	all, err := listEcho(t.Context(), cc, "x")
	if err != nil || len(all) != 3 {
		t.Fatal(all, err)
	}
	stream, err := chatEcho(t.Context(), cc)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		exchange(t, stream, "echo")
	}
	_, err = callEcho(t.Context(), cc, "/"+echoContract+"/Missing", "x")
	wantError(t, err, codes.Unimplemented, "unknown method Missing")
}

func TestStaleAddress(t *testing.T) {
	other, _ := newServer(t, "other", echoContract)
	stale := servePort(t, &rpc.Port{Servers: []*rpc.Server{other}})
	srv, e := newServer(t, "echo", echoContract)
	addr := servePort(t, &rpc.Port{Servers: []*rpc.Server{srv}})
	conn := bound(t, &rpc.Client{Registry: newScript(
		discovery.Instance{Service: "echo", ID: "echo-0", State: discovery.Ready, Endpoints: []string{"tcp://" + stale}},
		discovery.Instance{Service: "echo", ID: "echo-1", State: discovery.Ready, Endpoints: []string{"tcp://" + addr}},
	)})
	for range 20 {
		if reply, err := callEcho(t.Context(), conn, addMethod, "x"); err != nil || reply != "echo:x" {
			t.Fatal(reply, err)
		}
		if all, err := listEcho(t.Context(), conn, "x"); err != nil || len(all) != 3 || all[0] != "echo:x0" {
			t.Fatal(all, err)
		}
	}
	if e.calls.Load() != 40 {
		t.Errorf("%d calls", e.calls.Load())
	}
}

func TestPlainHTTPOnTheSamePort(t *testing.T) {
	srv, _ := newServer(t, "echo", echoContract)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello ", r.Proto) })
	addr := servePort(t, &rpc.Port{Servers: []*rpc.Server{srv}, HTTP: mux})
	bare := servePort(t, &rpc.Port{Servers: []*rpc.Server{srv}})

	if status, body := get(t, http.DefaultClient, "http://"+addr+"/hello"); status != 200 || body != "hello HTTP/1.1" {
		t.Error(status, body)
	}
	if status, _ := get(t, http.DefaultClient, "http://"+bare+"/hello"); status != 404 {
		t.Error(status)
	}
	// A plain request for a method of gRPC learns what it lacks.
	res, err := http.Post("http://"+bare+addMethod, "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusUnsupportedMediaType {
		t.Error(res.Status)
	}
	// A request whose method begins like HTTP/2's preface, byte by byte.
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, b := range []byte("PRI * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") {
		if _, err := conn.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 4")) {
		t.Errorf("%q %v", answer, err)
	}
	http.DefaultClient.CloseIdleConnections()
}

func get(t *testing.T, client *http.Client, url string) (int, string) {
	t.Helper()
	res, err := client.Get(url)
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

func TestTLS(t *testing.T) {
	ts := httptest.NewUnstartedServer(nil) // has a certificate
	ts.StartTLS()
	defer ts.Close()
	roots := x509.NewCertPool()
	roots.AddCert(ts.Certificate())
	cert := ts.TLS.Certificates[0]

	srv, e := newServer(t, "echo", echoContract)
	srv.Instance = ""
	secure := make(chan credentials.AuthInfo, 1)
	e.hook = func(ctx context.Context, _ string) error {
		p, _ := peer.FromContext(ctx)
		secure <- p.AuthInfo
		return nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto, " ", r.TLS != nil) })
	for name, config := range map[string]*tls.Config{
		"certificates": {Certificates: []tls.Certificate{cert}},
		"per client": {GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return &tls.Config{Certificates: []tls.Certificate{cert}}, nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			addr := servePort(t, &rpc.Port{Servers: []*rpc.Server{srv}, HTTP: mux, TLS: config})
			conn, err := rpc.Dial(addr, rpc.WithTLS(&tls.Config{RootCAs: roots}))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := callEcho(t.Context(), conn, addMethod, "x"); err != nil {
				t.Fatal(err)
			}
			if info, ok := (<-secure).(credentials.TLSInfo); !ok || info.State.NegotiatedProtocol != "h2" || info.SecurityLevel != credentials.PrivacyAndIntegrity {
				t.Errorf("%+v", info)
			}
			client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
			defer client.CloseIdleConnections()
			if _, body := get(t, client, "https://"+addr); body != "HTTP/1.1 true" {
				t.Error(body)
			}
			client2 := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}}
			defer client2.CloseIdleConnections()
			if _, body := get(t, client2, "https://"+addr); body != "HTTP/2.0 true" {
				t.Error(body)
			}

			// The name in the certificate need not be the target's host.
			named, err := rpc.Dial(addr, rpc.WithTLS(&tls.Config{RootCAs: roots, ServerName: "example.com"}))
			if err != nil {
				t.Fatal(err)
			}
			defer named.Close()
			if _, err := callEcho(t.Context(), named, addMethod, "x"); err != nil {
				t.Error(err)
			} else {
				<-secure
			}

			// Not trusted: the caller learns why.
			wary, err := rpc.Dial(addr, rpc.WithTLS(&tls.Config{RootCAs: x509.NewCertPool()}))
			if err != nil {
				t.Fatal(err)
			}
			defer wary.Close()
			_, err = callEcho(t.Context(), wary, addMethod, "x")
			wantError(t, err, codes.Unavailable, "certificate")
			// Without TLS: the port survives.
			plain, err := rpc.Dial(addr)
			if err != nil {
				t.Fatal(err)
			}
			defer plain.Close()
			_, err = callEcho(t.Context(), plain, addMethod, "x")
			wantError(t, err, codes.Unavailable, addr)
			if _, err := callEcho(t.Context(), conn, addMethod, "x"); err != nil {
				t.Fatal(err)
			}
			<-secure
		})
	}
}

func TestDrainServesWhatRuns(t *testing.T) {
	srv, e := newServer(t, "echo", echoContract)
	inside, finish := make(chan struct{}, 3), make(chan struct{})
	e.hook = func(context.Context, string) error {
		inside <- struct{}{}
		<-finish
		return nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		e.hook(r.Context(), "http")
		fmt.Fprint(w, "done")
	})
	port := &rpc.Port{Servers: []*rpc.Server{srv}, HTTP: mux}
	addr := servePort(t, port)
	idle, err := net.Dial("tcp", addr) // says nothing, and is accepted before the others
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	cc := stockConn(t, addr)
	var calls sync.WaitGroup
	calls.Go(func() {
		if reply, err := callEcho(context.Background(), cc, addMethod, "x"); err != nil || reply != "echo:x" {
			t.Error(reply, err)
		}
	})
	calls.Go(func() {
		if all, err := listEcho(context.Background(), cc, "x"); err != nil || len(all) != 3 {
			t.Error(all, err)
		}
	})
	calls.Go(func() {
		client := &http.Client{Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		if _, body := get(t, client, "http://"+addr); body != "done" {
			t.Error(body)
		}
	})
	for range 3 {
		<-inside
	}
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := port.Drain(short); err == nil {
		t.Error("drained while calls ran")
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("still listening")
	}
	idle.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := idle.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a connection that said nothing was kept: %v", err)
	}
	close(finish)
	if err := port.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	calls.Wait()
	if err := port.Serve(loopback(t)); err != nil {
		t.Error("Serve after Drain:", err)
	}
}

func TestCloseEndsCalls(t *testing.T) {
	srv, e := newServer(t, "echo", echoContract)
	inside := make(chan struct{})
	e.hook = func(ctx context.Context, _ string) error {
		close(inside)
		<-ctx.Done()
		return ctx.Err()
	}
	port := &rpc.Port{Servers: []*rpc.Server{srv}}
	addr := servePort(t, port)
	done := make(chan error)
	go func() {
		_, err := callEcho(context.Background(), stockConn(t, addr), addMethod, "x")
		done <- err
	}()
	<-inside
	port.Close()
	wantError(t, <-done, codes.Unavailable)
	until(t, "quiet", func() bool { return len(srv.Running()) == 0 })
}

// Ports go and come while many call: no call fails.
func TestDrainUnderLoadLosesNoCall(t *testing.T) {
	registry := &discovery.Memory{}
	client := &rpc.Client{Registry: registry}
	conn := bound(t, client)

	type running struct {
		lease discovery.Lease
		port  *rpc.Port
		inst  discovery.Instance
		e     *echoService
	}
	begin := func(id string) *running {
		e := &echoService{name: id}
		srv := &rpc.Server{Name: "echo", Instance: id}
		e.register(srv)
		srv.Start()
		t.Cleanup(srv.Stop)
		port := &rpc.Port{Servers: []*rpc.Server{srv}}
		inst := discovery.Instance{Service: "echo", ID: id, State: discovery.Ready, Endpoints: []string{"tcp://" + servePort(t, port)}}
		return &running{register(t, registry, inst), port, inst, e}
	}
	now := begin("i0")
	stop := make(chan struct{})
	var calls sync.WaitGroup
	var made atomic.Int64
	for i := range 16 {
		calls.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if i%4 == 0 {
					if all, err := listEcho(context.Background(), conn, "x"); err != nil || len(all) != 3 {
						t.Error(all, err)
					}
				} else if _, err := callEcho(context.Background(), conn, addMethod, "x"); err != nil {
					t.Error(err)
				}
				made.Add(1)
			}
		})
	}
	for i := 1; i <= 10; i++ {
		next := begin(fmt.Sprint("i", i))
		until(t, "called the next one", func() bool { return next.e.calls.Load() > 0 }) // so the callers know it
		// The old one drains without a word to the registry: nobody was warned.
		if err := now.port.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		now.lease.Close()
		now.port.Close()
		now = next
		n := made.Load()
		until(t, "took 200 calls more", func() bool { return made.Load() >= n+200 })
	}
	close(stop)
	calls.Wait()
	if got := conn.Stats(); got.Failed > 0 || got.Sent != got.OK {
		t.Errorf("stats %+v", got)
	} else {
		t.Logf("stats %+v", got)
	}
}

func TestBadConnectionsDoNotHurt(t *testing.T) {
	srv, _ := newServer(t, "echo", echoContract)
	var log syncBuffer
	addr := servePort(t, &rpc.Port{Servers: []*rpc.Server{srv}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for _, garbage := range []string{"", "\x00", "GET", "PRI * HTTP/2.0\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff", strings.Repeat("A", 1<<16)} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		c.Write([]byte(garbage))
		c.Close()
	}
	if _, err := callEcho(t.Context(), stockConn(t, addr), addMethod, "x"); err != nil {
		t.Fatal(err)
	}
}

// A port answers HTTP only: what can be seen to be something else is closed without a word, and odd requests of HTTP/1 are not taken for it.
func TestFirstBytes(t *testing.T) {
	srv, _ := newServer(t, "echo", echoContract)
	addr := servePort(t, &rpc.Port{Servers: []*rpc.Server{srv}})
	for first, answered := range map[string]bool{
		"INVALID CONNECTION PREFACE\r\n\r\n":                                         false,
		"EHLO mail. example.org\r\n\r\n":                                             false,
		"GET / HTTP/1.0\r\n\r\n":                                                     true,
		"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n":                 true,
		"GET a:// HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n":                  true,
		"CONNECT a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n":                 true,
		"PROPPATCH_AND_MUCH_MORE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n": true,
	} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte(first)); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(conn)
		conn.Close()
		if err != nil {
			t.Errorf("%q: %v", first, err)
		}
		if got := bytes.HasPrefix(answer, []byte("HTTP/1.")); got != answered || !answered && len(answer) > 0 {
			t.Errorf("%q was answered with %q", first, answer)
		}
	}
}

// flaky is a listener that fails before each connection.
type flaky struct {
	net.Listener
	failed atomic.Int64
}

func (l *flaky) Accept() (net.Conn, error) {
	if l.failed.Add(1)%2 == 1 {
		return nil, fmt.Errorf("too many open files")
	}
	return l.Listener.Accept()
}

func TestAcceptErrorsDoNotEndServe(t *testing.T) {
	srv, _ := newServer(t, "echo", echoContract)
	var log syncBuffer
	port := &rpc.Port{Servers: []*rpc.Server{srv}, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	lis := &flaky{Listener: loopback(t)}
	done := make(chan error)
	go func() { done <- port.Serve(lis) }()
	for range 3 {
		cc := stockConn(t, lis.Addr().String())
		if _, err := callEcho(t.Context(), cc, addMethod, "x"); err != nil {
			t.Fatal(err)
		}
	}
	port.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "too many open files") {
		t.Errorf("log %q", log.String())
	}

	// A listener that somebody else closes ends Serve with an error.
	port = &rpc.Port{Servers: []*rpc.Server{srv}}
	defer port.Close()
	closed := loopback(t)
	closed.Close()
	if err := port.Serve(closed); err == nil {
		t.Error("no error from a closed listener")
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// eventLog is a stats handler that keeps what it hears.
type eventLog struct {
	mu     sync.Mutex
	events []string
}

type eventLogKey struct{ *eventLog }

func (r *eventLog) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	return context.WithValue(ctx, eventLogKey{r}, info.FullMethodName)
}

func (r *eventLog) HandleRPC(ctx context.Context, s stats.RPCStats) {
	r.mu.Lock()
	defer r.mu.Unlock()
	method, _ := ctx.Value(eventLogKey{r}).(string)
	event := fmt.Sprintf("%T %s", s, method)
	if b, ok := s.(*stats.Begin); ok {
		event += fmt.Sprint(" ", b.IsClientStream, " ", b.IsServerStream)
	}
	r.events = append(r.events, event)
}
func (r *eventLog) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (r *eventLog) HandleConn(_ context.Context, s stats.ConnStats)                   {}

func (r *eventLog) heard() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

func TestStatsHandlersHearOfTheirServer(t *testing.T) {
	one, _ := newServer(t, "one", "shop.One")
	two, _ := newServer(t, "two", "shop.Two")
	a, b := &eventLog{}, &eventLog{}
	one.StatsHandlers, two.StatsHandlers = []stats.Handler{a}, []stats.Handler{b}
	addr := servePort(t, &rpc.Port{Servers: []*rpc.Server{one, two}})
	cc := stockConn(t, addr)
	if _, err := callEcho(t.Context(), cc, "/shop.One/Add", "x"); err != nil {
		t.Fatal(err)
	}
	want := []string{"*stats.InHeader", "*stats.Begin", "*stats.InPayload", "*stats.OutHeader", "*stats.OutPayload", "*stats.OutTrailer", "*stats.End"}
	for i := range want {
		want[i] += " /shop.One/Add"
	}
	want[1] += " false false"
	until(t, "ended", func() bool { return len(a.heard()) >= len(want) })
	if got := a.heard(); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got := b.heard(); len(got) > 0 {
		t.Errorf("the other server heard %q", got)
	}
}

func TestEachServerHasItsLimit(t *testing.T) {
	small, _ := newServer(t, "small", echoContract)
	small.MaxRecvMsgSize = 100
	large, _ := newServer(t, "large", echoContract)
	large.MaxRecvMsgSize = 8 << 20
	addr := servePort(t, &rpc.Port{Servers: []*rpc.Server{small, large}})
	cc := stockConn(t, addr, grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(16<<20)))
	tests := []struct {
		authority string
		size      int
		code      codes.Code
	}{
		{"small", 50, codes.OK},
		{"small", 101, codes.ResourceExhausted},
		{"large", 7 << 20, codes.OK},
		{"large", 9 << 20, codes.ResourceExhausted},
	}
	for _, test := range tests {
		_, err := callEcho(t.Context(), cc, addMethod, strings.Repeat("x", test.size), grpc.CallAuthority(test.authority))
		wantError(t, err, test.code)
	}
}

func TestSeveralListeners(t *testing.T) {
	srv, _ := newServer(t, "echo", echoContract)
	port := &rpc.Port{Servers: []*rpc.Server{srv}}
	one, two := servePort(t, port), servePort(t, port)
	for _, addr := range []string{one, two} {
		if _, err := callEcho(t.Context(), stockConn(t, addr), addMethod, "x"); err != nil {
			t.Fatal(err)
		}
	}
}
