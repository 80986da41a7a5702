package rpc_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/balancer"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/resilience"
	"github.com/hanse-go/hanse/rpc"
	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// prefer is a picker that prefers one instance.
type prefer struct{ id string }

func (p prefer) Pick(candidates []*balancer.Candidate) *balancer.Candidate {
	for _, c := range candidates {
		if c.Instance.ID == p.id {
			return c
		}
	}
	return candidates[0]
}

// connected waits until the Conn is connected to the instance that its picker prefers.
func connected(t *testing.T, conn *rpc.Conn, id string) {
	t.Helper()
	until(t, id+" is connected", func() bool {
		var info rpc.CallInfo
		_, err := callEcho(t.Context(), conn, readMethod, "warm", &info)
		return err == nil && info.Instance == id
	})
}

// refuse is the hook of a server that does not process calls.
func refuse(ctx context.Context, _ string) error {
	grpc.SetTrailer(ctx, metadata.Pairs("hanse-not-processed", "1"))
	return status.Error(codes.Unavailable, "not me")
}

func TestRefusedCallGoesElsewhere(t *testing.T) {
	a, b := newStock(t, "a"), newStock(t, "b")
	var refusing atomic.Bool
	a.hook = func(ctx context.Context, method string) error {
		if refusing.Load() {
			return refuse(ctx, method)
		}
		return nil
	}
	conn := bound(t, &rpc.Client{Registry: newScript(a.instance(), b.instance()), Balancing: balancer.Policies{"": {Picker: func() balancer.Picker { return prefer{"a"} }}}})
	connected(t, conn, "a")
	refusing.Store(true)
	connected(t, conn, "b")

	before, calls := conn.Stats(), a.calls.Load()
	var info rpc.CallInfo
	reply, err := callEcho(t.Context(), conn, addMethod, "x", &info)
	if err != nil || reply != "b:x" || info.Instance != "b" || info.Attempts != 2 {
		t.Fatal(reply, err, info)
	}
	all, err := listEcho(t.Context(), conn, "x")
	if err != nil || len(all) != 3 || all[0] != "b:x0" {
		t.Fatal(all, err)
	}
	stream, err := chatEcho(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	exchange(t, stream, "b")
	exchange(t, stream, "b")
	if _, err := stream.Header(); err != nil {
		t.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if err := stream.RecvMsg(stringValue("")); err != io.EOF {
		t.Fatal(err)
	}
	after := conn.Stats()
	if sent, ok, retried := after.Sent-before.Sent, after.OK-before.OK, after.Retried-before.Retried; sent != 3 || ok != 3 || retried != 3 {
		t.Errorf("sent %d, ok %d, retried %d", sent, ok, retried)
	}
	if n := a.calls.Load() - calls; n != 3 {
		t.Errorf("%d calls came to a", n)
	}

	// Header alone finds out too, and what is left of the first attempt ends nothing.
	for range 30 {
		stream, err = chatEcho(t.Context(), conn)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.SendMsg(stringValue("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Header(); err != nil {
			t.Fatal(err)
		}
		out := stringValue("")
		if err := stream.RecvMsg(out); err != nil || out.Value != "b:x" {
			t.Fatal(out, err)
		}
		exchange(t, stream, "b")
	}
}

func TestAllInstancesRefuse(t *testing.T) {
	a, b := newStock(t, "a"), newStock(t, "b")
	var open atomic.Bool
	hook := func(ctx context.Context, method string) error {
		if open.Load() {
			return nil
		}
		return refuse(ctx, method)
	}
	a.hook, b.hook = hook, hook
	conn := bound(t, &rpc.Client{Registry: newScript(a.instance(), b.instance())})
	var info rpc.CallInfo
	_, err := callEcho(t.Context(), conn, addMethod, "x", &info)
	wantError(t, err, codes.Unavailable, "not me", `"echo"`)
	if n := a.calls.Load() + b.calls.Load(); int(n) != info.Attempts || n < 3 || n > 6 {
		t.Errorf("%d calls in %d attempts", n, info.Attempts)
	}
	finished := make(chan error, 2)
	_, err = listEcho(t.Context(), conn, "x", grpc.OnFinish(func(err error) { finished <- err }))
	wantError(t, err, codes.Unavailable, "not me")
	wantError(t, <-finished, codes.Unavailable)
	if got := conn.Stats(); got.Failed != 2 || got.OK != 0 || len(finished) > 0 {
		t.Errorf("stats %+v", got)
	}

	// With WaitForReady it goes on until somebody takes the call, or the time is over.
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = callEcho(ctx, conn, addMethod, "x", grpc.WaitForReady(true))
	wantError(t, err, codes.DeadlineExceeded)
	got := make(chan error)
	go func() {
		_, err := callEcho(context.Background(), conn, addMethod, "x", grpc.WaitForReady(true))
		got <- err
	}()
	for n := a.calls.Load() + b.calls.Load(); a.calls.Load()+b.calls.Load() < n+5; {
		runtime.Gosched()
	}
	open.Store(true)
	if err := <-got; err != nil {
		t.Fatal(err)
	}
}

func TestWaitForReadyOutlastsUnreachable(t *testing.T) {
	addr := refusing(t)
	inst := discovery.Instance{Service: "echo", ID: "a", State: discovery.Ready, Endpoints: []string{"tcp://" + addr}}
	conn := bound(t, &rpc.Client{Registry: newScript(inst)})
	_, err := callEcho(t.Context(), conn, addMethod, "x")
	wantError(t, err, codes.Unavailable, "a at tcp://"+addr, "refused")

	got := make(chan error)
	go func() {
		_, err := callEcho(context.Background(), conn, addMethod, "x", grpc.WaitForReady(true))
		got <- err
	}()
	newStockOn(t, listenAt(t, addr), "a")
	if err := <-got; err != nil {
		t.Fatal(err)
	}
}

func listenAt(t *testing.T, addr string) (lis net.Listener) {
	t.Helper()
	until(t, "listening at "+addr, func() (ok bool) {
		var err error
		lis, err = net.Listen("tcp", addr)
		return err == nil
	})
	return lis
}

func TestInstanceDiesInTheMiddle(t *testing.T) {
	tests := []struct {
		method  string
		err     codes.Code
		retried uint64
	}{
		{readMethod, codes.OK, 1},
		{putMethod, codes.OK, 1},
		{addMethod, codes.Unavailable, 0},
	}
	for _, test := range tests {
		t.Run(test.method, func(t *testing.T) {
			a, b := newStock(t, "a"), newStock(t, "b")
			a.hook = func(ctx context.Context, _ string) error {
				go a.server.Stop()
				<-ctx.Done()
				return ctx.Err()
			}
			conn := bound(t, &rpc.Client{Registry: newScript(a.instance(), b.instance()), Balancing: balancer.Policies{"": {Picker: func() balancer.Picker { return prefer{"a"} }}}})
			var info rpc.CallInfo
			for a.calls.Load() == 0 { // until a was connected first, or too
				_, err := callEcho(t.Context(), conn, test.method, "x", &info)
				if a.calls.Load() > 0 {
					if test.err == codes.OK && err != nil {
						t.Fatal(err)
					}
					if test.err != codes.OK {
						wantError(t, err, test.err)
					}
				}
			}
			if a.calls.Load() != 1 {
				t.Errorf("a saw %d calls", a.calls.Load())
			}
			if got := conn.Stats().Retried; got != test.retried {
				t.Errorf("retried %d", got)
			}
			if test.err == codes.OK && (info.Instance != "b" || info.Attempts != 2) {
				t.Errorf("info %+v", info)
			}
		})
	}
}

func TestOwnUnavailableIsAnAnswer(t *testing.T) {
	a, b := newStock(t, "a"), newStock(t, "b")
	hook := func(context.Context, string) error { return status.Error(codes.Unavailable, "closed on Sundays") }
	a.hook, b.hook = hook, hook
	conn := bound(t, &rpc.Client{Registry: newScript(a.instance(), b.instance())})
	_, err := callEcho(t.Context(), conn, addMethod, "x")
	wantError(t, err, codes.Unavailable, "closed on Sundays")
	if n := a.calls.Load() + b.calls.Load(); n != 1 || conn.Stats().Retried != 0 {
		t.Errorf("%d calls, stats %+v", n, conn.Stats())
	}
}

func TestRetryBudget(t *testing.T) {
	// A server that hangs up in the middle of each call.
	lis := loopback(t)
	var calls atomic.Int64
	rawServer(t, lis, func(fr *http2.Framer, f *http2.HeadersFrame) bool {
		calls.Add(1)
		return false
	})
	inst := discovery.Instance{Service: "echo", ID: "a", State: discovery.Ready, Endpoints: []string{"tcp://" + lis.Addr().String()}}
	conn := bound(t, &rpc.Client{
		Registry: newScript(inst),
		Policies: map[string]resilience.Policy{"": {Breaker: resilience.Breaker{Failures: -1}}},
	})
	const n = 100
	for range n {
		_, err := callEcho(t.Context(), conn, readMethod, "x", grpc.WaitForReady(true))
		wantError(t, err, codes.Unavailable)
	}
	got := conn.Stats()
	if got.Sent != n || got.Failed != n || got.Retried < n/10 || got.Retried > n/5 {
		t.Errorf("stats %+v", got)
	}
}

// rawServer speaks just enough HTTP/2 to misbehave: headers is called with each request's and says whether the connection goes on.
func rawServer(t *testing.T, lis net.Listener, headers func(*http2.Framer, *http2.HeadersFrame) bool) {
	t.Helper()
	var running sync.WaitGroup
	serve := func(conn net.Conn) {
		defer conn.Close()
		if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
			return
		}
		fr := http2.NewFramer(conn, conn)
		fr.WriteSettings()
		for {
			f, err := fr.ReadFrame()
			if err != nil {
				return
			}
			switch f := f.(type) {
			case *http2.SettingsFrame:
				if !f.IsAck() {
					fr.WriteSettingsAck()
				}
			case *http2.PingFrame:
				if !f.IsAck() {
					fr.WritePing(true, f.Data)
				}
			case *http2.HeadersFrame:
				if !headers(fr, f) {
					return
				}
			}
		}
	}
	running.Go(func() {
		for {
			conn, err := lis.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			running.Go(func() { serve(conn) })
		}
	})
	t.Cleanup(func() {
		lis.Close()
	})
}

// What a peer did not process is safe to send elsewhere whatever it does: so says HTTP/2.
func TestUnprocessedByHTTP2(t *testing.T) {
	tests := map[string]func(fr *http2.Framer, f *http2.HeadersFrame, lis net.Listener) bool{
		"goaway": func(fr *http2.Framer, _ *http2.HeadersFrame, lis net.Listener) bool {
			lis.Close()
			fr.WriteGoAway(0, http2.ErrCodeNo, nil)
			return true
		},
		"goaway and end": func(fr *http2.Framer, _ *http2.HeadersFrame, lis net.Listener) bool {
			lis.Close()
			fr.WriteGoAway(0, http2.ErrCodeNo, nil)
			return false
		},
		"refused stream": func(fr *http2.Framer, f *http2.HeadersFrame, _ net.Listener) bool {
			fr.WriteRSTStream(f.StreamID, http2.ErrCodeRefusedStream)
			return true
		},
		"goaway each time": func(fr *http2.Framer, _ *http2.HeadersFrame, _ net.Listener) bool {
			fr.WriteGoAway(0, http2.ErrCodeNo, nil)
			return true
		},
	}
	for name, misbehave := range tests {
		t.Run(name, func(t *testing.T) {
			for _, kind := range []string{"unary", "stream"} {
				lis, b := loopback(t), newStock(t, "b")
				var came atomic.Int64
				rawServer(t, lis, func(fr *http2.Framer, f *http2.HeadersFrame) bool {
					came.Add(1)
					return misbehave(fr, f, lis)
				})
				bad := discovery.Instance{Service: "echo", ID: "a", State: discovery.Ready, Endpoints: []string{"tcp://" + lis.Addr().String()}}
				conn := bound(t, &rpc.Client{Registry: newScript(bad, b.instance()), Balancing: balancer.Policies{"": {Picker: func() balancer.Picker { return prefer{"a"} }}}})
				until(t, "picked", func() bool {
					if kind == "unary" {
						reply, err := callEcho(t.Context(), conn, addMethod, "x")
						if err != nil || reply != "b:x" {
							t.Fatal(kind, reply, err)
						}
					} else {
						all, err := listEcho(t.Context(), conn, "x")
						if err != nil || len(all) != 3 {
							t.Fatal(kind, all, err)
						}
					}
					return came.Load() > 0
				})
			}
		})
	}
}

func TestPauseEndsWithCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := bound(t, &rpc.Client{Registry: newScript()})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := callEcho(ctx, conn, addMethod, "x", grpc.WaitForReady(true))
			done <- err
		}()
		synctest.Wait()
		cancel()
		wantError(t, <-done, codes.Canceled)
		conn.Close()
	})
}

// What was sent before the refusal came is sent again, whichever of the stream's methods finds out.
func TestRefusedStreamIsReplayed(t *testing.T) {
	a, b := newStock(t, "a"), newStock(t, "b")
	var refusing atomic.Bool
	a.hook = func(ctx context.Context, method string) error {
		if refusing.Load() {
			return refuse(ctx, method)
		}
		return nil
	}
	conn := bound(t, &rpc.Client{Registry: newScript(a.instance(), b.instance()), Balancing: balancer.Policies{"": {Picker: func() balancer.Picker { return prefer{"a"} }}}})
	connected(t, conn, "a")
	refusing.Store(true)
	connected(t, conn, "b")
	for n := range 14 {
		finished := make(chan error, 2)
		sum, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true}, sumMethod, grpc.OnFinish(func(err error) { finished <- err }))
		if err != nil {
			t.Fatal(err)
		}
		in := stringValue("x")
		for range n {
			in.Value = "x"
			if err := sum.SendMsg(in); err != nil {
				t.Fatal(err)
			}
			in.Value = "changed" // the message is the caller's again
			if n%3 == 0 {
				runtime.Gosched() // let the refusal come in between
			}
		}
		if err := sum.CloseSend(); err != nil {
			t.Fatal(err)
		}
		out := stringValue("")
		if err := sum.RecvMsg(out); err != nil || out.Value != "b:"+strings.Repeat("x", n) {
			t.Fatal(n, out, err)
		}
		if err := <-finished; err != nil || len(finished) > 0 {
			t.Errorf("finished with %v", err)
		}
	}

	// SendMsg finds out first, and what is left of the first attempt ends nothing.
	refused, moved := a.calls.Load(), b.calls.Load()
	stream, err := chatEcho(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "refused", func() bool { return a.calls.Load() > refused })
	sent := 0
	until(t, "moved", func() bool {
		if err := stream.SendMsg(stringValue("x")); err != nil {
			t.Fatal(err)
		}
		sent++
		return b.calls.Load() > moved
	})
	for range sent {
		out := stringValue("")
		if err := stream.RecvMsg(out); err != nil || out.Value != "b:x" {
			t.Fatal(out, err)
		}
	}
	for range 50 {
		exchange(t, stream, "b")
	}

	// Both directions at once.
	for range 20 {
		stream, err := chatEcho(t.Context(), conn)
		if err != nil {
			t.Fatal(err)
		}
		var sender sync.WaitGroup
		sender.Go(func() {
			for range 10 {
				if err := stream.SendMsg(stringValue("x")); err != nil {
					t.Error(err)
				}
			}
			if err := stream.CloseSend(); err != nil {
				t.Error(err)
			}
		})
		for range 10 {
			out := stringValue("")
			if err := stream.RecvMsg(out); err != nil || out.Value != "b:x" {
				t.Error(out, err)
				break
			}
		}
		if err := stream.RecvMsg(stringValue("")); err != io.EOF {
			t.Error(err)
		}
		sender.Wait()
	}
	if got := conn.Stats(); got.Failed > 0 {
		t.Errorf("stats %+v", got)
	}
}

// One of three instances is killed and comes back, again and again: no call of a method that is marked safe fails.
func TestKillsUnderLoad(t *testing.T) {
	registry := &discovery.Memory{}
	conn := bound(t, &rpc.Client{Registry: registry})
	begin := func(id string) func() {
		e := &echoService{name: id, hook: func(context.Context, string) error {
			runtime.Gosched()
			return nil
		}}
		srv := &rpc.Server{Name: "echo", Instance: id}
		e.register(srv)
		srv.Start()
		port := &rpc.Port{Servers: []*rpc.Server{srv}}
		lease := register(t, registry, discovery.Instance{
			Service: "echo", ID: id, State: discovery.Ready, Endpoints: []string{"tcp://" + servePort(t, port)},
		})
		return func() {
			port.Close() // as a crash does: connections end in the middle of calls
			srv.Stop()
			lease.Close() // which the registry notices later
		}
	}
	var kill []func()
	for i := range 3 {
		kill = append(kill, begin(fmt.Sprint("first", i)))
	}
	stop := make(chan struct{})
	var calls sync.WaitGroup
	var made [24]atomic.Int64 // by each caller
	for i := range made {
		calls.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := callEcho(context.Background(), conn, putMethod, "x"); err != nil {
					t.Error(err)
				}
				made[i].Add(1)
			}
		})
	}
	for i := range 6 {
		// No call sees more than two kills: it is repeated twice at the most.
		for caller := range made {
			n := made[caller].Load()
			until(t, "calls", func() bool { return made[caller].Load() > n+2 })
		}
		kill[i%3]()
		kill[i%3] = begin(fmt.Sprint("next", i))
	}
	close(stop)
	calls.Wait()
	got := conn.Stats()
	t.Logf("sent %d, ok %d, failed %d, retried %d", got.Sent, got.OK, got.Failed, got.Retried)
	if got.Failed > 0 || got.Sent != got.OK || got.Retried == 0 {
		t.Errorf("stats %+v", got)
	}
	for _, k := range kill {
		k()
	}
}
