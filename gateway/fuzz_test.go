package gateway_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/gateway"
	"github.com/hanse-go/hanse/rpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
)

// fuzzed returns a handler that is called without a network.
func fuzzed(f *testing.F) http.Handler {
	srv := &rpc.Server{Name: "test", MaxRecvMsgSize: 4096}
	testpb.RegisterTestServiceServer(srv, &server{})
	srv.Start()
	port := &rpc.Port{Servers: []*rpc.Server{srv}}
	f.Cleanup(func() {
		srv.Drain(context.Background())
		port.Close()
	})
	return &gateway.Handler{Backend: port}
}

// FuzzBody sends any body as any content type to any method: each request is answered, with a status that makes sense.
func FuzzBody(f *testing.F) {
	types := []string{"application/json", "application/proto", "application/connect+proto", "application/connect+json", "application/grpc-web", "application/grpc-web+json", "application/grpc-web-text"}
	paths := []string{unaryPath, inputPath, outputPath, duplexPath}
	for i := range types {
		f.Add(uint8(i), uint8(i), "", envelope(0, "{}"))
		f.Add(uint8(i), uint8(0), "gzip", envelope(1, zip(f, "{}")))
	}
	f.Add(uint8(0), uint8(0), "", `{"payload":{"body":"aGk="}}`)
	f.Add(uint8(6), uint8(3), "", "AAAAAAA=AAAAAAA=")
	f.Add(uint8(2), uint8(1), "", "\x00\xff\xff\xff\xff")
	h := fuzzed(f)
	f.Fuzz(func(t *testing.T, contentType, path uint8, compression, body string) {
		req := httptest.NewRequest(http.MethodPost, paths[int(path)%len(paths)], strings.NewReader(body))
		req.Header.Set("Content-Type", types[int(contentType)%len(types)])
		for _, name := range []string{"Content-Encoding", "Connect-Content-Encoding", "Grpc-Encoding"} {
			req.Header.Set(name, compression)
		}
		resp := httptest.NewRecorder()
		h.ServeHTTP(resp, req)
		switch resp.Code {
		case 200, 400, 415, 429, 501:
		default:
			t.Errorf("%d %s", resp.Code, resp.Body)
		}
	})
}

// FuzzQuery asks by GET with any query and headers.
func FuzzQuery(f *testing.F) {
	f.Add("encoding=json&message=%7B%7D", "1", "5", "AA==")
	f.Add("encoding=proto&base64=1&message=CgF4&compression=gzip", "2", "-1", "!")
	h := fuzzed(f)
	f.Fuzz(func(t *testing.T, query, version, timeout, binary string) {
		req := httptest.NewRequest(http.MethodPost, emptyPath, strings.NewReader("{}"))
		if query != "" {
			req.Method, req.URL.RawQuery = http.MethodGet, query
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Connect-Protocol-Version", version)
		req.Header.Set("Connect-Timeout-Ms", timeout)
		req.Header.Set("X-Key-Bin", binary)
		resp := httptest.NewRecorder()
		h.ServeHTTP(resp, req)
		switch resp.Code {
		case 200, 400, 405, 415, 429, 501, 504:
		default:
			t.Errorf("%d %s", resp.Code, resp.Body)
		}
	})
}
