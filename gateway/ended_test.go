package gateway_test

import (
	"context"
	"errors"
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
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// hasty ends its calls while another goroutine waits for what the client sends next.
type hasty struct {
	library
	received chan error
}

func (s *hasty) Chat(stream grpc.BidiStreamingServer[librarypb.Book, librarypb.Book]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	if first.Title == "answer" {
		if err := stream.Send(first); err != nil {
			return err
		}
	}
	if first.Title == "leave" {
		go func() { s.received <- errors.New("nothing waits") }()
		return status.Error(codes.Aborted, "that was enough")
	}
	began := make(chan struct{})
	go func() {
		close(began)
		_, err := stream.Recv()
		s.received <- err
	}()
	<-began
	return status.Error(codes.Aborted, "that was enough")
}

// TestEndWhileReceiving ends calls whose client has more to say, which it never does: the client hears of the end, and who has waited for
// its next message does, too.
func TestEndWhileReceiving(t *testing.T) {
	s := &hasty{received: make(chan error)}
	url := serveContracts(t, func(r grpc.ServiceRegistrar) { librarypb.RegisterLibraryServer(r, s) })
	for _, http2 := range []bool{false, true} {
		for _, title := range []string{"", "answer", "leave"} {
			book := &librarypb.Book{Title: title}
			for _, tt := range []struct{ name, path, contentType, message, want string }{
				{"connect", "/library.Library/Chat", "application/connect+proto", envelope(0, encoded(t, book)), `"aborted"`},
				{"web", "/library.Library/Chat", "application/grpc-web+proto", envelope(0, encoded(t, book)), "grpc-status: 10"},
				{"rest", "/v1/chat", "application/json", `{"title":"` + title + `"}`, `"aborted"`},
			} {
				in, out := io.Pipe()
				req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, url+tt.path, in)
				req.Header.Set("Content-Type", tt.contentType)
				transport := &http.Transport{Protocols: new(http.Protocols)}
				transport.Protocols.SetHTTP1(!http2)
				transport.Protocols.SetUnencryptedHTTP2(http2)
				go io.WriteString(out, tt.message)
				resp, err := transport.RoundTrip(req)
				if err != nil {
					t.Fatalf("%s, HTTP/2 %t: %v", tt.name, http2, err)
				}
				data, err := io.ReadAll(resp.Body)
				if err != nil || !strings.Contains(string(data), tt.want) {
					t.Errorf("%s, HTTP/2 %t: %s %q, %v", tt.name, http2, resp.Status, data, err)
				}
				resp.Body.Close()
				if err := <-s.received; err == nil || err == io.EOF {
					t.Errorf("%s, HTTP/2 %t: who received got %v", tt.name, http2, err)
				}
				out.Close()
				transport.CloseIdleConnections()
			}
		}
	}
}

// TestSlowRest holds that a request which is answered without its body does not keep its connection by sending that slowly.
func TestSlowRest(t *testing.T) {
	url := serveLibrary(t, func(h *gateway.Handler) { h.Limits.ReadTimeout = 20 * time.Millisecond })
	for name, tt := range map[string]struct{ request, want string }{
		"no type":  {"POST /library.Library/Plain", "415"},
		"no route": {"POST /library.Library/None", "404"},
		"no body":  {"GET /v1/books/x", "408"},
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{", tt.request)
		data, err := io.ReadAll(conn) // the server closes it
		if err != nil || !strings.HasPrefix(string(data), "HTTP/1.1 "+tt.want) {
			t.Errorf("%s: %q, %v", name, data, err)
		}
		conn.Close()
	}
}

// TestUnknownFields holds that a field which does not exist is told to who writes requests by hand, and skipped for clients with a contract
// of their own, which may be newer.
func TestUnknownFields(t *testing.T) {
	url := serve(t, &server{})
	const body = `{"payload":{"bodi":"aGk="}}`
	a := post(t, url+unaryPath, body, jsonType)
	if a.status != 400 || !strings.Contains(a.body, "payload.bodi: unknown field") {
		t.Errorf("by hand: %d %s", a.status, a.body)
	}
	if a := post(t, url+unaryPath, body, jsonType, "Connect-Protocol-Version: 1"); a.status != 200 {
		t.Errorf("Connect: %d %s", a.status, a.body)
	}
	a = post(t, url+"/rpc", `{"jsonrpc":"2.0","id":1,"method":"TestService.UnaryCall","params":`+body+`}`, jsonType)
	if !strings.Contains(a.body, "-32602") || !strings.Contains(a.body, "payload.bodi: unknown field") {
		t.Errorf("JSON-RPC: %d %s", a.status, a.body)
	}
}

// TestVisitor holds that a page of another site which may call without credentials does not get those that a browser sends with simple
// requests all the same.
func TestVisitor(t *testing.T) {
	var cookie []string
	impl := &server{empty: func(ctx context.Context) error {
		cookie = metadata.ValueFromIncomingContext(ctx, "cookie")
		return nil
	}}
	for name, tt := range map[string]struct {
		cors   gateway.CORS
		origin string
		want   bool
	}{
		"all":           {gateway.CORS{Origins: []string{"*"}}, "https://any.example", false},
		"null":          {gateway.CORS{Origins: []string{"*"}}, "null", false},
		"one":           {gateway.CORS{Origins: []string{"https://shop.example"}}, "https://shop.example", false},
		"credentials":   {gateway.CORS{Origins: []string{"https://shop.example"}, Credentials: true}, "https://shop.example", true},
		"its own pages": {gateway.CORS{Origins: []string{"*"}}, "", true},
	} {
		url := serve(t, impl, func(_ *rpc.Server, h *gateway.Handler) { h.CORS = tt.cors })
		if tt.origin == "" {
			tt.origin = url
		}
		a := post(t, url+emptyPath, "{}", jsonType, "Origin: "+tt.origin, "Cookie: session=1")
		if a.status != 200 || (len(cookie) == 1) != tt.want {
			t.Errorf("%s: %d, cookie %q", name, a.status, cookie)
		}
	}
}
