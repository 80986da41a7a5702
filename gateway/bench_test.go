package gateway_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/hanse-go/hanse/gateway"
	"github.com/hanse-go/hanse/gateway/internal/librarypb"
	"github.com/hanse-go/hanse/rpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
)

// BenchmarkConnectUnary is what the handler costs, without a network.
func BenchmarkConnectUnary(b *testing.B) {
	data := []byte(body(b, 1000))
	benchmark(b, http.MethodPost, unaryPath, data, http.Header{"Content-Type": {"application/proto"}, "Connect-Protocol-Version": {"1"}, "User-Agent": {"bench"}})
}

// BenchmarkREST is the same for an annotated method.
func BenchmarkREST(b *testing.B) {
	benchmark(b, http.MethodGet, "/v1/shelves/1/books/2?pages=3", nil, http.Header{"Accept": {"*/*"}, "User-Agent": {"bench"}})
}

// benchmark makes a request again and again.
func benchmark(b *testing.B, method, target string, data []byte, header http.Header) {
	srv := &rpc.Server{Name: "test"}
	testpb.RegisterTestServiceServer(srv, &server{})
	librarypb.RegisterLibraryServer(srv, library{})
	srv.Start()
	port := &rpc.Port{Servers: []*rpc.Server{srv}}
	defer srv.Drain(context.Background())
	defer port.Close()
	h := &gateway.Handler{Backend: port}
	reader := bytes.NewReader(data)
	req := httptest.NewRequest(method, target, io.NopCloser(reader))
	req.Header = header
	req.ContentLength = int64(len(data))
	w := &nowhere{header: make(http.Header)}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		delete(req.Header, "X-Request-Id")
		reader.Reset(data)
		h.ServeHTTP(w, req)
	}
	if w.size < len(data) || w.code != 0 {
		b.Errorf("%d bytes came back, code %d", w.size, w.code)
	}
}

type nowhere struct {
	header http.Header
	size   int
	code   int
}

func (w *nowhere) Header() http.Header  { return w.header }
func (w *nowhere) WriteHeader(code int) { w.code = code }
func (w *nowhere) Write(p []byte) (int, error) {
	w.size = len(p)
	return len(p), nil
}
