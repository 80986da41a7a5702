package gateway_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

type answer struct {
	status int
	header http.Header
	body   string
}

// post sends a request with these header fields, "Name: value".
func post(t *testing.T, url, body string, fields ...string) answer {
	t.Helper()
	return do(t, http.MethodPost, url, body, fields...)
}

func do(t *testing.T, method, url, body string, fields ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		req.Header.Add(name, value)
	}
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(data)}
}

func TestConnectUnary(t *testing.T) {
	url := serve(t, &server{})
	a := post(t, url+unaryPath, `{"payload":{"body":"aGk="}}`, "Content-Type: application/json; charset=utf-8")
	if a.status != 200 || a.header.Get("Content-Type") != "application/json" || strings.ReplaceAll(a.body, " ", "") != `{"payload":{"body":"aGk="}}` {
		t.Errorf("%+v", a)
	}
	req, err := proto.Marshal(&testpb.SimpleRequest{Payload: &testpb.Payload{Body: []byte("hi")}})
	if err != nil {
		t.Fatal(err)
	}
	a = post(t, url+unaryPath, string(req), "Content-Type: application/proto")
	var reply testpb.SimpleResponse
	if err := proto.Unmarshal([]byte(a.body), &reply); err != nil || a.status != 200 || string(reply.Payload.GetBody()) != "hi" {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestConnectError(t *testing.T) {
	url := serve(t, &server{empty: func(context.Context) error { return status.Error(codes.NotFound, "no such thing") }})
	a := post(t, url+emptyPath, `{}`, "Content-Type: application/json")
	if a.status != 404 || a.body != `{"code":"not_found","message":"no such thing"}` {
		t.Errorf("%+v", a)
	}
}
