package rpc_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/internal/memnet"
	"github.com/hanse-go/hanse/rpc"
	"github.com/hanse-go/hanse/rpc/grpcwire"
	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// wires are those that keep the limits below.
var wires = []struct {
	name string
	wire rpc.Wire
}{{"default", nil}, {"grpcwire", grpcwire.Wire{}}}

func TestLimitsCheck(t *testing.T) {
	for _, tt := range []struct {
		name   string
		limits rpc.Limits
		want   []string // in the error; nil: there is none
	}{
		{name: "zero"},
		{name: "all off", limits: rpc.Limits{
			MaxConnections: -1, HandshakeTimeout: -1, HeaderTimeout: -1, IdleTimeout: -1, MaxConnectionAge: -1, MaxConnectionAgeGrace: -1,
			KeepaliveTime: -1, KeepaliveTimeout: -1, MinPingInterval: -1, MaxStreams: -1, MaxHeaderListSize: -1, MaxRecvMsgSize: -1,
			ResetBudget: -1, ControlBudget: -1, MaxQueuedBytes: -1, MaxQueuedBytesTotal: -1, StallTimeout: -1,
		}},
		{name: "all at once", limits: rpc.Limits{MaxStreams: -2, IdleTimeout: -time.Second},
			want: []string{"Limits.MaxStreams is -2: write 0 for the default (4096), or -1 for no limit", "Limits.IdleTimeout is -1s: write 0 for the default (15m0s)"}},
		{name: "headers that nobody can send", limits: rpc.Limits{MaxHeaderListSize: 100}, want: []string{"Limits.MaxHeaderListSize is 100, and must be at least 1024"}},
		{name: "pings without end", limits: rpc.Limits{KeepaliveTime: 30}, want: []string{"Limits.KeepaliveTime is 30ns, and must be at least 1s"}},
		{name: "grace after nothing", limits: rpc.Limits{MaxConnectionAgeGrace: time.Minute}, want: []string{"no MaxConnectionAge that it could follow"}},
		{name: "age and grace", limits: rpc.Limits{MaxConnectionAge: time.Hour, MaxConnectionAgeGrace: time.Minute}},
		{name: "more for one than for all", limits: rpc.Limits{MaxQueuedBytes: 1 << 30}, want: []string{"1073741824, more than the 268435456 of MaxQueuedBytesTotal"}},
		{name: "no limit for one", limits: rpc.Limits{MaxQueuedBytes: -1}},
		{name: "no limit for all", limits: rpc.Limits{MaxQueuedBytes: 1 << 30, MaxQueuedBytesTotal: -1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.limits.Check()
			if tt.want == nil && err != nil {
				t.Error(err)
			}
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, want %q", err, want)
				}
			}
		})
	}
	port := &rpc.Port{Limits: rpc.Limits{MaxStreams: -2}}
	defer port.Close()
	lis := loopback(t)
	if err := port.Serve(lis); err == nil || !strings.Contains(err.Error(), "rpc: Limits.MaxStreams is -2") {
		t.Errorf("Serve: %v", err)
	}
	if _, err := lis.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener was left open: %v", err)
	}
}

// TestMaxConnections holds that connections of all kinds count, until they are closed, and that a crowd is logged once.
func TestMaxConnections(t *testing.T) {
	for _, wire := range wires {
		t.Run(wire.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log syncBuffer
				h := newHall(t, &rpc.Port{
					Wire: wire.wire, Limits: rpc.Limits{MaxConnections: 2},
					Logger: slog.New(slog.NewTextHandler(&log, nil)),
				})
				get := func() string {
					conn := h.dial(t)
					defer conn.Close()
					return getOver(conn)
				}
				cc, _ := h.stock(t)
				if _, err := callEcho(t.Context(), cc, addMethod, "x"); err != nil { // the first connection
					t.Fatal(err)
				}
				web := h.dial(t) // the second
				if got := getOver(web); got != "404 Not Found" {
					t.Fatalf("got %q", got)
				}
				for range 3 {
					if got := get(); got == "404 Not Found" {
						t.Error("a third connection was served")
					}
				}
				if n := strings.Count(log.String(), "MaxConnections"); n != 1 {
					t.Errorf("logged %d times:\n%s", n, log.String())
				}
				web.Close() // makes room
				synctest.Wait()
				if got := get(); got != "404 Not Found" {
					t.Errorf("after the second was closed: %q", got)
				}
				cc.Close()
				synctest.Wait()
				others := []net.Conn{h.dial(t), h.dial(t)}
				for _, conn := range others {
					if got := getOver(conn); got != "404 Not Found" {
						t.Errorf("after the first was closed: %q", got)
					}
				}
				if got := get(); got == "404 Not Found" {
					t.Error("a third connection was served again")
				}
				if n := strings.Count(log.String(), "MaxConnections"); n != 2 {
					t.Errorf("logged %d times for two crowds", n)
				}
				for _, conn := range others {
					conn.Close()
				}
				h.close(t)
			})
		})
	}
}

// getOver makes an HTTP/1 request and returns the status, or the error.
func getOver(conn net.Conn) string {
	if _, err := io.WriteString(conn, "GET /nowhere HTTP/1.1\r\nHost: cart\r\n\r\n"); err != nil {
		return err.Error()
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err.Error()
	}
	resp.Body.Close()
	return resp.Status
}

// hall is a port in a network in memory.
type hall struct {
	net  memnet.Network
	echo *echoService
	port *rpc.Port
	srv  *rpc.Server
	done chan error
}

func newHall(t *testing.T, port *rpc.Port, observers ...stats.Handler) *hall {
	t.Helper()
	h := &hall{echo: &echoService{name: "a"}, srv: &rpc.Server{Name: "echo", StatsHandlers: observers}, port: port, done: make(chan error, 1)}
	h.echo.register(h.srv)
	h.srv.Start()
	port.Servers = []*rpc.Server{h.srv}
	lis, err := h.net.Host("a").Listen("1")
	if err != nil {
		t.Fatal(err)
	}
	go func() { h.done <- port.Serve(lis) }()
	return h
}

func (h *hall) close(t *testing.T) {
	h.srv.Stop()
	h.port.Close()
	if err := <-h.done; err != nil {
		t.Error(err)
	}
}

func (h *hall) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := h.net.Host("caller").Dial(t.Context(), "a:1")
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// stock returns a connection of grpc-go, and the number of times that it dialled.
func (h *hall) stock(t *testing.T) (cc *grpc.ClientConn, dials *int) {
	t.Helper()
	dials = new(int)
	cc, err := grpc.NewClient("passthrough:///a:1", grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(), grpc.WithIdleTimeout(0),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			*dials++
			return h.net.Host("caller").Dial(ctx, "a:1")
		}))
	if err != nil {
		t.Fatal(err)
	}
	return cc, dials
}

// lifetime is how long the peer keeps a connection on which it hears hello and no more; forever when that is more than a day.
func lifetime(conn net.Conn, hello string) time.Duration {
	start := time.Now()
	io.WriteString(conn, hello)
	conn.SetReadDeadline(start.Add(forever))
	io.Copy(io.Discard, conn)
	conn.Close()
	return time.Since(start)
}

const forever = 24 * time.Hour

func TestSilentClients(t *testing.T) {
	http2Begun := http2.ClientPreface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00" // with SETTINGS
	for _, wire := range wires {
		for _, tt := range []struct {
			name   string
			limits rpc.Limits
			tls    *tls.Config
			hello  string
			want   time.Duration
		}{
			{"no byte", rpc.Limits{}, nil, "", 10 * time.Second},
			{"no byte, other limit", rpc.Limits{HandshakeTimeout: time.Minute}, nil, "", time.Minute},
			{"no byte, no limit", rpc.Limits{HandshakeTimeout: -1}, nil, "", forever},
			{"half a preface", rpc.Limits{}, nil, "PRI * HTTP", 10 * time.Second},
			{"no TLS hello", rpc.Limits{HandshakeTimeout: 3 * time.Second}, &tls.Config{}, "", 3 * time.Second},
			{"no SETTINGS", rpc.Limits{HandshakeTimeout: 3 * time.Second}, nil, http2.ClientPreface, 3 * time.Second},
			{"half an HTTP/1 header", rpc.Limits{HeaderTimeout: 5 * time.Second}, nil, "GET / HTTP/1.1\r\nHost", 5 * time.Second},
			{"half an HTTP/1 header, no limit", rpc.Limits{HeaderTimeout: -1}, nil, "GET / HTTP/1.1\r\nHost", forever},
			{"idle HTTP/1", rpc.Limits{}, nil, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 2 * time.Minute},
			{"idle HTTP/1, other limit", rpc.Limits{IdleTimeout: time.Hour}, nil, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", time.Hour},
			{"idle HTTP/1, no limit", rpc.Limits{IdleTimeout: -1}, nil, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", forever},
			{"no answer to PING", rpc.Limits{}, nil, http2Begun, time.Minute + 20*time.Second},
			{"no answer to PING, other limits", rpc.Limits{KeepaliveTime: 5 * time.Second, KeepaliveTimeout: time.Second}, nil, http2Begun, 6 * time.Second},
		} {
			t.Run(wire.name+"/"+tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := newHall(t, &rpc.Port{Wire: wire.wire, Limits: tt.limits, TLS: tt.tls})
					if got := lifetime(h.dial(t), tt.hello); got < tt.want || got > tt.want+2*time.Second {
						t.Errorf("the connection lasted %v, want %v", got, tt.want)
					}
					h.close(t)
				})
			})
		}
	}
}

// TestIdleTimeout holds that connections end gracefully: those without calls, and those that are too old.
func TestIdleTimeout(t *testing.T) {
	for _, wire := range wires {
		for _, tt := range []struct {
			name   string
			limits rpc.Limits
			pause  time.Duration
			dials  int // for two calls with a pause between them
		}{
			{"idle for less", rpc.Limits{}, 14 * time.Minute, 1},
			{"idle for longer", rpc.Limits{}, 16 * time.Minute, 2},
			{"idle for longer than told", rpc.Limits{IdleTimeout: time.Minute}, 2 * time.Minute, 2},
			{"idle without limit", rpc.Limits{IdleTimeout: -1}, time.Hour, 1},
			{"old", rpc.Limits{IdleTimeout: -1, MaxConnectionAge: time.Hour}, 80 * time.Minute, 2},
		} {
			t.Run(wire.name+"/"+tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := newHall(t, &rpc.Port{Wire: wire.wire, Limits: tt.limits})
					cc, dials := h.stock(t)
					for i := range 2 {
						if _, err := callEcho(t.Context(), cc, addMethod, "x"); err != nil {
							t.Fatal(err)
						}
						if i == 0 {
							time.Sleep(tt.pause)
						}
					}
					if *dials != tt.dials {
						t.Errorf("%d connections, want %d", *dials, tt.dials)
					}
					cc.Close()
					h.close(t)
				})
			})
		}
	}
}

// TestGraceOfOldConnections holds that a call outlives its connection's age, by as much as it may.
func TestGraceOfOldConnections(t *testing.T) {
	for _, wire := range wires {
		for _, grace := range []time.Duration{0, time.Minute} {
			t.Run(fmt.Sprint(wire.name, grace), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := newHall(t, &rpc.Port{Wire: wire.wire, Limits: rpc.Limits{MaxConnectionAge: time.Hour, MaxConnectionAgeGrace: grace}})
					cc, _ := h.stock(t)
					s, err := chatEcho(t.Context(), cc)
					if err != nil {
						t.Fatal(err)
					}
					time.Sleep(3 * time.Hour)
					s.SendMsg(stringValue("x")) // its error comes from RecvMsg
					if err := s.RecvMsg(stringValue("")); (err == nil) != (grace == 0) {
						t.Errorf("with a grace of %v: %v", grace, err)
					}
					cc.Close()
					h.close(t)
				})
			})
		}
	}
}

// TestMaxStreams holds that a call waits while its connection has as many as it may.
func TestMaxStreams(t *testing.T) {
	for _, wire := range wires {
		t.Run(wire.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHall(t, &rpc.Port{Wire: wire.wire, Limits: rpc.Limits{MaxStreams: 2}})
				cc, _ := h.stock(t)
				if _, err := callEcho(t.Context(), cc, addMethod, "x"); err != nil { // now the client knows
					t.Fatal(err)
				}
				release := make(chan struct{})
				h.echo.hook = func(context.Context, string) error { <-release; return nil }
				errs := make(chan error)
				for range 3 {
					go func() {
						_, err := callEcho(t.Context(), cc, addMethod, "x")
						errs <- err
					}()
				}
				synctest.Wait()
				if n := h.echo.calls.Load() - 1; n != 2 {
					t.Errorf("%d calls run", n)
				}
				close(release)
				for range 3 {
					if err := <-errs; err != nil {
						t.Error(err)
					}
				}
				cc.Close()
				h.close(t)
			})
		})
	}
}

// TestPlaceOfAnAnswer holds that a client which has an answer may make the next call, also where it may have only one: the place is free
// before the answer can be seen, whatever the server still does about the call. (grpc-go's server reads no more until it is done.)
func TestPlaceOfAnAnswer(t *testing.T) {
	for _, tt := range []struct {
		name string
		call func(t *testing.T, cc grpc.ClientConnInterface) error
	}{
		{"unary", func(t *testing.T, cc grpc.ClientConnInterface) error {
			_, err := callEcho(t.Context(), cc, addMethod, "x")
			return err
		}},
		{"unary that fails", func(t *testing.T, cc grpc.ClientConnInterface) error {
			if _, err := callEcho(t.Context(), cc, readMethod, "x"); status.Code(err) != codes.Aborted {
				return fmt.Errorf("the call ended with %v", err)
			}
			return nil
		}},
		{"stream", func(t *testing.T, cc grpc.ClientConnInterface) error {
			s, err := chatEcho(t.Context(), cc)
			if err != nil {
				return err
			}
			if err := s.CloseSend(); err != nil {
				return err
			}
			if err := s.RecvMsg(stringValue("")); err != io.EOF {
				return fmt.Errorf("the stream ended with %v", err)
			}
			return nil
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				slow := make(slowEndings)
				h := newHall(t, &rpc.Port{Limits: rpc.Limits{MaxStreams: 1}}, slow)
				h.echo.hook = func(_ context.Context, method string) error {
					if method == "Read" {
						return status.Error(codes.Aborted, "as told")
					}
					return nil
				}
				cc, _ := h.stock(t)
				for range 3 { // the first of them tells the client the limit
					if err := tt.call(t, cc); err != nil {
						t.Error(err)
					}
				}
				close(slow)
				cc.Close()
				h.close(t)
			})
		})
	}
}

// slowEndings is a stats handler for which no call ends before it is closed.
type slowEndings chan struct{}

func (s slowEndings) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (s slowEndings) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (s slowEndings) HandleConn(context.Context, stats.ConnStats)                       {}
func (s slowEndings) HandleRPC(_ context.Context, e stats.RPCStats) {
	if _, ok := e.(*stats.End); ok {
		<-s
	}
}

// TestManyCancels holds that a client may cancel all the calls that it may have, at once, and keep its connection.
func TestManyCancels(t *testing.T) {
	for _, wire := range wires {
		t.Run(wire.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHall(t, &rpc.Port{Wire: wire.wire})
				cc, dials := h.stock(t)
				if _, err := callEcho(t.Context(), cc, addMethod, "x"); err != nil {
					t.Fatal(err)
				}
				const calls = 4096 // the default of MaxStreams
				h.echo.hook = func(ctx context.Context, _ string) error {
					<-ctx.Done()
					return ctx.Err()
				}
				ctx, cancel := context.WithCancel(t.Context())
				var all sync.WaitGroup
				for range calls {
					all.Go(func() { callEcho(ctx, cc, addMethod, "x") })
				}
				synctest.Wait()
				if n := h.echo.calls.Load() - 1; n != calls {
					t.Errorf("%d calls run", n)
				}
				cancel()
				all.Wait()
				synctest.Wait()
				h.echo.hook = nil
				if _, err := callEcho(t.Context(), cc, addMethod, "x"); err != nil || *dials != 1 {
					t.Errorf("%d connections, %v", *dials, err)
				}
				cc.Close()
				h.close(t)
			})
		})
	}
}

func TestMaxHeaderListSize(t *testing.T) {
	for _, wire := range wires {
		for _, tt := range []struct {
			limit, size int
			ok          bool
		}{
			{0, 60 << 10, true},
			{0, 70 << 10, false},
			{2 << 10, 8 << 10, false},
			{-1, 1 << 20, true},
		} {
			t.Run(fmt.Sprint(wire.name, tt.limit, tt.size), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := newHall(t, &rpc.Port{Wire: wire.wire, Limits: rpc.Limits{MaxHeaderListSize: tt.limit}})
					cc, _ := h.stock(t)
					ctx := metadata.AppendToOutgoingContext(t.Context(), "long", strings.Repeat("x", tt.size))
					if _, err := callEcho(ctx, cc, addMethod, "x"); (err == nil) != tt.ok {
						t.Errorf("gRPC: %.100v", err)
					}
					if _, err := callEcho(t.Context(), cc, addMethod, "x"); err != nil {
						t.Errorf("the next call: %v", err)
					}
					conn := h.dial(t)
					fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: a\r\nLong: %s\r\nConnection: close\r\n\r\n", strings.Repeat("x", tt.size))
					resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
					if err != nil || (resp.StatusCode == http.StatusNotFound) != tt.ok {
						t.Errorf("HTTP/1: %v, %v", resp, err)
					}
					time.Sleep(time.Second) // net/http lingers after a refusal
					conn.Close()
					cc.Close()
					h.close(t)
				})
			})
		}
	}
}

// TestMaxRecvMsgSize holds that a server's own limit comes before the port's.
func TestMaxRecvMsgSize(t *testing.T) {
	for _, wire := range wires {
		for _, tt := range []struct{ port, server, size int }{
			{0, 0, 4 << 20}, {5 << 20, 0, 5 << 20}, {1000, 0, 1000}, {1000, 2000, 2000}, {2000, 1000, 1000}, {-1, 1000, 1000},
		} {
			t.Run(fmt.Sprint(wire.name, tt), func(t *testing.T) {
				srv, _ := newServer(t, "cart", echoContract)
				srv.MaxRecvMsgSize = tt.server
				addr := servePort(t, &rpc.Port{Servers: []*rpc.Server{srv}, Wire: wire.wire, Limits: rpc.Limits{MaxRecvMsgSize: tt.port}})
				cc := stockConn(t, addr, grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(100<<20)))
				for size, want := range map[int]codes.Code{tt.size - 10: codes.OK, tt.size + 1: codes.ResourceExhausted} {
					if _, err := callEcho(t.Context(), cc, addMethod, strings.Repeat("x", size)); status.Code(err) != want {
						t.Errorf("%d bytes: %v", size, err)
					}
				}
			})
		}
	}
}

// TestMinPingInterval holds that a client that pings too often is told to leave.
func TestMinPingInterval(t *testing.T) {
	ping := "\x00\x00\x08\x06\x00\x00\x00\x00\x00" + "12345678"
	for _, wire := range wires {
		for _, tt := range []struct {
			interval, every time.Duration
			left            bool
		}{{0, 6 * time.Second, false}, {0, 4 * time.Second, true}, {time.Minute, 50 * time.Second, true}, {-1, 10 * time.Millisecond, false}} {
			t.Run(fmt.Sprint(wire.name, tt), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := newHall(t, &rpc.Port{Wire: wire.wire, Limits: rpc.Limits{MinPingInterval: tt.interval}})
					conn := h.dial(t)
					io.WriteString(conn, http2.ClientPreface+"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
					told := make(chan bool)
					go func() {
						framer, calm := http2.NewFramer(nil, conn), false
						for {
							frame, err := framer.ReadFrame()
							if err != nil {
								told <- calm
								return
							}
							if away, ok := frame.(*http2.GoAwayFrame); ok && away.ErrCode == http2.ErrCodeEnhanceYourCalm && string(away.DebugData()) == "too_many_pings" {
								calm = true
							}
						}
					}()
					for range 10 {
						time.Sleep(tt.every)
						io.WriteString(conn, ping)
					}
					synctest.Wait()
					conn.Close()
					if told := <-told; told != tt.left {
						t.Errorf("told to leave: %v", told)
					}
					h.close(t)
				})
			})
		}
	}
}
