package gateway_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/hanse-go/hanse/gateway"
	"github.com/hanse-go/hanse/rpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
)

// BenchmarkConnectUnary is what the handler costs, without a network.
func BenchmarkConnectUnary(b *testing.B) {
	srv := &rpc.Server{Name: "test"}
	testpb.RegisterTestServiceServer(srv, &server{})
	srv.Start()
	port := &rpc.Port{Servers: []*rpc.Server{srv}}
	defer srv.Drain(context.Background())
	defer port.Close()
	h := &gateway.Handler{Backend: port}
	data := []byte(body(b, 1000))
	reader := bytes.NewReader(data)
	req := httptest.NewRequest(http.MethodPost, unaryPath, io.NopCloser(reader))
	req.Header = http.Header{"Content-Type": {"application/proto"}, "Connect-Protocol-Version": {"1"}, "User-Agent": {"bench"}, "Accept-Encoding": {"identity"}}
	req.ContentLength = int64(len(data))
	w := &nowhere{header: make(http.Header)}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		delete(req.Header, "X-Request-Id")
		reader.Reset(data)
		h.ServeHTTP(w, req)
	}
	if w.size < len(data) {
		b.Errorf("%d bytes came back", w.size)
	}
}

type nowhere struct {
	header http.Header
	size   int
}

func (w *nowhere) Header() http.Header { return w.header }
func (w *nowhere) WriteHeader(int)     {}
func (w *nowhere) Write(p []byte) (int, error) {
	w.size = len(p)
	return len(p), nil
}
