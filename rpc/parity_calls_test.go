package rpc_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hanse-go/hanse/rpc"
	pb "github.com/hanse-go/hanse/rpc/internal/paritypb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

var callCases = []parityCase{
	{name: "unary", run: unary},
	{name: "server stream", run: serverStream},
	{name: "client stream", run: clientStream},
	{name: "bidirectional stream", run: bidirectional},
	{name: "server stream without replies", run: noReplies},
	{name: "client stream without requests", run: noRequests},
	{name: "200 calls at once", run: manyCalls},
	{name: "200 streams open at once", run: manyStreams},
	{name: "unary method called as a stream", run: unaryAsStream},
	{name: "server stream called as unary", run: streamAsUnary},
	{name: "a unary call without request", run: noRequest},
	{name: "a unary call with two requests", run: twoRequests},
	{name: "unknown service", run: unknownService},
	{name: "unknown method", run: unknownMethod},
	{name: "malformed method", run: malformedMethod},
	{name: "the handler knows its method", run: ownMethod},
}

func unary(t *testing.T, c *column) {
	client := c.serve(t, setup{})
	in := &pb.Request{Text: "text", Data: []byte{0, 255}, List: []string{"a", "b"}, Map: map[string]string{"k": "v"}, Count: -3, Child: &pb.Request{Text: "child"}}
	out, err := client.Unary(soon(t), in)
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, out, echo(in))
}

func serverStream(t *testing.T, c *column) {
	client := c.serve(t, setup{})
	s, err := client.Download(soon(t), &pb.Request{Text: "x", Count: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for i := range int32(1000) {
		out, err := s.Recv()
		if err != nil || out.Count != i || out.Text != "x" {
			t.Fatalf("reply %d is %v, %v", i, out, err)
		}
	}
	if out, err := s.Recv(); err != io.EOF {
		t.Errorf("at the end: %v, %v", out, err)
	}
}

func clientStream(t *testing.T, c *column) {
	client := c.serve(t, setup{})
	s, err := client.Upload(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for i := range 1000 {
		want = append(want, fmt.Sprint(i))
		if err := s.Send(&pb.Request{Text: want[i]}); err != nil {
			t.Fatal(err)
		}
	}
	out, err := s.CloseAndRecv()
	if err != nil || out.Count != 1000 || !slices.Equal(out.List, want) {
		t.Errorf("reply = %.100v, %v", out, err)
	}
}

func bidirectional(t *testing.T, c *column) {
	client := c.serve(t, setup{})
	s, err := client.Chat(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	for i := range int32(100) { // in turn: each answer comes before the next question
		if err := s.Send(&pb.Request{Count: i}); err != nil {
			t.Fatal(err)
		}
		if out, err := s.Recv(); err != nil || out.Count != i {
			t.Fatalf("answer %d is %v, %v", i, out, err)
		}
	}
	if err := s.CloseSend(); err != nil {
		t.Error(err)
	}
	if out, err := s.Recv(); err != io.EOF {
		t.Errorf("at the end: %v, %v", out, err)
	}
}

func noReplies(t *testing.T, c *column) {
	client := c.serve(t, setup{})
	s, err := client.Download(soon(t), &pb.Request{})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := s.Recv(); err != io.EOF {
		t.Errorf("%v, %v", out, err)
	}
}

func noRequests(t *testing.T, c *column) {
	client := c.serve(t, setup{})
	s, err := client.Upload(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if out, err := s.CloseAndRecv(); err != nil || out.Count != 0 {
		t.Errorf("%v, %v", out, err)
	}
}

func manyCalls(t *testing.T, c *column) {
	client := c.serve(t, setup{})
	ctx := soon(t)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			text := strings.Repeat(fmt.Sprint(i), 100)
			for range 5 {
				if out, err := client.Unary(ctx, &pb.Request{Text: text}); err != nil || out.Text != text {
					t.Errorf("call %d: %.20v, %v", i, out, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func manyStreams(t *testing.T, c *column) {
	client := c.serve(t, setup{})
	ctx := soon(t)
	streams := make([]grpc.BidiStreamingClient[pb.Request, pb.Reply], 200)
	for i := range streams {
		s, err := client.Chat(ctx)
		if err != nil {
			t.Fatal(err)
		}
		streams[i] = s
		if err := s.Send(&pb.Request{Count: int32(i)}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Recv(); err != nil { // its handler runs now
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for i, s := range streams {
		wg.Go(func() {
			for range 5 {
				if err := s.Send(&pb.Request{Count: int32(i)}); err != nil {
					t.Error(err)
					return
				}
				if out, err := s.Recv(); err != nil || out.Count != int32(i) {
					t.Errorf("stream %d: %v, %v", i, out, err)
					return
				}
			}
			s.CloseSend()
			if _, err := s.Recv(); err != io.EOF {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// unaryAsStream is how proxies call: every method is a stream to them.
func unaryAsStream(t *testing.T, c *column) {
	client := c.serve(t, setup{})
	s, err := client.conn.NewStream(soon(t), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, pb.Parity_Unary_FullMethodName)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SendMsg(&pb.Request{Text: "x"}); err != nil {
		t.Fatal(err)
	}
	if err := s.CloseSend(); err != nil {
		t.Fatal(err)
	}
	var out pb.Reply
	if err := s.RecvMsg(&out); err != nil || out.Text != "x" {
		t.Fatalf("%v, %v", &out, err)
	}
	if err := s.RecvMsg(&out); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

func streamAsUnary(t *testing.T, c *column) {
	client := c.serve(t, setup{})
	var out pb.Reply
	if err := client.conn.Invoke(soon(t), pb.Parity_Download_FullMethodName, &pb.Request{Text: "x", Count: 1}, &out); err != nil || out.Text != "x" {
		t.Errorf("one reply: %v, %v", &out, err)
	}
	err := client.conn.Invoke(soon(t), pb.Parity_Download_FullMethodName, &pb.Request{Count: 2}, &out)
	wantCode(t, err, cardinality(c.ourClient))
	err = client.conn.Invoke(soon(t), pb.Parity_Download_FullMethodName, &pb.Request{Count: 0}, &out)
	wantCode(t, err, cardinality(c.ourClient))
}

// anyStream calls a method as a stream of any number of messages.
func anyStream(t *testing.T, client calls, method string, requests int) error {
	t.Helper()
	s, err := client.conn.NewStream(soon(t), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
	if err != nil {
		t.Fatal(err)
	}
	for range requests {
		if err := s.SendMsg(&pb.Request{}); err != nil && err != io.EOF {
			t.Fatal(err)
		}
	}
	if err := s.CloseSend(); err != nil {
		t.Fatal(err)
	}
	return s.RecvMsg(&pb.Reply{})
}

func noRequest(t *testing.T, c *column) {
	client := c.serve(t, setup{})
	wantCode(t, anyStream(t, client, pb.Parity_Unary_FullMethodName, 0), cardinality(c.ourServer))
	wantCode(t, anyStream(t, client, pb.Parity_Download_FullMethodName, 0), cardinality(c.ourServer))
}

func twoRequests(t *testing.T, c *column) {
	client := c.serve(t, setup{})
	wantCode(t, anyStream(t, client, pb.Parity_Unary_FullMethodName, 2), cardinality(c.ourServer))
	wantCode(t, anyStream(t, client, pb.Parity_Download_FullMethodName, 2), cardinality(c.ourServer))
}

func unknownService(t *testing.T, c *column) {
	client := c.serve(t, setup{})
	_, err := pb.NewOtherClient(client.conn).Unary(soon(t), &pb.Request{})
	s, streamErr := client.conn.NewStream(soon(t), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/nobody.Service/Chat")
	if c.assembled && c.path != rpc.InProcess { // the caller knows by the registry what the instances have, and names it
		wantCode(t, err, codes.Unimplemented)
		wantCode(t, streamErr, codes.Unimplemented)
		return
	}
	if streamErr != nil {
		t.Fatal(streamErr)
	}
	wantStatus(t, err, codes.Unimplemented, "unknown service hanse.parity.v1.Other")
	wantStatus(t, s.RecvMsg(&pb.Reply{}), codes.Unimplemented, "unknown service nobody.Service")
}

func unknownMethod(t *testing.T, c *column) {
	client := c.serve(t, setup{})
	err := client.conn.Invoke(soon(t), "/hanse.parity.v1.Parity/Nothing", &pb.Request{}, &pb.Reply{})
	wantStatus(t, err, codes.Unimplemented, "unknown method Nothing for service hanse.parity.v1.Parity")
}

func malformedMethod(t *testing.T, c *column) {
	client := c.serve(t, setup{})
	for _, method := range []string{"/", "/Unary", "//"} {
		err := client.conn.Invoke(soon(t), method, &pb.Request{}, &pb.Reply{})
		wantCode(t, err, codes.Unimplemented)
	}
}

func ownMethod(t *testing.T, c *column) {
	var h handlers
	h.unary = func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
		name, ok := grpc.Method(ctx)
		return &pb.Reply{Text: fmt.Sprint(name, ok)}, nil
	}
	h.download = func(in *pb.Request, s grpc.ServerStreamingServer[pb.Reply]) error {
		a, _ := grpc.MethodFromServerStream(s)
		b, _ := grpc.Method(s.Context())
		return s.Send(&pb.Reply{List: []string{a, b}})
	}
	client := c.serve(t, setup{handlers: h})
	out, err := client.Unary(soon(t), &pb.Request{})
	if err != nil || out.Text != pb.Parity_Unary_FullMethodName+"true" {
		t.Errorf("unary: %v, %v", out, err)
	}
	s, err := client.Download(soon(t), &pb.Request{})
	if err != nil {
		t.Fatal(err)
	}
	out, err = s.Recv()
	if want := pb.Parity_Download_FullMethodName; err != nil || !slices.Equal(out.List, []string{want, want}) {
		t.Errorf("stream: %v, %v", out, err)
	}
}
