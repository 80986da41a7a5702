package gateway_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/gateway"
	"github.com/hanse-go/hanse/gateway/internal/librarypb"
	"github.com/hanse-go/hanse/internal/otlptest"
	"github.com/hanse-go/hanse/rpc"
	"github.com/hanse-go/hanse/telemetry"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

// atTimesLeaving is a library whose handler ends its goroutine for one book.
type atTimesLeaving struct{ library }

func (l atTimesLeaving) GetBook(ctx context.Context, in *librarypb.GetBookRequest) (*librarypb.GetBookRequest, error) {
	if in.GetName() == "leaves" {
		runtime.Goexit()
	}
	return l.library.GetBook(ctx, in)
}

// TestSpans holds that a call by each protocol is one trace, below that of who asks: the request where it says more than the call, and the call below it.
func TestSpans(t *testing.T) {
	const (
		asked    = "0af7651916cd43dd8448eb211c80319c"
		asker    = "b7ad6b7169203331"
		parent   = "00-" + asked + "-" + asker + "-01"
		envelope = "\x00\x00\x00\x00\x00"
	)
	method := func(name string) string { return librarypb.Library_ServiceDesc.ServiceName + "/" + name }
	send := func(t *testing.T, verb, url, contentType, body string) {
		t.Helper()
		r, err := http.NewRequest(verb, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if contentType != "" {
			r.Header.Set("Content-Type", contentType)
			r.Header.Set("Connect-Protocol-Version", "1")
		}
		r.Header.Set("traceparent", parent)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		http.DefaultClient.CloseIdleConnections()
	}
	for _, tt := range []struct {
		name string
		call func(t *testing.T, url string)
		want []string // kind, name and status of the spans, each below the one before
		same int      // of the last so many, which are side by side
	}{
		{name: "gRPC", want: []string{"server " + method("GetBook")}, call: func(t *testing.T, url string) {
			conn, err := grpc.NewClient(strings.TrimPrefix(url, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := librarypb.NewLibraryClient(conn).GetBook(metadata.AppendToOutgoingContext(t.Context(), "traceparent", parent), new(librarypb.GetBookRequest)); err != nil {
				t.Error(err)
			}
		}},
		{name: "Connect", want: []string{"server " + method("GetBook")}, call: func(t *testing.T, url string) {
			send(t, "POST", url+"/"+method("GetBook"), "application/json", "{}")
		}},
		{name: "Connect, a stream", want: []string{"server " + method("WatchBooks")}, call: func(t *testing.T, url string) {
			send(t, "POST", url+"/"+method("WatchBooks"), "application/connect+proto", envelope)
		}},
		{name: "gRPC-Web", want: []string{"server " + method("GetBook")}, call: func(t *testing.T, url string) {
			send(t, "POST", url+"/"+method("GetBook"), "application/grpc-web+proto", envelope)
		}},
		{name: "REST", want: []string{"server GET /v1/books/{name} calls", "server " + method("GetBook")}, call: func(t *testing.T, url string) {
			send(t, "GET", url+"/v1/books/dune", "", "")
		}},
		{name: "REST that fails", want: []string{"server GET /v1/books/{name} calls error", "server " + method("GetBook") + " error"}, call: func(t *testing.T, url string) {
			send(t, "GET", url+"/v1/books/busy", "", "")
		}},
		{name: "REST to a handler that ends its goroutine", want: []string{"server GET /v1/books/{name} calls error", "server " + method("GetBook") + " error"}, call: func(t *testing.T, url string) {
			send(t, "GET", url+"/v1/books/leaves", "", "")
		}},
		{name: "JSON-RPC to a handler that ends its goroutine", want: []string{"server POST /rpc calls", "server " + method("GetBook") + " error"}, call: func(t *testing.T, url string) {
			send(t, "POST", url+"/rpc", "application/json", `{"jsonrpc":"2.0","method":"`+method("GetBook")+`","params":{"name":"leaves"},"id":1}`)
		}},
		{name: "REST that is no call", want: []string{"server GET /v1/books/{name}"}, call: func(t *testing.T, url string) {
			r, err := http.NewRequest("GET", url+"/v1/books/dune", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Secret-Bin", "no base64!")
			r.Header.Set("traceparent", parent)
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if resp.Body.Close(); resp.StatusCode != http.StatusBadRequest {
				t.Error(resp.Status)
			}
			http.DefaultClient.CloseIdleConnections()
		}},
		{name: "JSON-RPC", want: []string{"server POST /rpc calls", "server " + method("GetBook"), "server " + method("GetBook")}, same: 2, call: func(t *testing.T, url string) {
			one := `{"jsonrpc":"2.0","method":"` + method("GetBook") + `","id":1}`
			send(t, "POST", url+"/rpc", "application/json", "["+one+","+one+"]")
		}},
		{name: "WebSocket", want: []string{"server GET /" + method("GetBook") + " calls", "server " + method("GetBook")}, call: func(t *testing.T, url string) {
			conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			io.WriteString(conn, "GET /"+method("GetBook")+" HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
				"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\ntraceparent: "+parent+"\r\n\r\n\x81\x82\x00\x00\x00\x00{}")
			in := bufio.NewReader(conn)
			resp, err := http.ReadResponse(in, nil)
			if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
				t.Errorf("%+v, %v", resp, err)
				return
			}
			io.ReadFull(in, make([]byte, 2)) // the answer
			io.WriteString(conn, "\x88\x80\x00\x00\x00\x00")
			io.Copy(io.Discard, in)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			received := otlptest.New(t)
			tel, err := telemetry.New(telemetry.Config{Traces: telemetry.Export{URL: received.URL}, Batch: telemetry.Batch{Delay: time.Millisecond}})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- tel.Run(ctx) }()
			url := serveContracts(t, func(r grpc.ServiceRegistrar) { librarypb.RegisterLibraryServer(r, atTimesLeaving{}) }, func(s *rpc.Server, _ *gateway.Handler) {
				s.Telemetry = tel.Service("library", "", "")
			})
			tt.call(t, url)
			spans := received.Wait(t, len(tt.want))
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			if len(spans) != len(tt.want) {
				t.Fatalf("%d spans: %+v", len(spans), spans)
			}
			below := asker
			for i, want := range tt.want {
				at := slices.IndexFunc(spans, func(s otlptest.Span) bool { return s.Parent == below })
				if at < 0 {
					t.Fatalf("no span is below %s: %+v", below, spans)
				}
				s := spans[at]
				spans = slices.Delete(spans, at, at+1)
				name := s.Name
				if s.Attributes["hanse.http.calls"] == "true" { // it counts with them
					name += " calls"
				}
				if got := strings.TrimSpace(s.Kind + " " + name + " " + s.Status); got != want || s.Trace != asked || s.Service != "library" {
					t.Errorf("%q, want %q: %+v", got, want, s)
				}
				if i < len(tt.want)-max(tt.same, 1) {
					below = s.ID
				}
			}
		})
	}
}
