package rpc_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// h2c returns a transport of HTTP/2 without TLS.
func h2c(t *testing.T) *http.Transport {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func TestPlainHTTP2OnTheSamePort(t *testing.T) {
	srv, _ := newServer(t, "echo", echoContract)
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "hello ", r.Proto, " ", r.Header.Get("Content-Type"))
	})
	addr := servePort(t, &rpc.Port{Servers: []*rpc.Server{srv}, HTTP: mux})
	bare := servePort(t, &rpc.Port{Servers: []*rpc.Server{srv}})
	client := &http.Client{Transport: h2c(t)}

	if status, body := get(t, client, "http://"+addr+"/hello"); status != 200 || body != "hello HTTP/2.0 " {
		t.Error(status, body)
	}
	if status, _ := get(t, client, "http://"+bare+"/hello"); status != 404 {
		t.Error(status)
	}
	// Plain, too, although they look like gRPC.
	for _, r := range []struct{ method, contentType string }{{"GET", "application/grpc"}, {"POST", "application/grpc-web"}, {"POST", "application/grpcx"}, {"POST", "application/json"}} {
		req, err := http.NewRequest(r.method, "http://"+addr+addMethod, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", r.contentType)
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if want := "hello HTTP/2.0 " + r.contentType; res.StatusCode != 200 || string(body) != want {
			t.Errorf("%s %s: %d %s", r.method, r.contentType, res.StatusCode, body)
		}
	}
}

// TestProxyMixesOnOneConnection has a proxy between clients and the port, which sends gRPC and plain requests over one connection.
func TestProxyMixesOnOneConnection(t *testing.T) {
	srv, e := newServer(t, "echo", echoContract)
	e.hook = func(ctx context.Context, _ string) error {
		grpc.SetTrailer(ctx, metadata.Pairs("x-sum", "5"))
		if md, _ := metadata.FromIncomingContext(ctx); len(md.Get("x-fail")) > 0 {
			return status.Error(codes.FailedPrecondition, "as asked: ü")
		}
		return nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /upper", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Write(bytes.ToUpper(body))
	})
	lis := &countedListener{Listener: loopback(t)}
	port := &rpc.Port{Servers: []*rpc.Server{srv}, HTTP: mux}
	done := make(chan error)
	go func() { done <- port.Serve(lis) }()
	defer func() {
		port.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()

	target, err := url.Parse("http://" + lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewUnstartedServer(&httputil.ReverseProxy{
		// Without FlushInterval: with one, the proxy flushes the headers of a reply that has nothing else, now and then before it ends it,
		// and a status that came in these headers is then none for gRPC. What streams it flushes by itself.
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: h2c(t),
	})
	proxy.Config.Protocols = new(http.Protocols)
	proxy.Config.Protocols.SetUnencryptedHTTP2(true)
	proxy.Start()
	defer proxy.Close()
	client := &http.Client{Transport: h2c(t)}
	upper := func(text string) string {
		res, err := client.Post(proxy.URL+"/upper", "text/plain", strings.NewReader(text))
		if err != nil {
			t.Error(err)
			return ""
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != 200 {
			t.Error(res.StatusCode, err)
		}
		return string(body)
	}
	cc := stockConn(t, proxy.Listener.Addr().String())

	upper("the connection") // is made by it
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			large := strings.Repeat(fmt.Sprint("text ", i, " "), 1+i*i*50)
			if got := upper(large); got != strings.ToUpper(large) {
				t.Errorf("request %d: %d bytes of %d", i, len(got), len(large))
			}
		})
		all.Go(func() {
			large := strings.Repeat(fmt.Sprint("text ", i, " "), 1+i*i*50)
			var trailer metadata.MD
			reply, err := callEcho(t.Context(), cc, addMethod, large, grpc.Trailer(&trailer))
			if err != nil || reply != "echo:"+large || len(trailer.Get("x-sum")) != 1 {
				t.Errorf("call %d: %d bytes, %v, %v", i, len(reply), err, trailer)
			}
		})
		all.Go(func() {
			_, err := callEcho(metadata.AppendToOutgoingContext(t.Context(), "x-fail", "1"), cc, addMethod, "x")
			wantError(t, err, codes.FailedPrecondition, "as asked: ü")
		})
		all.Go(func() {
			list, err := listEcho(t.Context(), cc, "x")
			if err != nil || len(list) != 3 {
				t.Error(list, err)
			}
		})
	}
	all.Wait()
	if n := lis.accepted.Load(); n != 1 {
		t.Errorf("the proxy made %d connections: the test shows nothing", n)
	}
}

// countedListener counts the connections that it accepted.
type countedListener struct {
	net.Listener
	accepted atomic.Int64
}

func (l *countedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.accepted.Add(1)
	}
	return conn, err
}

// TestDrainWaitsForHTTP2Requests drains while a request over HTTP/2 runs, and another whose client is gone.
func TestDrainWaitsForHTTP2Requests(t *testing.T) {
	srv, _ := newServer(t, "echo", echoContract)
	inside, finish := make(chan string, 2), make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		inside <- r.URL.Path
		if r.URL.Path == "/gone" {
			<-r.Context().Done()
		}
		<-finish
		fmt.Fprint(w, "done")
	})
	port := &rpc.Port{Servers: []*rpc.Server{srv}, HTTP: mux}
	addr := servePort(t, port)
	ctx, cancel := context.WithCancel(t.Context())
	var requests sync.WaitGroup
	requests.Go(func() {
		r, err := http.NewRequestWithContext(ctx, "GET", "http://"+addr+"/gone", nil)
		if err != nil {
			t.Error(err)
			return
		}
		transport := h2c(t)
		if _, err := transport.RoundTrip(r); err == nil {
			t.Error("the request that was given up was answered")
		}
		transport.CloseIdleConnections()
	})
	<-inside
	cancel()
	requests.Go(func() {
		if status, body := get(t, &http.Client{Transport: h2c(t)}, "http://"+addr+"/"); status != 200 || body != "done" {
			t.Error(status, body)
		}
	})
	<-inside
	drained := make(chan error)
	go func() { drained <- port.Drain(t.Context()) }()
	short, end := context.WithCancel(t.Context())
	end()
	if err := port.Drain(short); err == nil {
		t.Error("drained while requests ran")
	}
	close(finish)
	if err := <-drained; err != nil {
		t.Error(err)
	}
	requests.Wait()
}

// TestHTTP2RequestsEndWithTheirContext ends requests by HTTPContext.
func TestHTTP2RequestsEndWithTheirContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	inside := make(chan struct{})
	addr := servePort(t, &rpc.Port{HTTPContext: ctx, HTTP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(inside)
		<-r.Context().Done()
		fmt.Fprint(w, "ended")
	})})
	go func() {
		<-inside
		cancel()
	}()
	if status, body := get(t, &http.Client{Transport: h2c(t)}, "http://"+addr); status != 200 || body != "ended" {
		t.Error(status, body)
	}
}
