package gateway_test

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hanse-go/hanse/gateway"
	"github.com/hanse-go/hanse/gateway/internal/librarypb"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/stats"
)

// leaving ends the goroutines of its handlers.
type leaving struct{ library }

func (leaving) GetBook(context.Context, *librarypb.GetBookRequest) (*librarypb.GetBookRequest, error) {
	runtime.Goexit()
	return nil, nil
}

// failures counts the calls that a stats handler was told have failed.
type failures struct{ atomic.Int32 }

func (*failures) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (*failures) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (*failures) HandleConn(context.Context, stats.ConnStats)                       {}
func (f *failures) HandleRPC(_ context.Context, s stats.RPCStats) {
	if end, ok := s.(*stats.End); ok && end.Error != nil {
		f.Add(1)
	}
}

// TestGoexit holds that a handler which ends its goroutine is answered for, by each protocol, and that others are served after it.
func TestGoexit(t *testing.T) {
	for _, observed := range []bool{false, true} {
		told := new(failures)
		url := serveContracts(t, func(r grpc.ServiceRegistrar) {
			librarypb.RegisterLibraryServer(r, leaving{})
			testpb.RegisterTestServiceServer(r, &server{empty: func(context.Context) error { runtime.Goexit(); return nil }})
		}, func(s *rpc.Server, _ *gateway.Handler) {
			if observed {
				s.StatsHandlers = []stats.Handler{told}
			}
		})
		for _, http2 := range []bool{false, true} {
			transport := &http.Transport{Protocols: new(http.Protocols), MaxConnsPerHost: 1}
			transport.Protocols.SetHTTP1(!http2)
			transport.Protocols.SetUnencryptedHTTP2(http2)
			ask := func(method, path, body, contentType string) (int, string) {
				req, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Content-Type", contentType)
				resp, err := transport.RoundTrip(req)
				if err != nil {
					t.Fatal(path, err)
				}
				defer resp.Body.Close()
				data, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Errorf("%s: %v", path, err)
				}
				return resp.StatusCode, string(data)
			}
			for _, tt := range []struct{ method, path, body, contentType, want string }{
				{"POST", emptyPath, "{}", "application/json", `"code":"internal"`},
				{"GET", "/v1/books/x", "", "", `"code":"internal"`},
				{"POST", "/rpc", `{"jsonrpc":"2.0","id":1,"method":"TestService.EmptyCall"}`, "application/json", `"error"`},
				{"POST", "/rpc", `[{"jsonrpc":"2.0","id":1,"method":"TestService.EmptyCall"},{"jsonrpc":"2.0","id":2,"method":"TestService.EmptyCall"}]`, "application/json", `"id":2`},
				{"POST", emptyPath, envelope(0, ""), "application/grpc-web", "grpc-status: 13"},
			} {
				before := told.Load()
				if code, body := ask(tt.method, tt.path, tt.body, tt.contentType); !strings.Contains(body, tt.want) {
					t.Errorf("%s, HTTP/2 %t, observed %t: %d %s", tt.path, http2, observed, code, body)
				}
				if observed && told.Load() == before {
					t.Errorf("%s: the stats handler was told of no failure", tt.path)
				}
			}
			if code, body := ask("POST", unaryPath, "{}", "application/json"); code != http.StatusOK {
				t.Errorf("HTTP/2 %t: afterwards: %d %s", http2, code, body)
			}
			transport.CloseIdleConnections()
		}
	}
}
