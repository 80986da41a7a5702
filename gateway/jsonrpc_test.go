package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/gateway"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// plainJSON takes the spaces away that JSON may have anywhere.
func plainJSON(t *testing.T, text string) string {
	t.Helper()
	var v any
	if text == "" {
		return ""
	}
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestJSONRPC(t *testing.T) {
	url := serve(t, &server{
		empty: func(context.Context) error { return status.Error(codes.NotFound, "no such thing") },
	}) + "/rpc"
	const hi = `{"payload":{"body":"aGk="}}`
	for _, tt := range []struct{ name, body, want string }{
		{"a call", `{"jsonrpc":"2.0","method":"grpc.testing.TestService/UnaryCall","params":` + hi + `,"id":1}`,
			`{"id":1,"jsonrpc":"2.0","result":` + hi + `}`},
		{"by other names", `[{"jsonrpc":"2.0","method":"grpc.testing.TestService.UnaryCall","id":"a"},
			{"jsonrpc":"2.0","method":"/grpc.testing.TestService/UnaryCall","id":"b"},
			{"jsonrpc":"2.0","method":"TestService.UnaryCall","id":"c"},
			{"jsonrpc":"2.0","method":"TestService/UnaryCall","id":null}]`,
			`[{"id":"a","jsonrpc":"2.0","result":{}},{"id":"b","jsonrpc":"2.0","result":{}},{"id":"c","jsonrpc":"2.0","result":{}},{"id":null,"jsonrpc":"2.0","result":{}}]`},
		{"params in a list", `{"jsonrpc":"2.0","method":"TestService.UnaryCall","params":[` + hi + `],"id":-1.5}`, `{"id":-1.5,"jsonrpc":"2.0","result":` + hi + `}`},
		{"no params in a list", `{"jsonrpc":"2.0","method":"TestService.UnaryCall","params":[],"id":1}`, `{"id":1,"jsonrpc":"2.0","result":{}}`},
		{"a notification", `{"jsonrpc":"2.0","method":"TestService.UnaryCall"}`, ``},
		{"a notification that fails", `{"jsonrpc":"2.0","method":"TestService.Nothing"}`, ``},
		{"notifications", `[{"jsonrpc":"2.0","method":"TestService.UnaryCall"},{"jsonrpc":"2.0","method":"TestService.UnaryCall"}]`, ``},
		{"a batch of all kinds", `[1,{"jsonrpc":"2.0","method":"TestService.UnaryCall"},{"jsonrpc":"2.0","method":"TestService.UnaryCall","id":2}]`,
			`[{"error":{"code":-32600,"message":"a call is an object with \"jsonrpc\": \"2.0\", a \"method\", and an \"id\" that is text or a number"},"id":null,"jsonrpc":"2.0"},{"id":2,"jsonrpc":"2.0","result":{}}]`},
		{"an error", `{"jsonrpc":"2.0","method":"TestService.EmptyCall","id":1}`,
			`{"error":{"code":-32005,"data":{"code":"not_found","message":"no such thing"},"message":"no such thing"},"id":1,"jsonrpc":"2.0"}`},
	} {
		a := post(t, url, tt.body, jsonType)
		if want := map[bool]int{true: 204, false: 200}[tt.want == ""]; a.status != want || plainJSON(t, a.body) != tt.want {
			t.Errorf("%s: %d %s\nwant %s", tt.name, a.status, a.body, tt.want)
		}
	}
}

func TestJSONRPCMistakes(t *testing.T) {
	url := serve(t, &server{}, func(_ *rpc.Server, h *gateway.Handler) { h.Limits.MessageBytes = 20_000 }) + "/rpc"
	call := func(rest string) string { return `{"jsonrpc":"2.0","id":7,` + rest + `}` }
	for _, tt := range []struct {
		name, body string
		code       int
		id         string
		message    string
	}{
		{"nothing", ``, -32700, "null", "not JSON"},
		{"no JSON", `{"jsonrpc":`, -32700, "null", "not JSON"},
		{"two calls", call(`"method":"x"`) + call(`"method":"x"`), -32700, "null", "not JSON"},
		{"half a batch", `[` + call(`"method":"x"`), -32700, "null", "not JSON"},
		{"a batch and more", `[` + call(`"method":"x"`) + `] 1`, -32700, "null", "not JSON"},
		{"a batch of nothing", `[]`, -32600, "null", "no calls"},
		{"a large batch", `[` + strings.Repeat("1,", 100) + `1]`, -32600, "null", "more than 100"},
		{"a number", `1`, -32600, "null", "a call is an object"},
		{"no version", `{"method":"x","id":7}`, -32600, "null", "a call is an object"},
		{"another version", `{"jsonrpc":"1.0","method":"x","id":7}`, -32600, "null", "a call is an object"},
		{"no method", `{"jsonrpc":"2.0","id":7}`, -32600, "null", "a call is an object"},
		{"a method that is no text", `{"jsonrpc":"2.0","method":1,"id":7}`, -32600, "null", "a call is an object"},
		{"an ID that is none", `{"jsonrpc":"2.0","method":"x","id":{}}`, -32600, "null", "a call is an object"},
		{"an unknown method", call(`"method":"TestService.Nothing"`), -32601, "7", `no method "TestService.Nothing"`},
		{"an unknown contract", call(`"method":"a.b.Service/Nothing"`), -32601, "7", `no method`},
		{"a method without a contract", call(`"method":"UnaryCall"`), -32601, "7", "no method"},
		{"an empty method", call(`"method":""`), -32601, "7", "no method"},
		{"a stream", call(`"method":"TestService.FullDuplexCall"`), -32601, "7", "WebSocket"},
		{"what is not implemented", call(`"method":"TestService.CacheableUnaryCall"`), -32601, "7", "not implemented"},
		{"params of no kind", call(`"method":"TestService.UnaryCall","params":1`), -32602, "7", "params are"},
		{"params that are null", call(`"method":"TestService.UnaryCall","params":null`), -32602, "7", "params are"},
		{"two params", call(`"method":"TestService.UnaryCall","params":[{},{}]`), -32602, "7", "one element"},
		{"params of the wrong type", call(`"method":"TestService.UnaryCall","params":{"payload":1}`), -32602, "7", "payload"},
		{"params of the wrong type in a list", call(`"method":"TestService.UnaryCall","params":[1]`), -32602, "7", ""},
		{"deep params", call(`"method":"TestService.UnaryCall","params":{"payload":` + strings.Repeat(`[`, 5000) + strings.Repeat(`]`, 5000) + `}`), -32602, "7", ""},
	} {
		a := post(t, url, tt.body, jsonType)
		var got struct {
			Version string `json:"jsonrpc"`
			Error   struct {
				Code    int
				Message string
			}
			ID json.RawMessage
		}
		if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != 200 || got.Version != "2.0" || got.Error.Code != tt.code || string(got.ID) != tt.id || !strings.Contains(got.Error.Message, tt.message) {
			t.Errorf("%s: %d %s, %v", tt.name, a.status, a.body, err)
		}
	}
	ok := call(`"method":"TestService.UnaryCall"`)
	for _, tt := range []struct {
		name, method, body string
		fields             []string
		status             int
	}{
		{"GET", "GET", "", nil, 405},
		{"a form", "POST", ok, []string{"Content-Type: text/plain"}, 415},
		{"no content type", "POST", ok, nil, 415},
		{"a page of another site", "POST", ok, []string{jsonType, "Sec-Fetch-Site: cross-site"}, 403},
		{"a large request", "POST", call(`"method":"` + strings.Repeat("x", 20_000) + `"`), []string{jsonType}, 429},
		{"an unknown compression", "POST", ok, []string{jsonType, "Content-Encoding: lzw"}, 501},
		{"no compression", "POST", ok, []string{jsonType, "Content-Encoding: gzip"}, 400},
		{"a timeout that is none", "POST", ok, []string{jsonType, "Connect-Timeout-Ms: soon"}, 400},
	} {
		if a := do(t, tt.method, url, tt.body, tt.fields...); a.status != tt.status {
			t.Errorf("%s: %d %s, want %d", tt.name, a.status, a.body, tt.status)
		}
	}
}

// A batch runs eight calls at a time, each with the metadata of the request, and an idempotency key of its own.
func TestJSONRPCBatch(t *testing.T) {
	var mu sync.Mutex
	running, most := 0, 0
	keys := map[string]int{}
	full := make(chan struct{})
	url := serve(t, &server{unary: func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		deadline, _ := ctx.Deadline()
		mu.Lock()
		running++
		if most = max(most, running); running == 8 && len(keys) == 7 {
			close(full)
		}
		keys[strings.Join(md.Get("idempotency-key"), " ")+strings.Join(md.Get("x-tenant"), " ")]++
		mu.Unlock()
		select {
		case <-full:
		case <-ctx.Done():
		}
		mu.Lock()
		defer mu.Unlock()
		running--
		if time.Until(deadline) > time.Minute {
			return nil, status.Error(codes.Internal, "the deadline is not that of the request")
		}
		return &testpb.SimpleResponse{}, nil
	}}) + "/rpc"
	one := `{"jsonrpc":"2.0","method":"TestService.UnaryCall","id":1}`
	a := post(t, url, `[`+strings.Repeat(one+",", 19)+one+`]`, jsonType, "Idempotency-Key: k", "X-Tenant: t", "Connect-Timeout-Ms: 20000")
	if a.status != 200 || strings.Count(a.body, `"result"`) != 20 {
		t.Errorf("%+v", a)
	}
	if most != 8 || len(keys) != 20 || keys["k#19t"] != 1 {
		t.Errorf("%d at once, with %v", most, keys)
	}
}

func TestJSONRPCPath(t *testing.T) {
	one := `{"jsonrpc":"2.0","method":"TestService.UnaryCall","id":1}`
	for _, tt := range []struct {
		set, path string
		status    int
	}{{"", "/rpc", 200}, {"/api", "/api", 200}, {"/api", "/rpc", 404}, {"-", "/rpc", 404}, {"-", "/-", 404}} {
		url := serve(t, &server{}, func(_ *rpc.Server, h *gateway.Handler) { h.JSONRPC = tt.set })
		if a := post(t, url+tt.path, one, jsonType); a.status != tt.status {
			t.Errorf("%+v: %d", tt, a.status)
		}
	}
}

// listed is a backend that says what it has, and fails all calls.
type listed []protoreflect.ServiceDescriptor

func (c listed) Contracts() []protoreflect.ServiceDescriptor { return c }
func (listed) Call(method string, _ grpc.ServerStream) error {
	return status.Error(codes.Aborted, method)
}

// Two contracts whose names differ in their packages only are called by the whole name.
func TestJSONRPCAmbiguous(t *testing.T) {
	var both listed
	for _, name := range []string{"a", "b"} {
		file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
			Name: proto.String(name + ".proto"), Package: proto.String(name), MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("M")}},
			Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("S"), Method: []*descriptorpb.MethodDescriptorProto{
				{Name: proto.String("Get"), InputType: proto.String("." + name + ".M"), OutputType: proto.String("." + name + ".M")},
			}}},
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, file.Services().Get(0))
	}
	h := &gateway.Handler{Backend: both}
	for method, want := range map[string]string{"S.Get": "several contracts have S.Get: call a.S/Get or b.S/Get", "b.S.Get": "/b.S/Get"} {
		r := httptest.NewRequest(http.MethodPost, "/rpc", strings.NewReader(`{"jsonrpc":"2.0","method":"`+method+`","id":1}`))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if !strings.Contains(w.Body.String(), `"message":"`+want+`"`) {
			t.Errorf("%s: %s", method, w.Body)
		}
	}
}

// FuzzJSONRPC sends any bytes: each answer is one of JSON-RPC.
func FuzzJSONRPC(f *testing.F) {
	srv := &rpc.Server{Name: "test"}
	testpb.RegisterTestServiceServer(srv, &server{})
	srv.Start()
	f.Cleanup(func() {
		srv.Stop()
		if err := srv.Drain(context.Background()); err != nil {
			f.Error(err)
		}
	})
	port := &rpc.Port{Servers: []*rpc.Server{srv}}
	f.Cleanup(func() { port.Close() })
	h := &gateway.Handler{Backend: port}
	f.Add(`{"jsonrpc":"2.0","method":"TestService.UnaryCall","params":{"payload":{"body":"aGk="}},"id":1}`)
	f.Add(`[{"jsonrpc":"2.0","method":"TestService.EmptyCall"},1,[],{"jsonrpc":"2.0","method":"","params":[],"id":"x"}]`)
	f.Add(`{"jsonrpc":"2.0","method":"/a/b","params":null,"id":null}`)
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest(http.MethodPost, "/rpc", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code == 204 && w.Body.Len() == 0 {
			return
		}
		type reply struct {
			Version string           `json:"jsonrpc"`
			Result  *json.RawMessage `json:"result"`
			Error   *struct {
				Code    int
				Message string
			} `json:"error"`
			ID *json.RawMessage `json:"id"`
		}
		text := strings.TrimSpace(w.Body.String())
		var all []reply
		if !strings.HasPrefix(text, "[") {
			text = fmt.Sprintf("[%s]", text)
		}
		if err := json.Unmarshal([]byte(text), &all); err != nil || w.Code != 200 || len(all) == 0 {
			t.Fatalf("%q: %d %s, %v", body, w.Code, text, err)
		}
		for _, one := range all {
			if one.Version != "2.0" || (one.Result == nil) == (one.Error == nil) {
				t.Errorf("%q: %s", body, text)
			}
		}
	})
}

// badTypes knows no message without an accident.
type badTypes struct {
	*protoregistry.Types
	find func()
}

func (t badTypes) FindMessageByURL(string) (protoreflect.MessageType, error) {
	t.find()
	return nil, protoregistry.NotFound
}

// TestJSONRPCPanic holds that an accident with one call of a batch, outside of its handler, is the error of that call alone.
func TestJSONRPCPanic(t *testing.T) {
	detailed, err := status.New(codes.NotFound, "no such thing").WithDetails(&testpb.Empty{})
	if err != nil {
		t.Fatal(err)
	}
	impl := &server{empty: func(context.Context) error { return detailed.Err() }}
	for name, find := range map[string]func(){"panic": func() { panic("an accident") }, "Goexit": runtime.Goexit} {
		url := serve(t, impl, func(_ *rpc.Server, h *gateway.Handler) {
			h.Types = badTypes{protoregistry.GlobalTypes, find}
			h.Logger = slog.New(slog.DiscardHandler)
		}) + "/rpc"
		a := post(t, url, `[{"jsonrpc":"2.0","method":"TestService.EmptyCall","id":1},
			{"jsonrpc":"2.0","method":"TestService.EmptyCall"},
			{"jsonrpc":"2.0","method":"TestService.UnaryCall","id":2}]`, jsonType)
		const want = `[{"error":{"code":-32603,"message":"panic in the call; see the server's log"},"id":1,"jsonrpc":"2.0"},{"id":2,"jsonrpc":"2.0","result":{}}]`
		if a.status != 200 || plainJSON(t, a.body) != want {
			t.Errorf("%s: %d %s\nwant %s", name, a.status, a.body, want)
		}
	}
}
