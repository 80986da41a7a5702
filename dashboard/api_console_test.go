package dashboard_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/dashboard"
	"github.com/hanse-go/hanse/discovery"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// echo is a real service: it answers with what it gets.
type echo struct {
	testpb.UnimplementedTestServiceServer
}

func (echo) EmptyCall(context.Context, *testpb.Empty) (*testpb.Empty, error) {
	st, err := status.New(codes.ResourceExhausted, "too much").WithDetails(&errdetails.ErrorInfo{Reason: "QUOTA", Domain: "example.com"})
	if err != nil {
		return nil, err
	}
	return nil, st.Err()
}

func (echo) UnaryCall(ctx context.Context, in *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	grpc.SetHeader(ctx, metadata.Pairs("got", strings.Join(md.Get("who"), "+"), "raw-bin", "\x01\x02"))
	grpc.SetTrailer(ctx, metadata.Pairs("end", "yes"))
	return &testpb.SimpleResponse{Username: strings.Join(md.Get("traceparent"), ""), Payload: in.GetPayload()}, nil
}

func (echo) StreamingOutputCall(in *testpb.StreamingOutputCallRequest, s testpb.TestService_StreamingOutputCallServer) error {
	for range in.GetResponseParameters() {
		if err := s.Send(&testpb.StreamingOutputCallResponse{Payload: in.GetPayload()}); err != nil {
			return err
		}
	}
	return nil
}

func (echo) StreamingInputCall(s testpb.TestService_StreamingInputCallServer) error {
	sum := 0
	for {
		in, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return s.SendAndClose(&testpb.StreamingInputCallResponse{AggregatedPayloadSize: int32(sum)})
		}
		if err != nil {
			return err
		}
		sum += len(in.GetPayload().GetBody())
	}
}

func (echo) FullDuplexCall(s testpb.TestService_FullDuplexCallServer) error {
	for {
		in, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.Send(&testpb.StreamingOutputCallResponse{Payload: in.GetPayload()}); err != nil {
			return err
		}
	}
}

// connect runs services and returns how to reach them.
// Calls wait until they are ready.
func connect(t *testing.T, services ...*hanse.Service) func(string) grpc.ClientConnInterface {
	t.Helper()
	registry := new(discovery.Memory)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- (&hanse.App{Registry: registry, Logger: slog.New(slog.DiscardHandler)}).Run(ctx, services...)
	}()
	caller := &hanse.App{Registry: registry}
	var mu sync.Mutex
	conns := make(map[string]grpc.ClientConnInterface)
	t.Cleanup(func() {
		caller.Close()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return func(service string) grpc.ClientConnInterface {
		mu.Lock()
		defer mu.Unlock()
		if conns[service] == nil {
			conns[service] = caller.Conn(service)
		}
		return conns[service]
	}
}

func echoService() *hanse.Service {
	svc := &hanse.Service{Name: "echo"}
	testpb.RegisterTestServiceServer(svc, echo{})
	return svc
}

// enter opens the link of a server, and returns who has done so.
func enter(t *testing.T, s *dashboard.Server) (c *http.Client, base string) {
	t.Helper()
	addr := serve(t, s)
	c = browser(t)
	if res, text := ask(t, c, "GET", s.Link(addr), ""); res.StatusCode != 200 {
		t.Fatalf("the link: %s %s", res.Status, text)
	}
	return c, "http://" + addr.String()
}

// get asks for JSON.
func get[T any](t *testing.T, c *http.Client, url string) T {
	t.Helper()
	res, text := ask(t, c, "GET", url, "")
	return parse[T](t, res, text)
}

// post has something done.
func post[T any](t *testing.T, c *http.Client, url string, order any) T {
	t.Helper()
	text, err := json.Marshal(order)
	if err != nil {
		t.Fatal(err)
	}
	res, answer := ask(t, c, "POST", url, string(text), "Hanse-Dashboard", "1", "Content-Type", "application/json")
	return parse[T](t, res, answer)
}

func parse[T any](t *testing.T, res *http.Response, text string) (v T) {
	t.Helper()
	if res.StatusCode != 200 {
		t.Fatalf("%s: %s", res.Status, text)
	}
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

func TestContracts(t *testing.T) {
	c, base := enter(t, &dashboard.Server{Conn: connect(t, echoService())})
	got := get[struct {
		Contracts []struct {
			Name    string
			Methods []struct {
				Name, Input, Output string
				ClientStream        bool `json:"client_stream"`
				ServerStream        bool `json:"server_stream"`
			}
		}
		Messages map[string]struct {
			Fields []struct {
				Name, JSON, Kind, Type string
				Repeated               bool
			}
		}
		Enums map[string][]struct{ Name string }
	}](t, c, base+"/api/console/contracts?service=echo")
	i := slices.IndexFunc(got.Contracts, func(c struct {
		Name    string
		Methods []struct {
			Name, Input, Output string
			ClientStream        bool `json:"client_stream"`
			ServerStream        bool `json:"server_stream"`
		}
	}) bool {
		return c.Name == "grpc.testing.TestService"
	})
	if i < 0 {
		t.Fatalf("%+v", got)
	}
	for _, m := range got.Contracts[i].Methods {
		if m.Name == "FullDuplexCall" && !(m.ClientStream && m.ServerStream) || m.Name == "UnaryCall" && (m.ClientStream || m.Input != "grpc.testing.SimpleRequest") {
			t.Errorf("%+v", m)
		}
	}
	fields := got.Messages["grpc.testing.SimpleRequest"].Fields
	if len(fields) == 0 || fields[0].JSON != "responseType" || fields[0].Kind != "enum" || len(got.Enums[fields[0].Type]) != 1 {
		t.Errorf("%+v, %+v", fields, got.Enums)
	}
	for _, f := range got.Messages["grpc.testing.StreamingOutputCallRequest"].Fields {
		if f.Name == "response_parameters" && (!f.Repeated || f.Kind != "message" || len(got.Messages[f.Type].Fields) == 0) {
			t.Errorf("%+v", f)
		}
	}
	if res, text := ask(t, c, "GET", base+"/api/console/contracts", ""); res.StatusCode != 400 {
		t.Errorf("without a service: %s %s", res.Status, text)
	}
}

// event is what the page is told of a call.
type event struct {
	Type     string
	At       int64
	Metadata [][2]string
	Message  json.RawMessage
	Bytes    int
	Error    string
	Code     int
	CodeName string `json:"code_name"`
	Text     string
	Details  []struct {
		Type  string
		Value json.RawMessage
	}
	Instance string
}

// socket is the page's end of a call.
type socket struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

// dial makes a WebSocket with the cookies of a client.
func dial(t *testing.T, c *http.Client, base string, header ...string) (s *socket, res *http.Response) {
	t.Helper()
	host := strings.TrimPrefix(base, "http://")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	req, err := http.NewRequest("GET", base+"/api/console/call", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, cookie := range c.Jar.Cookies(req.URL) {
		req.AddCookie(cookie)
	}
	for k, v := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="} {
		req.Header.Set(k, v)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	if err := req.Write(conn); err != nil {
		t.Fatal(err)
	}
	s = &socket{t: t, conn: conn, r: bufio.NewReader(conn)}
	if res, err = http.ReadResponse(s.r, req); err != nil {
		t.Fatal(err)
	}
	return s, res
}

func (s *socket) send(text string) {
	s.t.Helper()
	frame := []byte{0x81}
	if n := len(text); n < 126 {
		frame = append(frame, 0x80|byte(n))
	} else {
		frame = binary.BigEndian.AppendUint16(append(frame, 0x80|126), uint16(n))
	}
	frame = append(append(frame, 0, 0, 0, 0), text...) // masked with nothing
	if _, err := s.conn.Write(frame); err != nil {
		s.t.Fatal(err)
	}
}

// next returns the next event.
func (s *socket) next() (e event) {
	s.t.Helper()
	var head [2]byte
	if _, err := io.ReadFull(s.r, head[:]); err != nil {
		s.t.Fatal(err)
	}
	n := int(head[1])
	if n == 126 {
		var long [2]byte
		if _, err := io.ReadFull(s.r, long[:]); err != nil {
			s.t.Fatal(err)
		}
		n = int(binary.BigEndian.Uint16(long[:]))
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(s.r, data); err != nil {
		s.t.Fatal(err)
	}
	if head[0] != 0x81 {
		s.t.Fatalf("frame %x: %q", head[0], data)
	}
	if err := json.Unmarshal(data, &e); err != nil {
		s.t.Fatalf("%s: %v", data, err)
	}
	return e
}

// is waits for an event of a type and returns it.
func (s *socket) is(what string) event {
	s.t.Helper()
	e := s.next()
	if e.Type != what {
		s.t.Fatalf("%+v, want %s", e, what)
	}
	return e
}

func TestUnaryCall(t *testing.T) {
	c, base := enter(t, &dashboard.Server{Conn: connect(t, echoService())})
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	s, _ := dial(t, c, base, "Origin", base)
	s.send(`{"service":"echo","method":"grpc.testing.TestService/UnaryCall","metadata":[["who","a"],["Who","b"],["traceparent","` + parent + `"]],"message":{"payload":{"body":"aGk="}},"end":true}`)
	if e := s.is("sent"); e.Bytes != 6 || string(e.Message) != `{"payload":{"body":"aGk="}}` {
		t.Errorf("%+v", e)
	}
	if e := s.is("header"); !slices.Contains(e.Metadata, [2]string{"got", "a+b"}) || !slices.Contains(e.Metadata, [2]string{"raw-bin", "AQI="}) {
		t.Errorf("%+v", e)
	}
	// The call is a span of its own, in the trace that was asked for.
	got := regexp.MustCompile(`^{"payload":{"body":"aGk="},"username":"00-4bf92f3577b34da6a3ce929d0e0e4736-[0-9a-f]{16}-01"}$`)
	if e := s.is("message"); !got.Match(e.Message) || e.At <= 0 {
		t.Errorf("%s %d", e.Message, e.At)
	}
	if e := s.is("end"); e.Code != 0 || !slices.Contains(e.Metadata, [2]string{"end", "yes"}) || e.Instance == "" {
		t.Errorf("%+v", e)
	}

	s, _ = dial(t, c, base)
	s.send(`{"service":"echo","method":"grpc.testing.TestService/EmptyCall","end":true}`)
	s.is("sent")
	if e := s.is("end"); e.CodeName != "ResourceExhausted" || e.Text != "too much" || len(e.Details) != 1 || e.Details[0].Type != "google.rpc.ErrorInfo" ||
		string(e.Details[0].Value) != `{"reason":"QUOTA","domain":"example.com"}` {
		t.Errorf("%+v", e)
	}
}

func TestCallMistakes(t *testing.T) {
	c, base := enter(t, &dashboard.Server{Conn: connect(t, echoService())})
	for start, want := range map[string]string{
		`x`: "InvalidArgument: the call cannot be read",
		`{"service":"echo","method":"grpc.testing.TestService/Nothing"}`:                                       "Unimplemented: echo has no method grpc.testing.TestService/Nothing",
		`{"service":"echo","method":"grpc.testing.TestService/EmptyCall","metadata":[["a b","c"]]}`:            `InvalidArgument: metadata: "a b" cannot be a name`,
		`{"service":"echo","method":"grpc.testing.TestService/EmptyCall","metadata":[["grpc-timeout","1S"]]}`:  "InvalidArgument: metadata: grpc-timeout is gRPC's own",
		`{"service":"echo","method":"grpc.testing.TestService/EmptyCall","metadata":[["a","ü"]]}`:              "InvalidArgument: metadata: the value of a has characters",
		`{"service":"echo","method":"grpc.testing.TestService/EmptyCall","metadata":[["a-bin","?"]]}`:          "InvalidArgument: metadata: the value of a-bin is no base64",
		`{"service":"echo","method":"grpc.testing.TestService/EmptyCall","timeout_ms":-1}`:                     "InvalidArgument: the deadline is over",
		`{"service":"echo","method":"grpc.testing.TestService/UnaryCall","message":{"paiload":{}},"end":true}`: `InvalidArgument: not sent: the message is no SimpleRequest: (line 1:2): unknown field "paiload"`,
		`{"service":"echo","method":"grpc.testing.TestService/FullDuplexCall","timeout_ms":1,"message":{}}`:    "DeadlineExceeded: ",
	} {
		s, _ := dial(t, c, base)
		s.send(start)
		e := s.next()
		for e.Type != "end" {
			e = s.next()
		}
		if got := e.CodeName + ": " + e.Text; !strings.HasPrefix(got, want) {
			t.Errorf("%s\ngot  %s\nwant %s", start, got, want)
		}
	}
}

func TestStreamingCalls(t *testing.T) {
	c, base := enter(t, &dashboard.Server{Conn: connect(t, echoService())})
	t.Run("out", func(t *testing.T) {
		s, _ := dial(t, c, base)
		s.send(`{"service":"echo","method":"grpc.testing.TestService/StreamingOutputCall","message":{"payload":{"body":"YQ=="},"responseParameters":[{},{},{}]},"end":true}`)
		seen := 0
		for e := s.next(); e.Type != "end"; e = s.next() {
			if e.Type == "message" {
				seen++
			}
		}
		if seen != 3 {
			t.Errorf("%d messages", seen)
		}
	})
	t.Run("in", func(t *testing.T) {
		s, _ := dial(t, c, base)
		s.send(`{"service":"echo","method":"grpc.testing.TestService/StreamingInputCall","message":{"payload":{"body":"YWJj"}}}`)
		s.is("sent")
		s.send(`{"message":{"payload":{"bdoy":"YQ=="}}}`) // is not sent, and the call goes on
		if e := s.is("refused"); !strings.Contains(e.Error, `unknown field "bdoy"`) {
			t.Errorf("%+v", e)
		}
		s.send(`nonsense`)
		s.is("refused")
		s.send(`{"message":{"payload":{"body":"YQ=="}},"end":true}`)
		for e := s.next(); ; e = s.next() {
			if e.Type == "message" && string(e.Message) != `{"aggregatedPayloadSize":4}` {
				t.Errorf("%s", e.Message)
			}
			if e.Type == "end" {
				if e.Code != 0 {
					t.Errorf("%+v", e)
				}
				return
			}
		}
	})
	t.Run("both", func(t *testing.T) {
		s, _ := dial(t, c, base)
		s.send(`{"service":"echo","method":"grpc.testing.TestService/FullDuplexCall"}`)
		for i := range 3 {
			s.send(fmt.Sprintf(`{"message":{"payload":{"body":"%s"}}}`, []string{"YQ==", "Yg==", "Yw=="}[i]))
			got := event{}
			for got.Type != "message" { // the answer may be told before that the message was sent
				got = s.next()
			}
			if want := fmt.Sprintf(`{"payload":{"body":"%s"}}`, []string{"YQ==", "Yg==", "Yw=="}[i]); string(got.Message) != want {
				t.Errorf("%s, want %s", got.Message, want)
			}
		}
		s.send(`{"end":true}`)
		e := s.next()
		for e.Type == "sent" {
			e = s.next()
		}
		if e.Type != "end" || e.Code != 0 {
			t.Errorf("%+v", e)
		}
	})
}

// watched is a service that tells when a call of it was cancelled.
type watched struct {
	testpb.UnimplementedTestServiceServer
	began, ended chan struct{}
}

func (w watched) FullDuplexCall(s testpb.TestService_FullDuplexCallServer) error {
	close(w.began)
	<-s.Context().Done()
	close(w.ended)
	return s.Context().Err()
}

func TestPageThatLeavesCancels(t *testing.T) {
	svc := &hanse.Service{Name: "watched"}
	w := watched{began: make(chan struct{}), ended: make(chan struct{})}
	testpb.RegisterTestServiceServer(svc, w)
	c, base := enter(t, &dashboard.Server{Conn: connect(t, svc)})
	s, _ := dial(t, c, base)
	s.send(`{"service":"watched","method":"grpc.testing.TestService/FullDuplexCall"}`)
	<-w.began
	s.conn.Close()
	<-w.ended
}

func TestReadOnlyConsole(t *testing.T) {
	sys := newSystem()
	sys.state.ReadOnly = true
	c, base := enter(t, &dashboard.Server{System: sys, Conn: connect(t, echoService())})
	s, _ := dial(t, c, base)
	s.send(`{"service":"echo","method":"grpc.testing.TestService/UnaryCall","end":true}`)
	if e := s.is("end"); e.CodeName != "PermissionDenied" || !strings.Contains(e.Text, "NO_SIDE_EFFECTS") {
		t.Errorf("%+v", e)
	}
	s, _ = dial(t, c, base)
	s.send(`{"service":"echo","method":"grpc.health.v1.Health/Check","end":true}`) // not marked, either
	if e := s.is("end"); e.Code == 0 {
		t.Errorf("%+v", e)
	}
}

func TestWhoMayCall(t *testing.T) {
	c, base := enter(t, &dashboard.Server{Conn: connect(t, echoService())})
	if _, res := dial(t, c, base, "Origin", "http://evil.example"); res.StatusCode != 403 {
		t.Errorf("another site: %s", res.Status)
	}
	if _, res := dial(t, browser(t), base); res.StatusCode != 401 {
		t.Errorf("without the token: %s", res.Status)
	}
	if res, _ := ask(t, c, "GET", base+"/api/console/call", ""); res.StatusCode != 400 {
		t.Errorf("no WebSocket: %s", res.Status)
	}
	c, base = enter(t, &dashboard.Server{})
	if res, _ := ask(t, c, "GET", base+"/api/console/contracts?service=echo", ""); res.StatusCode != 404 {
		t.Errorf("no console: %s", res.Status)
	}
}
