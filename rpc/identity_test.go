package rpc_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-go/hanse/identity"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

func identityAuthority(t *testing.T, system string) *identity.Authority {
	t.Helper()
	a, err := identity.NewAuthority(system)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// shows is a source that shows one certificate, whatever it is.
type shows struct {
	cert *tls.Certificate
	*identity.Authority
}

func (s shows) Certificate(string) (*tls.Certificate, error) {
	if s.cert == nil {
		return nil, errors.New("no certificate has come yet")
	}
	return s.cert, nil
}

func certificateFor(t *testing.T, a *identity.Authority, service string, from, to time.Duration) *tls.Certificate {
	t.Helper()
	cert, err := a.IssueFor(service, time.Now().Add(from), time.Now().Add(to))
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// lockedText is a log.
type lockedText struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *lockedText) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, nil))
}

// carriers are the ways to a port.
var carriers = []string{"tcp", "unix"}

// serveOn runs the port on a listener of that kind and returns the endpoint.
func serveOn(t *testing.T, carrier string, port *rpc.Port) string {
	t.Helper()
	if carrier == "tcp" {
		return "tcp://" + servePort(t, port)
	}
	if runtime.GOOS == "windows" {
		t.Skip("paths of sockets")
	}
	path := filepath.Join(t.TempDir(), "s")
	lis, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- port.Serve(lis) }()
	t.Cleanup(func() {
		port.Close()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return "unix://" + path
}

// TestIdentity holds who can call whom over mutual TLS, what both sides say of those who cannot, and whom handlers see.
func TestIdentity(t *testing.T) {
	shop, foreign := identityAuthority(t, "shop"), identityAuthority(t, "shop")
	hour := time.Hour
	for name, tt := range map[string]struct {
		server, client identity.Source
		callers, log   []string // parts of the call's error, and of the server's log
	}{
		"good": {shop, shop, nil, nil},
		"expired caller": {shop, shows{certificateFor(t, shop, "checkout", -2*hour, -hour), shop},
			[]string{"the peer refused this side's certificate", "expired certificate"}, []string{"a connection was refused", "has expired", "claims=spiffe://shop/checkout"}},
		"caller not yet valid": {shop, shows{certificateFor(t, shop, "checkout", hour, 2*hour), shop},
			[]string{"the peer refused this side's certificate", "expired certificate"}, []string{"is not yet valid"}},
		"foreign caller": {shop, shows{certificateFor(t, foreign, "checkout", -hour, hour), shop},
			[]string{"the peer refused this side's certificate", "unknown certificate authority"}, []string{"signed by unknown authority"}},
		"caller without": {shop, shows{nil, shop},
			[]string{"no certificate has come yet"}, nil},
		"expired service": {shows{certificateFor(t, shop, "echo", -2*hour, -hour), shop}, shop,
			[]string{"the certificate of spiffe://shop/echo", "expired"}, []string{"a caller refused the certificate of this port"}},
		"foreign service": {shows{certificateFor(t, foreign, "echo", -hour, hour), shop}, shop,
			[]string{"the certificate of spiffe://shop/echo", "unknown authority"}, []string{"a caller refused the certificate of this port"}},
		"another service at the address": {shows{certificateFor(t, shop, "catalog", -hour, hour), shop}, shop,
			[]string{"the peer is spiffe://shop/catalog and not spiffe://shop/echo"}, []string{"a caller refused the certificate of this port"}},
	} {
		for _, carrier := range carriers {
			for _, w := range wires {
				t.Run(name+"/"+carrier+"/"+w.name, func(t *testing.T) {
					srv, e := newServer(t, "echo", echoContract)
					srv.Instance = ""
					seen := make(chan credentials.AuthInfo, 1)
					e.hook = func(ctx context.Context, _ string) error {
						p, _ := peer.FromContext(ctx)
						seen <- p.AuthInfo
						return nil
					}
					var log, callersLog lockedText
					endpoint := serveOn(t, carrier, &rpc.Port{Servers: []*rpc.Server{srv}, Identity: tt.server, Wire: w.wire, Logger: log.logger()})
					conn := bound(t, &rpc.Client{Service: "checkout", Registry: known(endpoint), Identity: tt.client, Wire: w.wire, Logger: callersLog.logger()})
					reply, err := callEcho(t.Context(), conn, addMethod, "x")
					if tt.callers == nil {
						if err != nil || reply != "echo:x" {
							t.Fatalf("%s, %v", reply, err)
						}
						info, ok := (<-seen).(credentials.TLSInfo)
						if !ok || info.SPIFFEID.String() != "spiffe://shop/checkout" || len(info.State.VerifiedChains) != 1 || info.State.Version != tls.VersionTLS13 {
							t.Errorf("the handler sees %+v", info)
						}
						return
					}
					want := tt.callers
					if w.wire != nil && strings.HasPrefix(want[0], "the peer refused") {
						want = nil // grpc-go keeps the alert to itself, or not, as it comes
					}
					wantError(t, err, codes.Unavailable, want...)
					if !strings.Contains(callersLog.String(), "an instance cannot be reached") {
						t.Errorf("the caller's log: %s", &callersLog)
					}
					for _, part := range tt.log {
						until(t, "logged "+part, func() bool { return strings.Contains(log.String(), part) })
					}
				})
			}
		}
	}
}

// TestIdentityRefusesPlaintext holds what those read who come without TLS, or with TLS and no certificate.
func TestIdentityRefusesPlaintext(t *testing.T) {
	shop := identityAuthority(t, "shop")
	for _, w := range wires {
		t.Run(w.name, func(t *testing.T) {
			srv, e := newServer(t, "echo", echoContract)
			srv.Instance = ""
			e.hook = func(context.Context, string) error {
				t.Error("a handler runs")
				return nil
			}
			var log lockedText
			page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "page") })
			closed := &rpc.Port{Servers: []*rpc.Server{srv}, HTTP: page, Identity: shop, Wire: w.wire, Logger: log.logger()}
			addr := servePort(t, closed)
			open := servePort(t, &rpc.Port{Servers: []*rpc.Server{srv}, HTTP: page, Identity: shop, PlainHTTP: true, Wire: w.wire, Logger: slog.New(slog.DiscardHandler)})

			for _, addr := range []string{addr, open} {
				_, err := callEcho(t.Context(), dial(t, addr), addMethod, "x")
				wantError(t, err, codes.Unauthenticated, "mutual TLS only", "HANSE_IDENTITY")
				_, err = callEcho(t.Context(), stockConn(t, addr), addMethod, "x")
				wantError(t, err, codes.Unauthenticated, "mutual TLS only")
				stream, err := chatEcho(t.Context(), dial(t, addr))
				if err == nil {
					err = stream.RecvMsg(stringValue(""))
				}
				wantError(t, err, codes.Unauthenticated, "mutual TLS only")
				_, err = callEcho(t.Context(), dial(t, addr, rpc.WithTLS(&tls.Config{InsecureSkipVerify: true})), addMethod, "x")
				wantError(t, err, codes.Unavailable, "certificate required")
			}
			until(t, "logged", func() bool { return strings.Contains(log.String(), "came over plaintext") })

			get := func(addr string, h2 bool) (int, string) {
				t.Helper()
				transport := &http.Transport{Protocols: new(http.Protocols)}
				transport.Protocols.SetHTTP1(!h2)
				transport.Protocols.SetUnencryptedHTTP2(h2)
				defer transport.CloseIdleConnections()
				resp, err := (&http.Client{Transport: transport}).Get("http://" + addr + "/")
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				text, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				return resp.StatusCode, string(text)
			}
			for _, h2 := range []bool{false, w.wire == nil} {
				if code, text := get(addr, h2); code != http.StatusForbidden || !strings.Contains(text, "mutual TLS only") {
					t.Errorf("a page: %d %s", code, text)
				}
				if code, text := get(open, h2); code != http.StatusOK || text != "page" {
					t.Errorf("a page that is allowed: %d %s", code, text)
				}
			}
			// The same page for those who show a certificate, whatever the port thinks of plain HTTP.
			secure := &http.Transport{TLSClientConfig: identity.ClientConfig(shop, "checkout", "echo")}
			defer secure.CloseIdleConnections()
			if resp, err := (&http.Client{Transport: secure}).Get("https://" + addr + "/"); err != nil || resp.StatusCode != http.StatusOK {
				t.Errorf("a page over TLS: %v, %v", resp, err)
			} else {
				resp.Body.Close()
			}
		})
	}
}

// TestIdentityMeetsPlaintext holds what a caller with an identity says to a service without.
func TestIdentityMeetsPlaintext(t *testing.T) {
	srv, _ := newServer(t, "echo", echoContract)
	srv.Instance = ""
	addr := servePort(t, &rpc.Port{Servers: []*rpc.Server{srv}})
	conn := bound(t, &rpc.Client{Service: "checkout", Registry: known("tcp://" + addr), Identity: identityAuthority(t, "shop"), Logger: slog.New(slog.DiscardHandler)})
	_, err := callEcho(t.Context(), conn, addMethod, "x")
	wantError(t, err, codes.Unavailable, "first record does not look like a TLS handshake")
}

// TestIdentityAndTLS holds that the two are not mixed.
func TestIdentityAndTLS(t *testing.T) {
	port := &rpc.Port{TLS: &tls.Config{}, Identity: identityAuthority(t, "shop")}
	defer port.Close()
	if err := port.Serve(loopback(t)); err == nil || !strings.Contains(err.Error(), "Port.TLS and Port.Identity") {
		t.Errorf("Serve: %v", err)
	}
}

// TestIdentityComesLate holds that a caller whose certificate was no good calls as soon as it has another.
func TestIdentityComesLate(t *testing.T) {
	shop := identityAuthority(t, "shop")
	srv, _ := newServer(t, "echo", echoContract)
	srv.Instance = ""
	addr := servePort(t, &rpc.Port{Servers: []*rpc.Server{srv}, Identity: shop, Logger: slog.New(slog.DiscardHandler)})
	late := &lateSource{changed: make(chan struct{}), roots: shop}
	conn := bound(t, &rpc.Client{Service: "checkout", Registry: known("tcp://" + addr), Identity: late, Logger: slog.New(slog.DiscardHandler)})
	for range 20 { // the pause between attempts grows meanwhile
		_, err := callEcho(t.Context(), conn, addMethod, "x")
		wantError(t, err, codes.Unavailable, "not yet")
	}
	late.good.Store(true)
	close(late.changed)
	until(t, "called", func() bool {
		_, err := callEcho(t.Context(), conn, addMethod, "x")
		return err == nil
	})
}

type lateSource struct {
	good    atomic.Bool
	changed chan struct{}
	roots   *identity.Authority
}

func (s *lateSource) Certificate(service string) (*tls.Certificate, error) {
	if !s.good.Load() {
		return nil, errors.New("not yet")
	}
	return s.roots.Certificate(service)
}
func (s *lateSource) Roots() (*x509.CertPool, error) { return s.roots.Roots() }
func (s *lateSource) Changed() <-chan struct{} {
	if s.good.Load() {
		return nil
	}
	return s.changed
}

// TestIdentityRotation holds that no call fails while certificates are replaced every 200 ms, and an authority by another one, under
// load, on connections that are made anew all the time and on ones that stay.
func TestIdentityRotation(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	for _, carrier := range carriers {
		for _, w := range wires {
			t.Run(carrier+"/"+w.name, func(t *testing.T) {
				t.Parallel()
				old, next := identityAuthority(t, "shop"), identityAuthority(t, "shop")
				dirs := map[string]string{"echo": t.TempDir(), "checkout": t.TempDir()}
				write := func(by *identity.Authority, others ...*identity.Authority) {
					t.Helper()
					for service, dir := range dirs {
						if err := by.WriteFiles(dir, service, others...); err != nil {
							t.Fatal(err)
						}
					}
				}
				old.Lifetime, next.Lifetime = 5*time.Second, 5*time.Second
				write(old)
				srv, _ := newServer(t, "echo", echoContract)
				srv.Instance = ""
				var log lockedText
				endpoint := serveOn(t, carrier, &rpc.Port{
					Servers: []*rpc.Server{srv}, Wire: w.wire, Logger: log.logger(), Identity: &identity.Files{Dir: dirs["echo"], Logger: log.logger()},
					Limits: rpc.Limits{MaxConnectionAge: 60 * time.Millisecond, MaxConnectionAgeGrace: 5 * time.Second},
				})
				lasting := serveOn(t, carrier, &rpc.Port{
					Servers: []*rpc.Server{srv}, Wire: w.wire, Logger: log.logger(), Identity: &identity.Files{Dir: dirs["echo"], Logger: log.logger()},
				})
				ctx, cancel := context.WithCancel(t.Context())
				var load sync.WaitGroup
				var calls [2]atomic.Int64
				for i, endpoint := range []string{endpoint, lasting} {
					conn := bound(t, &rpc.Client{Service: "checkout", Registry: known(endpoint), Wire: w.wire, Logger: log.logger(),
						Identity: &identity.Files{Dir: dirs["checkout"], Logger: log.logger()}})
					for range 4 {
						load.Go(func() {
							for ctx.Err() == nil {
								if _, err := callEcho(context.Background(), conn, addMethod, "x"); err != nil {
									t.Errorf("after %d calls: %v (%v)", calls[i].Load(), err, status.Code(err))
									return
								}
								calls[i].Add(1)
							}
						})
					}
				}
				tick := time.NewTicker(200 * time.Millisecond)
				defer tick.Stop()
				goes := func() { // for 200 ms at least, and some calls on either side
					was := [2]int64{calls[0].Load(), calls[1].Load()}
					for <-tick.C; !t.Failed() && (calls[0].Load() < was[0]+10 || calls[1].Load() < was[1]+10); {
						<-tick.C
					}
				}
				for _, step := range []func(){
					func() { write(old) },
					func() { write(old) },
					func() { write(old, next) }, // both are believed everywhere before the new one vouches for anybody
					func() { write(next, old) },
					func() { write(next) }, // the old one ends when nobody shows a certificate of it any more
					func() { write(next) },
					func() { write(next) },
				} {
					goes()
					step()
				}
				goes()
				cancel()
				load.Wait()
				if strings.Contains(log.String(), "refused") {
					t.Errorf("the log tells of refused connections:\n%s", &log)
				}
			})
		}
	}
}
