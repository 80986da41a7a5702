// Command server is Hanse's server under the Connect project's conformance suite. The suite starts it, tells it by standard input what to
// speak, reads its address from standard output, and ends it by SIGTERM:
//
//	connectconformance --mode server --conf server.yaml -- ./server
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/hanse-go/hanse/gateway"
	"github.com/hanse-go/hanse/internal/conformance/conformancepb"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/gzip" // the suite compresses by gzip
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	encoding.RegisterCodecV2(jsonCodec{})
	if err := run(ctx, os.Stdin, os.Stdout); err != nil {
		slog.Error("the conformance server failed", "err", err)
		os.Exit(1)
	}
}

// run serves as the message on in asks for, until ctx ends.
func run(ctx context.Context, in io.Reader, out io.Writer) error {
	var req conformancepb.ServerCompatRequest
	if err := conformancepb.ReadMessage(in, &req); err != nil {
		return err
	}
	port, err := newPort(&req)
	if err != nil {
		return err
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- port.Serve(lis) }()

	addr := lis.Addr().(*net.TCPAddr)
	resp := &conformancepb.ServerCompatResponse{Host: addr.IP.String(), Port: uint32(addr.Port)}
	if req.UseTls {
		resp.PemCert = req.GetServerCreds().GetCert()
	}
	if err := conformancepb.WriteMessage(out, resp); err != nil {
		return errors.Join(err, port.Close(), <-served)
	}
	select {
	case <-ctx.Done():
		return errors.Join(port.Close(), <-served)
	case err := <-served:
		return errors.Join(err, port.Close())
	}
}

// newPort returns a port that serves ConformanceService as req asks for.
func newPort(req *conformancepb.ServerCompatRequest) (*rpc.Port, error) {
	srv := &rpc.Server{Name: "conformance", MaxRecvMsgSize: -1}
	if req.MessageReceiveLimit > 0 {
		srv.MaxRecvMsgSize = int(req.MessageReceiveLimit)
	}
	conformancepb.RegisterConformanceServiceServer(srv, service{})
	if err := srv.Err(); err != nil {
		return nil, err
	}
	srv.Start()
	port := &rpc.Port{Servers: []*rpc.Server{srv}}
	port.HTTP = withQuery(&gateway.Handler{Backend: port})
	if !req.UseTls {
		return port, nil
	}
	cert, err := tls.X509KeyPair(req.GetServerCreds().GetCert(), req.GetServerCreds().GetKey())
	if err != nil {
		return nil, fmt.Errorf("the server's certificate: %w", err)
	}
	port.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	if len(req.ClientTlsCert) > 0 {
		clients := x509.NewCertPool()
		if !clients.AppendCertsFromPEM(req.ClientTlsCert) {
			return nil, errors.New("the certificate of the clients is no PEM")
		}
		port.TLS.ClientAuth, port.TLS.ClientCAs = tls.RequireAndVerifyClientCert, clients
	}
	return port, nil
}

// withQuery puts the query of a GET into the context, for the service tells the client of it.
func withQuery(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			r = r.WithContext(context.WithValue(r.Context(), queryKey{}, r.URL.Query()))
		}
		next.ServeHTTP(w, r)
	})
}

type queryKey struct{}
