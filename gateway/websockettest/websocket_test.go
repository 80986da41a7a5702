package websockettest

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/hanse-go/hanse/gateway"
	"github.com/hanse-go/hanse/rpc"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server echoes bodies, and tells what else it heard.
type server struct {
	testpb.UnimplementedTestServiceServer
	metadata chan metadata.MD
	ended    chan error // of each FullDuplexCall
}

func (s *server) EmptyCall(ctx context.Context, _ *testpb.Empty) (*testpb.Empty, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	s.metadata <- md
	return &testpb.Empty{}, nil
}

// UnaryCall fails with the status that it is asked for.
func (s *server) UnaryCall(_ context.Context, in *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	if e := in.GetResponseStatus(); e != nil {
		return nil, status.Error(codes.Code(e.Code), e.Message)
	}
	return &testpb.SimpleResponse{Payload: in.Payload}, nil
}

func (s *server) StreamingOutputCall(in *testpb.StreamingOutputCallRequest, out grpc.ServerStreamingServer[testpb.StreamingOutputCallResponse]) error {
	for range in.GetResponseParameters() {
		if err := out.Send(&testpb.StreamingOutputCallResponse{Payload: in.Payload}); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) StreamingInputCall(in grpc.ClientStreamingServer[testpb.StreamingInputCallRequest, testpb.StreamingInputCallResponse]) error {
	size := 0
	for {
		m, err := in.Recv()
		if err == io.EOF {
			return in.SendAndClose(&testpb.StreamingInputCallResponse{AggregatedPayloadSize: int32(size)})
		}
		if err != nil {
			return err
		}
		size += len(m.GetPayload().GetBody())
	}
}

func (s *server) FullDuplexCall(c grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
	err := echo(c)
	s.ended <- err
	return err
}

func echo(c grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
	for {
		m, err := c.Recv()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = c.Send(&testpb.StreamingOutputCallResponse{Payload: m.Payload})
		}
		if err != nil {
			return err
		}
	}
}

// serve returns the address of a service and what it hears.
func serve(t *testing.T, config gateway.Config) (url string, s *server) {
	t.Helper()
	s = &server{metadata: make(chan metadata.MD, 1), ended: make(chan error, 100)}
	srv := &rpc.Server{Name: "test"}
	testpb.RegisterTestServiceServer(srv, s)
	srv.Start()
	port := &rpc.Port{Servers: []*rpc.Server{srv}}
	port.HTTP = &gateway.Handler{Backend: port, Config: config}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- port.Serve(lis) }()
	t.Cleanup(func() {
		srv.Stop()
		port.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if err := srv.Drain(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return "ws://" + lis.Addr().String() + "/grpc.testing.TestService/", s
}

// dial connects with these subprotocols and header fields, "Name: value".
func dial(t *testing.T, url string, protocols []string, fields ...string) (*websocket.Conn, *http.Response, error) {
	t.Helper()
	header := http.Header{}
	for _, f := range fields {
		if name, value, ok := strings.Cut(f, ": "); ok {
			header.Add(name, value)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	conn, resp, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}, HTTPHeader: header, Subprotocols: protocols})
	if err == nil {
		t.Cleanup(func() { conn.CloseNow() })
	}
	return conn, resp, err
}

func connect(t *testing.T, url string, protocols ...string) *websocket.Conn {
	t.Helper()
	conn, _, err := dial(t, url, protocols)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func write(t *testing.T, c *websocket.Conn, kind websocket.MessageType, message string) {
	t.Helper()
	if err := c.Write(t.Context(), kind, []byte(message)); err != nil {
		t.Fatal(err)
	}
}

func wantText(t *testing.T, c *websocket.Conn, want string) {
	t.Helper()
	kind, got, err := c.Read(t.Context())
	if err != nil || kind != websocket.MessageText || strings.ReplaceAll(string(got), " ", "") != want {
		t.Fatalf("%v %s, %v; want %s", kind, got, err, want)
	}
}

func wantClosed(t *testing.T, c *websocket.Conn, code websocket.StatusCode, reason string) {
	t.Helper()
	_, got, err := c.Read(t.Context())
	var closed websocket.CloseError
	errors.As(err, &closed)
	if closed.Code != code || !strings.Contains(closed.Reason, reason) {
		t.Fatalf("%s, %v; want to be closed with %d %s", got, err, code, reason)
	}
}

const hi = `{"payload":{"body":"aGk="}}`

func TestJSON(t *testing.T) {
	url, s := serve(t, gateway.Config{})
	for _, protocols := range [][]string{nil, {"hanse.v1.json"}, {"other", "hanse.v1.json", "hanse.v1.proto"}} {
		c := connect(t, url+"FullDuplexCall", protocols...)
		if want := map[bool]string{true: "hanse.v1.json"}[protocols != nil]; c.Subprotocol() != want {
			t.Errorf("offered %q, chosen %q", protocols, c.Subprotocol())
		}
		for range 3 {
			write(t, c, websocket.MessageText, hi)
			wantText(t, c, hi)
		}
		write(t, c, websocket.MessageText, "")
		wantClosed(t, c, websocket.StatusNormalClosure, "")
		if err := <-s.ended; err != nil {
			t.Error(err)
		}
	}
}

func TestProto(t *testing.T) {
	url, s := serve(t, gateway.Config{})
	c := connect(t, url+"FullDuplexCall", "hanse.v1.proto")
	for _, body := range []string{"hi", "", strings.Repeat("x", 1_000_000)} {
		in, err := proto.Marshal(&testpb.StreamingOutputCallRequest{Payload: &testpb.Payload{Body: []byte(body)}})
		if err != nil {
			t.Fatal(err)
		}
		write(t, c, websocket.MessageBinary, string(in))
		c.SetReadLimit(2_000_000)
		kind, got, err := c.Read(t.Context())
		var out testpb.StreamingOutputCallResponse
		if err != nil || kind != websocket.MessageBinary || proto.Unmarshal(got, &out) != nil || string(out.Payload.GetBody()) != body {
			t.Fatalf("%v %d bytes, %v", kind, len(got), err)
		}
	}
	write(t, c, websocket.MessageBinary, "") // an empty message, not the end
	if _, got, err := c.Read(t.Context()); err != nil || len(got) != 0 {
		t.Fatalf("%q, %v", got, err)
	}
	write(t, c, websocket.MessageText, "")
	wantClosed(t, c, websocket.StatusNormalClosure, "")
	if err := <-s.ended; err != nil {
		t.Error(err)
	}
}

// Methods of the other kinds.
func TestKinds(t *testing.T) {
	url, _ := serve(t, gateway.Config{})
	c := connect(t, url+"StreamingInputCall")
	write(t, c, websocket.MessageText, hi)
	write(t, c, websocket.MessageText, hi)
	write(t, c, websocket.MessageText, "")
	wantText(t, c, `{"aggregatedPayloadSize":4}`)
	wantClosed(t, c, websocket.StatusNormalClosure, "")

	c = connect(t, url+"StreamingOutputCall")
	write(t, c, websocket.MessageText, `{"payload":{"body":"aGk="},"responseParameters":[{},{}]}`)
	wantText(t, c, hi)
	wantText(t, c, hi)
	wantClosed(t, c, websocket.StatusNormalClosure, "")

	c = connect(t, url+"UnaryCall")
	write(t, c, websocket.MessageText, hi)
	wantText(t, c, hi)
	wantClosed(t, c, websocket.StatusNormalClosure, "")
}

func TestErrors(t *testing.T) {
	url, _ := serve(t, gateway.Config{Limits: gateway.Limits{MessageBytes: 1000, Depth: 10}})
	for _, tt := range []struct {
		method, protocol string
		kind             websocket.MessageType
		message          string
		code             websocket.StatusCode
		reason           string
	}{
		{"UnaryCall", "", websocket.MessageText, `{"responseStatus":{"code":5,"message":"no such thing"}}`, 4005, "no such thing"},
		{"UnaryCall", "", websocket.MessageText, `{"responseStatus":{"code":5,"message":"` + strings.Repeat("ü", 100) + `"}}`, 4005, strings.Repeat("ü", 61)},
		{"UnaryCall", "", websocket.MessageText, `{"payload":7}`, 4003, ""},
		{"UnaryCall", "", websocket.MessageText, `{"payload":{"bodi":"aGk="}}`, 4003, "payload.bodi: unknown field"},
		{"FullDuplexCall", "hanse.v1.json", websocket.MessageText, `{"paylod":{}}`, 4003, "paylod: unknown field"},
		{"UnaryCall", "", websocket.MessageText, `{`, 4003, ""},
		{"UnaryCall", "", websocket.MessageText, strings.Repeat("[", 100), 4003, ""},
		{"UnaryCall", "", websocket.MessageText, "", 4012, "no request message"},
		{"UnaryCall", "hanse.v1.proto", websocket.MessageBinary, "\xff", 4003, "the request is no proto"},
		{"FullDuplexCall", "", websocket.MessageText, `{"payload":{"body":"!"}}`, 4003, ""},
		{"FullDuplexCall", "", websocket.MessageBinary, "", 1003, "messages are text"},
		{"FullDuplexCall", "hanse.v1.proto", websocket.MessageText, "{}", 1003, "messages are text"},
		{"FullDuplexCall", "", websocket.MessageText, strings.Repeat("x", 1001), 1009, "1000 bytes"},
		{"HalfDuplexCall", "", websocket.MessageText, "{}", 4012, "not implemented"},
	} {
		var protocols []string
		if tt.protocol != "" {
			protocols = []string{tt.protocol}
		}
		c := connect(t, url+tt.method, protocols...)
		write(t, c, tt.kind, tt.message)
		wantClosed(t, c, tt.code, tt.reason)
	}
}

// Compression is not agreed on, whatever a client offers.
func TestNotCompressed(t *testing.T) {
	url, _ := serve(t, gateway.Config{})
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c, resp, err := websocket.Dial(t.Context(), url+"UnaryCall", &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport}, CompressionMode: websocket.CompressionContextTakeover, CompressionThreshold: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	if agreed := resp.Header.Get("Sec-WebSocket-Extensions"); agreed != "" {
		t.Errorf("agreed on %s", agreed)
	}
	write(t, c, websocket.MessageText, hi)
	wantText(t, c, hi)
}

// What comes behind the end is a mistake of the client.
func TestBehindTheEnd(t *testing.T) {
	url, s := serve(t, gateway.Config{})
	c := connect(t, url+"FullDuplexCall")
	write(t, c, websocket.MessageText, "")
	if err := c.Write(t.Context(), websocket.MessageText, []byte(hi)); err == nil {
		if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != 4003 && websocket.CloseStatus(err) != websocket.StatusNormalClosure {
			t.Error(err)
		}
	}
	<-s.ended
}

func TestGone(t *testing.T) {
	url, s := serve(t, gateway.Config{})
	for name, leave := range map[string]func(c *websocket.Conn) error{
		"closes":   func(c *websocket.Conn) error { return c.Close(websocket.StatusGoingAway, "bye") },
		"vanishes": func(c *websocket.Conn) error { return c.CloseNow() },
	} {
		c := connect(t, url+"FullDuplexCall")
		write(t, c, websocket.MessageText, hi)
		wantText(t, c, hi)
		if err := leave(c); err != nil {
			t.Error(name, err)
		}
		select {
		case err := <-s.ended:
			if status.Code(err) != codes.Canceled {
				t.Errorf("after a client that %s the handler has %v", name, err)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("after a client that %s the handler goes on", name)
		}
	}
}

func TestDeadline(t *testing.T) {
	url, s := serve(t, gateway.Config{})
	c, _, err := dial(t, url+"FullDuplexCall", nil, "Connect-Timeout-Ms: 50")
	if err != nil {
		t.Fatal(err)
	}
	wantClosed(t, c, 4004, "deadline")
	if err := <-s.ended; status.Code(err) != codes.DeadlineExceeded {
		t.Error(err)
	}
}

// bearer is a subprotocol of metadata.
func bearer(object string) string {
	return "hanse.v1.metadata." + base64.RawURLEncoding.EncodeToString([]byte(object))
}

func TestMetadata(t *testing.T) {
	url, s := serve(t, gateway.Config{})
	c, _, err := dial(t, url+"EmptyCall", []string{bearer(`{"Authorization":"Bearer abc","x-raw-bin":"/wA","hanse-priority":"critical","Host":"elsewhere"}`), "hanse.v1.json"}, "X-Plain: 1")
	if err != nil {
		t.Fatal(err)
	}
	if c.Subprotocol() != "hanse.v1.json" {
		t.Errorf("%q was chosen", c.Subprotocol())
	}
	write(t, c, websocket.MessageText, "{}")
	wantText(t, c, "{}")
	md := <-s.metadata
	for key, want := range map[string]string{"authorization": "Bearer abc", "x-raw-bin": "\xff\x00", "x-plain": "1", "hanse-priority": "", "sec-websocket-key": "", "sec-websocket-protocol": ""} {
		if got := strings.Join(md.Get(key), " "); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	if strings.Contains(strings.Join(md.Get(":authority"), ""), "elsewhere") || md.Get("host") != nil {
		t.Errorf("the host was changed: %v", md)
	}
}

// Pages of an origin that CORS allows may connect, and their visitors' cookies count only if it says so.
func TestCORS(t *testing.T) {
	for _, credentials := range []bool{false, true} {
		url, s := serve(t, gateway.Config{CORS: gateway.CORS{Origins: []string{"https://shop.example"}, Credentials: credentials}})
		if _, resp, err := dial(t, url+"EmptyCall", nil, "Origin: https://evil.example"); err == nil || resp.StatusCode != 403 {
			t.Errorf("another origin: %v, %v", resp, err)
		}
		c, _, err := dial(t, url+"EmptyCall", nil, "Origin: https://shop.example", "Cookie: session=1", "Authorization: Basic eDp5")
		if err != nil {
			t.Fatal(err)
		}
		write(t, c, websocket.MessageText, "{}")
		wantText(t, c, "{}")
		if md := <-s.metadata; (md.Get("cookie") != nil) != credentials || (md.Get("authorization") != nil) != credentials {
			t.Errorf("with credentials %v: %v", credentials, md)
		}
	}
}

// What is received counts against the memory of all messages, and is given back.
func TestMemory(t *testing.T) {
	url, s := serve(t, gateway.Config{Limits: gateway.Limits{TotalBytes: 300_000}})
	c := connect(t, url+"FullDuplexCall")
	c.SetReadLimit(1 << 20)
	big := `{"payload":{"body":"` + strings.Repeat("x", 200_000) + `"}}`
	for range 10 {
		write(t, c, websocket.MessageText, big)
		if _, _, err := c.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c.Write(t.Context(), websocket.MessageText, []byte(big+big))
	wantClosed(t, c, 4008, "memory")
	if err := <-s.ended; status.Code(err) != codes.Canceled {
		t.Error(err)
	}
	for range 10 { // that one as well, and those whose handlers never ask for them
		c := connect(t, url+"StreamingOutputCall")
		write(t, c, websocket.MessageText, big)
		wantClosed(t, c, websocket.StatusNormalClosure, "")
	}
}

func TestRefused(t *testing.T) {
	url, _ := serve(t, gateway.Config{})
	host := strings.TrimSuffix(strings.TrimPrefix(url, "ws://"), "/grpc.testing.TestService/")
	for _, tt := range []struct {
		name, method string
		protocols    []string
		field        string
		status       int
	}{
		{"another origin", "FullDuplexCall", nil, "Origin: https://evil.example", 403},
		{"no origin at all", "FullDuplexCall", nil, "Origin: null", 403},
		{"another port", "FullDuplexCall", nil, "Origin: http://127.0.0.1:1", 403},
		{"an origin around ours", "FullDuplexCall", nil, "Origin: https://" + host + ".evil.example", 403},
		{"this origin", "FullDuplexCall", nil, "Origin: http://" + host, 101},
		{"no known subprotocol", "FullDuplexCall", []string{"chat"}, "", 400},
		{"only metadata", "FullDuplexCall", []string{bearer(`{}`)}, "", 400},
		{"metadata that is no base64", "FullDuplexCall", []string{"hanse.v1.json", "hanse.v1.metadata.!"}, "", 400},
		{"metadata that is no object", "FullDuplexCall", []string{"hanse.v1.json", bearer(`[]`)}, "", 400},
		{"a name that is none", "FullDuplexCall", []string{"hanse.v1.json", bearer(`{"a b":"c"}`)}, "", 400},
		{"a value over lines", "FullDuplexCall", []string{"hanse.v1.json", bearer(`{"a":"b\r\nc"}`)}, "", 400},
		{"binary metadata that is no base64", "FullDuplexCall", []string{"hanse.v1.json", bearer(`{"a-bin":"!"}`)}, "", 400},
		{"a timeout that is none", "FullDuplexCall", nil, "Connect-Timeout-Ms: soon", 400},
		{"an unknown method", "Nothing", nil, "", 404},
	} {
		_, resp, err := dial(t, url+tt.method, tt.protocols, tt.field)
		if resp == nil || resp.StatusCode != tt.status || (err == nil) != (tt.status == 101) {
			t.Errorf("%s: %v, %v; want %d", tt.name, resp, err, tt.status)
		}
	}
}
