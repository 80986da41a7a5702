package rpc_test

import (
	"context"
	"io"
	"sync/atomic"
	"testing"
	"time"

	pb "github.com/hanse-go/hanse/rpc/internal/paritypb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

var streamCases = []parityCase{
	{name: "half close", run: halfClose},
	{name: "the server ends a stream early", run: earlyEnd},
	{name: "the server ends a stream early without error", run: earlyEndOK},
	{name: "the server replies before the last request", run: earlyReply},
	{name: "a caller that stops reading", run: lazyCaller},
	{name: "a handler that stops reading", run: lazyHandler},
	{name: "a stream that the caller drops", run: droppedStream},
	{name: "a call that is cancelled before its requests end", run: cancelledBeforeClose,
		needsClient: "grpc-go's may take an answer that comes after the cancellation"},
	{name: "sending after CloseSend", run: sendAfterClose},
	{name: "sending from a handler that returned", run: sendAfterReturn},
	{name: "both sides send at once", run: bothSend},
	{name: "replies are read after the handler ended", run: readLater},
	{name: "the end stays the end", run: endStays},
	{name: "a received message replaces what was there", run: filledStreamMessage},
}

func halfClose(t *testing.T, c *column) {
	var h handlers
	h.chat = func(s grpc.BidiStreamingServer[pb.Request, pb.Reply]) error {
		n := int32(0)
		for {
			if _, err := s.Recv(); err == io.EOF {
				break
			} else if err != nil {
				return err
			}
			n++
		}
		for range 3 {
			if err := s.Send(&pb.Reply{Count: n}); err != nil {
				return err
			}
		}
		return nil
	}
	client := c.serve(t, setup{handlers: h})
	s, err := client.Chat(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Send(&pb.Request{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.CloseSend(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if out, err := s.Recv(); err != nil || out.Count != 2 {
			t.Fatalf("%v, %v", out, err)
		}
	}
	if _, err := s.Recv(); err != io.EOF {
		t.Error(err)
	}
}

// sendUntilEnd sends until the stream takes no more, and returns why.
func sendUntilEnd(send func(*pb.Request) error) error {
	for {
		if err := send(&pb.Request{Text: "more"}); err != nil {
			return err
		}
	}
}

func earlyEnd(t *testing.T, c *column) {
	var h handlers
	h.chat = func(s grpc.BidiStreamingServer[pb.Request, pb.Reply]) error {
		if _, err := s.Recv(); err != nil {
			return err
		}
		if err := s.Send(&pb.Reply{Text: "last"}); err != nil {
			return err
		}
		return status.Error(codes.FailedPrecondition, "enough")
	}
	client := c.serve(t, setup{handlers: h})
	s, err := client.Chat(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := sendUntilEnd(s.Send); err != io.EOF {
		t.Errorf("Send: %v", err)
	}
	if out, err := s.Recv(); err != nil || out.Text != "last" { // what was sent before the end is not lost
		t.Errorf("%v, %v", out, err)
	}
	_, err = s.Recv()
	wantStatus(t, err, codes.FailedPrecondition, "enough")
}

func earlyEndOK(t *testing.T, c *column) {
	var h handlers
	h.chat = func(s grpc.BidiStreamingServer[pb.Request, pb.Reply]) error { return nil }
	client := c.serve(t, setup{handlers: h})
	s, err := client.Chat(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := sendUntilEnd(s.Send); err != io.EOF {
		t.Errorf("Send: %v", err)
	}
	if _, err := s.Recv(); err != io.EOF {
		t.Errorf("Recv: %v", err)
	}
}

func earlyReply(t *testing.T, c *column) {
	var h handlers
	h.upload = func(s grpc.ClientStreamingServer[pb.Request, pb.Reply]) error {
		if _, err := s.Recv(); err != nil {
			return err
		}
		return s.SendAndClose(&pb.Reply{Text: "enough"})
	}
	client := c.serve(t, setup{handlers: h})
	s, err := client.Upload(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := sendUntilEnd(s.Send); err != io.EOF {
		t.Errorf("Send: %v", err)
	}
	if out, err := s.CloseAndRecv(); err != nil || out.Text != "enough" {
		t.Errorf("%v, %v", out, err)
	}
}

const mebibyte = 1 << 20

// stalled waits until n has stopped growing, as far as one can tell.
func stalled(n *atomic.Int32) {
	for last := int32(-1); ; {
		now := n.Load()
		if now == last || now > 64 {
			return
		}
		last = now
		<-time.After(50 * time.Millisecond)
	}
}

// lazyCaller reads one reply of a handler that sends without end: the handler has to wait, and learns that the caller left.
func lazyCaller(t *testing.T, c *column) {
	var sent atomic.Int32
	ended := make(chan error, 1)
	var h handlers
	h.download = func(in *pb.Request, s grpc.ServerStreamingServer[pb.Reply]) error {
		for {
			if err := s.Send(&pb.Reply{Data: make([]byte, mebibyte)}); err != nil {
				ended <- err
				return err
			}
			sent.Add(1)
		}
	}
	client := c.serve(t, setup{handlers: h})
	ctx, cancel := context.WithCancel(soon(t))
	s, err := client.Download(ctx, &pb.Request{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err != nil {
		t.Fatal(err)
	}
	stalled(&sent)
	if n := sent.Load(); n > 16 {
		t.Errorf("the handler sent %d MiB to a caller that does not read", n)
	}
	cancel()
	if err := receive(t, ended, "end of the handler"); status.Code(err) != codes.Canceled && status.Code(err) != codes.Unavailable {
		t.Errorf("the handler's Send: %v", err)
	}
}

// lazyHandler sends without end to a handler that does not read: the caller has to wait.
func lazyHandler(t *testing.T, c *column) {
	release := make(chan bool)
	var h handlers
	h.upload = func(s grpc.ClientStreamingServer[pb.Request, pb.Reply]) error {
		<-release
		return nil
	}
	client := c.serve(t, setup{handlers: h})
	t.Cleanup(func() { close(release) })
	ctx, cancel := context.WithCancel(soon(t))
	s, err := client.Upload(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var sent atomic.Int32
	ended := make(chan error, 1)
	go func() {
		for {
			if err := s.Send(&pb.Request{Data: make([]byte, mebibyte)}); err != nil {
				ended <- err
				return
			}
			sent.Add(1)
		}
	}()
	stalled(&sent)
	if n := sent.Load(); n > 16 {
		t.Errorf("%d MiB were sent to a handler that does not read", n)
	}
	cancel()
	if err := receive(t, ended, "end of Send"); err != io.EOF {
		wantCode(t, err, codes.Canceled)
	}
	wantCode(t, s.RecvMsg(&pb.Reply{}), codes.Canceled)
}

func droppedStream(t *testing.T, c *column) {
	ended := make(chan error, 1)
	var h handlers
	h.chat = func(s grpc.BidiStreamingServer[pb.Request, pb.Reply]) error {
		s.Send(&pb.Reply{})
		<-s.Context().Done()
		ended <- s.Context().Err()
		return nil
	}
	client := c.serve(t, setup{handlers: h})
	ctx, cancel := context.WithCancel(soon(t))
	s, err := client.Chat(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err != nil {
		t.Fatal(err)
	}
	cancel() // and the stream is used no more
	if err := receive(t, ended, "end of the handler"); err != context.Canceled {
		t.Error(err)
	}
}

// cancelledBeforeClose cancels a call whose handler answers as soon as the requests end: the answer must not win.
func cancelledBeforeClose(t *testing.T, c *column) {
	if c.name == "grpcwire" {
		t.Skip("it has grpc-go's client")
	}
	client := c.serve(t, setup{})
	for range 50 {
		ctx, cancel := context.WithCancel(soon(t))
		s, err := client.Upload(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Send(&pb.Request{}); err != nil {
			t.Fatal(err)
		}
		cancel()
		_, err = s.CloseAndRecv()
		wantCode(t, err, codes.Canceled)
	}
}

func sendAfterClose(t *testing.T, c *column) {
	client := c.serve(t, setup{})
	s, err := client.Chat(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CloseSend(); err != nil {
		t.Fatal(err)
	}
	wantCode(t, s.Send(&pb.Request{}), codes.Internal)
	if err := s.CloseSend(); err != nil {
		t.Errorf("second CloseSend: %v", err)
	}
}

func sendAfterReturn(t *testing.T, c *column) {
	streams := make(chan grpc.BidiStreamingServer[pb.Request, pb.Reply], 1)
	var h handlers
	h.chat = func(s grpc.BidiStreamingServer[pb.Request, pb.Reply]) error {
		streams <- s
		return nil
	}
	client := c.serve(t, setup{handlers: h})
	s, err := client.Chat(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err != io.EOF {
		t.Fatal(err)
	}
	late := receive(t, streams, "stream")
	if err := late.Send(&pb.Reply{}); err == nil {
		t.Error("Send worked")
	}
}

func bothSend(t *testing.T, c *column) {
	const n = 2000
	var h handlers
	h.chat = func(s grpc.BidiStreamingServer[pb.Request, pb.Reply]) error {
		result := make(chan error, 1)
		go func() {
			for i := range int32(n) {
				if err := s.Send(&pb.Reply{Count: i}); err != nil {
					result <- err
					return
				}
			}
			result <- nil
		}()
		for i := range int32(n) {
			if in, err := s.Recv(); err != nil || in.Count != i {
				return status.Errorf(codes.DataLoss, "request %d is %v, %v", i, in, err)
			}
		}
		return <-result
	}
	client := c.serve(t, setup{handlers: h})
	s, err := client.Chat(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	result := make(chan error, 1)
	go func() {
		for i := range int32(n) {
			if err := s.Send(&pb.Request{Count: i}); err != nil {
				result <- err
				return
			}
		}
		result <- s.CloseSend()
	}()
	for i := range int32(n) {
		if out, err := s.Recv(); err != nil || out.Count != i {
			t.Fatalf("reply %d is %v, %v", i, out, err)
		}
	}
	if _, err := s.Recv(); err != io.EOF {
		t.Error(err)
	}
	if err := receive(t, result, "end of sending"); err != nil {
		t.Error(err)
	}
}

func readLater(t *testing.T, c *column) {
	ended := make(chan bool, 1)
	var h handlers
	h.download = func(in *pb.Request, s grpc.ServerStreamingServer[pb.Reply]) error {
		defer func() { ended <- true }()
		for i := range int32(10) {
			if err := s.Send(&pb.Reply{Count: i}); err != nil {
				return err
			}
		}
		s.SetTrailer(metadata.Pairs("t", "1"))
		return status.Error(codes.Aborted, "at the end")
	}
	client := c.serve(t, setup{handlers: h})
	s, err := client.Download(soon(t), &pb.Request{})
	if err != nil {
		t.Fatal(err)
	}
	receive(t, ended, "end of the handler")
	for i := range int32(10) {
		if out, err := s.Recv(); err != nil || out.Count != i {
			t.Fatalf("reply %d is %v, %v", i, out, err)
		}
	}
	_, err = s.Recv()
	wantStatus(t, err, codes.Aborted, "at the end")
	if got := s.Trailer().Get("t"); len(got) != 1 || got[0] != "1" {
		t.Errorf("trailer = %v", s.Trailer())
	}
}

func endStays(t *testing.T, c *column) {
	var h handlers
	h.chat = func(s grpc.BidiStreamingServer[pb.Request, pb.Reply]) error {
		for range 3 {
			if _, err := s.Recv(); err != io.EOF {
				return status.Errorf(codes.DataLoss, "Recv: %v", err)
			}
		}
		return nil
	}
	client := c.serve(t, setup{handlers: h})
	s, err := client.Chat(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CloseSend(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := s.Recv(); err != io.EOF {
			t.Errorf("Recv: %v", err)
		}
	}
}

func filledStreamMessage(t *testing.T, c *column) {
	var h handlers
	h.chat = func(s grpc.BidiStreamingServer[pb.Request, pb.Reply]) error {
		in := &pb.Request{Text: "old", List: []string{"old"}}
		if err := s.RecvMsg(in); err != nil {
			return err
		}
		return s.Send(echo(in))
	}
	client := c.serve(t, setup{handlers: h})
	s, err := client.Chat(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(&pb.Request{List: []string{"new"}}); err != nil {
		t.Fatal(err)
	}
	out := &pb.Reply{Text: "old", Map: map[string]string{"old": "1"}}
	if err := s.RecvMsg(out); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, out, &pb.Reply{List: []string{"new"}})
}
