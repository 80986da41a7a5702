package rpc_test

import (
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// bound returns a Conn to "echo" by way of the client, which ends with the test.
func bound(t *testing.T, client *rpc.Client, opts ...rpc.ConnOption) *rpc.Conn {
	t.Helper()
	conn := rpc.NewConn("echo", opts...)
	if err := conn.Bind(client); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return conn
}

func wantError(t *testing.T, err error, code codes.Code, parts ...string) {
	t.Helper()
	if status.Code(err) != code {
		t.Fatalf("error %v, want code %v", err, code)
	}
	if _, ok := status.FromError(err); !ok {
		t.Fatalf("error %v is no gRPC status", err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
}

func TestCallsBeforeBindWait(t *testing.T) {
	s := newStock(t, "a")
	registry := &discovery.Memory{}
	register(t, registry, s.instance())
	client := &rpc.Client{Registry: registry}
	defer client.Close()
	conn := rpc.NewConn("echo")

	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err := callEcho(short, conn, addMethod, "x")
	wantError(t, err, codes.DeadlineExceeded, "echo")

	got := make(chan string)
	go func() {
		reply, err := callEcho(context.Background(), conn, addMethod, "x")
		got <- reply
		if err != nil {
			t.Error(err)
		}
	}()
	if err := conn.Bind(client); err != nil {
		t.Fatal(err)
	}
	if reply := <-got; reply != "a:x" {
		t.Fatalf("reply %q", reply)
	}
	if err := conn.Bind(client); err == nil {
		t.Fatal("bound twice")
	}
}

func TestCallBeforeBindEndsWithClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := rpc.NewConn("echo")
		done := make(chan error)
		go func() {
			_, err := callEcho(context.Background(), conn, addMethod, "x")
			done <- err
		}()
		synctest.Wait()
		conn.Close()
		wantError(t, <-done, codes.Canceled)
		_, err := callEcho(context.Background(), conn, addMethod, "x")
		wantError(t, err, codes.Canceled)
		if err := conn.Bind(&rpc.Client{}); err == nil {
			t.Error("a closed Conn was bound")
		}
	})
}

func TestCallBeforeBindHasDefaultTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, err := callEcho(context.Background(), rpc.NewConn("echo"), addMethod, "x")
		wantError(t, err, codes.DeadlineExceeded)
		if took := time.Since(start); took != rpc.DefaultTimeout {
			t.Errorf("took %v", took)
		}
	})
}

func TestBindRefusesBadNames(t *testing.T) {
	for _, name := range []string{"", "Cart", "-x", "a/b"} {
		if err := rpc.NewConn(name).Bind(&rpc.Client{Registry: &discovery.Memory{}}); err == nil {
			t.Errorf("name %q was taken", name)
		}
	}
	client := &rpc.Client{Registry: &discovery.Memory{}}
	client.Close()
	if err := rpc.NewConn("echo").Bind(client); status.Code(err) != codes.Canceled {
		t.Errorf("bound to a closed client: %v", err)
	}
	if err := rpc.NewConn("echo", rpc.WithTLS(nil)).Bind(&rpc.Client{}); err == nil || !strings.Contains(err.Error(), "WithTLS") {
		t.Errorf("WithTLS: %v", err)
	}
}

func TestNowhereToCall(t *testing.T) {
	for name, client := range map[string]*rpc.Client{
		"no registry":         {},
		"inprocess is forced": {Registry: &discovery.Memory{}, Path: rpc.InProcess},
	} {
		conn := bound(t, client)
		_, err := callEcho(t.Context(), conn, addMethod, "x")
		wantError(t, err, codes.Unavailable, `"echo"`, name)
		_, err = chatEcho(t.Context(), conn)
		wantError(t, err, codes.Unavailable, name)
		if got := conn.Stats(); got != (rpc.ConnStats{Sent: 2, Failed: 2}) {
			t.Errorf("stats %+v", got)
		}
	}
}

func TestCloseEndsWhatIsInFlight(t *testing.T) {
	s := newStock(t, "a")
	inside := make(chan struct{}, 8)
	s.hook = func(ctx context.Context, method string) error {
		inside <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	registry := &discovery.Memory{}
	register(t, registry, s.instance())
	for name, close := range map[string]func(*rpc.Client, *rpc.Conn){
		"conn":   func(_ *rpc.Client, c *rpc.Conn) { c.Close() },
		"client": func(c *rpc.Client, _ *rpc.Conn) { c.Close() },
	} {
		client := &rpc.Client{Registry: registry}
		conn := bound(t, client)
		bound(t, client) // keeps the connection to the instance
		var calls sync.WaitGroup
		calls.Go(func() {
			_, err := callEcho(context.Background(), conn, addMethod, "x")
			wantError(t, err, codes.Canceled)
		})
		calls.Go(func() {
			_, err := listEcho(context.Background(), conn, "x")
			wantError(t, err, codes.Canceled)
		})
		<-inside
		<-inside
		close(client, conn)
		calls.Wait()
		_, err := callEcho(t.Context(), conn, addMethod, "x")
		wantError(t, err, codes.Canceled)
		if got := conn.Stats(); got != (rpc.ConnStats{Sent: 2, Failed: 2}) {
			t.Errorf("%s: stats %+v", name, got)
		}
	}
}

func TestTimeouts(t *testing.T) {
	s := newStock(t, "a")
	deadline := make(chan time.Duration, 1)
	s.hook = func(ctx context.Context, _ string) error {
		left := time.Duration(-1)
		if d, ok := ctx.Deadline(); ok {
			left = time.Until(d)
		}
		deadline <- left
		return nil
	}
	registry := &discovery.Memory{}
	register(t, registry, s.instance())
	hour, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	tests := []struct {
		name   string
		client time.Duration
		opts   []rpc.ConnOption
		ctx    context.Context
		want   time.Duration // -1: none
	}{
		{name: "default", ctx: t.Context(), want: rpc.DefaultTimeout},
		{name: "client", client: time.Minute, ctx: t.Context(), want: time.Minute},
		{name: "client off", client: -1, ctx: t.Context(), want: -1},
		{name: "conn", client: time.Minute, opts: []rpc.ConnOption{rpc.WithTimeout(2 * time.Minute)}, ctx: t.Context(), want: 2 * time.Minute},
		{name: "conn off", opts: []rpc.ConnOption{rpc.WithTimeout(-1)}, ctx: t.Context(), want: -1},
		{name: "caller", ctx: hour, want: time.Hour},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			conn := bound(t, &rpc.Client{Registry: registry, Timeout: test.client}, test.opts...)
			if _, err := callEcho(test.ctx, conn, addMethod, "x"); err != nil {
				t.Fatal(err)
			}
			got := <-deadline
			if test.want < 0 && got >= 0 || test.want > 0 && (got > test.want || got < test.want-30*time.Second && got < test.want*8/10) {
				t.Errorf("time left in the handler: %v, want %v", got, test.want)
			}
			if _, err := listEcho(test.ctx, conn, "x"); err != nil {
				t.Fatal(err)
			}
			if got := <-deadline; (got >= 0) != (test.ctx == hour) {
				t.Errorf("time left in a stream's handler: %v", got)
			}
		})
	}
}

func TestStreamsOfAllKinds(t *testing.T) {
	s := newStock(t, "a")
	registry := &discovery.Memory{}
	register(t, registry, s.instance())
	conn := bound(t, &rpc.Client{Registry: registry})

	all, err := listEcho(t.Context(), conn, "x")
	if err != nil || strings.Join(all, " ") != "a:x0 a:x1 a:x2" {
		t.Fatal(all, err)
	}
	var info rpc.CallInfo
	finished := make(chan error, 1)
	stream, err := chatEcho(t.Context(), conn, &info, grpc.OnFinish(func(err error) { finished <- err }))
	if err != nil {
		t.Fatal(err)
	}
	if want := (rpc.CallInfo{Service: "echo", Instance: "a", Endpoint: "tcp://" + s.addr, Path: rpc.TCP, Attempts: 1}); info != want {
		t.Errorf("info %+v, want %+v", info, want)
	}
	for range 40 { // more than a stream keeps
		if err := stream.SendMsg(wrapperspb.String("hello")); err != nil {
			t.Fatal(err)
		}
	}
	for range 40 {
		out := new(wrapperspb.StringValue)
		if err := stream.RecvMsg(out); err != nil || out.Value != "a:hello" {
			t.Fatal(out, err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if err := stream.RecvMsg(new(wrapperspb.StringValue)); err != io.EOF {
		t.Fatal(err)
	}
	if err := <-finished; err != nil {
		t.Fatal(err)
	}
	sum, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true}, sumMethod)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := sum.SendMsg(wrapperspb.String("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := sum.CloseSend(); err != nil {
		t.Fatal(err)
	}
	out := new(wrapperspb.StringValue)
	if err := sum.RecvMsg(out); err != nil || out.Value != "a:xxx" {
		t.Fatal(out, err)
	}
	if got := conn.Stats(); got != (rpc.ConnStats{Sent: 3, OK: 3}) {
		t.Errorf("stats %+v", got)
	}
}

// slow is a registry whose watch ends only when it is let go.
type slow struct{ asked, release chan struct{} }

func (s slow) Watch(ctx context.Context, _ string, notify func([]discovery.Instance)) error {
	notify(nil)
	<-ctx.Done()
	close(s.asked)
	<-s.release
	return nil
}

// However a client is closed, and by however many at a time, nobody is told that it is over before it is.
func TestCloseReturnsWhenAllIsOver(t *testing.T) {
	for name, first := range map[string]func(*rpc.Client, *rpc.Conn){
		"client": func(client *rpc.Client, _ *rpc.Conn) { client.Close() },
		"conn":   func(_ *rpc.Client, conn *rpc.Conn) { conn.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			registry := slow{make(chan struct{}), make(chan struct{})}
			client := &rpc.Client{Registry: registry}
			conn := bound(t, client)
			go first(client, conn)
			<-registry.asked // the first is at it
			closed := make(chan error, 2)
			go func() { closed <- client.Close() }()
			go func() { closed <- conn.Close() }()
			select {
			case <-closed:
				t.Error("Close returned while the watch went on")
			case <-time.After(50 * time.Millisecond): // one that does not wait returns sooner
			}
			close(registry.release)
			client.Close()
			conn.Close()
		})
	}
}
