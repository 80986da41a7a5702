package rpc_test

import (
	"context"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func dial(t *testing.T, target string, opts ...rpc.ConnOption) *rpc.Conn {
	t.Helper()
	conn, err := rpc.Dial(target, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestDial(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	lis, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	newStockOn(t, lis, "unix")
	tcp := newStock(t, "tcp")
	_, port, err := net.SplitHostPort(tcp.addr)
	if err != nil {
		t.Fatal(err)
	}
	targets := map[string]string{
		tcp.addr:                     "tcp",
		"tcp://" + tcp.addr:          "tcp",
		"dns:///localhost:" + port:   "tcp",
		refusing(t) + "," + tcp.addr: "tcp",
		"unix://" + socket:           "unix",
	}
	if runtime.GOOS == "windows" {
		delete(targets, "unix://"+socket)
	}
	for target, want := range targets {
		conn := dial(t, target)
		if conn.Name() != target {
			t.Errorf("name %q", conn.Name())
		}
		for range 3 {
			reply, err := callEcho(t.Context(), conn, addMethod, "x", grpc.WaitForReady(true))
			if err != nil || reply != want+":x" {
				t.Errorf("%s: %s %v", target, reply, err)
			}
		}
		conn.Close()
		_, err := callEcho(t.Context(), conn, addMethod, "x")
		wantError(t, err, codes.Canceled)
	}
	for _, target := range []string{"", "host", "gopher://host:1", "host:1,", "unix://"} {
		if conn, err := rpc.Dial(target); err == nil {
			conn.Close()
			t.Errorf("target %q was taken", target)
		}
	}
}

func TestDialUnreachable(t *testing.T) {
	addr := refusing(t)
	_, err := callEcho(t.Context(), dial(t, addr), addMethod, "x")
	wantError(t, err, codes.Unavailable, addr, "refused")
}

func TestPlaceholderOfInterceptors(t *testing.T) {
	s := newStock(t, "a")
	var order []string
	targets := map[string]bool{}
	unary := func(name string) grpc.UnaryClientInterceptor {
		return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			order = append(order, name)
			targets[cc.Target()] = true
			cc.Connect()
			err := cc.Invoke(ctx, method, req, reply)
			wantError(t, err, codes.Unavailable, "stands for", s.addr)
			_, err = cc.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, method)
			wantError(t, err, codes.Unavailable, "stands for", s.addr)
			return invoke(ctx, method, req, reply, cc, opts...)
		}
	}
	stream := func(name string) grpc.StreamClientInterceptor {
		return func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			order = append(order, name)
			targets[cc.Target()] = true
			return open(ctx, desc, cc, method, opts...)
		}
	}
	conn := dial(t, s.addr,
		rpc.WithUnaryInterceptors(unary("u1"), unary("u2"), unary("u3")),
		rpc.WithStreamInterceptors(stream("s1"), stream("s2"), stream("s3")))
	if _, err := callEcho(t.Context(), conn, addMethod, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := listEcho(t.Context(), conn, "x"); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(order, " "); got != "u1 u2 u3 s1 s2 s3" {
		t.Errorf("order %s", got)
	}
	if len(targets) != 1 || !targets["hanse:///"+s.addr] {
		t.Errorf("targets %v", targets)
	}
}

// An interceptor that answers by itself needs no instance.
func TestInterceptorAnswers(t *testing.T) {
	conn := dial(t, refusing(t), rpc.WithUnaryInterceptors(
		func(context.Context, string, any, any, *grpc.ClientConn, grpc.UnaryInvoker, ...grpc.CallOption) error {
			return status.Error(codes.ResourceExhausted, "enough")
		}))
	_, err := callEcho(t.Context(), conn, addMethod, "x")
	wantError(t, err, codes.ResourceExhausted)
	if got := conn.Stats(); got != (rpc.ConnStats{}) {
		t.Errorf("stats %+v", got)
	}
}

func TestStatsHandlersOfADialledConn(t *testing.T) {
	s := newStock(t, "a")
	log := &eventLog{}
	conn := dial(t, s.addr, rpc.WithStatsHandlers(log))
	if _, err := callEcho(t.Context(), conn, addMethod, "x"); err != nil {
		t.Fatal(err)
	}
	heard := strings.Join(log.heard(), "\n")
	for _, event := range []string{"*stats.Begin", "*stats.OutHeader", "*stats.InPayload", "*stats.End"} {
		if !strings.Contains(heard, event+" "+addMethod) {
			t.Errorf("no %s in %s", event, heard)
		}
	}
}

func TestCallOptionsReachTheWire(t *testing.T) {
	s := newStock(t, "a")
	s.hook = func(ctx context.Context, _ string) error {
		return grpc.SetTrailer(ctx, map[string][]string{"k": {"v"}})
	}
	conn := dial(t, s.addr)
	finished := 0
	_, err := callEcho(t.Context(), conn, addMethod, strings.Repeat("x", 100), grpc.MaxCallSendMsgSize(10), grpc.OnFinish(func(err error) {
		finished++
		wantError(t, err, codes.ResourceExhausted)
	}))
	wantError(t, err, codes.ResourceExhausted)
	if finished != 1 || conn.Stats().Retried != 0 {
		t.Errorf("finished %d times, stats %+v", finished, conn.Stats())
	}
	if _, err := callEcho(t.Context(), conn, addMethod, "x", grpc.UseCompressor("gzip")); err != nil {
		t.Fatal(err)
	}
	_, err = callEcho(t.Context(), conn, addMethod, "x", grpc.UseCompressor("nonesuch"))
	wantError(t, err, codes.Internal, "nonesuch")
}

// A stream that its caller abandons ends once, and its counts are right.
func TestAbandonedStream(t *testing.T) {
	s := newStock(t, "a")
	conn := dial(t, s.addr)
	ctx, cancel := context.WithCancel(t.Context())
	finished := make(chan error, 2)
	stream, err := chatEcho(ctx, conn, grpc.OnFinish(func(err error) { finished <- err }))
	if err != nil {
		t.Fatal(err)
	}
	exchange(t, stream, "a")
	cancel()
	wantError(t, <-finished, codes.Canceled)
	if err := stream.RecvMsg(stringValue("")); err == nil || err == io.EOF {
		t.Error(err)
	}
	if got := conn.Stats(); got != (rpc.ConnStats{Sent: 1, Failed: 1}) || len(finished) > 0 {
		t.Errorf("stats %+v", got)
	}
}
