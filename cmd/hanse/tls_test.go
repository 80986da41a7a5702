package main

import (
	"crypto/tls"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/internal/certtest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
)

// stock runs a stock gRPC server, with TLS unless config is nil, and returns its address.
func stock(t *testing.T, config *tls.Config) string {
	var opts []grpc.ServerOption
	if config != nil {
		opts = append(opts, grpc.Creds(credentials.NewTLS(config)))
	}
	srv := grpc.NewServer(opts...)
	healthpb.RegisterHealthServer(srv, health.NewServer())
	reflection.Register(srv)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		srv.Serve(lis) // until it is stopped
	}()
	t.Cleanup(func() { srv.Stop(); <-done })
	_, port, _ := net.SplitHostPort(lis.Addr().String())
	return "localhost:" + port
}

// hanse call reaches servers with TLS, and says what is wrong when it does not.
func TestCallTLS(t *testing.T) {
	p := newMachine(t)
	dir := t.TempDir()
	ca := certtest.NewAuthority(t)
	certtest.Write(t, dir, "ca", ca.Certificate)
	write(t, filepath.Join(dir, "no.pem"), "hello")
	certtest.Write(t, dir, "client", ca.Leaf(t, "client.test"))
	certtest.Write(t, dir, "stranger", certtest.NewAuthority(t).Leaf(t, "client.test"))

	plain := stock(t, nil)
	secure := stock(t, &tls.Config{Certificates: []tls.Certificate{*ca.Leaf(t, "localhost")}})
	named := stock(t, &tls.Config{Certificates: []tls.Certificate{*ca.Leaf(t, "cart.test")}})
	mutual := stock(t, &tls.Config{Certificates: []tls.Certificate{*ca.Leaf(t, "localhost")}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool})

	for _, tt := range []struct {
		at, flags, env string
		want           string // of standard error; "": it answers
		status         int
	}{
		{at: "--target " + plain},
		{at: "--target " + secure, flags: "--cacert ca.pem"},
		{at: "--target " + secure, flags: "--tls --cacert ca.pem"},
		{at: "--target " + secure, flags: "--insecure-skip-verify"},
		{at: "--target " + named, flags: "--cacert ca.pem --server-name cart.test"},
		{at: "--target " + mutual, flags: "--cacert ca.pem --cert client.pem --key client.key"},
		{at: "--registry static:cart=" + secure, flags: "--cacert ca.pem"},
		{at: "--target cart=" + secure, flags: "--cacert ca.pem"},
		{env: "HANSE_TARGET=mail=127.0.0.1:1 cart=" + plain},
		{env: "HANSE_TARGET=cart=" + secure, flags: "--cacert ca.pem"},
		{env: "HANSE_TARGET=cart=127.0.0.1:1", at: "--target cart=" + plain}, // the flag wins
		{env: "HANSE_TARGET=cart=127.0.0.1:1", at: "--target " + plain},

		{at: "--target " + secure, want: "then add --tls)", status: 1},
		{at: "--target " + secure, flags: "--tls", want: "name the file with its authority by --cacert", status: 1},
		{at: "--target " + plain, flags: "--tls", want: "the server speaks no TLS: leave --tls out)", status: 1},
		{at: "--target " + named, flags: "--cacert ca.pem", want: "say which name it has by --server-name)", status: 1},
		{at: "--target " + mutual, flags: "--cacert ca.pem", want: "by --cert and --key)", status: 1},
		{at: "--target " + mutual, flags: "--cacert ca.pem --cert stranger.pem --key stranger.key", want: "by --cert and --key)", status: 1},
		{at: "--target " + secure, flags: "--cacert nowhere.pem", want: "hanse: --cacert: there is no file nowhere.pem", status: 2},
		{at: "--target " + secure, flags: "--cacert no.pem", want: "hanse: --cacert: no.pem has no certificate in PEM form; it begins with -----BEGIN CERTIFICATE-----", status: 2},
		{at: "--target " + secure, flags: "--cert client.pem", want: "hanse: --cert and --key belong together; give both", status: 2},
		{at: "--target " + secure, flags: "--cert client.pem --key no.pem", want: "hanse: --cert and --key: client.pem and no.pem: ", status: 2},
		{at: "--target " + secure, flags: "--cacert ca.pem --insecure-skip-verify", want: "keep one of them", status: 2},
		{at: "--target " + secure + " --target " + plain, want: "--target names two places", status: 2},
		{env: "HANSE_TARGET=localhost:1", want: `hanse: HANSE_TARGET: "localhost:1" is not SERVICE=TARGET; write cart=localhost:8443`, status: 2},
		{env: "HANSE_TARGET=cart=foo://x", want: `hanse: the target of cart: discovery: target "foo://x": unknown scheme "foo"`, status: 2},
	} {
		t.Run(strings.TrimSpace(tt.env+" "+tt.at+" "+tt.flags), func(t *testing.T) {
			q := *p
			q.t, q.env = t, append(p.env[:len(p.env):len(p.env)], tt.env)
			args := append([]string{"call", "cart/grpc.health.v1.Health/Check", "--json"}, strings.Fields(tt.at+" "+tt.flags)...)
			if tt.want != "" {
				args = append(args[:2], args[3:]...) // errors for people
			}
			out, errs, status := q.hanse(dir, args...)
			if tt.want == "" && (status != 0 || out != "{\"status\":\"SERVING\"}\n") || tt.want != "" && !strings.Contains(errs, tt.want) || status != tt.status {
				t.Errorf("status %d, %s%s", status, out, errs)
			}
		})
	}
}
