package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/hanse-go/hanse"
	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
)

// echo sends back what it gets.
type echo struct {
	testpb.UnimplementedTestServiceServer
}

func (echo) EmptyCall(context.Context, *testpb.Empty) (*testpb.Empty, error) {
	return &testpb.Empty{}, nil
}

func (echo) FullDuplexCall(stream grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
	for {
		req, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = stream.Send(&testpb.StreamingOutputCallResponse{Payload: req.Payload})
		}
		if err != nil {
			return err
		}
	}
}

// talk is a page's script: it connects, sends the next message when the last one has come back, and tells all that it saw.
const talk = `new Promise((done) => {
	const seen = [], say = ["aGk=", "eW91", "YnllCg=="].map((body) => JSON.stringify({payload: {body}}));
	const socket = new WebSocket("ws://" + %q + "/grpc.testing.TestService/FullDuplexCall");
	const next = () => socket.send(say.shift() ?? %q);
	socket.onopen = next;
	socket.onmessage = (e) => { seen.push(JSON.parse(e.data).payload.body); next(); };
	socket.onclose = (e) => { seen.push(e.code, e.reason.replaceAll(/\s/g, " ")); done(seen.join(" ").trim()); };
})`

// TestBrowserWebSocket holds a stream in both directions between a browser's page and a method; and it holds that a page of another site gets
// none, also when it is one that gave its name the address of this machine.
func TestBrowserWebSocket(t *testing.T) {
	program := chromium(t)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	svc := &hanse.Service{Name: "echo"}
	testpb.RegisterTestServiceServer(svc, echo{})
	svc.Handle("GET /{$}", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<!doctype html><title>talk</title>") }))
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- (&hanse.App{Listener: lis}).Run(ctx, svc) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	_, port, _ := net.SplitHostPort(lis.Addr().String())
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("host-resolver-rules", "MAP evil.example 127.0.0.1"))
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	defer end()
	browser, cancel := chromedp.NewContext(allocator)
	defer cancel()
	if err := chromedp.Do(browser, chromedp.Navigate("about:blank")); err != nil { // it ends with the context of the first action
		t.Fatal(err)
	}

	const call = `fetch("/grpc.testing.TestService/EmptyCall", {method: "POST", headers: {"content-type": "application/json"}, body: "{}"})
		.then((r) => r.text().then((t) => r.status + " " + t.slice(0, 14)))`
	home := "localhost:" + port
	for _, tt := range []struct{ name, page, script, want string }{
		{"a stream", home, fmt.Sprintf(talk, home, ""), "aGk= eW91 YnllCg== 1000"},
		{"an unknown field", home, fmt.Sprintf(talk, home, `{"paylod": {}}`), "aGk= eW91 YnllCg== 4003 paylod: unknown field"},
		{"a call", home, call, "200 {}"},
		{"a page of another site", "127.0.0.1:" + port, fmt.Sprintf(talk, home, ""), "1006"},
		{"a name with this address", "evil.example:" + port, fmt.Sprintf(talk, "evil.example:"+port, ""), "1006"},
		{"a call by a name with this address", "evil.example:" + port, call, "403 what is served"},
	} {
		ctx, cancel := context.WithTimeout(browser, 20*time.Second)
		err := chromedp.Do(ctx, chromedp.Navigate("http://"+tt.page+"/"))
		var got string
		if err == nil {
			got, err = chromedp.Run(ctx, chromedp.Evaluate[string](tt.script, chromedp.EvalAwaitPromise))
		}
		cancel()
		if err != nil || got != tt.want && !strings.HasPrefix(got, tt.want+" ") {
			t.Errorf("%s: %q, %v; want %q", tt.name, got, err, tt.want)
		}
	}
}
