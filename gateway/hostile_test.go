package gateway_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/gateway"
	"github.com/hanse-go/hanse/rpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/proto"
)

const (
	jsonType    = "Content-Type: application/json"
	protoType   = "Content-Type: application/proto"
	streamType  = "Content-Type: application/connect+proto"
	webTypeLine = "Content-Type: application/grpc-web+proto"
	webTextLine = "Content-Type: application/grpc-web-text"
)

func zip(t testing.TB, data string) string {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := io.WriteString(w, data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func envelope(flags byte, data string) string {
	return string(binary.BigEndian.AppendUint32([]byte{flags}, uint32(len(data)))) + data
}

func encoded(t testing.TB, m proto.Message) string {
	t.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// body is a request with so many bytes of payload.
func body(t testing.TB, n int) string {
	t.Helper()
	return encoded(t, &testpb.SimpleRequest{Payload: &testpb.Payload{Body: make([]byte, n)}})
}

// codeOf returns the code that an answer of any protocol has.
func codeOf(t *testing.T, a answer) string {
	t.Helper()
	var e struct {
		Code  string
		Error struct{ Code string }
	}
	contentType := a.header.Get("Content-Type")
	switch {
	case contentType == "application/json":
		if err := json.Unmarshal([]byte(a.body), &e); err != nil {
			t.Errorf("%q: %v", a.body, err)
		}
		return e.Code
	case strings.HasPrefix(contentType, "application/connect+"), strings.HasPrefix(contentType, "application/grpc-web"):
		flags, data := lastEnvelope(t, a)
		if flags == 2 {
			if err := json.Unmarshal([]byte(data), &e); err != nil {
				t.Errorf("%q: %v", data, err)
			}
			return e.Error.Code
		}
		number, _, _ := strings.Cut(strings.TrimPrefix(data, "grpc-status: "), "\r\n")
		return number
	}
	return ""
}

func lastEnvelope(t *testing.T, a answer) (flags byte, data string) {
	t.Helper()
	all := a.body
	if strings.HasPrefix(a.header.Get("Content-Type"), "application/grpc-web-text") {
		all = decodePieces(t, all)
	}
	for all != "" {
		if len(all) < 5 || len(all)-5 < int(binary.BigEndian.Uint32([]byte(all[1:5]))) {
			t.Fatalf("no envelope: %q", all)
		}
		n := int(binary.BigEndian.Uint32([]byte(all[1:5])))
		flags, data, all = all[0], all[5:5+n], all[5+n:]
	}
	return flags, data
}

// decodePieces decodes base64 whose pieces are padded each.
func decodePieces(t *testing.T, text string) string {
	t.Helper()
	var out []byte
	for ; len(text) >= 4; text = text[4:] {
		b, err := base64.StdEncoding.DecodeString(text[:4])
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b...)
	}
	if text != "" {
		t.Fatalf("%q is left", text)
	}
	return string(out)
}

// TestHostile sends what no honest client sends. docs/guides/protocols.md has the table.
func TestHostile(t *testing.T) {
	impl := &server{unary: func(_ context.Context, req *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		return &testpb.SimpleResponse{Payload: req.Payload}, nil
	}}
	url := serve(t, impl, func(s *rpc.Server, _ *gateway.Handler) { s.MaxRecvMsgSize = 1000 })
	bomb := zip(t, strings.Repeat("\x00", 10<<20))
	deep := `{"payload":` + strings.Repeat(`{"x":`, 50_000) + strings.Repeat(`}`, 50_000) + `}`
	const gzipped = "Content-Encoding: gzip"
	const connectGzip, webGzip = "Connect-Content-Encoding: gzip", "Grpc-Encoding: gzip"
	for _, tt := range []struct {
		name, path, body, fields string // fields are separated by |
		status                   int
		code                     string
	}{
		{"at the limit", unaryPath, body(t, 993-4), protoType, 200, ""},
		{"too large", unaryPath, body(t, 2000), protoType, 429, "resource_exhausted"},
		{"too large, decompressed", unaryPath, zip(t, body(t, 2000)), protoType + "|" + gzipped, 429, "resource_exhausted"},
		{"a bomb", unaryPath, bomb, protoType + "|" + gzipped, 429, "resource_exhausted"},
		{"cut gzip", unaryPath, zip(t, body(t, 500))[:20], protoType + "|" + gzipped, 400, "invalid_argument"},
		{"no gzip", unaryPath, body(t, 10), protoType + "|" + gzipped, 400, "invalid_argument"},
		{"unknown compression", unaryPath, body(t, 10), protoType + "|Content-Encoding: br", 501, "unimplemented"},
		{"no protobuf", unaryPath, "\xff\xff\xff", protoType, 400, "invalid_argument"},
		{"no JSON", unaryPath, `{"payload":`, jsonType, 400, "invalid_argument"},
		{"no body", unaryPath, "", jsonType, 400, "invalid_argument"},
		{"wrong type", unaryPath, `{"payload": 7}`, jsonType, 400, "invalid_argument"},
		{"two objects", unaryPath, `{} {}`, jsonType, 400, "invalid_argument"},
		{"duplicate field", unaryPath, `{"payload":{},"payload":{}}`, jsonType, 400, "invalid_argument"},
		{"invalid UTF-8", unaryPath, "{\"payload\":{\"type\":\"\xff\"}}", jsonType, 400, "invalid_argument"},
		{"a form", unaryPath, "payload=x", "Content-Type: application/x-www-form-urlencoded", 415, ""},
		{"text", unaryPath, "{}", "Content-Type: text/plain", 415, ""},
		{"no content type", unaryPath, "{}", "", 415, ""},
		{"unknown codec", unaryPath, "{}", "Content-Type: application/xml", 415, ""},
		{"gRPC", unaryPath, envelope(0, ""), "Content-Type: application/grpc", 415, ""},
		{"a stream's type for a unary method", unaryPath, envelope(0, ""), streamType, 415, ""},
		{"a unary method's type for a stream", outputPath, "", protoType, 415, ""},
		{"another version", unaryPath, "{}", jsonType + "|Connect-Protocol-Version: 2", 400, "invalid_argument"},
		{"no timeout", unaryPath, "{}", jsonType + "|Connect-Timeout-Ms: soon", 400, "invalid_argument"},
		{"negative timeout", unaryPath, "{}", jsonType + "|Connect-Timeout-Ms: -1", 400, "invalid_argument"},
		{"endless timeout", unaryPath, "{}", jsonType + "|Connect-Timeout-Ms: 12345678901", 400, "invalid_argument"},
		{"no base64 in binary metadata", unaryPath, "{}", jsonType + "|X-Key-Bin: !", 400, "invalid_argument"},
		{"a page of another site", unaryPath, "{}", jsonType + "|Origin: https://evil.example", 403, ""},
		{"a page of another site, by its browser", unaryPath, "{}", jsonType + "|Sec-Fetch-Site: cross-site", 403, ""},
		{"unknown method", "/grpc.testing.TestService/Nope", "{}", jsonType, 404, "unimplemented"},
		{"unknown path", "/", "{}", jsonType, 404, "unimplemented"},

		{"stream: too large", outputPath, envelope(0, body(t, 2000)), streamType, 200, "resource_exhausted"},
		{"stream: announces too much", outputPath, "\x00\xff\xff\xff\xff", streamType, 200, "resource_exhausted"},
		{"stream: a bomb", outputPath, envelope(1, zip(t, body(t, 100<<10))), streamType + "|" + connectGzip, 200, "resource_exhausted"},
		{"stream: compressed without saying how", outputPath, envelope(1, zip(t, "")), streamType, 200, "internal"},
		{"stream: unknown compression", outputPath, envelope(0, ""), streamType + "|Connect-Content-Encoding: br", 200, "unimplemented"},
		{"stream: no gzip", outputPath, envelope(1, "x"), streamType + "|" + connectGzip, 200, "invalid_argument"},
		{"stream: cut in the prefix", outputPath, envelope(0, "")[:3], streamType, 200, "invalid_argument"},
		{"stream: cut in the message", inputPath, envelope(0, body(t, 100))[:50], streamType, 200, "invalid_argument"},
		{"stream: no message", outputPath, "", streamType, 200, "unimplemented"},
		{"stream: two messages", outputPath, envelope(0, "") + envelope(0, ""), streamType, 200, "unimplemented"},
		{"stream: a message behind the end", inputPath, envelope(2, "{}"), streamType, 200, "invalid_argument"},
		{"stream: no protobuf", inputPath, envelope(0, "\xff"), streamType, 200, "invalid_argument"},
		{"stream: unknown codec", outputPath, envelope(0, ""), "Content-Type: application/connect+xml", 415, ""},

		{"web: too large", unaryPath, envelope(0, body(t, 2000)), webTypeLine, 200, "8"},
		{"web: a bomb", unaryPath, envelope(1, zip(t, body(t, 100<<10))), webTypeLine + "|" + webGzip, 200, "8"},
		{"web: compressed without saying how", unaryPath, envelope(1, zip(t, "")), webTypeLine, 200, "13"},
		{"web: unknown compression", unaryPath, envelope(0, ""), webTypeLine + "|Grpc-Encoding: br", 200, "12"},
		{"web: cut in the message", unaryPath, envelope(0, body(t, 100))[:50], webTypeLine, 200, "3"},
		{"web: no message", unaryPath, "", webTypeLine, 200, "12"},
		{"web: two messages", unaryPath, envelope(0, "") + envelope(0, ""), webTypeLine, 200, "12"},
		{"web: trailers from the client", inputPath, envelope(128, ""), webTypeLine, 200, "3"},
		{"web: no timeout", unaryPath, envelope(0, ""), webTypeLine + "|Grpc-Timeout: 1h", 200, "3"},
		{"web: unknown codec", unaryPath, envelope(0, ""), "Content-Type: application/grpc-web+xml", 415, ""},
		{"web: unknown type", unaryPath, envelope(0, ""), "Content-Type: application/grpc-website", 415, ""},
		{"web text: no base64", unaryPath, "!!!!", webTextLine, 200, "3"},
		{"web text: cut", unaryPath, "AAAAA", webTextLine, 200, "3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var fields []string
			if tt.fields != "" {
				fields = strings.Split(tt.fields, "|")
			}
			a := post(t, url+tt.path, tt.body, fields...)
			if code := codeOf(t, a); a.status != tt.status || code != tt.code {
				t.Errorf("%d %q, want %d %q\n%v\n%q", a.status, code, tt.status, tt.code, a.header, a.body)
			}
		})
	}
	t.Run("deep", func(t *testing.T) {
		url := serve(t, impl)
		if a := post(t, url+unaryPath, deep, jsonType); a.status != 400 {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
	t.Run("methods", func(t *testing.T) {
		for _, method := range []string{"GET", "PUT", "DELETE", "OPTIONS", "HEAD"} {
			if a := do(t, method, url+unaryPath, ""); a.status != 405 || a.header.Get("Allow") != "POST" {
				t.Errorf("%s: %d, Allow %q", method, a.status, a.header.Get("Allow"))
			}
		}
	})
	t.Run("still there", func(t *testing.T) {
		if a := post(t, url+unaryPath, "{}", jsonType); a.status != 200 {
			t.Errorf("%+v", a)
		}
	})
}

// TestNesting holds that what is nested too deeply is refused, also where protobuf would take it.
func TestNesting(t *testing.T) {
	url := serve(t, &server{}, func(_ *rpc.Server, h *gateway.Handler) { h.Limits.Depth = 2 })
	for fields, want := range map[string]int{`{"payload":{}}`: 200, `{"responseStatus":{}}`: 200} {
		if a := post(t, url+unaryPath, fields, jsonType); a.status != want {
			t.Errorf("%s: %+v", fields, a)
		}
	}
	url = serve(t, &server{}, func(_ *rpc.Server, h *gateway.Handler) { h.Limits.Depth = 1 })
	if a := post(t, url+unaryPath, `{"payload":{}}`, jsonType); a.status != 400 {
		t.Errorf("JSON: %+v", a)
	}
	if a := post(t, url+unaryPath, body(t, 1), protoType); a.status != 400 {
		t.Errorf("proto: %+v", a)
	}
}

// TestSlowBody holds that a message that does not come ends its call, and that no handler has waited for it.
func TestSlowBody(t *testing.T) {
	called := false
	impl := &server{empty: func(context.Context) error { called = true; return nil }}
	for name, tt := range map[string]struct {
		fields string
		limit  time.Duration
		want   string
	}{
		"read timeout": {jsonType, 20 * time.Millisecond, `504 {"code":"deadline_exceeded","message":"the request's message took longer than 20ms to arrive"}`},
		"deadline":     {jsonType + "\r\nConnect-Timeout-Ms: 20", 0, `504 {"code":"deadline_exceeded","message":"context deadline exceeded"}`},
		"stream":       {webTypeLine, 20 * time.Millisecond, "200 "},
	} {
		t.Run(name, func(t *testing.T) {
			url := serve(t, impl, func(_ *rpc.Server, h *gateway.Handler) { h.Limits.ReadTimeout = tt.limit })
			conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\n%s\r\nContent-Length: 10\r\n\r\n{", emptyPath, tt.fields)
			data, err := io.ReadAll(conn) // the server closes it
			if err != nil {
				t.Fatal(err)
			}
			head, rest, _ := strings.Cut(string(data), "\r\n\r\n")
			if got := strings.Fields(head)[1] + " " + rest; !strings.HasPrefix(got, tt.want) {
				t.Errorf("got %s", got)
			}
		})
	}
	if called {
		t.Error("a handler ran")
	}
}

// TestTotalBytes holds that large messages that are on their way take no more memory than they may, and give it back.
func TestTotalBytes(t *testing.T) {
	url := serve(t, &server{}, func(_ *rpc.Server, h *gateway.Handler) { h.Limits.TotalBytes = 200 << 10 })
	large := body(t, 100<<10)
	for range 5 {
		if a := post(t, url+unaryPath, large, protoType); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\n%s\r\nContent-Length: %d\r\n\r\n%s", unaryPath, protoType, len(large), large[:len(large)-1])
	deadline := time.Now().Add(10 * time.Second)
	for { // until that has been read
		if time.Now().After(deadline) {
			t.Fatal("nothing is refused")
		}
		a := post(t, url+unaryPath, large, protoType)
		if a.status == 200 {
			continue
		}
		if code := codeOf(t, a); a.status != 429 || code != "resource_exhausted" {
			t.Errorf("%d %s", a.status, a.body)
		}
		break
	}
	if a := post(t, url+unaryPath, body(t, 1000), protoType); a.status != 200 {
		t.Errorf("a small one: %d %s", a.status, a.body)
	}
}

// TestPanic holds that what panics on the way fails its call, and that the client hears of it.
func TestPanic(t *testing.T) {
	h := &gateway.Handler{Backend: panicking{}, Logger: slog.New(slog.DiscardHandler)}
	for _, contentType := range []string{"application/json", "application/grpc-web"} {
		req := httptest.NewRequest(http.MethodPost, emptyPath, strings.NewReader(`{}`))
		if contentType != "application/json" {
			req = httptest.NewRequest(http.MethodPost, emptyPath, strings.NewReader(envelope(0, "")))
		}
		req.Header.Set("Content-Type", contentType)
		resp := httptest.NewRecorder()
		h.ServeHTTP(resp, req)
		a := answer{resp.Code, resp.Header(), resp.Body.String()}
		if code := codeOf(t, a); code != "internal" && code != "13" {
			t.Errorf("%s: %d %q", contentType, a.status, a.body)
		}
		if strings.Contains(a.body, "secret") {
			t.Errorf("%s: %q", contentType, a.body)
		}
	}
}
