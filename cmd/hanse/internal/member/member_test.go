//go:build unix

package member_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/process"
	"github.com/hanse-go/hanse/cmd/hanse/internal/member"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/identity"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// The test binary is also the guard and the commands.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 2 && os.Args[1] == "guard":
		code, err := process.Guard(os.Args[2:])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 99
		}
		os.Exit(code)
	case len(os.Args) > 2 && os.Args[1] == "command":
		command(os.Args[2:])
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

// command is a program of another world: stock gRPC, or HTTP, on a port.
func command(args []string) {
	switch args[0] {
	case "exit":
		fmt.Println("I leave")
		os.Exit(7)
	case "pages":
		var checked atomic.Value // of which trace the last question was how it does
		http.ListenAndServe("127.0.0.1:"+args[1], http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/healthz":
				checked.Store(r.Header.Get("Traceparent"))
			case "/trace":
				fmt.Fprint(w, r.Header.Get("Traceparent"), " ", checked.Load())
				return
			}
			var own []string
			for name, values := range r.Header {
				if strings.HasPrefix(strings.ToLower(name), "hanse") {
					own = append(own, name+"="+strings.Join(values, ","))
				}
			}
			slices.Sort(own)
			fmt.Fprintf(w, "%s for %q of %s", r.URL.Path, own, r.Host)
		}))
		os.Exit(1)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	srv := grpc.NewServer()
	stock := &stockService{begun: make(chan struct{}), finish: make(chan struct{})}
	testpb.RegisterTestServiceServer(srv, stock)
	h := health.NewServer()
	healthpb.RegisterHealthServer(srv, h)
	if args[0] != "silent" {
		reflection.Register(srv)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGHUP)
	go func() {
		for s := range signals {
			switch {
			case s == syscall.SIGUSR1:
				h.SetServingStatus("", healthpb.HealthCheckResponse_NOT_SERVING)
			case s == syscall.SIGUSR2:
				h.SetServingStatus("", healthpb.HealthCheckResponse_SERVING)
			case s == syscall.SIGHUP:
				close(stock.finish)
			case args[0] != "deaf":
				stock.told.Store(true)
				srv.GracefulStop()
				os.Exit(143) // as programs do that a signal ends
			}
		}
	}()
	srv.Serve(lis)
	select {}
}

type stockService struct {
	testpb.UnimplementedTestServiceServer
	begun, finish chan struct{} // the call "slow" has, and may
	told          atomic.Bool   // to end
}

// UnaryCall tells who calls, how the process can be reached, and what the service behind HANSE_BACKEND_ADDR says.
func (s *stockService) UnaryCall(ctx context.Context, in *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	switch string(in.GetPayload().GetBody()) {
	case "slow":
		close(s.begun)
		<-s.finish
		if s.told.Load() {
			return nil, status.Error(codes.Aborted, "the command was told to end before its call had")
		}
		return &testpb.SimpleResponse{Username: "done"}, nil
	case "begun":
		<-s.begun
	case "exit":
		os.Exit(5)
	case "files":
		files := &identity.Files{Cert: os.Getenv("HANSE_CERT_FILE"), Key: os.Getenv("HANSE_KEY_FILE"), CA: os.Getenv("HANSE_CA_FILE")}
		cert, err := files.Certificate("reviews")
		if err != nil {
			return nil, err
		}
		id, err := identity.CertificateID(cert.Leaf)
		return &testpb.SimpleResponse{Username: id.String()}, err
	case "page":
		resp, err := http.Get("http://" + os.Getenv("HANSE_BACKEND_ADDR") + "/greeting")
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return &testpb.SimpleResponse{Username: string(b)}, err
	case "strangers":
		var answers []string
		for _, header := range []string{"Host: evil.example", "Sec-Fetch-Site: cross-site", "Origin: http://evil.example", "Host: backend", "Host: localhost"} {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+os.Getenv("HANSE_BACKEND_ADDR")+"/take", strings.NewReader("x=1"))
			if err != nil {
				return nil, err
			}
			name, value, _ := strings.Cut(header, ": ")
			if req.Header.Set(name, value); name == "Host" {
				req.Host = value
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				return nil, err
			}
			resp.Body.Close()
			answers = append(answers, fmt.Sprint(resp.StatusCode))
		}
		return &testpb.SimpleResponse{Username: strings.Join(answers, " ")}, nil
	case "backend":
		conn, err := grpc.NewClient(os.Getenv("HANSE_BACKEND_ADDR"), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		return testpb.NewTestServiceClient(conn).UnaryCall(ctx, &testpb.SimpleRequest{})
	}
	md, _ := metadata.FromIncomingContext(ctx)
	return &testpb.SimpleResponse{Username: fmt.Sprint(os.Getpid()), OauthScope: strings.Join(md.Get(member.CallerKey), ",")}, nil
}

func (*stockService) FullDuplexCall(s testpb.TestService_FullDuplexCallServer) error {
	for {
		in, err := s.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.Send(&testpb.StreamingOutputCallResponse{Payload: in.Payload}); err != nil {
			return err
		}
	}
}

// system is what members of a test share.
type system struct {
	registry discovery.Memory
	identity *identity.Authority
}

func (s *system) app() *hanse.App {
	a := &hanse.App{Registry: &s.registry}
	if s.identity != nil {
		a.Identity = s.identity
	}
	return a
}

// running is a member that runs.
type running struct {
	stop context.CancelFunc
	done chan struct{}
	exit int
	err  error
}

// run runs a command as the service reviews.
func (s *system) run(t *testing.T, o member.Options, command ...string) *running {
	t.Helper()
	o.App, o.Services = s.app(), []string{"reviews"}
	if o.App.DrainTimeout = 10 * time.Second; command[0] == "deaf" {
		o.App.DrainTimeout = 300 * time.Millisecond
	}
	o.Command = append([]string{os.Args[0], "command"}, command...)
	o.Guard = []string{os.Args[0], "guard"}
	o.Env, o.Stdout, o.Stderr = os.Environ(), t.Output(), t.Output()
	r := &running{done: make(chan struct{})}
	var ctx context.Context
	ctx, r.stop = context.WithCancel(context.Background())
	go func() {
		r.exit, r.err = member.Run(ctx, o)
		close(r.done)
	}()
	t.Cleanup(func() { r.stop(); <-r.done })
	return r
}

// client calls reviews as the service "caller".
func (s *system) client(t *testing.T) testpb.TestServiceClient {
	t.Helper()
	caller := &hanse.Service{Name: "caller"}
	client := testpb.NewTestServiceClient(caller.Conn("reviews"))
	s.serve(t, caller)
	return client
}

func (s *system) serve(t *testing.T, svc *hanse.Service) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.app().Run(ctx, svc) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// await waits until the instances of reviews are as the test wants.
func (s *system) await(t *testing.T, want func([]discovery.Instance) bool) (found []discovery.Instance) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	s.registry.Watch(ctx, "reviews", func(list []discovery.Instance) {
		if want(list) && found == nil {
			found = append(list, discovery.Instance{})
			cancel()
		}
	})
	if found == nil {
		t.Fatal("the instances of reviews are not as they should be")
	}
	return found[:len(found)-1]
}

func inState(state discovery.State) func([]discovery.Instance) bool {
	return func(list []discovery.Instance) bool { return len(list) == 1 && list[0].State == state }
}

func say(text string) *testpb.SimpleRequest {
	return &testpb.SimpleRequest{Payload: &testpb.Payload{Body: []byte(text)}}
}

func withIdentity(t *testing.T) *system {
	a, err := identity.NewAuthority("shop")
	if err != nil {
		t.Fatal(err)
	}
	return &system{identity: a}
}

// A command that tells its contracts, one that tells nothing, and one whose contracts are known are called and call; who calls is known in both directions.
func TestCalls(t *testing.T) {
	for _, kind := range []string{"telling", "silent", "described"} {
		t.Run(kind, func(t *testing.T) {
			o, command := member.Options{Health: member.Health{GRPC: true}, Uses: []string{"backend"}, Version: "v7"}, kind
			if kind == "described" {
				o.Contracts, command = []protoreflect.ServiceDescriptor{testpb.File_grpc_testing_test_proto.Services().ByName("TestService")}, "silent"
			}
			s := withIdentity(t)
			backend := &hanse.Service{Name: "backend"}
			testpb.RegisterTestServiceServer(backend, backendService{})
			backend.Handle("GET /greeting", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				id, _ := identity.Caller(r.Context())
				fmt.Fprintf(w, "hello %s", id)
			}))
			backend.Handle("POST /take", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
			s.serve(t, backend)
			s.run(t, o, command)
			client := s.client(t)
			ctx := metadata.AppendToOutgoingContext(t.Context(), member.CallerKey, "spiffe://shop/admin")
			got, err := client.UnaryCall(ctx, &testpb.SimpleRequest{}, grpc.WaitForReady(true))
			if err != nil || got.OauthScope != "spiffe://shop/caller" {
				t.Errorf("the command was called by %q: %v", got.GetOauthScope(), err)
			}
			if got, err = client.UnaryCall(t.Context(), say("files")); err != nil || got.Username != "spiffe://shop/reviews" {
				t.Errorf("certificate files: %q, %v", got.GetUsername(), err)
			}
			if got, err = client.UnaryCall(t.Context(), say("backend")); err != nil || got.Username != "called by spiffe://shop/reviews" {
				t.Errorf("the backend was %q: %v", got.GetUsername(), err)
			}
			if got, err = client.UnaryCall(t.Context(), say("page")); err != nil || got.Username != "hello spiffe://shop/reviews" {
				t.Errorf("the page of the backend is %q: %v", got.GetUsername(), err)
			}
			if got, err = client.UnaryCall(t.Context(), say("strangers")); err != nil || got.Username != "403 403 403 200 200" {
				t.Errorf("requests of pages of others by the command's address: %q, %v", got.GetUsername(), err)
			}
			stream, err := client.FullDuplexCall(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range []string{"a", "b"} {
				if err := stream.Send(&testpb.StreamingOutputCallRequest{Payload: say(text).Payload}); err != nil {
					t.Fatal(err)
				}
				if out, err := stream.Recv(); err != nil || string(out.Payload.Body) != text {
					t.Fatalf("stream: %v, %v", out, err)
				}
			}
			stream.CloseSend()
			if _, err := stream.Recv(); err != io.EOF {
				t.Errorf("end of the stream: %v", err)
			}
			if _, err := client.EmptyCall(t.Context(), &testpb.Empty{}); status.Code(err) != codes.Unimplemented {
				t.Errorf("what the command does not serve: %v", err)
			}
			inst := s.await(t, inState(discovery.Ready))[0]
			told := slices.ContainsFunc(inst.Contracts, func(c discovery.Contract) bool { return c.Name == "grpc.testing.TestService" && c.Hash != "" })
			if told != (kind != "silent") || !told && len(inst.Contracts) > 0 || inst.Version != "v7" || !strings.HasPrefix(inst.Metadata[member.CommandLabel], "127.0.0.1:") {
				t.Errorf("announced: %+v", inst)
			}
		})
	}
}

type backendService struct {
	testpb.UnimplementedTestServiceServer
}

func (backendService) UnaryCall(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	id, _ := identity.Caller(ctx)
	return &testpb.SimpleResponse{Username: "called by " + id.String()}, nil
}

// Pages of a command are served where the services are.
func TestPages(t *testing.T) {
	s := new(system)
	s.run(t, member.Options{Health: member.Health{Path: "/healthz"}, HTTP: true}, "pages", "{port}")
	inst := s.await(t, inState(discovery.Ready))[0]
	req, err := http.NewRequestWithContext(t.Context(), "GET", inst.Metadata["http"]+"/list", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(member.CallerKey, "spiffe://shop/admin")
	req.Header["hanse_caller"] = []string{"spiffe://shop/admin"}
	req.Header.Set("Hanse-Priority", "critical")
	req.Header["HANSE_priority"] = []string{"critical"}
	req.Header.Set("Hanse-Instance", inst.ID)
	req.Host = "reviews.example"
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); string(b) != `/list for [] of reviews.example` {
		t.Errorf("%s, %v", b, err)
	}
	http.DefaultClient.CloseIdleConnections()
}

// The spans of a command stand below those of the instance; of questions how it does there are none.
func TestTraceOfPages(t *testing.T) {
	s := new(system)
	s.run(t, member.Options{Health: member.Health{Path: "/healthz"}, HTTP: true}, "pages", "{port}")
	inst := s.await(t, inState(discovery.Ready))[0]
	req, err := http.NewRequestWithContext(t.Context(), "GET", inst.Metadata["http"]+"/trace", nil)
	if err != nil {
		t.Fatal(err)
	}
	const trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	req.Header.Set("Traceparent", "00-"+trace+"-"+span+"-01")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	parts := regexp.MustCompile(`^00-([0-9a-f]{32})-([0-9a-f]{16})-01 00-[0-9a-f]{32}-[0-9a-f]{16}-00$`).FindStringSubmatch(string(b))
	if parts == nil || parts[1] != trace || parts[2] == span {
		t.Errorf("%s, %v", b, err)
	}
	http.DefaultClient.CloseIdleConnections()
}

// What a caller with an identity says of its call reaches the pages of a command, and who it is by its certificate.
func TestPagesOfCallers(t *testing.T) {
	s := withIdentity(t)
	s.run(t, member.Options{Health: member.Health{Path: "/healthz"}, HTTP: true}, "pages", "{port}")
	s.await(t, inState(discovery.Ready))
	caller := &hanse.Service{Name: "caller"}
	client := &http.Client{Transport: caller.HTTPTransport()}
	s.serve(t, caller)
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://reviews/list", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(member.CallerKey, "spiffe://shop/admin")
	req.Header["HANSE_caller"] = []string{"spiffe://shop/admin"}
	req.Header.Set("Hanse-Priority", "critical")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if want := `"Hanse-Caller=spiffe://shop/caller" "Hanse-Priority=critical"]`; !strings.Contains(string(b), want) {
		t.Errorf("%s, %v", b, err)
	}
}

// A command that ends, ends what runs it, with its status; one that never began, too.
func TestExit(t *testing.T) {
	s := new(system)
	r := s.run(t, member.Options{}, "serve")
	client := s.client(t)
	if _, err := client.UnaryCall(t.Context(), say("exit"), grpc.WaitForReady(true)); status.Code(err) != codes.Unavailable {
		t.Errorf("the call that ended the command: %v", err)
	}
	<-r.done
	if r.exit != 5 || r.err != nil {
		t.Errorf("exit %d, %v", r.exit, r.err)
	}
	s.await(t, func(list []discovery.Instance) bool { return len(list) == 0 })
	r = s.run(t, member.Options{}, "exit")
	<-r.done
	if r.exit != 7 || r.err == nil || !strings.Contains(r.err.Error(), "exit status 7") {
		t.Errorf("exit %d, %v", r.exit, r.err)
	}
	if exit, err := member.Run(t.Context(), member.Options{App: s.app(), Services: []string{"reviews"}, Command: []string{filepath.Join(t.TempDir(), "none")}}); exit != 1 || err == nil {
		t.Errorf("a command that is not there: %d, %v", exit, err)
	}
}

// commandPID returns the process that answered a call that asks for nothing.
func commandPID(t *testing.T, got *testpb.SimpleResponse) int {
	t.Helper()
	pid, err := strconv.Atoi(got.Username)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// A command that is not healthy gets no calls until it is again.
func TestUnhealthy(t *testing.T) {
	s := new(system)
	s.run(t, member.Options{Health: member.Health{GRPC: true}}, "serve")
	got, err := s.client(t).UnaryCall(t.Context(), &testpb.SimpleRequest{}, grpc.WaitForReady(true))
	if err != nil {
		t.Fatal(err)
	}
	pid := commandPID(t, got)
	for _, step := range []struct {
		signal syscall.Signal
		state  discovery.State
	}{{syscall.SIGUSR1, discovery.Starting}, {syscall.SIGUSR2, discovery.Ready}} {
		if err := syscall.Kill(pid, step.signal); err != nil {
			t.Fatal(err)
		}
		s.await(t, inState(step.state))
	}
}

// Told to end, a command finishes its calls first; one that does not listen is killed.
func TestStop(t *testing.T) {
	s := new(system)
	r := s.run(t, member.Options{Health: member.Health{GRPC: true}}, "serve")
	client := s.client(t)
	got, err := client.UnaryCall(t.Context(), &testpb.SimpleRequest{}, grpc.WaitForReady(true))
	if err != nil {
		t.Fatal(err)
	}
	pid := commandPID(t, got)
	slow := make(chan error, 1)
	go func() {
		got, err := client.UnaryCall(t.Context(), say("slow"))
		if err == nil && got.Username != "done" {
			err = fmt.Errorf("it says %q", got.Username)
		}
		slow <- err
	}()
	if _, err := client.UnaryCall(t.Context(), say("begun")); err != nil {
		t.Fatal(err)
	}
	r.stop()
	s.await(t, inState(discovery.Draining))
	if err := syscall.Kill(pid, syscall.SIGHUP); err != nil { // let the call end
		t.Fatal(err)
	}
	if err := <-slow; err != nil {
		t.Errorf("a call that ran: %v", err)
	}
	<-r.done
	if r.exit != 0 || r.err != nil {
		t.Errorf("exit %d, %v", r.exit, r.err)
	}
	r = s.run(t, member.Options{Health: member.Health{GRPC: true}}, "deaf")
	s.await(t, inState(discovery.Ready))
	r.stop()
	<-r.done
	if r.exit != 1 || r.err == nil || !strings.Contains(r.err.Error(), "was killed") {
		t.Errorf("a command that does not listen: exit %d, %v", r.exit, r.err)
	}
}

func TestParseHealth(t *testing.T) {
	for text, want := range map[string]member.Health{"tcp": {}, "grpc": {GRPC: true}, "http:/healthz": {Path: "/healthz"}} {
		if h, err := member.ParseHealth(text); err != nil || h != want || h.String() != text {
			t.Errorf("%s: %+v, %v", text, h, err)
		}
	}
	for _, text := range []string{"", "http", "http:", "http:healthz", "udp"} {
		if h, err := member.ParseHealth(text); err == nil {
			t.Errorf("%q: %+v", text, h)
		}
	}
}
