package rpc_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/rpc"
	pb "github.com/hanse-go/hanse/rpc/internal/paritypb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// What peers may send that no stub of ours does: requests and replies made by hand, with net/http as the peer.

// frame is a message with its prefix.
func frame(flag byte, m []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{flag}, uint32(len(m))), m...)
}

// parityMessage is the request and the reply of these tests: a text.
func parityMessage(text string) []byte {
	m, err := proto.Marshal(&pb.Request{Text: text})
	if err != nil {
		panic(err)
	}
	return m
}

// overHTTP2 returns a client of HTTP/2 without TLS.
func overHTTP2(t *testing.T) *http.Client {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// wireServerOf serves handlers and returns the address.
func wireServerOf(t *testing.T, h *handlers) string {
	srv := &rpc.Server{Name: "parity", Instance: "parity-1", MaxRecvMsgSize: 1000}
	pb.RegisterParityServer(srv, h)
	srv.Start()
	lis := loopback(t)
	port := &rpc.Port{Servers: []*rpc.Server{srv}}
	done := make(chan error, 1)
	go func() { done <- port.Serve(lis) }()
	t.Cleanup(func() {
		port.Close()
		srv.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return lis.Addr().String()
}

func TestRequestsMadeByHand(t *testing.T) {
	h := &handlers{unary: func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		return &pb.Reply{Text: fmt.Sprint(in.Text, md["x-bin"])}, nil
	}}
	addr := wireServerOf(t, h)
	client := overHTTP2(t)
	hello := frame(0, parityMessage("hello"))
	for _, tt := range []struct {
		name   string
		body   []byte
		header map[string]string
		method string // of the contract; "": Unary
		status string
		text   string // of the reply, or a part of the message of the status
		more   map[string]string
	}{
		{name: "a call", body: hello, status: "0", text: "hello[]"},
		{name: "subtype proto", body: hello, header: map[string]string{"content-type": "application/grpc+proto"}, status: "0", text: "hello[]"},
		{name: "parameters", body: hello, header: map[string]string{"content-type": "application/grpc;charset=utf-8"}, status: "0", text: "hello[]"},
		{name: "no message", status: "12", text: "received no request"},
		{name: "two messages", body: slices.Concat(hello, hello), status: "12", text: "multiple request"},
		{name: "half a prefix", body: hello[:3], status: "13", text: "middle"},
		{name: "half a message", body: hello[:8], status: "13", text: "middle"},
		{name: "a whole message and a half", body: slices.Concat(hello, hello[:8]), status: "13", text: "middle"},
		{name: "unknown flag", body: frame(2, nil), status: "13", text: "payload format"},
		{name: "compressed without encoding", body: frame(1, []byte("zip")), status: "13", text: "compressed flag"},
		{name: "compressed without encoding, said", body: frame(1, []byte("zip")), header: map[string]string{"grpc-encoding": "identity"}, status: "13", text: "compressed flag"},
		{name: "not what the encoding says", body: frame(1, []byte("zip")), header: map[string]string{"grpc-encoding": "gzip"}, status: "13", text: "decompress"},
		{name: "not compressed, although it might", body: hello, header: map[string]string{"grpc-encoding": "gzip"}, status: "0", text: "hello[]"},
		{name: "unknown encoding", body: hello, header: map[string]string{"grpc-encoding": "br"}, status: "12", text: "br", more: map[string]string{"grpc-accept-encoding": "gzip"}},
		{name: "too large", body: frame(0, make([]byte, 1001)), status: "8", text: "1001 vs. 1000"},
		{name: "too large, by word only", body: []byte{0, 255, 255, 255, 255, 1}, status: "8", text: "larger than max"},
		{name: "no message of its type", body: frame(0, []byte("\xff\xff")), status: "13", text: "unmarshal"},
		{name: "malformed timeout", body: hello, header: map[string]string{"grpc-timeout": "soon"}, status: "13", text: "grpc-timeout"},
		{name: "no time left", body: hello, header: map[string]string{"grpc-timeout": "0n"}, status: "4", text: "deadline"},
		{name: "bytes without padding", body: hello, header: map[string]string{"x-bin": "YQ"}, status: "0", text: "hello[a]"},
		{name: "bytes with padding", body: hello, header: map[string]string{"x-bin": "YQ=="}, status: "0", text: "hello[a]"},
		{name: "several bytes in one", body: hello, header: map[string]string{"x-bin": "YQ,Yg==, Yw"}, status: "0", text: "hello[a b c]"},
		{name: "no bytes", body: hello, header: map[string]string{"x-bin": "*"}, status: "13", text: "x-bin"},
		{name: "unknown method", body: hello, method: "Nothing", status: "12", text: "unknown method Nothing"},
		{name: "the instance that is meant", body: hello, header: map[string]string{"hanse-instance": "parity-1"}, status: "0", text: "hello[]"},
		{name: "another instance", body: hello, header: map[string]string{"hanse-instance": "parity-2"}, status: "14", text: "parity-2", more: map[string]string{"hanse-not-processed": "1"}},
	} {
		for _, piece := range []int{1 << 20, 1} {
			t.Run(fmt.Sprintf("%s/%d", tt.name, piece), func(t *testing.T) {
				method := tt.method
				if method == "" {
					method = "Unary"
				}
				req, err := http.NewRequest("POST", "http://"+addr+"/hanse.parity.v1.Parity/"+method, &pieces{tt.body, piece})
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("content-type", "application/grpc")
				req.Header.Set("te", "trailers")
				for k, v := range tt.header {
					req.Header.Set(k, v)
				}
				resp, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				get := func(key string) string { return resp.Header.Get(key) + resp.Trailer.Get(key) }
				if resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("content-type"), "application/grpc") || get("grpc-status") != tt.status {
					t.Errorf("HTTP %d, %v, %v", resp.StatusCode, resp.Header, resp.Trailer)
				}
				for k, v := range tt.more {
					if get(k) != v {
						t.Errorf("%s: %q, want %q", k, get(k), v)
					}
				}
				if tt.status != "0" {
					if !strings.Contains(get("grpc-message"), tt.text) || len(body) > 0 {
						t.Errorf("message %q, body %q", get("grpc-message"), body)
					}
					return
				}
				if tt.header["grpc-encoding"] == "gzip" { // so is the reply
					if len(body) < 5 || body[0] != 1 || resp.Header.Get("grpc-encoding") != "gzip" {
						t.Fatalf("body %q", body)
					}
					z, err := gzip.NewReader(bytes.NewReader(body[5:]))
					if err != nil {
						t.Fatal(err)
					}
					plain, err := io.ReadAll(z)
					if err != nil {
						t.Fatal(err)
					}
					body = frame(0, plain)
				}
				var out pb.Reply
				if len(body) < 5 || proto.Unmarshal(body[5:], &out) != nil || out.Text != tt.text {
					t.Errorf("body %q", body)
				}
			})
		}
	}
	for _, tt := range []struct {
		method, contentType string
		want                int
	}{
		{"POST", "image/jpeg", 415},
		{"POST", "application/grpc-web+proto", 415},
		{"GET", "application/grpc", 404},
	} {
		req, err := http.NewRequest(tt.method, "http://"+addr+pb.Parity_Unary_FullMethodName, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("content-type", tt.contentType)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); resp.StatusCode != tt.want {
			t.Errorf("%s with %s: %d, want %d", tt.method, tt.contentType, resp.StatusCode, tt.want)
		}
	}
}

// pieces reads a few bytes at a time.
type pieces struct {
	rest []byte
	n    int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.n)], p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

func TestRepliesMadeByHand(t *testing.T) {
	hello := frame(0, parityMessage("hello"))
	ok := map[string]string{"grpc-status": "0"}
	for _, tt := range []struct {
		name    string
		status  int // HTTP; 0 is 200
		header  map[string]string
		body    []byte
		trailer map[string]string
		abort   bool // the stream is reset after the body
		code    codes.Code
		text    string // of the reply, or a part of the status's message
	}{
		{name: "a reply", body: hello, trailer: ok, code: codes.OK, text: "hello"},
		{name: "trailers only", header: map[string]string{"grpc-status": "5", "grpc-message": "gone%21"}, code: codes.NotFound, text: "gone!"},
		{name: "an error behind a reply", body: hello, trailer: map[string]string{"grpc-status": "5"}, code: codes.NotFound},
		{name: "no reply", trailer: ok, code: codes.Unimplemented, text: "no response"},
		{name: "no reply, trailers only", header: ok, code: codes.Unimplemented, text: "no response"},
		{name: "two replies", body: slices.Concat(hello, hello), trailer: ok, code: codes.Unimplemented, text: "another message"},
		{name: "half a reply", body: hello[:8], trailer: ok, code: codes.Internal, text: "middle"},
		{name: "no trailers", body: hello, code: codes.Internal, text: "without trailers"},
		{name: "trailers without status", body: hello, trailer: map[string]string{"x": "1"}, code: codes.Unknown, text: "without a status"},
		{name: "malformed status", body: hello, trailer: map[string]string{"grpc-status": "fine"}, code: codes.Unknown, text: "fine"},
		{name: "HTTP 404", status: 404, header: map[string]string{"content-type": "text/html"}, body: []byte("<p>"), code: codes.Unimplemented, text: "404"},
		{name: "HTTP 503", status: 503, header: map[string]string{"content-type": "text/html"}, code: codes.Unavailable, text: "503"},
		{name: "HTTP 401", status: 401, code: codes.Unauthenticated, text: "401"},
		{name: "HTTP 500 with a status", status: 500, header: map[string]string{"grpc-status": "7"}, code: codes.PermissionDenied},
		{name: "no gRPC", header: map[string]string{"content-type": "text/html"}, body: []byte("<p>"), code: codes.Unknown, text: "text/html"},
		{name: "compressed without encoding", body: frame(1, []byte("zip")), trailer: ok, code: codes.Internal, text: "compressed flag"},
		{name: "unknown encoding", header: map[string]string{"grpc-encoding": "br"}, body: frame(1, []byte("zip")), trailer: ok, code: codes.Internal, text: "br"},
		{name: "too large", body: frame(0, make([]byte, 4<<20+1)), trailer: ok, code: codes.ResourceExhausted, text: "larger than max"},
		{name: "no message of its type", body: frame(0, []byte("\xff\xff")), trailer: ok, code: codes.Internal, text: "unmarshal"},
		{name: "reset", body: hello, abort: true, code: codes.Internal, text: "RST_STREAM"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				w.Header().Set("content-type", "application/grpc")
				for k, v := range tt.header {
					w.Header().Set(k, v)
				}
				if tt.status != 0 {
					w.WriteHeader(tt.status)
				}
				w.Write(tt.body)
				if tt.abort {
					w.(http.Flusher).Flush()
					panic(http.ErrAbortHandler)
				}
				for k, v := range tt.trailer {
					w.Header().Set(http.TrailerPrefix+k, v)
				}
			})}
			server.Protocols.SetUnencryptedHTTP2(true)
			lis := loopback(t)
			done := make(chan bool)
			go func() {
				server.Serve(lis)
				close(done)
			}()
			conn, err := rpc.Dial(lis.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				conn.Close()
				server.Close()
				<-done
			})
			want := func(kind string, err error, text string) {
				t.Helper()
				if tt.code != codes.OK {
					text = ""
					if err != nil {
						text = err.Error()
					}
				}
				wantCode(t, err, tt.code)
				if !strings.Contains(text, tt.text) {
					t.Errorf("%s: %q has no %q", kind, text, tt.text)
				}
			}
			client := pb.NewParityClient(conn)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			out, err := client.Unary(ctx, &pb.Request{})
			want("unary", err, out.GetText())
			s, err := client.Upload(ctx)
			if err != nil {
				t.Fatal(err)
			}
			out, err = s.CloseAndRecv()
			want("stream", err, out.GetText())
		})
	}
}

// Clients that begin many large messages and complete none make the server hold no more than it may, and others are served.
func TestUnfinishedMessagesAreBounded(t *testing.T) {
	srv := &rpc.Server{Name: "parity"}
	pb.RegisterParityServer(srv, &handlers{})
	srv.Start()
	lis := loopback(t)
	port := &rpc.Port{Servers: []*rpc.Server{srv}, Limits: rpc.Limits{MaxQueuedBytes: 1 << 20, MaxQueuedBytesTotal: 1 << 20}}
	done := make(chan error, 1)
	go func() { done <- port.Serve(lis) }()
	addr := lis.Addr().String()
	t.Cleanup(func() {
		port.Close()
		srv.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})

	const callers, size = 8, 3 << 20
	part := frame(0, make([]byte, size))[:size/2]
	client := overHTTP2(t)
	statuses := make(chan string, 2*callers)
	for i := range 2 * callers {
		method := []string{"Unary", "Upload"}[i%2]
		body, more := io.Pipe()
		defer more.Close()
		go more.Write(part) // and nothing behind it
		go func() {
			req, _ := http.NewRequest("POST", "http://"+addr+"/hanse.parity.v1.Parity/"+method, body)
			req.Header.Set("content-type", "application/grpc")
			resp, err := client.Do(req)
			if err != nil {
				statuses <- err.Error()
				return
			}
			resp.Body.Close()
			statuses <- resp.Header.Get("grpc-status")
		}()
	}
	for range 2*callers - 1 { // one can have what it wants
		select {
		case s := <-statuses:
			if s != "8" {
				t.Fatalf("status %q", s)
			}
		case <-time.After(patience):
			t.Fatal("the server holds more than it may")
		}
	}
	conn, err := rpc.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := &pb.Request{Data: make([]byte, 100<<10)} // more than one read brings
	if _, err := pb.NewParityClient(conn).Unary(soon(t), in); err != nil {
		t.Errorf("another client: %v", err)
	}
	client.CloseIdleConnections()
}
