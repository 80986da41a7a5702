package gateway_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/gateway"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

func output(t testing.TB, code codes.Code, sizes ...int32) string {
	req := &testpb.StreamingOutputCallRequest{}
	for _, n := range sizes {
		req.ResponseParameters = append(req.ResponseParameters, &testpb.ResponseParameters{Size: n})
	}
	if code != codes.OK {
		req.ResponseStatus = &testpb.EchoStatus{Code: int32(code), Message: "as you like: 100 %\n"}
	}
	return encoded(t, req)
}

// envelopes splits a body.
func envelopes(t *testing.T, a answer) (flags string, data []string) {
	t.Helper()
	rest := a
	for all := a.body; all != ""; {
		n := 5 + int(all[3])<<8 + int(all[4])
		rest.body = all[:n]
		f, d := lastEnvelope(t, rest)
		flags, data, all = flags+string(rune(f)), append(data, d), all[n:]
	}
	return flags, data
}

func TestConnectStream(t *testing.T) {
	url := serve(t, &server{})
	a := post(t, url+outputPath, envelope(0, output(t, codes.NotFound, 3, 5)), streamType)
	flags, data := envelopes(t, a)
	if a.status != 200 || flags != "\x00\x00\x02" || a.header.Get("X-First") != "1" || a.header.Get("Content-Type") != "application/connect+proto" {
		t.Fatalf("%q, %+v", flags, a)
	}
	var second testpb.StreamingOutputCallResponse
	if err := proto.Unmarshal([]byte(data[1]), &second); err != nil || len(second.Payload.Body) != 5 {
		t.Errorf("%v, %v", &second, err)
	}
	if want := `{"error":{"code":"not_found","message":"as you like: 100 %\n"},"metadata":{"x-last":["2"]}}`; data[2] != want {
		t.Errorf("the end is %s", data[2])
	}
	a = post(t, url+outputPath, envelope(0, `{"responseParameters":[{"size":1}]}`), "Content-Type: application/connect+json")
	if flags, data = envelopes(t, a); flags != "\x00\x02" || !json.Valid([]byte(data[0])) || data[1] != `{"metadata":{"x-last":["2"]}}` {
		t.Errorf("%q %q", flags, data)
	}
	a = post(t, url+inputPath, envelope(0, "")+envelope(0, encoded(t, &testpb.StreamingInputCallRequest{Payload: &testpb.Payload{Body: make([]byte, 7)}})), streamType)
	var sum testpb.StreamingInputCallResponse
	if flags, data = envelopes(t, a); flags != "\x00\x02" || proto.Unmarshal([]byte(data[0]), &sum) != nil || sum.AggregatedPayloadSize != 7 || data[1] != "{}" {
		t.Errorf("%q %q", flags, data)
	}
}

// TestFullDuplex sends and receives in turn, over HTTP/1.1.
func TestFullDuplex(t *testing.T) {
	url := serve(t, &server{})
	in, out := io.Pipe()
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, url+duplexPath, in)
	req.Header.Set("Content-Type", "application/grpc-web")
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	send := func(size int) {
		io.WriteString(out, envelope(0, encoded(t, &testpb.StreamingOutputCallRequest{Payload: &testpb.Payload{Body: make([]byte, size)}})))
	}
	go send(1)
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for size := 1; size < 4; size++ {
		if size > 1 {
			send(size)
		}
		got := make([]byte, 5+4+size)
		if _, err := io.ReadFull(resp.Body, got); err != nil || int(got[4]) != 4+size {
			t.Fatalf("%q, %v", got, err)
		}
	}
	out.Close()
	rest, err := io.ReadAll(resp.Body)
	if want := envelope(128, "grpc-status: 0\r\n"); err != nil || string(rest) != want {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestWeb(t *testing.T) {
	url := serve(t, &server{})
	a := post(t, url+outputPath, envelope(0, output(t, codes.NotFound, 3)), webTypeLine, "X-Grpc-Web: 1", "X-User-Agent: grpc-web-javascript/0.1")
	flags, data := envelopes(t, a)
	if flags != "\x00\u0080" || data[1] != "grpc-status: 5\r\ngrpc-message: as you like: 100 %25%0A\r\nx-last: 2\r\n" || a.header.Get("Content-Type") != "application/grpc-web+proto" || a.header.Get("X-First") != "1" {
		t.Errorf("%q %q %v", flags, data, a.header)
	}
	// The client pads after its first message, and in the midst of it.
	first := envelope(0, encoded(t, &testpb.SimpleRequest{Payload: &testpb.Payload{Body: []byte("padded")}}))
	for cut := range first {
		text := base64.StdEncoding.EncodeToString([]byte(first[:cut])) + base64.StdEncoding.EncodeToString([]byte(first[cut:]))
		a = post(t, url+unaryPath, text, webTextLine)
		got := decodePieces(t, a.body)
		if !strings.HasSuffix(got, "grpc-status: 0\r\n") || !strings.Contains(got, "padded") || a.header.Get("Content-Type") != "application/grpc-web-text" {
			t.Fatalf("cut at %d: %q", cut, got)
		}
	}
}

func TestConnectGet(t *testing.T) {
	address := serveLibrary(t)
	const get = "/library.Library/GetBook?"
	message := url.QueryEscape(`{"name":"x"}`)
	zipped := base64.URLEncoding.EncodeToString([]byte(zip(t, `{"name":"x"}`)))
	for query, want := range map[string]string{
		"encoding=json&message=" + message:                                 `200 {"name":"x"}`,
		"connect=v1&encoding=json&message=" + message:                      `200 {"name":"x"}`,
		"encoding=json&base64=1&message=eyJuYW1lIjoieCJ9":                  `200 {"name":"x"}`,
		"encoding=proto&base64=1&message=CgF4":                             "200 \n\x01x",
		"encoding=proto&base64=1&message=CgF4&compression=identity":        "200 \n\x01x",
		"encoding=json&compression=gzip&base64=1&message=" + zipped:        `200 {"name":"x"}`,
		"encoding=json&message=":                                           "400 ",
		"encoding=proto&message=":                                          "200 ",
		"encoding=json":                                                    "400 ",
		"encoding=xml&message=x":                                           "415 ",
		"message=" + message:                                               "400 a GET has the request in its query: /library.Library/GetBook?encoding=json&message=",
		"":                                                                 "400 a GET has the request in its query",
		"encoding=json&message=" + url.QueryEscape(`{"nam":1}`):            `400 {"code":"invalid_argument","message":"nam:`,
		"connect=v1&encoding=json&message=" + url.QueryEscape(`{"nam":1}`): `200 {`,
		"encoding=json&compression=br&message=" + message:                  "501 ",
		"connect=v2&encoding=json&message=" + message:                      "400 ",
		"encoding=json&base64=1&message=!":                                 "400 ",
		"encoding=json&message=" + url.QueryEscape(`{"name":"`+strings.Repeat("x", 900)): "400 ",
	} {
		a := do(t, http.MethodGet, address+get+query, "")
		got := strings.ReplaceAll(fmt.Sprint(a.status, " ", a.body), `": `, `":`)
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	if a := do(t, http.MethodGet, address+"/library.Library/Plain?encoding=json&message={}", ""); a.status != 405 || a.header.Get("Allow") != "POST" {
		t.Errorf("a method with side effects: %+v", a)
	}
}

func TestCompression(t *testing.T) {
	const size = 3000
	url := serve(t, &server{unary: func(_ context.Context, req *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		if req.ResponseSize < 0 {
			return nil, status.Error(codes.Aborted, strings.Repeat("x", size))
		}
		return &testpb.SimpleResponse{Payload: &testpb.Payload{Body: make([]byte, req.ResponseSize)}}, nil
	}}, func(_ *rpc.Server, h *gateway.Handler) { h.CompressFrom = 2000 })
	for _, tt := range []struct {
		accept string
		size   int32
		want   string
	}{
		{"gzip", size, "gzip"},
		{"br, gzip;q=0.5", size, "gzip"},
		{"gzip", 1000, ""},
		{"gzip", -1, ""}, // errors are for people
		{"gzip;q=0", size, ""},
		{"identity", size, ""},
		{"", size, ""},
	} {
		a := post(t, url+unaryPath, encoded(t, &testpb.SimpleRequest{ResponseSize: tt.size}), protoType, "Accept-Encoding: "+tt.accept)
		if got := a.header.Get("Content-Encoding"); got != tt.want {
			t.Errorf("%s, %d: %q, want %q", tt.accept, tt.size, got, tt.want)
		}
		if tt.want == "" {
			continue
		}
		r, err := gzip.NewReader(strings.NewReader(a.body))
		if err != nil {
			t.Fatal(err)
		}
		var plain bytes.Buffer
		if _, err := io.Copy(&plain, r); err != nil || plain.Len() < size {
			t.Errorf("%d bytes, %v", plain.Len(), err)
		}
	}
	a := post(t, url+unaryPath, envelope(1, zip(t, encoded(t, &testpb.SimpleRequest{ResponseSize: size}))), webTypeLine, "Grpc-Encoding: gzip", "Grpc-Accept-Encoding: gzip")
	if flags, _ := envelopes(t, a); flags != "\x01\u0080" || a.header.Get("Grpc-Encoding") != "gzip" {
		t.Errorf("%q %v", flags, a.header)
	}
}
