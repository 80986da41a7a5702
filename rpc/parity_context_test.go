package rpc_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	pb "github.com/hanse-go/hanse/rpc/internal/paritypb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

var contextCases = []parityCase{
	{name: "the deadline reaches the handler", run: deadlineReachesHandler},
	{name: "the deadline fires at the caller", run: deadlineFires},
	{name: "the deadline of a stream fires", run: streamDeadlineFires},
	{name: "a call after its deadline", run: callAfterDeadline},
	{name: "a call after its cancellation", run: callAfterCancel},
	{name: "cancellation reaches the handler", run: cancelReachesHandler},
	{name: "cancellation reaches the handler of a stream", run: cancelReachesStream},
	{name: "a stream without deadline has none", run: streamWithoutDeadline},
	{name: "a unary call without deadline gets ten seconds", run: defaultDeadline, needsClient: "it has no default"},
	{name: "a handler that ignores its context", run: stubbornHandler},
	{name: "a stream's handler that ignores its context", run: stubbornStream},
	{name: "values do not leak to the handler", run: noLeak},
	{name: "the handler's context ends with it", run: contextEnds},
	{name: "peer", run: peers},
}

func deadlineReachesHandler(t *testing.T, c *column) {
	var h handlers
	h.unary = func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
		at, ok := ctx.Deadline()
		if !ok {
			return nil, errors.New("no deadline")
		}
		return &pb.Reply{Count: int32(time.Until(at).Seconds())}, nil
	}
	h.chat = func(s grpc.BidiStreamingServer[pb.Request, pb.Reply]) error {
		reply, err := h.unary(s.Context(), nil)
		if err != nil {
			return err
		}
		return s.Send(reply)
	}
	client := c.serve(t, setup{handlers: h})
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	if out, err := client.Unary(ctx, &pb.Request{}); err != nil || out.Count < 3500 || out.Count > 3600 {
		t.Errorf("unary: %v, %v", out, err)
	}
	s, err := client.Chat(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := s.Recv(); err != nil || out.Count < 3500 || out.Count > 3600 {
		t.Errorf("stream: %v, %v", out, err)
	}
}

// short is the deadline of the cases in which one fires. On a slow machine it may fire before the handler runs, and then those cases have
// nothing to say about the handler.
const short = 100 * time.Millisecond

func deadlineFires(t *testing.T, c *column) {
	started, ended := make(chan bool, 1), make(chan error, 1)
	var h handlers
	h.unary = func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
		started <- true
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}
	client := c.serve(t, setup{handlers: h})
	warm(t, client)
	ctx, cancel := context.WithTimeout(context.Background(), short)
	defer cancel()
	_, err := client.Unary(ctx, &pb.Request{})
	wantCode(t, err, codes.DeadlineExceeded)
	if len(started) == 0 {
		return
	}
	if err := receive(t, ended, "end of the handler"); err == nil {
		t.Error("the handler's context has no error")
	}
}

func streamDeadlineFires(t *testing.T, c *column) {
	ended := make(chan error, 1)
	var h handlers
	h.chat = func(s grpc.BidiStreamingServer[pb.Request, pb.Reply]) error {
		if err := s.Send(&pb.Reply{}); err != nil {
			return err
		}
		_, err := s.Recv()
		ended <- err
		return err
	}
	client := c.serve(t, setup{handlers: h})
	warm(t, client)
	ctx, cancel := context.WithTimeout(context.Background(), short)
	defer cancel()
	s, err := client.Chat(ctx)
	if err == nil {
		_, err = s.Recv()
	}
	if err != nil { // before the handler sent its first reply
		wantCode(t, err, codes.DeadlineExceeded)
		return
	}
	_, err = s.Recv()
	wantCode(t, err, codes.DeadlineExceeded)
	if err := receive(t, ended, "end of the handler"); err == nil || err == io.EOF {
		t.Errorf("the handler received %v", err)
	}
}

// warm makes the connection, so that a case's short deadline is not spent on it.
func warm(t *testing.T, client calls) {
	t.Helper()
	if _, err := client.Opaque(soon(t), &pb.OpaqueRequest{}); err != nil {
		t.Fatal(err)
	}
}

func callAfterDeadline(t *testing.T, c *column) {
	ctx, cancel := context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
	defer cancel()
	uncalled(t, c, ctx, codes.DeadlineExceeded)
}

func callAfterCancel(t *testing.T, c *column) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	uncalled(t, c, ctx, codes.Canceled)
}

// uncalled makes calls with a context that has ended: they fail with the code, and no handler hears of them.
func uncalled(t *testing.T, c *column, ctx context.Context, code codes.Code) {
	called := make(chan bool, 10)
	var h handlers
	h.unary = func(context.Context, *pb.Request) (*pb.Reply, error) {
		called <- true
		return &pb.Reply{}, nil
	}
	h.chat = func(grpc.BidiStreamingServer[pb.Request, pb.Reply]) error {
		called <- true
		return nil
	}
	client := c.serve(t, setup{handlers: h})
	warm(t, client)
	_, err := client.Unary(ctx, &pb.Request{})
	wantCode(t, err, code)
	s, err := client.Chat(ctx)
	if err == nil {
		_, err = s.Recv()
	}
	wantCode(t, err, code)
	warm(t, client) // had something been sent, it would have arrived before this
	if len(called) > 0 {
		t.Errorf("%d handlers ran", len(called))
	}
}

func cancelReachesHandler(t *testing.T, c *column) {
	started, ended := make(chan bool, 1), make(chan error, 1)
	var h handlers
	h.unary = func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
		started <- true
		<-ctx.Done()
		ended <- ctx.Err()
		return &pb.Reply{}, nil
	}
	client := c.serve(t, setup{handlers: h})
	ctx, cancel := context.WithCancel(soon(t))
	result := make(chan error, 1)
	go func() {
		_, err := client.Unary(ctx, &pb.Request{})
		result <- err
	}()
	receive(t, started, "start of the handler")
	cancel()
	wantCode(t, receive(t, result, "result"), codes.Canceled)
	if err := receive(t, ended, "end of the handler"); err != context.Canceled {
		t.Errorf("the handler's context: %v", err)
	}
}

func cancelReachesStream(t *testing.T, c *column) {
	ended := make(chan error, 2)
	var h handlers
	h.chat = func(s grpc.BidiStreamingServer[pb.Request, pb.Reply]) error {
		if err := s.Send(&pb.Reply{}); err != nil {
			return err
		}
		_, err := s.Recv()
		ended <- err
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
	cancel()
	_, err = s.Recv()
	wantCode(t, err, codes.Canceled)
	wantCode(t, receive(t, ended, "end of Recv"), codes.Canceled)
	if err := receive(t, ended, "end of the context"); err != context.Canceled {
		t.Errorf("the handler's context: %v", err)
	}
}

func defaultDeadline(t *testing.T, c *column) {
	var h handlers
	h.unary = func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
		at, ok := ctx.Deadline()
		if left := time.Until(at); !ok || left <= 0 || left > 10*time.Second {
			return nil, errors.New("the time left is " + left.String())
		}
		return &pb.Reply{}, nil
	}
	client := c.serve(t, setup{handlers: h})
	if _, err := client.Unary(context.Background(), &pb.Request{}); err != nil {
		t.Error(err)
	}
}

func streamWithoutDeadline(t *testing.T, c *column) {
	var h handlers
	h.download = func(in *pb.Request, s grpc.ServerStreamingServer[pb.Reply]) error {
		if at, ok := s.Context().Deadline(); ok {
			return errors.New("a deadline: " + at.String())
		}
		return nil
	}
	client := c.serve(t, setup{handlers: h})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s, err := client.Download(ctx, &pb.Request{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err != io.EOF {
		t.Error(err)
	}
}

func stubbornHandler(t *testing.T, c *column) {
	release, started, ended := make(chan bool), make(chan bool, 1), make(chan string, 1)
	var h handlers
	h.unary = func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
		started <- true
		<-release
		ended <- in.Text
		return &pb.Reply{Text: "late"}, nil
	}
	client := c.serve(t, setup{handlers: h})
	warm(t, client)
	ctx, cancel := context.WithTimeout(context.Background(), short)
	defer cancel()
	in := &pb.Request{Text: "mine"}
	out := &pb.Reply{}
	err := client.conn.Invoke(ctx, pb.Parity_Unary_FullMethodName, in, out)
	wantCode(t, err, codes.DeadlineExceeded)
	in.Text = "changed after the call"
	close(release)
	if len(started) > 0 {
		if text := receive(t, ended, "end of the handler"); text != "mine" {
			t.Errorf("the handler saw the request %q", text)
		}
	}
	warm(t, client) // the late reply is on its way no more
	if out.Text != "" {
		t.Errorf("a late reply arrived: %v", out)
	}
}

func stubbornStream(t *testing.T, c *column) {
	release, ended := make(chan bool), make(chan bool, 1)
	var h handlers
	h.chat = func(s grpc.BidiStreamingServer[pb.Request, pb.Reply]) error {
		defer func() { ended <- true }()
		if err := s.Send(&pb.Reply{}); err != nil {
			return err
		}
		<-release
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
	cancel()
	_, err = s.Recv()
	wantCode(t, err, codes.Canceled)
	close(release)
	receive(t, ended, "end of the handler")
}

func noLeak(t *testing.T, c *column) {
	type key struct{}
	check := func(ctx context.Context) error {
		in, _ := metadata.FromIncomingContext(ctx)
		out, _ := metadata.FromOutgoingContext(ctx)
		switch {
		case ctx.Value(key{}) != nil:
			return errors.New("a value leaked")
		case len(in.Get("of-the-callers-caller")) > 0:
			return errors.New("the caller's incoming metadata leaked")
		case len(in.Get("sent")) != 1:
			return errors.New("the metadata that was sent is missing")
		case len(out) > 0:
			return errors.New("the caller's outgoing metadata would go on")
		}
		return nil
	}
	var h handlers
	h.unary = func(ctx context.Context, in *pb.Request) (*pb.Reply, error) { return &pb.Reply{}, check(ctx) }
	h.download = func(in *pb.Request, s grpc.ServerStreamingServer[pb.Reply]) error { return check(s.Context()) }
	client := c.serve(t, setup{handlers: h})
	ctx := context.WithValue(soon(t), key{}, "secret")
	ctx = metadata.NewIncomingContext(ctx, metadata.Pairs("of-the-callers-caller", "1"))
	ctx = metadata.AppendToOutgoingContext(ctx, "sent", "1")
	ctx = peer.NewContext(ctx, &peer.Peer{})
	if _, err := client.Unary(ctx, &pb.Request{}); err != nil {
		t.Errorf("unary: %v", err)
	}
	s, err := client.Download(ctx, &pb.Request{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err != io.EOF {
		t.Errorf("stream: %v", err)
	}
}

func contextEnds(t *testing.T, c *column) {
	contexts := make(chan context.Context, 2)
	var h handlers
	h.unary = func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
		contexts <- ctx
		return &pb.Reply{}, ctx.Err()
	}
	h.download = func(in *pb.Request, s grpc.ServerStreamingServer[pb.Reply]) error {
		contexts <- s.Context()
		return s.Context().Err()
	}
	client := c.serve(t, setup{handlers: h})
	if _, err := client.Unary(soon(t), &pb.Request{}); err != nil {
		t.Fatal(err)
	}
	receive(t, receive(t, contexts, "context").Done(), "end of the unary handler's context")
	s, err := client.Download(soon(t), &pb.Request{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err != io.EOF {
		t.Error(err)
	}
	receive(t, receive(t, contexts, "context").Done(), "end of the stream handler's context")
}

func peers(t *testing.T, c *column) {
	seen := make(chan *peer.Peer, 1)
	var h handlers
	h.unary = func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
		p, _ := peer.FromContext(ctx)
		seen <- p
		return &pb.Reply{}, nil
	}
	client := c.serve(t, setup{handlers: h})
	var callee peer.Peer
	if _, err := client.Unary(soon(t), &pb.Request{}, grpc.Peer(&callee)); err != nil {
		t.Fatal(err)
	}
	if p := <-seen; p == nil || p.Addr == nil || p.Addr.Network() == "" {
		t.Errorf("the handler's peer: %v", p)
	}
	if callee.Addr == nil || callee.Addr.String() == "" {
		t.Errorf("the caller's peer: %v", &callee)
	}
}
