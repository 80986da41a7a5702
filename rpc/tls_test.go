package rpc_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"net"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-go/hanse/internal/certtest"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// named issues a certificate for a server on loopback that has the name.
func named(t *testing.T, a *certtest.Authority, name string) *tls.Certificate {
	return a.Leaf(t, name, "127.0.0.1")
}

func serverName(ctx context.Context, t *testing.T) string {
	p, ok := peer.FromContext(ctx)
	if !ok {
		t.Fatal("no peer")
	}
	return p.AuthInfo.(credentials.TLSInfo).State.PeerCertificates[0].Subject.CommonName
}

// TestCertificateReload holds that a new certificate is what new connections get, while old ones go on.
func TestCertificateReload(t *testing.T) {
	a := certtest.NewAuthority(t)
	var current atomic.Pointer[tls.Certificate]
	current.Store(named(t, a, "first"))
	srv, _ := newServer(t, "echo", echoContract)
	srv.Instance = ""
	addr := servePort(t, &rpc.Port{Servers: []*rpc.Server{srv}, TLS: &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return current.Load(), nil },
	}})
	trust := rpc.WithTLS(&tls.Config{RootCAs: a.Pool})
	old := dial(t, addr, trust)
	stream, err := chatEcho(t.Context(), old)
	if err != nil {
		t.Fatal(err)
	}
	say := func() {
		t.Helper()
		if err := stream.SendMsg(stringValue("x")); err != nil {
			t.Fatal(err)
		}
		if err := stream.RecvMsg(stringValue("")); err != nil {
			t.Fatal(err)
		}
	}
	say()
	current.Store(named(t, a, "second"))
	for _, tt := range []struct {
		conn *rpc.Conn
		want string
	}{{old, "first"}, {dial(t, addr, trust), "second"}} {
		s, err := chatEcho(t.Context(), tt.conn)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.SendMsg(stringValue("x")); err != nil {
			t.Fatal(err)
		}
		if err := s.RecvMsg(stringValue("")); err != nil {
			t.Fatal(err)
		}
		if got := serverName(s.Context(), t); got != tt.want {
			t.Errorf("the certificate of %q, want %q", got, tt.want)
		}
		if err := s.CloseSend(); err != nil {
			t.Fatal(err)
		}
		if err := s.RecvMsg(stringValue("")); err != io.EOF {
			t.Fatal(err)
		}
	}
	say()
	stream.CloseSend()
	if err := stream.RecvMsg(stringValue("")); err != io.EOF {
		t.Error(err)
	}
}

// TestClientCertificates holds that they are demanded and verified, and that handlers see them.
func TestClientCertificates(t *testing.T) {
	a, other := certtest.NewAuthority(t), certtest.NewAuthority(t)
	srv, e := newServer(t, "echo", echoContract)
	srv.Instance = ""
	infos := make(chan credentials.TLSInfo, 1)
	e.hook = func(ctx context.Context, _ string) error {
		p, _ := peer.FromContext(ctx)
		infos <- p.AuthInfo.(credentials.TLSInfo)
		return nil
	}
	addr := servePort(t, &rpc.Port{Servers: []*rpc.Server{srv}, TLS: &tls.Config{
		Certificates: []tls.Certificate{*named(t, a, "echo")}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.Pool,
	}})
	client := func(from *certtest.Authority) tls.Certificate {
		return *from.Issue(t, &x509.Certificate{
			Subject: pkix.Name{CommonName: "cart"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
			URIs: []*url.URL{{Scheme: "spiffe", Host: "shop", Path: "/cart"}},
		})
	}
	known := dial(t, addr, rpc.WithTLS(&tls.Config{RootCAs: a.Pool, Certificates: []tls.Certificate{client(a)}}))
	if _, err := callEcho(t.Context(), known, addMethod, "x"); err != nil {
		t.Fatal(err)
	}
	info := <-infos
	if chains := info.State.VerifiedChains; len(chains) != 1 || len(chains[0]) != 2 || chains[0][0].Subject.CommonName != "cart" {
		t.Errorf("chains %v", chains)
	}
	if info.SPIFFEID == nil || info.SPIFFEID.String() != "spiffe://shop/cart" {
		t.Errorf("SPIFFE ID %v", info.SPIFFEID)
	}
	for name, tt := range map[string]struct {
		certs []tls.Certificate
		want  string
	}{
		"none":    {nil, "certificate required"},
		"unknown": {[]tls.Certificate{client(other)}, "certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			conn := dial(t, addr, rpc.WithTLS(&tls.Config{RootCAs: a.Pool, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				if tt.certs == nil {
					return new(tls.Certificate), nil
				}
				return &tt.certs[0], nil
			}}))
			_, err := callEcho(t.Context(), conn, addMethod, "x")
			wantError(t, err, codes.Unavailable, addr, tt.want)
		})
	}
}

// TestTLSErrors holds that callers learn what is wrong.
func TestTLSErrors(t *testing.T) {
	a := certtest.NewAuthority(t)
	ip := []net.IP{net.IPv4(127, 0, 0, 1)}
	good := named(t, a, "good")
	past := time.Now().Add(-time.Hour)
	for name, tt := range map[string]struct {
		server *tls.Config
		name   string // that the client expects
		want   string
	}{
		"no h2":      {&tls.Config{Certificates: []tls.Certificate{*good}, NextProtos: []string{"http/1.1"}}, "", "no application protocol"},
		"no ALPN":    {&tls.Config{Certificates: []tls.Certificate{*good}}, "", "the peer did not agree on HTTP/2"},
		"wrong name": {&tls.Config{Certificates: []tls.Certificate{*good}, NextProtos: []string{"h2"}}, "other.example.org", "other.example.org"},
		"expired": {&tls.Config{Certificates: []tls.Certificate{*a.Issue(t, &x509.Certificate{
			IPAddresses: ip, NotBefore: past.Add(-time.Hour), NotAfter: past})}, NextProtos: []string{"h2"}}, "", "certificate has expired"},
		"old version": {&tls.Config{Certificates: []tls.Certificate{*good}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, "", "protocol version"},
	} {
		t.Run(name, func(t *testing.T) {
			lis, err := tls.Listen("tcp", "127.0.0.1:0", tt.server)
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				for {
					conn, err := lis.Accept()
					if err != nil {
						return
					}
					conn.(*tls.Conn).Handshake()
					conn.Close()
				}
			}()
			conn := dial(t, lis.Addr().String(), rpc.WithTLS(&tls.Config{RootCAs: a.Pool, ServerName: tt.name}))
			_, err = callEcho(t.Context(), conn, addMethod, "x")
			wantError(t, err, codes.Unavailable, lis.Addr().String(), tt.want)
			lis.Close()
			<-done
		})
	}
}
