package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"

	pb "github.com/hanse-go/hanse/rpc/internal/paritypb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

var statusCases = []parityCase{
	{name: "errors of handlers", run: handlerErrors},
	{name: "errors of streams", run: streamErrors},
	{name: "status with details", run: details},
	{name: "a handler that panics", run: panics, needsServer: "a panic ends its process"},
	{name: "Goexit in a handler", run: goexit, needsServer: "the call would never end"},
	{name: "a nil reply", run: nilReply},
	{name: "a client stream without its reply", run: missingReply},
	{name: "the reply is not touched by an error", run: replyOfError},
}

var handlerErrorTable = []struct {
	err     error
	code    codes.Code
	message string
}{
	{status.Error(codes.NotFound, "gone"), codes.NotFound, "gone"},
	{status.Error(codes.Canceled, "by the handler"), codes.Canceled, "by the handler"},
	{status.Error(codes.DeadlineExceeded, "of the handler"), codes.DeadlineExceeded, "of the handler"},
	{status.Error(codes.Unavailable, "busy"), codes.Unavailable, "busy"},
	{status.Error(codes.Unimplemented, "not yet"), codes.Unimplemented, "not yet"},
	{status.Error(codes.Code(99), "odd"), codes.Code(99), "odd"},
	{status.Error(codes.Internal, ""), codes.Internal, ""},
	{status.Error(codes.Aborted, "größe 100% \n\t\"x\" 🙂"), codes.Aborted, "größe 100% \n\t\"x\" 🙂"},
	{status.Error(codes.Aborted, strings.Repeat("long ", 1000)), codes.Aborted, strings.Repeat("long ", 1000)},
	{errors.New("plain"), codes.Unknown, "plain"},
	{io.EOF, codes.Unknown, "EOF"},
	{io.ErrUnexpectedEOF, codes.Unknown, "unexpected EOF"},
	{context.Canceled, codes.Canceled, "context canceled"},
	{context.DeadlineExceeded, codes.DeadlineExceeded, "context deadline exceeded"},
	{fmt.Errorf("wrapped: %w", context.Canceled), codes.Canceled, "wrapped: context canceled"},
	{fmt.Errorf("wrapped: %w", status.Error(codes.NotFound, "gone")), codes.NotFound, "wrapped: rpc error: code = NotFound desc = gone"},
}

func handlerErrors(t *testing.T, c *column) {
	var h handlers
	h.unary = func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
		return &pb.Reply{Text: "ignored"}, handlerErrorTable[in.Count].err
	}
	client := c.serve(t, setup{handlers: h})
	for i, tt := range handlerErrorTable {
		_, err := client.Unary(soon(t), &pb.Request{Count: int32(i)})
		wantStatus(t, err, tt.code, tt.message)
	}
}

func streamErrors(t *testing.T, c *column) {
	var h handlers
	h.download = func(in *pb.Request, s grpc.ServerStreamingServer[pb.Reply]) error {
		if err := s.Send(&pb.Reply{Text: "first"}); err != nil {
			return err
		}
		return handlerErrorTable[in.Count].err
	}
	client := c.serve(t, setup{handlers: h})
	for i, tt := range handlerErrorTable {
		s, err := client.Download(soon(t), &pb.Request{Count: int32(i)})
		if err != nil {
			t.Fatal(err)
		}
		if out, err := s.Recv(); err != nil || out.Text != "first" {
			t.Errorf("%v, %v", out, err)
		}
		for range 2 { // the error stays
			_, err = s.Recv()
			wantStatus(t, err, tt.code, tt.message)
		}
	}
}

func details(t *testing.T, c *column) {
	detail := &pb.Request{Text: "why", Map: map[string]string{"field": "age"}}
	var h handlers
	h.unary = func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
		s, err := status.New(codes.InvalidArgument, "bad").WithDetails(detail, &pb.OpaqueRequest{})
		if err != nil {
			return nil, err
		}
		return nil, s.Err()
	}
	client := c.serve(t, setup{handlers: h})
	_, err := client.Unary(soon(t), &pb.Request{})
	wantStatus(t, err, codes.InvalidArgument, "bad")
	list := status.Convert(err).Details()
	if len(list) != 2 {
		t.Fatalf("details: %v", list)
	}
	got, ok := list[0].(*pb.Request)
	if !ok {
		t.Fatalf("detail is %T: %v", list[0], list[0])
	}
	wantEqual(t, got, detail)
	got.Text = "changed"
	if detail.Text != "why" {
		t.Error("the detail is shared with the handler")
	}
}

// buffer is a log that is written to and read at the same time.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// failing is a server whose handlers end by calling end.
func failing(end func()) handlers {
	var h handlers
	h.unary = func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
		if in.Text == "fail" {
			end()
		}
		return &pb.Reply{}, nil
	}
	h.download = func(in *pb.Request, s grpc.ServerStreamingServer[pb.Reply]) error {
		if err := s.Send(&pb.Reply{}); err != nil {
			return err
		}
		end()
		return nil
	}
	return h
}

// wantInternal checks that both kinds of handlers fail as Internal without telling the caller what happened, and that the server lives.
func wantInternal(t *testing.T, client calls, secret string) {
	t.Helper()
	_, err := client.Unary(soon(t), &pb.Request{Text: "fail"})
	wantCode(t, err, codes.Internal)
	if secret != "" && strings.Contains(err.Error(), secret) {
		t.Errorf("the caller is told too much: %v", err)
	}
	s, err := client.Download(soon(t), &pb.Request{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err != nil {
		t.Errorf("before the failure: %v", err)
	}
	_, err = s.Recv()
	wantCode(t, err, codes.Internal)
	if _, err := client.Unary(soon(t), &pb.Request{}); err != nil {
		t.Errorf("the next call: %v", err)
	}
}

func panics(t *testing.T, c *column) {
	var log buffer
	client := c.serve(t, setup{handlers: failing(func() { panic("the cause") }), log: &log})
	wantInternal(t, client, "the cause")
	for _, want := range []string{"the cause", "parity_status_test.go", pb.Parity_Unary_FullMethodName, pb.Parity_Download_FullMethodName} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log has no %q:\n%s", want, log.String())
		}
	}
}

func goexit(t *testing.T, c *column) {
	client := c.serve(t, setup{handlers: failing(runtime.Goexit), log: new(buffer)})
	wantInternal(t, client, "")
}

func nilReply(t *testing.T, c *column) {
	var h handlers
	h.unary = func(ctx context.Context, in *pb.Request) (*pb.Reply, error) { return nil, nil }
	client := c.serve(t, setup{handlers: h})
	out, err := client.Unary(soon(t), &pb.Request{})
	if err != nil || proto.Size(out) != 0 {
		t.Errorf("%v, %v", out, err)
	}
}

func missingReply(t *testing.T, c *column) {
	var h handlers
	h.upload = func(s grpc.ClientStreamingServer[pb.Request, pb.Reply]) error { return nil }
	client := c.serve(t, setup{handlers: h})
	s, err := client.Upload(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.CloseAndRecv()
	wantCode(t, err, cardinality(c.ourClient))
}

func replyOfError(t *testing.T, c *column) {
	var h handlers
	h.unary = func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
		return &pb.Reply{Text: "ignored"}, status.Error(codes.NotFound, "gone")
	}
	client := c.serve(t, setup{handlers: h})
	out := &pb.Reply{Text: "before"}
	err := client.conn.Invoke(soon(t), pb.Parity_Unary_FullMethodName, &pb.Request{}, out)
	wantCode(t, err, codes.NotFound)
	if out.Text != "before" {
		t.Errorf("reply = %v", out)
	}
}

// wantEqual compares messages.
func wantEqual(t *testing.T, got, want proto.Message) {
	t.Helper()
	if !proto.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}
