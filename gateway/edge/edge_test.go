package edge_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/gateway/edge"
	"github.com/hanse-go/hanse/gateway/internal/librarypb"
	"github.com/hanse-go/hanse/rpc"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// library answers with what it is asked, and keeps the metadata of the last call.
type library struct {
	librarypb.UnimplementedLibraryServer
	name    string
	waiting chan struct{} // of capacity 1, told of calls that wait; or nil

	mu   sync.Mutex
	seen metadata.MD
	left time.Duration // that the last call had
}

func (l *library) GetBook(ctx context.Context, req *librarypb.GetBookRequest) (*librarypb.GetBookRequest, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	l.mu.Lock()
	l.seen = md
	if deadline, ok := ctx.Deadline(); ok {
		l.left = time.Until(deadline)
	}
	l.mu.Unlock()
	grpc.SetHeader(ctx, metadata.Pairs("x-served-by", l.name))
	switch req.Name {
	case "missing":
		return nil, status.Error(codes.NotFound, "there is no such book")
	case "wait":
		select {
		case l.waiting <- struct{}{}:
		default:
		}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return req, nil
}

func (l *library) Plain(_ context.Context, req *librarypb.Book) (*librarypb.Book, error) {
	return req, nil
}

func (l *library) WatchBooks(req *librarypb.GetBookRequest, stream grpc.ServerStreamingServer[librarypb.Book]) error {
	for i := range req.Pages {
		if err := stream.Send(&librarypb.Book{Title: fmt.Sprint("page ", i+1)}); err != nil {
			return err
		}
	}
	return nil
}

func (l *library) last(key string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen.Get(key)
}

// world is a system with a registry, and the gateway before it.
type world struct {
	t        *testing.T
	registry discovery.Memory
	client   *rpc.Client
	lease    discovery.Lease // of the instance that was served last
	url      string
	logs     *logs
	stop     func() error // of the gateway; once
}

type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, logs: new(logs)}
	w.client = &rpc.Client{Registry: &w.registry, Logger: slog.New(slog.DiscardHandler)}
	t.Cleanup(func() { w.client.Close() })
	return w
}

func (w *world) conn(service string, opts ...rpc.ConnOption) *rpc.Conn {
	c := rpc.NewConn(service, opts...)
	if err := c.Bind(w.client); err != nil {
		w.t.Error(err)
	}
	return c
}

// serve starts an instance of a service and announces it, until end.
func (w *world) serve(service string, impl librarypb.LibraryServer, more ...func(*rpc.Server)) (end func()) {
	w.t.Helper()
	srv := &rpc.Server{Name: service, Instance: service, Logger: slog.New(slog.DiscardHandler)}
	librarypb.RegisterLibraryServer(srv, impl)
	for _, f := range more {
		f(srv)
	}
	reflection.Register(srv)
	srv.Start()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	port := &rpc.Port{Servers: []*rpc.Server{srv}, Logger: slog.New(slog.DiscardHandler)}
	served := make(chan error, 1)
	go func() { served <- port.Serve(lis) }()
	contracts := []discovery.Contract{{Name: "library.Library"}}
	if _, ok := srv.GetServiceInfo()["grpc.testing.TestService"]; ok {
		contracts = append(contracts, discovery.Contract{Name: "grpc.testing.TestService"})
	}
	lease, err := w.registry.Register(w.t.Context(), discovery.Instance{
		Service: service, ID: service, State: discovery.Ready, Endpoints: []string{"tcp://" + lis.Addr().String()},
		Contracts: contracts,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.lease = lease
	var once sync.Once
	end = func() {
		once.Do(func() {
			lease.Close()
			srv.Stop()
			port.Close()
			<-served
		})
	}
	w.t.Cleanup(end)
	return end
}

// open starts the gateway and returns when it is ready.
func (w *world) open(g *edge.Gateway) {
	w.t.Helper()
	w.start(g)
	w.ready("ok\n")
}

// start starts the gateway.
func (w *world) start(g *edge.Gateway) {
	w.t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	g.Registry, g.Conn, g.Listener = &w.registry, w.conn, lis
	g.Logger = slog.New(slog.NewTextHandler(w.logs, nil))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	var once sync.Once
	w.stop = func() (err error) {
		once.Do(func() {
			cancel()
			err = <-ended
		})
		return err
	}
	w.t.Cleanup(func() {
		if err := w.stop(); err != nil {
			w.t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	w.url = "http://" + lis.Addr().String()
}

// ready waits until /readyz says what is wanted.
func (w *world) ready(want string) {
	w.t.Helper()
	w.until("/readyz says "+want, func() bool { return strings.HasPrefix(w.get("/readyz").body, want) })
}

// until waits for what the gateway learns by itself.
func (w *world) until(what string, holds func() bool) {
	w.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-limit:
			w.t.Fatalf("not so after 20 s: %s\n%s", what, w.logs)
		}
	}
}

type answer struct {
	code   int
	body   string
	header http.Header
}

func (w *world) get(path string, header ...string) answer {
	return w.do(http.MethodGet, path, "", header...)
}

func (w *world) do(method, path, body string, header ...string) answer {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	req.Host = req.Header.Get("Host")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{resp.StatusCode, string(data), resp.Header}
}

func (a answer) want(t *testing.T, code int, text string) {
	t.Helper()
	if a.code != code || !strings.Contains(a.body, text) {
		t.Errorf("%d %s, want %d with %q", a.code, a.body, code, text)
	}
}

const getBook = "/library.Library/GetBook"

func TestCalls(t *testing.T) {
	w := newWorld(t)
	impl := &library{name: "one"}
	w.serve("books", impl)
	w.open(&edge.Gateway{})

	a := w.do(http.MethodPost, getBook, `{"name":"faust","filter":{"title":"I"}}`, "X-Request-Id", "r1", "Hanse-Claim-Sub", "me", "Hanse-Client", "me")
	a.want(t, 200, `"faust"`)
	if a.header.Get("X-Served-By") != "one" {
		t.Errorf("headers of the service: %v", a.header)
	}
	if len(impl.last("hanse-claim-sub")) > 0 || len(impl.last("hanse-client")) > 0 {
		t.Error("a client has said who it is")
	}
	w.get("/v1/shelves/1/books/2?pages=3").want(t, 200, `"shelves/1/books/2"`)
	w.do(http.MethodPost, getBook, `{"name":"missing"}`).want(t, 404, "there is no such book")
	w.do(http.MethodPost, getBook, `{"name":7}`).want(t, 400, "name")
	w.get("/v1/books:watch?pages=2", "Accept", "application/x-ndjson").want(t, 200, `"page 2"`)
	w.do(http.MethodPost, "/library.Library/DeleteBook", `{}`).want(t, 501, "DeleteBook")
	w.do(http.MethodPost, "/library.Library/None", `{}`).want(t, 404, "")
	w.get("/healthz").want(t, 200, "ok")
	w.get("/docs").want(t, 404, "")

	// What messages hold of any type, the gateway knows from the services.
	book, err := anypb.New(&librarypb.Book{Title: "inner"})
	if err != nil {
		t.Fatal(err)
	}
	w.do(http.MethodPost, "/library.Library/Plain", `{"more":{"@type":"`+book.TypeUrl+`","title":"inner"}}`).want(t, 200, `"inner"`)

	conn, err := rpc.Dial(strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	books := librarypb.NewLibraryClient(conn)
	var header metadata.MD
	ctx := metadata.AppendToOutgoingContext(t.Context(), "hanse-claim-sub", "me", "hanse_claim_sub", "me", "hanse-client", "me", "hanse-priority", "critical", "x-own", "kept")
	reply, err := books.GetBook(ctx, &librarypb.GetBookRequest{Name: "faust"}, grpc.Header(&header))
	if err != nil || reply.Name != "faust" || len(header.Get("x-served-by")) != 1 {
		t.Errorf("by gRPC: %v, %v, header %v", reply, err, header)
	}
	if len(impl.last("hanse-claim-sub")) > 0 || len(impl.last("hanse_claim_sub")) > 0 || len(impl.last("hanse-client")) > 0 || len(impl.last("hanse-priority")) > 0 || len(impl.last("x-own")) != 1 {
		t.Errorf("the service was told %v", impl.seen)
	}
	stream, err := books.WatchBooks(t.Context(), &librarypb.GetBookRequest{Pages: 3})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for ; ; n++ {
		if _, err := stream.Recv(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if n != 3 {
		t.Errorf("%d messages of 3", n)
	}
}

// Services come and go, and their routes with them.
func TestServicesComeAndGo(t *testing.T) {
	w := newWorld(t)
	w.start(&edge.Gateway{Settings: edge.Settings{Expose: []string{"books"}}})
	w.ready("books: no instance is ready")
	w.serve("archive", &library{name: "hidden"})
	w.do(http.MethodPost, getBook, `{}`).want(t, 404, "")
	end := w.serve("books", &library{name: "shown"})
	w.ready("ok\n")
	if a := w.do(http.MethodPost, getBook, `{}`); a.header.Get("X-Served-By") != "shown" {
		t.Errorf("%d %s %v", a.code, a.body, a.header)
	}
	end()
	w.do(http.MethodPost, getBook, `{}`, "Connect-Timeout-Ms", "50").want(t, 504, "") // it waits for an instance
	w.serve("books", &library{name: "again"})
	w.until("the new instance is called", func() bool {
		return w.do(http.MethodPost, getBook, `{}`).header.Get("X-Served-By") == "again"
	})
}

func sum(key string) string {
	s := sha256.Sum256([]byte(key))
	return hex.EncodeToString(s[:])
}

func TestRules(t *testing.T) {
	w := newWorld(t)
	impl := &library{name: "one"}
	w.serve("books", impl)
	w.open(&edge.Gateway{
		Settings: edge.Settings{
			AccessLog: true, Docs: true, Body: 100,
			Keys: map[string]string{"partner": sum("k1"), "other": sum("k2")},
			Rules: []edge.Rule{
				{Match: []string{"/library.Library/Plain"}, Auth: "key", Keys: []string{"partner"}, Body: 10},
				{Match: []string{"/library.Library/WatchBooks"}, Auth: "any"},
				{Match: []string{"/library.Library/*"}, Auth: "key", Timeout: 50 * time.Millisecond, Rate: edge.Rate{PerSecond: 0.001, Burst: 2, By: "key"}},
			},
		},
		Users: func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			if len(metadata.ValueFromIncomingContext(stream.Context(), "authorization")) == 0 {
				return status.Error(codes.Unauthenticated, "send a token")
			}
			return next(srv, stream)
		},
		Claims: func(context.Context) map[string]string { return map[string]string{"sub": "ada"} },
	})
	post := func(path, body string, header ...string) answer {
		return w.do(http.MethodPost, path, body, header...)
	}
	post(getBook, `{}`).want(t, 401, "send a key")
	post(getBook, `{}`, "X-Api-Key", "k0").want(t, 401, "not known")
	post(getBook, `{}`, "X-Api-Key", "k1", "X-Api-Key", "k2").want(t, 401, "not known")
	post(getBook, `{"name":"x"}`, "X-Api-Key", "k1").want(t, 200, "x")
	if got := impl.last("hanse-client"); len(got) != 1 || got[0] != "partner" || len(impl.last("x-api-key")) > 0 {
		t.Errorf("the service was told %v", impl.seen)
	}
	post(getBook, `{"name":"wait"}`, "X-Api-Key", "k1").want(t, 504, "")
	impl.mu.Lock()
	left := impl.left
	impl.mu.Unlock()
	if left > 50*time.Millisecond {
		t.Errorf("the service had %v, and the rule says 50ms", left)
	}
	post(getBook, `{"name":"`+strings.Repeat("x", 200)+`"}`, "X-Api-Key", "k1").want(t, 429, "")
	post(getBook, `{}`, "X-Api-Key", "k1").want(t, 429, "too many calls") // an own bucket for each key
	post(getBook, `{}`, "X-Api-Key", "k2").want(t, 200, "")
	post("/library.Library/Plain", `{}`, "X-Api-Key", "k2").want(t, 403, "other")
	post("/library.Library/Plain", `{"title":"long enough"}`, "X-Api-Key", "k1").want(t, 429, "more than 10")
	w.get("/v1/books:watch?pages=1").want(t, 401, "send a token")
	w.get("/v1/books:watch?pages=1", "Authorization", "Bearer x").want(t, 200, "page 1")
	w.get("/docs").want(t, 200, "")
	w.get("/openapi.json").want(t, 200, getBook)
	for _, line := range []string{"code=Unauthenticated", "client=partner", "user=ada", "code=OK", "from=127.0.0.1"} {
		w.until("the access log has "+line, func() bool { return strings.Contains(w.logs.String(), line) })
	}
	if strings.Contains(w.logs.String(), "k1") {
		t.Error("the log has a key")
	}
}

// A changed file counts at once; one with a mistake is refused, and the old one counts on.
func TestFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := newWorld(t)
	w.serve("books", &library{name: "one"})
	write("gateway:\n  rules:\n    - match: [\"*\"]\n      auth: key\n  keys:\n    me: " + sum("k") + "\n")
	w.open(&edge.Gateway{File: file})
	w.do(http.MethodPost, getBook, `{}`).want(t, 401, "")
	w.do(http.MethodPost, getBook, `{}`, "X-Api-Key", "k").want(t, 200, "")
	write("gateway:\n  rules:\n    - match: [\"*\"]\n      auht: open\n")
	w.until("the mistake is logged with its line", func() bool {
		return strings.Contains(w.logs.String(), "4:7") && strings.Contains(w.logs.String(), "auth")
	})
	w.do(http.MethodPost, getBook, `{}`, "X-Api-Key", "k").want(t, 200, "")
	w.do(http.MethodPost, getBook, `{}`).want(t, 401, "")
	write("gateway:\n  rules:\n    - match: [\"*\"]\n      auth: user\n")
	w.until("what this gateway cannot do is refused with its line", func() bool {
		return strings.Contains(w.logs.String(), ":4:13: gateway.rules[0].auth: user, and nothing here knows users")
	})
	w.do(http.MethodPost, getBook, `{}`).want(t, 401, "")
	write("gateway:\n  rules:\n    - match: [\"*\"]\n      auth: open\n      rate: {by: host}\n")
	w.until("a wrong value is refused with its line", func() bool {
		return strings.Contains(w.logs.String(), ":5:18: gateway.rules[0].rate.by: ") && strings.Contains(w.logs.String(), `^^^^`)
	})
	w.do(http.MethodPost, getBook, `{}`).want(t, 401, "")
	if strings.Contains(w.logs.String(), "applied") {
		t.Error("a refused file is said to be applied")
	}
	write("gateway:\n  docs: true\n")
	w.until("the change counts", func() bool { return w.get("/docs").code == 200 })
	w.do(http.MethodPost, getBook, `{}`).want(t, 200, "")
	write("gateway:\n  expose: [films]\n")
	w.until("the service is hidden", func() bool { return w.do(http.MethodPost, getBook, `{}`).code == 404 })
}

// What an instance of a new version has besides, can be called.
func TestNewVersion(t *testing.T) {
	w := newWorld(t)
	end := w.serve("books", &library{name: "one"})
	w.open(&edge.Gateway{})
	const more = "/grpc.testing.TestService/EmptyCall"
	w.do(http.MethodPost, more, `{}`).want(t, 404, "")
	end()
	w.serve("books", &library{name: "two"}, func(srv *rpc.Server) {
		testpb.RegisterTestServiceServer(srv, empty{})
	})
	w.until("the new contract is called", func() bool { return w.do(http.MethodPost, more, `{}`).code == 200 })
	w.do(http.MethodPost, getBook, `{}`).want(t, 200, "")
}

type empty struct {
	testpb.UnimplementedTestServiceServer
}

func (empty) EmptyCall(context.Context, *testpb.Empty) (*testpb.Empty, error) {
	return &testpb.Empty{}, nil
}

// elsewhere is a listener that others than this machine reach.
type elsewhere struct{ net.Listener }

func (elsewhere) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80} }

// Who may call without a rule is known from where the gateway really listens.
func TestWhereItListens(t *testing.T) {
	w := newWorld(t)
	g := &edge.Gateway{Registry: &w.registry, Conn: w.conn, Listener: elsewhere{}, Logger: slog.New(slog.DiscardHandler)}
	if err := g.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "192.0.2.1:80") {
		t.Errorf("all services are shown at a listener of others: %v", err)
	}

	w.serve("books", &library{name: "one"})
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	write := func(listen string, docs bool) {
		t.Helper()
		if err := os.WriteFile(file, fmt.Appendf(nil, "gateway: {listen: %q, expose: [books], docs: %t}\n", listen, docs), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(":8443", false)
	w.open(&edge.Gateway{File: file})
	w.do(http.MethodPost, getBook, `{}`).want(t, 403, "from outside")
	write("127.0.0.1:8443", true)
	w.until("the change counts", func() bool { return w.get("/docs").code == 200 })
	w.do(http.MethodPost, getBook, `{}`).want(t, 403, "from outside")
	if code := w.getAs("api.example", "/docs").code; code != 200 {
		t.Errorf("/docs are for everyone here: %d", code)
	}
}

// getAs asks for a path by another name of the gateway.
func (w *world) getAs(host, path string) answer {
	w.t.Helper()
	return w.get(path, "Host", host)
}

// A page that has given its name the address of this machine is none of its programs.
func TestRebinding(t *testing.T) {
	w := newWorld(t)
	w.serve("books", &library{name: "one"})
	w.open(&edge.Gateway{Settings: edge.Settings{Docs: true}})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+getBook, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if code := w.getAs("page.example:8080", "/docs").code; code != 403 {
		t.Errorf("/docs: %d", code)
	}
	for host, want := range map[string]int{"page.example:8080": 403, "localhost:8080": 200, "": 200} {
		req.Host = host
		req.Body, _ = req.GetBody()
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%q: %s", host, resp.Status)
		}
	}
}

func TestMistakes(t *testing.T) {
	for _, tt := range []struct {
		settings edge.Settings
		want     string
	}{
		{edge.Settings{Listen: ":8443"}, "expose: name the services"},
		{edge.Settings{Listen: "8443"}, "not host:port"},
		{edge.Settings{Expose: []string{"Books"}}, "Books"},
		{edge.Settings{TLS: edge.TLS{Key: "x"}}, "no cert"},
		{edge.Settings{TLS: edge.TLS{Cert: "/nowhere/tls.crt"}}, "/nowhere/tls.crt"},
		{edge.Settings{Keys: map[string]string{"a": "abc"}}, "SHA-256"},
		{edge.Settings{Body: -1}, "body"},
		{edge.Settings{CORS: edge.CORS{Origins: []string{"shop"}}}, "shop"},
		{edge.Settings{Rules: []edge.Rule{{Match: []string{"*", "library.Library/*"}}}}, "rules[0].match[1]: \"library.Library/*\""},
		{edge.Settings{Rules: []edge.Rule{{Match: []string{"/library.*/Get"}}}}, "match"},
		{edge.Settings{Rules: []edge.Rule{{Match: []string{"*"}, Auth: "all"}}}, "auth"},
		{edge.Settings{Rules: []edge.Rule{{Match: []string{"*"}, Auth: "key"}}}, "there are no keys"},
		{edge.Settings{Rules: []edge.Rule{{Match: []string{"*"}, Auth: "user"}}}, "rules[0].auth: user, and nothing here knows users"},
		{edge.Settings{Users: edge.Tokens{Issuer: "https://login.example", Audience: []string{"shop"}}}, "Gateway.NewVerifier"},
		{edge.Settings{Users: edge.Tokens{Issuer: "http://login.example", Audience: []string{"shop"}}}, "users.issuer: \"http://login.example\" is no https URL"},
		{edge.Settings{Users: edge.Tokens{Issuer: "https://login.example"}}, "users.audience: say for whom"},
		{edge.Settings{Users: edge.Tokens{Issuer: "https://login.example", Audience: []string{""}}}, "users.audience: say for whom"},
		{edge.Settings{Users: edge.Tokens{Issuer: "https://login.example", Audience: []string{"shop"}, Algorithms: []string{"RS256", "none"}}}, "users.algorithms[1]: \"none\""},
		{edge.Settings{Users: edge.Tokens{Issuer: "https://login.example", Audience: []string{"shop"}, Algorithms: []string{"HS256"}}}, "HS256"},
		{edge.Settings{Users: edge.Tokens{Issuer: "https://login.example", Audience: []string{"shop"}, Leeway: -1}}, "users.leeway"},
		{edge.Settings{Users: edge.Tokens{Audience: []string{"shop"}}}, "users: there is no issuer"},
		{edge.Settings{Users: edge.Tokens{Issuer: "https://login.example", Audience: []string{"shop"}, Claims: []string{"email"}},
			Rules: []edge.Rule{{Match: []string{"*"}, Rate: edge.Rate{By: "claim:tenant"}}}}, "rules[0].rate.by: services are not told \"tenant\""},
		{edge.Settings{Rules: []edge.Rule{{Match: []string{"*"}, Rate: edge.Rate{By: "claim:"}}}}, "rate.by"},
		{edge.Settings{Rules: []edge.Rule{{Match: []string{"*"}, Keys: []string{"x"}}}}, `"x"`},
		{edge.Settings{Rules: []edge.Rule{{Match: []string{"*"}, Rate: edge.Rate{By: "host"}}}}, "rate.by"},
		{edge.Settings{Rules: []edge.Rule{{Match: []string{"*"}, Rate: edge.Rate{PerSecond: -1}}}}, "rate"},
		{edge.Settings{Rules: []edge.Rule{{Match: []string{"*"}, Timeout: -1}}}, "timeout"},
	} {
		w := newWorld(t)
		g := &edge.Gateway{Registry: &w.registry, Conn: w.conn, Settings: tt.settings, Logger: slog.New(slog.DiscardHandler)}
		if err := g.Run(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %q", tt.settings, err, tt.want)
		}
	}
	if err := new(edge.Gateway).Run(t.Context()); err == nil {
		t.Error("no Registry, and no error")
	}
}

// Where others than this machine connect, nothing is open that is not said to be.
func TestClosedByDefault(t *testing.T) {
	w := newWorld(t)
	w.serve("books", &library{name: "one"})
	w.open(&edge.Gateway{Settings: edge.Settings{
		Listen: "0.0.0.0:0", Expose: []string{"books"},
		Rules: []edge.Rule{{Match: []string{"/library.Library/Plain"}}, {Match: []string{"/library.Library/WatchBooks"}, Auth: "open"}},
	}})
	w.do(http.MethodPost, getBook, `{}`).want(t, 403, "cannot be called from outside")
	w.do(http.MethodPost, "/library.Library/Plain", `{}`).want(t, 403, "")
	w.get("/v1/books:watch?pages=1").want(t, 200, "page 1")
}

// A call that runs when the gateway is told to end is answered, and those after it go elsewhere.
func TestDrain(t *testing.T) {
	w := newWorld(t)
	impl := &slow{began: make(chan struct{}), go_: make(chan struct{})}
	w.serve("books", impl)
	w.open(&edge.Gateway{})
	answered := make(chan answer, 1)
	go func() { answered <- w.do(http.MethodPost, getBook, `{"name":"x"}`) }()
	<-impl.began
	ended := make(chan error, 1)
	go func() { ended <- w.stop() }()
	w.until("new connections are refused", func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	select {
	case err := <-ended:
		t.Fatalf("Run returned while a call ran: %v", err)
	default:
	}
	close(impl.go_)
	(<-answered).want(t, 200, "x")
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

type slow struct {
	librarypb.UnimplementedLibraryServer
	began, go_ chan struct{}
}

func (s *slow) GetBook(_ context.Context, req *librarypb.GetBookRequest) (*librarypb.GetBookRequest, error) {
	close(s.began)
	<-s.go_
	return req, nil
}
