package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/gateway"
	"github.com/hanse-go/hanse/gateway/internal/librarypb"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"
)

// talker answers with much, and its streams go on until nobody takes what they send.
type talker struct{ library }

var much = &librarypb.Book{Title: strings.Repeat("x", 16<<20)}

func (talker) Plain(context.Context, *librarypb.Book) (*librarypb.Book, error)   { return much, nil }
func (talker) TagBook(context.Context, *librarypb.Book) (*librarypb.Book, error) { return much, nil }

func (talker) WatchBooks(_ *librarypb.GetBookRequest, stream grpc.ServerStreamingServer[librarypb.Book]) error {
	return talk(stream.Send, &librarypb.Book{Title: much.Title[:1<<20]})
}

func (talker) Chat(stream grpc.BidiStreamingServer[librarypb.Book, librarypb.Book]) error {
	return talk(stream.Send, &librarypb.Book{Title: much.Title[:1<<20]})
}

func (talker) Download(_ *librarypb.GetBookRequest, stream grpc.ServerStreamingServer[httpbody.HttpBody]) error {
	return talk(stream.Send, &httpbody.HttpBody{Data: []byte(much.Title[:1<<20])})
}

func talk[M any](send func(*M) error, m *M) error {
	for {
		if err := send(m); err != nil {
			return err
		}
	}
}

// TestReadsNothing holds that a client which reads nothing of what it is answered does not keep the request, whatever it speaks.
func TestReadsNothing(t *testing.T) {
	served := make(chan string, 1) // the path of a request that is over
	url := serveContracts(t, func(r grpc.ServiceRegistrar) { librarypb.RegisterLibraryServer(r, talker{}) }, func(_ *rpc.Server, h *gateway.Handler) {
		port := h.Backend.(*rpc.Port)
		port.Limits.StallTimeout = 100 * time.Millisecond
		port.HTTP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() { served <- r.URL.Path }()
			h.ServeHTTP(w, r)
		})
	})
	for _, tt := range []struct{ name, method, path, body, header string }{
		{"Connect", "POST", "/library.Library/Plain", "{}", jsonType},
		{"Connect stream", "POST", "/library.Library/WatchBooks", envelope(0, "{}"), "Content-Type: application/connect+json"},
		{"gRPC-Web", "POST", "/library.Library/WatchBooks", envelope(0, ""), "Content-Type: application/grpc-web+proto"},
		{"gRPC-Web text", "POST", "/library.Library/WatchBooks", "AAAAAAA=", "Content-Type: application/grpc-web-text"},
		{"REST", "PUT", "/v1/books/x/title", `"y"`, jsonType},
		{"lines", "GET", "/v1/books:watch", "", "Accept: application/x-ndjson"},
		{"events", "GET", "/v1/books:watch", "", "Accept: text/event-stream"},
		{"bytes", "GET", "/v1/files/x", "", "Accept: */*"},
		{"JSON-RPC", "POST", "/rpc", `{"jsonrpc":"2.0","method":"Library.Plain","id":1}`, jsonType},
		{"WebSocket", "GET", "/library.Library/Chat", "",
			"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="},
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: localhost\r\n%s\r\nContent-Length: %d\r\n\r\n%s", tt.method, tt.path, tt.header, len(tt.body), tt.body)
		if got := <-served; got != tt.path {
			t.Errorf("%s: %s", tt.name, got)
		}
		conn.Close()
		if tt.name == "WebSocket" {
			continue
		}
		req, _ := http.NewRequestWithContext(t.Context(), tt.method, url+tt.path, strings.NewReader(tt.body))
		name, value, _ := strings.Cut(tt.header, ": ")
		req.Header.Set(name, value)
		transport := &http.Transport{Protocols: new(http.Protocols), DisableCompression: true}
		transport.Protocols.SetUnencryptedHTTP2(true)
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatalf("%s, HTTP/2: %v", tt.name, err)
		}
		if got := <-served; got != tt.path {
			t.Errorf("%s, HTTP/2: %s", tt.name, got)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err == nil {
			t.Errorf("%s, HTTP/2: the answer came to its end", tt.name)
		}
		resp.Body.Close()
		transport.CloseIdleConnections()
	}
}
