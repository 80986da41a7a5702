package spiffe_test

import (
	"context"
	"crypto/x509"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/hansetest"
	"github.com/hanse-go/hanse/identity"
	"github.com/hanse-go/hanse/identity/spiffe"
	"github.com/hanse-go/hanse/rpc"
	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/peer"
)

func newSource(t *testing.T, a *agent, path string) *spiffe.Source {
	s := &spiffe.Source{Addr: a.Addr, Path: path, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
	t.Cleanup(func() { s.Close() })
	return s
}

func await(t *testing.T, what string, changed <-chan struct{}) {
	t.Helper()
	select {
	case <-changed:
	case <-time.After(20 * time.Second):
		t.Fatalf("waiting for %s", what)
	}
}

func TestCertificate(t *testing.T) {
	ca, other := newAuthority(t, "example.org"), newAuthority(t, "other.org")
	a := newAgent(t)
	a.give(t, []*identity.Authority{ca}, svid{ca, "ns/shop/sa/default"}, svid{other, "ns/shop/sa/cart"}, svid{ca, "ns/shop/sa/cart"})
	s := newSource(t, a, "ns/shop/sa/{service}")
	for service, want := range map[string]string{"cart": "spiffe://example.org/ns/shop/sa/cart", "": "spiffe://example.org/ns/shop/sa/default"} {
		cert, err := s.Certificate(service)
		if err != nil {
			t.Fatal(err)
		}
		if id, err := identity.CertificateID(cert.Leaf); err != nil || id.String() != want {
			t.Errorf("%q has %v, %v", service, id, err)
		}
		roots, err := s.Roots()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: roots}); err != nil {
			t.Error(err)
		}
		foreign, _ := other.Issue("x")
		if _, err := foreign.Leaf.Verify(x509.VerifyOptions{Roots: roots}); err == nil {
			t.Error("the authority of another domain is believed")
		}
	}
	_, err := s.Certificate("checkout")
	if want := "does not give this process the identity spiffe://example.org/ns/shop/sa/checkout, but spiffe://example.org/ns/shop/sa/default, spiffe://example.org/ns/shop/sa/cart: register it"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v", err)
	}
	if id := new(spiffe.Source).ServiceID("example.org", "cart"); id.String() != "spiffe://example.org/cart" {
		t.Errorf("without a Path: %v", id)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Certificate("cart"); err != nil {
		t.Errorf("after Close: %v", err)
	}
}

// TestRotation holds that what the agent sends counts at once, that it may be away, and that nonsense changes nothing.
func TestRotation(t *testing.T) {
	old, new := newAuthority(t, "shop"), newAuthority(t, "shop")
	a := newAgent(t)
	a.give(t, []*identity.Authority{old}, svid{old, "cart"})
	s := newSource(t, a, "")
	serial := func() string {
		t.Helper()
		cert, err := s.Certificate("cart")
		if err != nil {
			t.Fatal(err)
		}
		return cert.Leaf.SerialNumber.String()
	}
	believes := func(a *identity.Authority) bool {
		t.Helper()
		roots, err := s.Roots()
		if err != nil {
			t.Fatal(err)
		}
		cert, _ := a.Issue("x")
		_, err = cert.Leaf.Verify(x509.VerifyOptions{Roots: roots})
		return err == nil
	}
	first := serial()
	if !believes(old) || believes(new) {
		t.Error("wrong authorities")
	}
	changed := s.Changed()
	a.give(t, []*identity.Authority{old, new}, svid{old, "cart"})
	await(t, "the second certificate", changed)
	second := serial()
	if second == first || !believes(old) || !believes(new) {
		t.Error("the second certificate or the second authority has not come")
	}

	changed = s.Changed()
	a.send(&workload.X509SVIDResponse{Svids: []*workload.X509SVID{{SpiffeId: "spiffe://shop/cart", X509Svid: []byte("hello")}}})
	a.send(&workload.X509SVIDResponse{})
	a.stop()
	if serial() != second {
		t.Error("another certificate while the agent is away")
	}
	a.run(t)
	a.give(t, []*identity.Authority{new}, svid{new, "cart"})
	await(t, "the third certificate", changed)
	if third := serial(); third == second || believes(old) || !believes(new) {
		t.Error("the third certificate has not come, or the first authority has not gone")
	}
}

// TestNoCertificates holds what is told when there are none.
func TestNoCertificates(t *testing.T) {
	t.Run("no address", func(t *testing.T) {
		t.Setenv("SPIFFE_ENDPOINT_SOCKET", "")
		s := newSource(t, &agent{}, "")
		for range 2 {
			if _, err := s.Certificate("cart"); err == nil || !strings.Contains(err.Error(), "set Source.Addr or SPIFFE_ENDPOINT_SOCKET") {
				t.Errorf("error %v", err)
			}
		}
	})
	t.Run("closed", func(t *testing.T) {
		s := newSource(t, &agent{}, "")
		s.Close()
		if _, err := s.Roots(); err == nil || !strings.Contains(err.Error(), "was closed") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("closed while it waits", func(t *testing.T) {
		a := newAgent(t)
		s := newSource(t, a, "")
		ended := make(chan error)
		go func() {
			_, err := s.Certificate("cart")
			ended <- err
		}()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
		if err := <-ended; err == nil {
			t.Error("a certificate from nowhere")
		}
	})
	t.Run("registered later", func(t *testing.T) {
		a, ca := newAgent(t), newAuthority(t, "shop")
		log := &lines{written: make(chan struct{}, 1)}
		s := &spiffe.Source{Addr: a.Addr, Logger: slog.New(slog.NewTextHandler(log, nil))}
		defer s.Close()
		ended := make(chan error)
		go func() {
			_, err := s.Certificate("cart")
			ended <- err
		}()
		for !strings.Contains(log.String(), "no identity issued") {
			<-log.written
		}
		a.give(t, []*identity.Authority{ca}, svid{ca, "cart"})
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if n := strings.Count(log.String(), "level=WARN"); n != 1 {
			t.Errorf("%d lines:\n%s", n, log)
		}
	})
}

type lines struct {
	mu      sync.Mutex
	text    strings.Builder
	written chan struct{} // has room for one: there is more than before
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.written <- struct{}{}:
	default:
	}
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestSystem holds that services with identities of the agent call each other, know their callers, and lose no call when certificates and
// the authority change.
func TestSystem(t *testing.T) {
	for _, path := range []rpc.Path{rpc.TCP, rpc.Unix} {
		t.Run(string(path), func(t *testing.T) {
			old, new := newAuthority(t, "example.org"), newAuthority(t, "example.org")
			a := newAgent(t)
			all := func(by *identity.Authority, believed ...*identity.Authority) {
				a.give(t, believed, svid{by, "ns/shop/sa/test"}, svid{by, "ns/shop/sa/vault"}, svid{by, "ns/shop/sa/teller"}, svid{by, "ns/shop/sa/thief"})
			}
			all(old, old)
			src := newSource(t, a, "ns/shop/sa/{service}")
			if _, err := src.Certificate(""); err != nil { // connects here, and so is no goroutine of the system
				t.Fatal(err)
			}
			vault := &hanse.Service{Name: "vault", Allow: []hanse.Rule{{Callers: []string{"teller", "test"}}}}
			testpb.RegisterTestServiceServer(vault, server{})
			teller, thief := &hanse.Service{Name: "teller"}, &hanse.Service{Name: "thief"}
			fromTeller, fromThief := teller.Conn("vault"), thief.Conn("vault")
			sys := hansetest.Options{Path: path, App: func(app *hanse.App) { app.Identity = held{src} }}.Run(t, vault, teller, thief)

			if name, _, err := call(t.Context(), fromTeller); err != nil || name != "spiffe://example.org/ns/shop/sa/teller" {
				t.Errorf("the teller is %s: %v", name, err)
			}
			if _, _, err := call(t.Context(), fromThief); err == nil || !strings.Contains(err.Error(), "spiffe://example.org/ns/shop/sa/thief may not call") {
				t.Errorf("the thief gets %v", err)
			}

			ctx, stop := context.WithCancel(t.Context())
			var calls, failed atomic.Int64
			var load sync.WaitGroup
			for range 4 {
				load.Go(func() {
					for ctx.Err() == nil {
						if _, _, err := call(context.WithoutCancel(ctx), fromTeller); err != nil {
							failed.Add(1)
							t.Error(err)
						}
						calls.Add(1)
					}
				})
			}
			serials := make(map[string]bool)
			for step, give := range []func(){
				func() {}, func() { all(old, old, new) }, func() { all(new, old, new) }, func() { all(new, new) },
			} {
				changed := src.Changed()
				if give(); step > 0 {
					await(t, "the change", changed)
				}
				conn := sys.Conn("vault") // the test's only one, and so a connection of its own
				_, serial, err := call(t.Context(), conn)
				if err != nil {
					t.Error(err)
				}
				conn.Close()
				serials[serial] = true
			}
			if len(serials) != 4 {
				t.Errorf("%d certificates were shown", len(serials))
			}
			stop()
			load.Wait()
			if failed.Load() > 0 || calls.Load() < 100 {
				t.Errorf("%d of %d calls failed", failed.Load(), calls.Load())
			}
		})
	}
}

// held is a Source that no App closes: several share it.
type held struct{ identity.Namer }

type server struct {
	testpb.UnimplementedTestServiceServer
}

func (server) UnaryCall(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	id, _ := identity.Caller(ctx)
	return &testpb.SimpleResponse{Username: id.String()}, nil
}

// call returns who the server says that the caller is, and the serial number of the server's certificate.
func call(ctx context.Context, cc grpc.ClientConnInterface) (caller, serial string, err error) {
	var p peer.Peer
	reply, err := testpb.NewTestServiceClient(cc).UnaryCall(ctx, &testpb.SimpleRequest{}, grpc.Peer(&p))
	if info, ok := p.AuthInfo.(credentials.TLSInfo); ok {
		serial = info.State.PeerCertificates[0].SerialNumber.String()
	}
	return reply.GetUsername(), serial, err
}
