package mcp_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	hansemcp "github.com/hanse-go/hanse/gateway/mcp"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const contract = `
name: "shop.proto" package: "shop.v1" syntax: "proto3"
message_type { name: "Item" field { name: "name" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL json_name: "name" }
  field { name: "parts" number: 2 type: TYPE_MESSAGE type_name: ".shop.v1.Item" label: LABEL_REPEATED json_name: "parts" } }
service { name: "Shop"
  method { name: "Get" input_type: ".shop.v1.Item" output_type: ".shop.v1.Item" options { idempotency_level: NO_SIDE_EFFECTS } }
  method { name: "Put" input_type: ".shop.v1.Item" output_type: ".shop.v1.Item" options { idempotency_level: IDEMPOTENT } }
  method { name: "Add" input_type: ".shop.v1.Item" output_type: ".shop.v1.Item" }
  method { name: "Watch" input_type: ".shop.v1.Item" output_type: ".shop.v1.Item" server_streaming: true options { idempotency_level: NO_SIDE_EFFECTS } }
}
source_code_info { location { path: [6, 0, 2, 0] span: [1, 0, 1] leading_comments: " Get finds an item.\n" } }
`

// shop is a backend that echoes, fails if asked to, and tells what it was told.
type shop struct {
	service  protoreflect.ServiceDescriptor
	metadata metadata.MD
	left     time.Duration
	method   string
}

func newShop(t *testing.T) *shop {
	t.Helper()
	file := &descriptorpb.FileDescriptorProto{}
	if err := prototext.Unmarshal([]byte(contract), file); err != nil {
		t.Fatal(err)
	}
	desc, err := protodesc.NewFile(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &shop{service: desc.Services().Get(0)}
}

func (s *shop) Contracts() []protoreflect.ServiceDescriptor {
	return []protoreflect.ServiceDescriptor{s.service}
}

func (s *shop) Call(method string, stream grpc.ServerStream) error {
	s.method = method
	s.metadata, _ = metadata.FromIncomingContext(stream.Context())
	deadline, _ := stream.Context().Deadline()
	s.left = time.Until(deadline)
	m := dynamicpb.NewMessage(s.service.Methods().Get(0).Input())
	if err := stream.RecvMsg(m); err != nil {
		return err
	}
	switch name := m.Get(m.Descriptor().Fields().ByName("name")).String(); name {
	case "gone":
		return status.Error(codes.NotFound, "there is no such item")
	case "slow":
		<-stream.Context().Done()
		return status.FromContextError(stream.Context().Err()).Err()
	}
	return stream.SendMsg(m)
}

// headers adds headers to all requests.
type headers map[string]string

func (h headers) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name, value := range h {
		r.Header.Set(name, value)
	}
	return http.DefaultTransport.RoundTrip(r)
}

// overHTTP connects the SDK's client to the handler.
func overHTTP(t *testing.T, h *hansemcp.Handler, add headers) *mcp.ClientSession {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	return connect(t, &mcp.StreamableClientTransport{Endpoint: srv.URL + "/mcp", HTTPClient: &http.Client{Transport: add}, MaxRetries: -1})
}

// overPipes connects it as a program that has started the server.
func overPipes(t *testing.T, h *hansemcp.Handler, add headers) *mcp.ClientSession {
	t.Helper()
	in, toServer := io.Pipe()
	fromServer, out := io.Pipe()
	header := http.Header{}
	for name, value := range add {
		header.Set(name, value)
	}
	ended := make(chan error, 1)
	go func() { ended <- h.Run(context.Background(), in, out, header) }()
	t.Cleanup(func() {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return connect(t, &mcp.IOTransport{Reader: fromServer, Writer: toServer})
}

func connect(t *testing.T, transport mcp.Transport) *mcp.ClientSession {
	t.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	session, err := client.Connect(t.Context(), transport, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close() })
	return session
}

func names(t *testing.T, s *mcp.ClientSession) (all []string, tools map[string]*mcp.Tool) {
	t.Helper()
	list, err := s.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	tools = map[string]*mcp.Tool{}
	for _, tool := range list.Tools {
		all, tools[tool.Name] = append(all, tool.Name), tool
	}
	return all, tools
}

func text(t *testing.T, r *mcp.CallToolResult) string {
	t.Helper()
	if len(r.Content) != 1 {
		t.Fatalf("%d pieces of content", len(r.Content))
	}
	c, ok := r.Content[0].(*mcp.TextContent)
	if !ok {
		t.Fatalf("content is a %T", r.Content[0])
	}
	return strings.ReplaceAll(c.Text, " ", "")
}

func TestTools(t *testing.T) {
	for name, over := range map[string]func(*testing.T, *hansemcp.Handler, headers) *mcp.ClientSession{"HTTP": overHTTP, "pipes": overPipes} {
		t.Run(name, func(t *testing.T) {
			back := newShop(t)
			s := over(t, &hansemcp.Handler{Backend: back}, headers{"Authorization": "Bearer abc"})
			all, tools := names(t, s)
			if strings.Join(all, " ") != "shop_v1_Shop_Get" {
				t.Fatalf("tools are %q", all)
			}
			get := tools["shop_v1_Shop_Get"]
			schema, err := json.Marshal(get.InputSchema)
			if err != nil {
				t.Fatal(err)
			}
			if get.Description != "Get finds an item." || get.Title != "Shop.Get" || !strings.Contains(string(schema), `"#/$defs/shop.v1.Item"`) || get.OutputSchema == nil {
				t.Errorf("%+v %s", get, schema)
			}
			if a := get.Annotations; !a.ReadOnlyHint || !a.IdempotentHint || a.DestructiveHint == nil || *a.DestructiveHint {
				t.Errorf("%+v", a)
			}
			call := func(args any) *mcp.CallToolResult {
				t.Helper()
				r, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "shop_v1_Shop_Get", Arguments: args})
				if err != nil {
					t.Fatal(err)
				}
				return r
			}
			r := call(map[string]any{"name": "cog", "parts": []any{map[string]any{"name": "tooth"}}})
			structured, err := json.Marshal(r.StructuredContent)
			if err != nil {
				t.Fatal(err)
			}
			const want = `{"name":"cog","parts":[{"name":"tooth"}]}`
			if r.IsError || text(t, r) != want || string(structured) != want {
				t.Errorf("%+v %s", r, structured)
			}
			if back.method != "/shop.v1.Shop/Get" || strings.Join(back.metadata.Get("authorization"), "") != "Bearer abc" || back.left <= 0 || back.left > time.Minute {
				t.Errorf("%s with %v, %v left", back.method, back.metadata, back.left)
			}
			if r := call(nil); r.IsError || text(t, r) != "{}" {
				t.Errorf("without arguments: %+v", r)
			}
			if r := call(map[string]any{"name": "gone"}); !r.IsError || text(t, r) != `{"code":"not_found","message":"thereisnosuchitem"}` {
				t.Errorf("an error: %+v %s", r, text(t, r))
			}
			if r := call(map[string]any{"name": 7}); !r.IsError || !strings.Contains(text(t, r), `"invalid_argument"`) {
				t.Errorf("wrong arguments: %+v", r)
			}
			for _, closed := range []string{"shop_v1_Shop_Put", "shop_v1_Shop_Watch", "nothing"} {
				if r, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: closed}); err == nil {
					t.Errorf("%s: %+v", closed, r)
				}
			}
		})
	}
}

func TestOpen(t *testing.T) {
	for _, tt := range []struct {
		open []string
		want string
	}{
		{[]string{}, ""},
		{[]string{"/shop.v1.Shop/Put"}, "shop_v1_Shop_Put"},
		{[]string{"/shop.v1.Shop/*"}, "shop_v1_Shop_Add shop_v1_Shop_Get shop_v1_Shop_Put"},
		{[]string{"/shop.v1.Shop/Watch", "/other/*"}, ""},
	} {
		all, tools := names(t, overHTTP(t, &hansemcp.Handler{Backend: newShop(t), Open: tt.open}, nil))
		if strings.Join(all, " ") != tt.want {
			t.Errorf("open %q: %q", tt.open, all)
		}
		if put := tools["shop_v1_Shop_Put"]; put != nil && (put.Annotations.ReadOnlyHint || !put.Annotations.IdempotentHint || put.Annotations.DestructiveHint != nil) {
			t.Errorf("%+v", put.Annotations)
		}
		if add := tools["shop_v1_Shop_Add"]; add != nil && (add.Annotations.ReadOnlyHint || add.Annotations.IdempotentHint) {
			t.Errorf("%+v", add.Annotations)
		}
	}
	if err := (&hansemcp.Handler{Backend: newShop(t), Open: []string{"/a.B/C", "/a.B/*"}}).Check(); err != nil {
		t.Error(err)
	}
	for _, wrong := range []string{"", "a.B/C", "/a.B", "/a.B/", "//C"} {
		if err := (&hansemcp.Handler{Backend: newShop(t), Open: []string{wrong}}).Check(); err == nil {
			t.Errorf("%q is let through", wrong)
		}
	}
}

// A call ends with its time, and with its caller.
func TestTimeout(t *testing.T) {
	s := overHTTP(t, &hansemcp.Handler{Backend: newShop(t), Timeout: 50 * time.Millisecond}, nil)
	r, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "shop_v1_Shop_Get", Arguments: map[string]any{"name": "slow"}})
	if err != nil || !r.IsError || !strings.Contains(text(t, r), "deadline_exceeded") {
		t.Errorf("%+v, %v", r, err)
	}
	s = overPipes(t, &hansemcp.Handler{Backend: newShop(t), Timeout: -1}, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if r, err := s.CallTool(ctx, &mcp.CallToolParams{Name: "shop_v1_Shop_Get", Arguments: map[string]any{"name": "slow"}}); err == nil {
		t.Errorf("%+v", r)
	}
}

// Who is not on this machine, or is a page of another site, gets nothing without authentication.
func TestWhoMayCall(t *testing.T) {
	const list = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
	for _, tt := range []struct {
		name   string
		public bool
		change func(r *http.Request)
		ok     bool
	}{
		{"this machine", false, func(*http.Request) {}, true},
		{"another machine", false, func(r *http.Request) { r.RemoteAddr = "192.0.2.1:4000" }, false},
		{"another machine, public", true, func(r *http.Request) { r.RemoteAddr, r.Host = "192.0.2.1:4000", "tools.example" }, true},
		{"a name that was rebound", false, func(r *http.Request) { r.Host = "evil.example" }, false},
		{"a page of another site", false, func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, false},
		{"a page of another site, public", true, func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, false},
		{"a form", false, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, false},
	} {
		h := &hansemcp.Handler{Backend: newShop(t), Public: tt.public}
		r := httptest.NewRequest(http.MethodPost, "http://localhost/mcp", strings.NewReader(list))
		r.RemoteAddr = "127.0.0.1:4000"
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
		tt.change(r)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if (w.Code == 200 && strings.Contains(w.Body.String(), "shop_v1_Shop_Get")) != tt.ok {
			t.Errorf("%s: %d %s", tt.name, w.Code, w.Body)
		}
	}
}
