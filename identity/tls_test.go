package identity_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/identity"
)

func newAuthority(t *testing.T, system string) *identity.Authority {
	t.Helper()
	a, err := identity.NewAuthority(system)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// fixed is a source of one certificate.
type fixed struct {
	cert  *tls.Certificate
	roots *identity.Authority
}

func (s fixed) Certificate(string) (*tls.Certificate, error) {
	if s.cert == nil {
		return nil, errors.New("there is none")
	}
	return s.cert, nil
}
func (s fixed) Roots() (*x509.CertPool, error) { return s.roots.Roots() }
func (s fixed) Changed() <-chan struct{}       { return nil }

func issue(t *testing.T, a *identity.Authority, service string, from, to time.Duration) *tls.Certificate {
	t.Helper()
	now := time.Now()
	cert, err := a.IssueFor(service, now.Add(from), now.Add(to))
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// connect lets a client and a server meet and returns what each of them says, and the connection that the server saw.
func connect(t *testing.T, server, client *tls.Config) (seen tls.ConnectionState, clientErr, serverErr error) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	done := make(chan error, 1)
	go func() {
		nc, err := lis.Accept()
		if err != nil {
			done <- err
			return
		}
		defer nc.Close()
		conn := tls.Server(nc, server)
		err = conn.Handshake()
		if err == nil {
			_, err = conn.Write([]byte("x"))
		}
		seen = conn.ConnectionState()
		if err == nil {
			_, err = io.Copy(io.Discard, conn)
		}
		done <- err
	}()
	nc, err := net.Dial("tcp", lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn := tls.Client(nc, client)
	if clientErr = conn.Handshake(); clientErr == nil {
		_, clientErr = io.ReadFull(conn, make([]byte, 1)) // what the server thinks of the client's certificate comes behind the handshake
	}
	conn.Close()
	return seen, clientErr, <-done
}

// TestPeers holds who may talk with whom, and that both sides learn why not.
func TestPeers(t *testing.T) {
	shop, foreign := newAuthority(t, "shop"), newAuthority(t, "shop")
	good := func(service string) fixed { return fixed{issue(t, shop, service, -time.Hour, time.Hour), shop} }
	past, future := [2]time.Duration{-2 * time.Hour, -time.Hour}, [2]time.Duration{time.Hour, 2 * time.Hour}
	// The authority of shop vouches for another system as well, as that of a company does.
	other := newAuthority(t, "other")
	both := &two{shop, other}
	for name, tt := range map[string]struct {
		server, client         identity.Source
		clientSays, serverSays string // parts of their errors; "": none
	}{
		"good":                      {good("cart"), good("checkout"), "", ""},
		"server expired":            {fixed{issue(t, shop, "cart", past[0], past[1]), shop}, good("checkout"), "spiffe://shop/cart: x509: certificate has expired or is not yet valid", "remote error: tls: bad certificate"},
		"server not yet valid":      {fixed{issue(t, shop, "cart", future[0], future[1]), shop}, good("checkout"), "certificate has expired or is not yet valid", "remote error"},
		"server foreign":            {fixed{issue(t, foreign, "cart", -time.Hour, time.Hour), shop}, good("checkout"), "signed by unknown authority", "remote error"},
		"server of another service": {good("catalog"), good("checkout"), "the peer is spiffe://shop/catalog and not spiffe://shop/cart", "remote error"},
		"server without":            {fixed{nil, shop}, good("checkout"), "internal error", "there is none"},
		"client expired":            {good("cart"), fixed{issue(t, shop, "checkout", past[0], past[1]), shop}, "expired certificate", "certificate has expired"},
		"client not yet valid":      {good("cart"), fixed{issue(t, shop, "checkout", future[0], future[1]), shop}, "expired certificate", "is not yet valid"},
		"client foreign":            {good("cart"), fixed{issue(t, foreign, "checkout", -time.Hour, time.Hour), shop}, "unknown certificate authority", "signed by unknown authority"},
		"client without":            {good("cart"), fixed{nil, shop}, "there is none", ""},
		"client of another system": {fixed{issue(t, shop, "cart", -time.Hour, time.Hour), nil}.believing(both), fixed{issue(t, other, "cart", -time.Hour, time.Hour), nil}.believing(both),
			"not spiffe://other/cart", "remote error"},
	} {
		t.Run(name, func(t *testing.T) {
			seen, clientErr, serverErr := connect(t, identity.ServerConfig(tt.server, "cart"), identity.ClientConfig(tt.client, "checkout", "cart"))
			for _, side := range []struct {
				name, want string
				err        error
			}{{"client", tt.clientSays, clientErr}, {"server", tt.serverSays, serverErr}} {
				if side.want == "" && name == "client without" {
					continue // it hangs up, which may look like anything
				}
				if (side.err == nil) != (side.want == "") || side.err != nil && !strings.Contains(side.err.Error(), side.want) {
					t.Errorf("the %s says %v, want %q", side.name, side.err, side.want)
				}
			}
			if name == "good" {
				if chains := seen.VerifiedChains; len(chains) != 1 || seen.Version != tls.VersionTLS13 || seen.ServerName != "cart" {
					t.Errorf("chains %v, version %x, name %q", chains, seen.Version, seen.ServerName)
				}
			}
		})
	}
}

// two believes two authorities.
type two [2]*identity.Authority

func (p *two) Roots() (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	for _, a := range p {
		a.AddTo(pool)
	}
	return pool, nil
}

type believing struct {
	fixed
	roots *two
}

func (s believing) Roots() (*x509.CertPool, error) { return s.roots.Roots() }

func (s fixed) believing(roots *two) identity.Source { return believing{s, roots} }

// TestForeignClients holds what clients that are none of ours meet.
func TestForeignClients(t *testing.T) {
	shop, other := newAuthority(t, "shop"), newAuthority(t, "other")
	server := identity.ServerConfig(believing{fixed{issue(t, shop, "cart", -time.Hour, time.Hour), nil}, &two{shop, other}}, "cart")
	stranger := issue(t, other, "cart", -time.Hour, time.Hour)
	for name, tt := range map[string]struct {
		client *tls.Config
		want   string // part of the server's error
	}{
		"no certificate": {&tls.Config{InsecureSkipVerify: true}, "client didn't provide a certificate"},
		"TLS 1.2":        {&tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}, "unsupported versions"},
		"other system":   {&tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{*stranger}}, "the peer is spiffe://other/cart, which is not of the system shop"},
	} {
		t.Run(name, func(t *testing.T) {
			_, clientErr, serverErr := connect(t, server, tt.client)
			if clientErr == nil || serverErr == nil || !strings.Contains(serverErr.Error(), tt.want) {
				t.Errorf("the server says %v, want %q; the client says %v", serverErr, tt.want, clientErr)
			}
		})
	}
}

// TestNamedService holds that a port of several services shows the certificate of the one that is asked for.
func TestNamedService(t *testing.T) {
	shop := newAuthority(t, "shop")
	server := identity.ServerConfig(shop, "catalog", "cart")
	for _, service := range []string{"catalog", "cart"} {
		if _, clientErr, serverErr := connect(t, server, identity.ClientConfig(shop, "checkout", service)); clientErr != nil || serverErr != nil {
			t.Errorf("%s: %v, %v", service, clientErr, serverErr)
		}
	}
	var wrong *identity.PeerError
	if _, clientErr, _ := connect(t, server, identity.ClientConfig(shop, "checkout", "payment")); !errors.As(clientErr, &wrong) ||
		*wrong != (identity.PeerError{Want: identity.ID{System: "shop", Service: "payment"}, Got: identity.ID{System: "shop", Service: "catalog"}}) {
		t.Errorf("payment: %v", clientErr)
	}
}

// TestNoResumption holds that a client that keeps sessions gets none: each connection shows its certificates anew.
func TestNoResumption(t *testing.T) {
	shop := newAuthority(t, "shop")
	server, client := identity.ServerConfig(shop, "cart"), identity.ClientConfig(shop, "checkout", "cart")
	client.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	for i := range 3 {
		seen, clientErr, serverErr := connect(t, server, client)
		if clientErr != nil || serverErr != nil || seen.DidResume {
			t.Errorf("connection %d: %v, %v, resumed: %v", i, clientErr, serverErr, seen.DidResume)
		}
	}
}

func BenchmarkHandshake(b *testing.B) {
	a, err := identity.NewAuthority("shop")
	if err != nil {
		b.Fatal(err)
	}
	server, client := identity.ServerConfig(a, "cart"), identity.ClientConfig(a, "checkout", "cart")
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			nc, err := lis.Accept()
			if err != nil {
				return
			}
			conn := tls.Server(nc, server)
			conn.Write([]byte("x"))
			conn.Close()
		}
	}()
	for b.Loop() {
		conn, err := tls.Dial("tcp", lis.Addr().String(), client)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
			b.Fatal(err)
		}
		conn.Close()
	}
	lis.Close()
	<-done
}
