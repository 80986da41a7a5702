package rpc_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/identity"
	"github.com/hanse-go/hanse/internal/certtest"
	"github.com/hanse-go/hanse/resilience"
	"github.com/hanse-go/hanse/rpc"
	"github.com/hanse-go/hanse/rpc/grpcwire"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"
)

func inShop(service string) identity.ID { return identity.ID{System: "shop", Service: service} }

// workload issues a certificate with a SPIFFE ID.
func workload(t *testing.T, a *certtest.Authority, id identity.ID) tls.Certificate {
	template := &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"echo"}}
	if id != (identity.ID{}) {
		template.URIs = []*url.URL{id.URL()}
	}
	return *a.Issue(t, template)
}

// secured is a server whose callers have identities, and the ways to call it.
type secured struct {
	*rpc.Server
	echo      *echoService
	authority *certtest.Authority
	log       *record
	clientTLS func(t *testing.T, caller identity.ID) *tls.Config
}

// record keeps what is logged, as JSON.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *record) lines(t *testing.T) (lines []map[string]any) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for line := range bytes.Lines(r.text.Bytes()) {
		var fields map[string]any
		if err := json.Unmarshal(line, &fields); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fields)
	}
	return lines
}

func newSecured(t *testing.T, prepare func(*rpc.Server)) *secured {
	t.Helper()
	s := &secured{Server: &rpc.Server{Name: "echo", Instance: "echo-1", ServiceID: inShop}, echo: &echoService{name: "echo"}, authority: certtest.NewAuthority(t), log: &record{}}
	s.Logger = slog.New(slog.NewJSONHandler(s.log, nil))
	s.RegisterService(s.echo.desc(echoContract), s.echo)
	if prepare != nil {
		prepare(s.Server)
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Stop)
	s.clientTLS = func(t *testing.T, caller identity.ID) *tls.Config {
		return &tls.Config{RootCAs: s.authority.Pool, ServerName: "echo", Certificates: []tls.Certificate{workload(t, s.authority, caller)}}
	}
	return s
}

// port serves the server with mutual TLS.
func (s *secured) port(t *testing.T) *rpc.Port {
	return &rpc.Port{Servers: []*rpc.Server{s.Server}, TLS: &tls.Config{
		Certificates: []tls.Certificate{workload(t, s.authority, inShop("echo"))}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: s.authority.Pool,
	}}
}

// ways are how a caller with an ID reaches a secured server.
var ways = map[string]func(t *testing.T, s *secured) func(caller identity.ID) grpc.ClientConnInterface{
	"in process": func(t *testing.T, s *secured) func(identity.ID) grpc.ClientConnInterface {
		return func(caller identity.ID) grpc.ClientConnInterface {
			return bound(t, &rpc.Client{Service: caller.Service, ID: caller, Local: map[string]*rpc.Server{"echo": s.Server}})
		}
	},
	"unix": func(t *testing.T, s *secured) func(identity.ID) grpc.ClientConnInterface {
		dir, err := os.MkdirTemp("", "a") // t.TempDir is too long for a socket
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		port := s.port(t)
		lis := listen(t, "unix", filepath.Join(dir, "s"))
		done := make(chan error, 1)
		go func() { done <- port.Serve(lis) }()
		t.Cleanup(func() {
			port.Close()
			<-done
		})
		return s.remote(t, "unix://"+lis.Addr().String(), nil)
	},
	"tcp": func(t *testing.T, s *secured) func(identity.ID) grpc.ClientConnInterface {
		return s.remote(t, "tcp://"+servePort(t, s.port(t)), nil)
	},
	"grpc-go's transport": func(t *testing.T, s *secured) func(identity.ID) grpc.ClientConnInterface {
		port := s.port(t)
		port.Wire = grpcwire.Wire{}
		return s.remote(t, "tcp://"+servePort(t, port), grpcwire.Wire{})
	},
	"from grpc-go": func(t *testing.T, s *secured) func(identity.ID) grpc.ClientConnInterface {
		addr := servePort(t, s.port(t))
		return func(caller identity.ID) grpc.ClientConnInterface {
			return stockConn(t, addr, grpc.WithTransportCredentials(credentials.NewTLS(s.clientTLS(t, caller))))
		}
	},
}

func (s *secured) remote(t *testing.T, endpoint string, wire rpc.Wire) func(identity.ID) grpc.ClientConnInterface {
	registry := &discovery.Memory{}
	register(t, registry, discovery.Instance{Service: "echo", ID: "echo-1", State: discovery.Ready, Endpoints: []string{endpoint}, Host: "here"})
	return func(caller identity.ID) grpc.ClientConnInterface {
		return bound(t, &rpc.Client{Service: caller.Service, Registry: registry, Host: "here", TLS: s.clientTLS(t, caller), Wire: wire})
	}
}

func eachWay(t *testing.T, prepare func(*rpc.Server), body func(t *testing.T, s *secured, as func(identity.ID) grpc.ClientConnInterface)) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			s := newSecured(t, prepare)
			body(t, s, way(t, s))
		})
	}
}

// callAll calls each method of the echo contract, with the result of each.
func callAll(ctx context.Context, cc grpc.ClientConnInterface) map[string]error {
	results := make(map[string]error)
	for _, m := range []string{readMethod, putMethod, addMethod} {
		results[m] = cc.Invoke(ctx, m, stringValue("x"), stringValue(""))
	}
	for m, desc := range map[string]*grpc.StreamDesc{
		listMethod: {ServerStreams: true}, chatMethod: {ServerStreams: true, ClientStreams: true}, sumMethod: {ClientStreams: true},
	} {
		results[m] = func() error {
			stream, err := cc.NewStream(ctx, desc, m)
			if err != nil {
				return err
			}
			stream.SendMsg(stringValue("x")) // its error is RecvMsg's
			stream.CloseSend()
			for {
				if err := stream.RecvMsg(stringValue("")); err == io.EOF {
					return nil
				} else if err != nil {
					return err
				}
				if !desc.ServerStreams {
					return nil
				}
			}
		}()
	}
	return results
}

// TestCallers holds that handlers and interceptors of all kinds of calls know who calls, on every path.
func TestCallers(t *testing.T) {
	seen := make(chan identity.ID, 100)
	look := func(ctx context.Context) {
		id, known := identity.Caller(ctx)
		if known != (id != identity.ID{}) {
			panic(fmt.Sprint(id, known))
		}
		seen <- id
	}
	eachWay(t, func(srv *rpc.Server) {
		srv.UnaryInterceptors = []grpc.UnaryServerInterceptor{func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			look(ctx)
			return handler(context.WithValue(ctx, "some", "value"), req) //lint:ignore SA1029 any key does
		}}
		srv.StreamInterceptors = []grpc.StreamServerInterceptor{func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			look(ss.Context())
			return handler(srv, ss)
		}}
	}, func(t *testing.T, s *secured, as func(identity.ID) grpc.ClientConnInterface) {
		s.echo.hook = func(ctx context.Context, _ string) error {
			look(ctx)
			derived, cancel := context.WithCancel(ctx)
			defer cancel()
			look(derived)
			return nil
		}
		for _, caller := range []identity.ID{inShop("cart"), {System: "other.example.org", Service: "ns/a/sa/b"}, {}} {
			// What a caller sends, or has in its context, says nothing.
			forged := inShop("admin")
			ctx := metadata.AppendToOutgoingContext(t.Context(), "hanse-caller", forged.String(), "spiffe-id", forged.String(), "hanse-instance", "echo-1",
				"x-forwarded-client-cert", "URI="+forged.String())
			ctx = context.WithValue(ctx, identity.CallerKey{}, forged)
			ctx = peer.NewContext(ctx, &peer.Peer{AuthInfo: credentials.TLSInfo{SPIFFEID: forged.URL(),
				State: tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{URIs: []*url.URL{forged.URL()}}}}}}})
			ctx = metadata.NewIncomingContext(ctx, metadata.Pairs("hanse-caller", forged.String()))
			for m, err := range callAll(ctx, as(caller)) {
				if err != nil {
					t.Errorf("%s: %v", m, err)
				}
			}
			if len(seen) < 12 {
				t.Errorf("looked %d times", len(seen))
			}
			for len(seen) > 0 {
				if got := <-seen; got != caller {
					t.Errorf("the caller is %v, want %v", got, caller)
				}
			}
		}
	})
}

// TestAllow holds that rules decide about all kinds of calls, on every path, before any code of the service runs.
func TestAllow(t *testing.T) {
	eachWay(t, func(srv *rpc.Server) {
		srv.Allow = []identity.Rule{
			{Callers: []string{"reader", "spiffe://ops/*"}, Methods: []string{"hanse.rpctest.Echo/Read", "hanse.rpctest.Echo/List"}},
			{Callers: []string{"writer"}},
			{Callers: []string{"*"}, Methods: []string{"/hanse.rpctest.Echo/Su*"}},
		}
		healthpb.RegisterHealthServer(srv, healthServer{})
		refuse := func(ctx context.Context) {
			if id, _ := identity.Caller(ctx); id == inShop("intruder") {
				panic("an interceptor sees a call that is denied")
			}
		}
		srv.UnaryInterceptors = []grpc.UnaryServerInterceptor{func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			if !strings.Contains(info.FullMethod, "Health") {
				refuse(ctx)
			}
			return handler(ctx, req)
		}}
	}, func(t *testing.T, s *secured, as func(identity.ID) grpc.ClientConnInterface) {
		everything := []string{readMethod, putMethod, addMethod, listMethod, chatMethod, sumMethod}
		for caller, may := range map[identity.ID][]string{
			inShop("reader"):                      {readMethod, listMethod, sumMethod},
			inShop("writer"):                      everything,
			inShop("intruder"):                    {sumMethod},
			inShop("echo"):                        {sumMethod}, // nor is the service itself an exception
			{}:                                    {sumMethod},
			{System: "ops", Service: "ns/a/sa/b"}: {readMethod, listMethod, sumMethod},
			{System: "other", Service: "writer"}:  {sumMethod},
			{System: "shop", Service: "writer/reader"}:       {sumMethod},
			{System: "shop.example.org", Service: "writer"}:  {sumMethod},
			{System: "opsx", Service: "writer"}:              {sumMethod},
			{System: "op", Service: "s/writer"}:              {sumMethod},
			{System: "shop", Service: "spiffe/ops/writer-x"}: {sumMethod},
		} {
			before := s.echo.calls.Load()
			cc := as(caller)
			results := callAll(t.Context(), cc)
			for m, err := range results {
				if slices.Contains(may, m) {
					if err != nil {
						t.Errorf("%v calls %s: %v", caller, m, err)
					}
					continue
				}
				who := caller.String()
				if caller == (identity.ID{}) {
					who = "a caller without a known identity"
				}
				wantError(t, err, codes.PermissionDenied, who+" may not call "+m)
				if strings.Contains(err.Error(), "reader") != strings.Contains(who, "reader") || strings.Contains(err.Error(), "rule") {
					t.Errorf("the error tells of the rules: %v", err)
				}
			}
			if ran := s.echo.calls.Load() - before; ran != int64(len(may)) {
				t.Errorf("%v: %d handlers ran, want %d", caller, ran, len(may))
			}
			if _, err := healthpb.NewHealthClient(cc).Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
				t.Errorf("health for %v: %v", caller, err)
			}
		}
		denied := 0
		for _, line := range s.log.lines(t) {
			if line["msg"] == "call denied: no rule of Allow lets the caller in" && line["caller"] == "spiffe://shop/intruder" && line["method"] == readMethod {
				denied++
				if line["level"] != "WARN" || line["service"] != "echo" || line["peer"] == "" ||
					fmt.Sprint(line["rules"]) != "[reader spiffe://ops/* → hanse.rpctest.Echo/Read hanse.rpctest.Echo/List writer → *]" {
					t.Errorf("logged %v", line)
				}
			}
		}
		if denied != 1 {
			t.Errorf("%d lines about one denial", denied)
		}
		if n := s.Guard().Denied(); n != 9*5+2*3 {
			t.Errorf("%d denied", n)
		}
	})
}

type healthServer struct {
	healthpb.UnimplementedHealthServer
}

func (healthServer) Check(context.Context, *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	return &healthpb.HealthCheckResponse{}, nil
}

// TestAllowReportOnly holds that nothing is denied, and everything told.
func TestAllowReportOnly(t *testing.T) {
	eachWay(t, func(srv *rpc.Server) {
		srv.Allow, srv.AllowReportOnly = []identity.Rule{{Callers: []string{"reader"}, Methods: []string{readMethod}}}, true
	}, func(t *testing.T, s *secured, as func(identity.ID) grpc.ClientConnInterface) {
		for _, caller := range []string{"reader", "writer", "writer"} {
			for m, err := range callAll(t.Context(), as(inShop(caller))) {
				if err != nil {
					t.Errorf("%s: %v", m, err)
				}
			}
		}
		counts := make(map[string]uint64)
		for _, d := range s.Guard().Denials() {
			counts[d.Caller.Service+" "+d.Method[strings.LastIndexByte(d.Method, '/')+1:]] = d.Count
		}
		want := map[string]uint64{"writer Read": 2, "writer Put": 2, "writer Add": 2, "writer List": 2, "writer Chat": 2, "writer Sum": 2,
			"reader Put": 1, "reader Add": 1, "reader List": 1, "reader Chat": 1, "reader Sum": 1}
		if !maps.Equal(counts, want) || s.Guard().Denied() != 17 {
			t.Errorf("counted %v", counts)
		}
		lines := s.log.lines(t)
		if len(lines) != len(want) {
			t.Errorf("%d lines", len(lines))
		}
		for _, line := range lines {
			if line["msg"] != "call would be denied: no rule of Allow lets the caller in" {
				t.Errorf("logged %v", line)
			}
		}
	})
}

// TestCertificatesInProcess holds that handlers and callers of one process see the certificates that a connection would show, the current ones.
func TestCertificatesInProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, err := identity.NewAuthority("shop")
		if err != nil {
			t.Fatal(err)
		}
		ca.Lifetime = time.Minute
		s := newSecured(t, nil)
		show := func(info credentials.AuthInfo) *x509.Certificate {
			t.Helper()
			state := info.(credentials.TLSInfo).State
			if len(state.VerifiedChains) != 1 || state.VerifiedChains[0][0] != state.PeerCertificates[0] || !state.HandshakeComplete {
				t.Errorf("state %+v", state)
			}
			if err := credentials.CheckSecurityLevel(info, credentials.PrivacyAndIntegrity); err != nil {
				t.Error(err)
			}
			return state.PeerCertificates[0]
		}
		seen := make(chan *x509.Certificate, 1)
		s.echo.hook = func(ctx context.Context, _ string) error {
			p, _ := peer.FromContext(ctx)
			seen <- show(p.AuthInfo)
			if id := p.AuthInfo.(credentials.TLSInfo).SPIFFEID; id == nil || id.String() != "spiffe://shop/cart" || p.Addr.Network() != "inprocess" {
				t.Errorf("the peer is %v at %v", id, p.Addr)
			}
			return nil
		}
		conn := bound(t, &rpc.Client{Service: "cart", ID: inShop("cart"), Identity: ca, Local: map[string]*rpc.Server{"echo": s.Server}})
		call := func() (caller, callee *x509.Certificate) {
			t.Helper()
			var p peer.Peer
			if err := conn.Invoke(t.Context(), readMethod, stringValue("x"), stringValue(""), grpc.Peer(&p)); err != nil {
				t.Fatal(err)
			}
			return <-seen, show(p.AuthInfo)
		}
		caller, callee := call()
		if id, _ := identity.CertificateID(callee); id != inShop("echo") {
			t.Errorf("the callee is %v", id)
		}
		time.Sleep(9 * time.Second)
		if again, _ := call(); again != caller {
			t.Error("another certificate within its time")
		}
		time.Sleep(time.Minute)
		if renewed, other := call(); renewed == caller || other == callee || time.Now().After(renewed.NotAfter) {
			t.Error("the certificates are not those of now")
		}
	})
	failing := bound(t, &rpc.Client{Service: "cart", ID: inShop("cart"), Identity: noSource{}, Local: map[string]*rpc.Server{"echo": newSecured(t, func(srv *rpc.Server) {
		srv.Allow = []identity.Rule{{Callers: []string{"cart"}}}
	}).Server}})
	if _, err := callEcho(t.Context(), failing, readMethod, "x"); err != nil {
		t.Errorf("without a certificate: %v", err)
	}
}

// noSource has no certificates at the moment.
type noSource struct{}

func (noSource) Certificate(string) (*tls.Certificate, error) { return nil, errors.New("none") }
func (noSource) Roots() (*x509.CertPool, error)               { return nil, errors.New("none") }
func (noSource) Changed() <-chan struct{}                     { return nil }

// TestStolenInstance holds that an instance ID is an address, and no credential.
func TestStolenInstance(t *testing.T) {
	s := newSecured(t, func(srv *rpc.Server) { srv.Allow = []identity.Rule{{Callers: []string{"cart"}}} })
	conn := stockConn(t, servePort(t, s.port(t)), grpc.WithTransportCredentials(credentials.NewTLS(s.clientTLS(t, inShop("intruder")))), grpc.WithAuthority("echo"))
	ctx := metadata.AppendToOutgoingContext(t.Context(), "hanse-instance", "echo-1")
	_, err := callEcho(ctx, conn, readMethod, "x")
	wantError(t, err, codes.PermissionDenied, "spiffe://shop/intruder may not call")
	if n := s.echo.calls.Load(); n != 0 {
		t.Errorf("%d handlers ran", n)
	}
}

// TestCallersWithoutTLS holds that a connection without TLS has no caller, whoever it says it is.
func TestCallersWithoutTLS(t *testing.T) {
	s := newSecured(t, func(srv *rpc.Server) {
		srv.Allow = []identity.Rule{{Callers: []string{"cart"}}, {Callers: []string{"*"}, Methods: []string{readMethod}}}
	})
	s.echo.hook = func(ctx context.Context, _ string) error {
		if id, known := identity.Caller(ctx); known {
			t.Errorf("the caller is %v", id)
		}
		return nil
	}
	conn := dial(t, servePort(t, &rpc.Port{Servers: []*rpc.Server{s.Server}}))
	if _, err := callEcho(t.Context(), conn, readMethod, "x"); err != nil {
		t.Error(err)
	}
	_, err := callEcho(t.Context(), conn, putMethod, "x")
	wantError(t, err, codes.PermissionDenied, "a caller without a known identity may not call "+putMethod)
}

// TestUnverifiedCertificate holds that a certificate that is only shown is worth nothing.
func TestUnverifiedCertificate(t *testing.T) {
	for _, wire := range []rpc.Wire{nil, grpcwire.Wire{}} {
		s := newSecured(t, func(srv *rpc.Server) { srv.Allow = []identity.Rule{{Callers: []string{"spiffe://shop/*"}}} })
		port := s.port(t)
		port.TLS.ClientAuth, port.TLS.ClientCAs, port.Wire = tls.RequireAnyClientCert, nil, wire
		conn := dial(t, servePort(t, port), rpc.WithTLS(s.clientTLS(t, inShop("cart"))))
		_, err := callEcho(t.Context(), conn, readMethod, "x")
		wantError(t, err, codes.PermissionDenied, "a caller without a known identity")
	}
}

// TestMistakesInAllow holds that they are told before the server runs and after, and that nobody profits from them.
func TestMistakesInAllow(t *testing.T) {
	e := &echoService{name: "echo"}
	srv := &rpc.Server{Name: "echo", ServiceID: inShop, Allow: []identity.Rule{{Callers: []string{"*"}, Methods: []string{"/hanse.rpctest.Echo/Raed"}}}}
	srv.RegisterService(e.desc(echoContract), e)
	for range 2 {
		if err := srv.Err(); err == nil || !strings.Contains(err.Error(), `rpc: Allow: rule 1 of 1, method "/hanse.rpctest.Echo/Raed": the service has no such method: did you mean "/hanse.rpctest.Echo/Read"?`) {
			t.Errorf("error %v", err)
		}
	}
	if srv.Guard() != nil {
		t.Error("a guard before Start")
	}
	srv.Start()
	defer srv.Stop()
	if err := srv.Err(); err == nil || strings.Count(err.Error(), "rule 1") != 1 {
		t.Errorf("error %v", err)
	}
	client := &rpc.Client{ID: inShop("cart"), Local: map[string]*rpc.Server{"echo": srv}}
	_, err := callEcho(t.Context(), bound(t, client), readMethod, "x")
	wantError(t, err, codes.PermissionDenied, "spiffe://shop/cart may not call")
}

// TestDeniedCallsTakeNothing holds that whoever may not call cannot use up what is there for those who may.
func TestDeniedCallsTakeNothing(t *testing.T) {
	eachWay(t, func(srv *rpc.Server) {
		srv.Allow = []identity.Rule{{Callers: []string{"cart"}}}
		srv.Policy = resilience.Policy{Rate: resilience.Rate{PerSecond: 0.001, Burst: 1}}
	}, func(t *testing.T, s *secured, as func(identity.ID) grpc.ClientConnInterface) {
		intruder := as(inShop("intruder"))
		for range 3 {
			for m, err := range callAll(t.Context(), intruder) {
				wantError(t, err, codes.PermissionDenied, "spiffe://shop/intruder may not call "+m)
			}
		}
		cart := as(inShop("cart"))
		for m, err := range callAll(t.Context(), cart) {
			if err != nil {
				t.Errorf("%s: %v", m, err)
			}
		}
		for _, err := range callAll(t.Context(), cart) {
			wantError(t, err, codes.ResourceExhausted)
		}
	})
	eachWay(t, func(srv *rpc.Server) {
		srv.Allow, srv.AllowReportOnly = []identity.Rule{{Callers: []string{"cart"}}}, true
		srv.Policy = resilience.Policy{Rate: resilience.Rate{PerSecond: 0.001, Burst: 1}}
	}, func(t *testing.T, s *secured, as func(identity.ID) grpc.ClientConnInterface) {
		intruder := as(inShop("intruder"))
		callAll(t.Context(), intruder)
		for _, err := range callAll(t.Context(), intruder) {
			wantError(t, err, codes.ResourceExhausted) // what is let in has its limits
		}
	})
}

// TestDeniedCallsAreCounted holds that stats handlers see what is denied.
func TestDeniedCallsAreCounted(t *testing.T) {
	ended := make(chan error, 10)
	eachWay(t, func(srv *rpc.Server) {
		srv.Allow = []identity.Rule{{Callers: []string{"cart"}}}
		srv.StatsHandlers = []stats.Handler{endings(ended)}
	}, func(t *testing.T, s *secured, as func(identity.ID) grpc.ClientConnInterface) {
		callAll(t.Context(), as(inShop("intruder")))
		for range 6 {
			wantError(t, <-ended, codes.PermissionDenied)
		}
	})
}

// endings tells how calls end.
type endings chan error

func (e endings) HandleRPC(_ context.Context, s stats.RPCStats) {
	if end, ok := s.(*stats.End); ok {
		e <- end.Error
	}
}
func (endings) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (endings) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (endings) HandleConn(context.Context, stats.ConnStats)                       {}

// TestCallersOfHTTP holds that handlers of plain HTTP know who calls, over both versions.
func TestCallersOfHTTP(t *testing.T) {
	s := newSecured(t, func(srv *rpc.Server) { srv.Allow = []identity.Rule{{Callers: []string{"cart"}}} })
	port := s.port(t)
	port.HTTP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, known := identity.Caller(r.Context())
		fmt.Fprint(w, r.ProtoMajor, " ", id, " ", known)
	})
	port.TLS.ClientAuth = tls.VerifyClientCertIfGiven
	addr := servePort(t, port)
	for _, version := range []int{1, 2} {
		for _, caller := range []identity.ID{inShop("cart"), inShop("intruder"), {}} {
			transport := &http.Transport{TLSClientConfig: s.clientTLS(t, caller), Protocols: new(http.Protocols)}
			transport.Protocols.SetHTTP1(version == 1)
			transport.Protocols.SetHTTP2(version == 2)
			resp, err := (&http.Client{Transport: transport}).Get("https://" + addr + "/")
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			transport.CloseIdleConnections()
			if want := fmt.Sprint(version, " ", caller, " ", caller != identity.ID{}); string(body) != want {
				t.Errorf("%q, want %q", body, want)
			}
		}
	}
}

// BenchmarkAllow measures what rules add to a call.
func BenchmarkAllow(b *testing.B) {
	e := &echoService{name: "echo"}
	srv := &rpc.Server{Name: "echo", ServiceID: inShop, Allow: []identity.Rule{
		{Callers: []string{"reader", "spiffe://ops/*"}, Methods: []string{"hanse.rpctest.Echo/Read", "hanse.rpctest.Echo/List"}},
		{Callers: []string{"cart", "checkout"}, Methods: []string{"hanse.rpctest.Echo/*"}},
	}}
	srv.RegisterService(e.desc(echoContract), e)
	srv.Start()
	defer srv.Stop()
	client := &rpc.Client{ID: inShop("cart"), Local: map[string]*rpc.Server{"echo": srv}}
	defer client.Close()
	conn := rpc.NewConn("echo")
	if err := conn.Bind(client); err != nil {
		b.Fatal(err)
	}
	var handlers context.Context
	e.hook = func(ctx context.Context, _ string) error {
		handlers = ctx
		return nil
	}
	if err := conn.Invoke(b.Context(), readMethod, stringValue("x"), stringValue("")); err != nil {
		b.Fatal(err)
	}
	gate := srv.Guard().Gate(readMethod)
	b.ReportAllocs()
	for b.Loop() {
		if caller, _ := identity.Caller(handlers); !gate.Admits(caller) {
			b.Fatal("denied")
		}
	}
}
