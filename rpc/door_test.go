package rpc_test

import (
	"context"
	"fmt"
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
	"github.com/hanse-go/hanse/rpc/grpcwire"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// house is a server whose policy is tested, and the ways to it.
type house struct {
	srv    *rpc.Server
	faults resilience.Faults
	echo   *echoService
	ways   map[string]*rpc.Conn
}

func newHouse(t *testing.T, policy resilience.Policy) *house {
	t.Helper()
	h := &house{srv: &rpc.Server{Name: "echo", Policy: policy}, echo: &echoService{name: "echo"}}
	h.srv.Faults = &h.faults
	h.echo.register(h.srv)
	if err := h.srv.Err(); err != nil {
		t.Fatal(err)
	}
	h.srv.Start()
	t.Cleanup(h.srv.Stop)
	wire := servePort(t, &rpc.Port{Servers: []*rpc.Server{h.srv}})
	old := servePort(t, &rpc.Port{Servers: []*rpc.Server{h.srv}, Wire: grpcwire.Wire{}})
	at := func(addr string, wire rpc.Wire) *rpc.Client {
		return &rpc.Client{Wire: wire, Registry: newScript(discovery.Instance{Service: "echo", ID: addr, State: discovery.Ready, Endpoints: []string{"tcp://" + addr}})}
	}
	h.ways = map[string]*rpc.Conn{
		"in process": bound(t, &rpc.Client{Local: map[string]*rpc.Server{"echo": h.srv}}),
		"wire":       bound(t, at(wire, nil)),
		"grpc-go":    bound(t, at(old, grpcwire.Wire{})),
	}
	return h
}

func TestRateOnAllPaths(t *testing.T) {
	for _, way := range []string{"in process", "wire", "grpc-go"} {
		t.Run(way, func(t *testing.T) {
			h := newHouse(t, resilience.Policy{Methods: map[string]resilience.Policy{addMethod: {Rate: resilience.Rate{PerSecond: 0.001, Burst: 2}}}})
			conn := h.ways[way]
			for range 2 {
				if _, err := callEcho(t.Context(), conn, addMethod, "x"); err != nil {
					t.Fatal(err)
				}
			}
			var trailer metadata.MD
			_, err := callEcho(t.Context(), conn, addMethod, "x", grpc.Trailer(&trailer))
			wantError(t, err, codes.ResourceExhausted, "Rate", "try again in")
			if ms := trailer.Get("grpc-retry-pushback-ms"); len(ms) != 1 || len(ms[0]) != 6 && len(ms[0]) != 7 {
				t.Errorf("the trailer is %v", trailer)
			}
			if trailer.Get("hanse-not-processed") != nil {
				t.Error("a client may send the call to other instances, as if the rate were not meant")
			}
			if _, err := callEcho(t.Context(), conn, readMethod, "x"); err != nil {
				t.Errorf("the rate of one method is that of another: %v", err)
			}
			if n := h.echo.calls.Load(); n != 3 {
				t.Errorf("the handler ran %d times", n)
			}
			if n := h.srv.PolicyState()[addMethod].Counts["rate-limited"]; n != 1 {
				t.Errorf("%d were counted", n)
			}
		})
	}
}

func TestBulkheadOnAllPaths(t *testing.T) {
	for _, way := range []string{"in process", "wire", "grpc-go"} {
		t.Run(way, func(t *testing.T) {
			h := newHouse(t, resilience.Policy{Bulkhead: resilience.Bulkhead{Calls: 2}})
			conn := h.ways[way]
			inside, leave := make(chan bool), make(chan bool)
			h.echo.hook = func(context.Context, string) error { inside <- true; <-leave; return nil }
			var wg sync.WaitGroup
			wg.Go(func() {
				if _, err := callEcho(t.Context(), conn, addMethod, "x"); err != nil {
					t.Error(err)
				}
			})
			<-inside
			s, err := chatEcho(t.Context(), conn)
			if err != nil {
				t.Fatal(err)
			}
			<-inside
			wg.Go(func() {
				if _, err := callEcho(t.Context(), conn, addMethod, "x"); err != nil {
					t.Error(err)
				}
			})
			<-inside
			var trailer metadata.MD
			_, err = callEcho(t.Context(), conn, addMethod, "x", grpc.Trailer(&trailer))
			wantError(t, err, codes.ResourceExhausted, "Bulkhead")
			if way != "in process" && len(trailer.Get("hanse-not-processed")) == 0 {
				t.Errorf("the trailer is %v", trailer)
			}
			if b := h.srv.PolicyState()[addMethod].Bulkhead; b == nil || b.Running != 2 {
				t.Errorf("the state is %+v", b)
			}
			close(leave)
			wg.Wait()
			s.CloseSend()
			for s.RecvMsg(stringValue("")) == nil {
			}
			h.echo.hook = nil
			if _, err := callEcho(t.Context(), conn, addMethod, "x"); err != nil {
				t.Errorf("after the others have left: %v", err)
			}
		})
	}
}

func TestPriorityIsPassedOnAlongTheChain(t *testing.T) {
	for _, way := range []string{"in process", "wire", "grpc-go"} {
		t.Run(way, func(t *testing.T) {
			h := newHouse(t, resilience.Policy{})
			var mu sync.Mutex
			var seen []string
			next := map[string]string{"in process": "wire", "wire": "grpc-go", "grpc-go": "in process"}
			var path string
			h.echo.hook = func(ctx context.Context, _ string) error {
				mu.Lock()
				defer mu.Unlock()
				seen = append(seen, fmt.Sprint(path, " ", resilience.PriorityOf(ctx), incomingValues(ctx, resilience.PriorityKey)))
				if path = next[path]; len(seen) == 3 {
					return nil
				}
				conn := h.ways[path]
				mu.Unlock()
				ctx = metadata.NewOutgoingContext(ctx, metadata.Pairs("other", "x"))
				_, err := callEcho(ctx, conn, addMethod, "x")
				mu.Lock()
				return err
			}
			for _, p := range []resilience.Priority{resilience.Critical, resilience.Sheddable, resilience.Normal} {
				path, seen = way, nil
				if _, err := callEcho(resilience.WithPriority(t.Context(), p), h.ways[way], addMethod, "x"); err != nil {
					t.Fatal(err)
				}
				for i, s := range seen {
					want := fmt.Sprintf("%v [%v]", p, p)
					if p == resilience.Normal {
						want = "normal []"
					}
					if !strings.HasSuffix(s, want) {
						t.Errorf("%v, call %d: %s", p, i, s)
					}
				}
			}
			// What a program sends by itself counts.
			path, seen = way, make([]string, 2)
			ctx := metadata.AppendToOutgoingContext(resilience.WithPriority(t.Context(), resilience.Critical), resilience.PriorityKey, "sheddable")
			if _, err := callEcho(ctx, h.ways[way], addMethod, "x"); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(seen[2], "sheddable [") || !strings.HasSuffix(seen[2], "sheddable]") {
				t.Errorf("the program's own: %s", seen[2])
			}
		})
	}
}

func TestManyHandlersThatWaitAreNoOverload(t *testing.T) {
	h := newHouse(t, resilience.Policy{})
	for _, way := range []string{"wire", "grpc-go"} {
		for range 20 {
			if _, err := callEcho(t.Context(), h.ways[way], addMethod, "quick"); err != nil {
				t.Fatal(err)
			}
		}
		const n = 200
		var inside sync.WaitGroup
		inside.Add(n)
		h.echo.hook = func(context.Context, string) error { inside.Done(); inside.Wait(); return nil } // all of them at once
		var calls sync.WaitGroup
		for range n {
			calls.Go(func() {
				if _, err := callEcho(t.Context(), h.ways[way], addMethod, "x"); err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
		h.echo.hook = nil
	}
	if n := h.srv.PolicyState()[addMethod].Limit.Running; n != 0 {
		t.Errorf("%d calls have not given their turn back", n)
	}
}

// An overloaded server, in virtual time: it can work at one call at a time.
func TestOverloadOverTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w town
		e, inst := w.instance(t, "a")
		one := make(chan struct{}, 1)
		e.hook = func(context.Context, string) error {
			one <- struct{}{}
			time.Sleep(10 * time.Millisecond)
			<-one
			return nil
		}
		conn := bound(t, w.client(newScript(inst), new(balancer.P2C)))
		var good, shed, unmarked, critical, lost atomic.Int64
		var calls sync.WaitGroup
		for i := range 10 * 500 { // five times what it can do, for ten seconds
			calls.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if i%10 == 0 {
					ctx = resilience.WithPriority(ctx, resilience.Critical)
				}
				var trailer metadata.MD
				_, err := callEcho(ctx, conn, addMethod, "x", grpc.Trailer(&trailer))
				switch {
				case i%10 == 0 && err == nil:
					critical.Add(1)
				case i%10 == 0:
					lost.Add(1)
				case err == nil:
					good.Add(1)
				case status.Code(err) != codes.ResourceExhausted:
				case len(trailer.Get("hanse-not-processed")) == 0:
					unmarked.Add(1)
				default:
					shed.Add(1)
				}
			})
			time.Sleep(2 * time.Millisecond)
		}
		calls.Wait()
		if n := good.Load() + critical.Load(); n < 900 {
			t.Errorf("%d calls were answered of the 1000 that it can do", n)
		}
		if lost.Load() > 5 {
			t.Errorf("%d critical calls failed, %d did not", lost.Load(), critical.Load())
		}
		if shed.Load() < 2000 || unmarked.Load() > 0 {
			t.Errorf("%d calls were shed, and %d more without saying that they were not processed", shed.Load(), unmarked.Load())
		}
		state := w.servers[0].PolicyState()[addMethod]
		if state.Limit == nil || state.Counts[resilience.LimitReached] == 0 {
			t.Errorf("the state is %+v", state)
		}
		synctest.Wait()
		if n := w.servers[0].PolicyState()[addMethod].Limit; n.Running != 0 || n.Waiting != 0 {
			t.Errorf("after all calls: %+v", n)
		}
		w.close(conn)
	})
}

func TestPolicyOfARunningServer(t *testing.T) {
	h := newHouse(t, resilience.Policy{})
	conn := h.ways["wire"]
	if err := h.srv.SetPolicy(resilience.Policy{Rate: resilience.Rate{PerSecond: -3}}); err == nil {
		t.Error("nonsense was accepted")
	}
	if err := h.srv.SetPolicy(resilience.Policy{Rate: resilience.Rate{PerSecond: 0.001}}); err != nil {
		t.Fatal(err)
	}
	if _, err := callEcho(t.Context(), conn, addMethod, "x"); err != nil {
		t.Fatal(err)
	}
	_, err := callEcho(t.Context(), conn, addMethod, "x")
	wantError(t, err, codes.ResourceExhausted)
	if got := h.srv.CurrentPolicy().Rate.PerSecond; got != 0.001 {
		t.Errorf("the rate is %v", got)
	}
	if err := h.srv.SetPolicy(resilience.Policy{Limit: resilience.Limit{Delay: -1}}); err != nil {
		t.Fatal(err)
	}
	if _, err := callEcho(t.Context(), conn, addMethod, "x"); err != nil {
		t.Error(err)
	}
	if s := h.srv.PolicyState()[addMethod]; s.Limit != nil || s.Rate != nil {
		t.Errorf("the state is %+v", s)
	}
}

func TestMistakesInPolicies(t *testing.T) {
	srv := &rpc.Server{Name: "echo", Policy: resilience.Policy{Bulkhead: resilience.Bulkhead{Calls: -7}}}
	if err := srv.Err(); err == nil || !strings.Contains(err.Error(), `"echo"`) || !strings.Contains(err.Error(), "Bulkhead.Calls is -7") {
		t.Error(err)
	}
}

func TestIdempotencyKeysOnAllPaths(t *testing.T) {
	store := new(resilience.MemoryReplies)
	for _, way := range []string{"in process", "wire", "grpc-go"} {
		t.Run(way, func(t *testing.T) {
			h := newHouse(t, resilience.Policy{})
			conn := h.ways[way]
			for i, key := range []string{"1", "1", "2", "1"} {
				ctx := metadata.AppendToOutgoingContext(t.Context(), resilience.IdempotencyKey, key)
				var header metadata.MD
				if reply, err := callEcho(ctx, conn, addMethod, "x", grpc.Header(&header)); reply != "echo:x" || err != nil {
					t.Fatal(reply, err)
				}
				if again := len(header.Get(resilience.ReplayedKey)) > 0; again != (i == 1 || i == 3) {
					t.Errorf("call %d: the header is %v", i, header)
				}
			}
			if n := h.echo.calls.Load(); n != 2 {
				t.Errorf("the handler ran %d times", n)
			}
			ctx := metadata.AppendToOutgoingContext(t.Context(), resilience.IdempotencyKey, "1")
			_, err := callEcho(ctx, conn, addMethod, "y")
			wantError(t, err, codes.InvalidArgument, "another request")
			if err := h.srv.SetPolicy(resilience.Policy{Idempotency: resilience.Idempotency{Keep: -1}}); err != nil {
				t.Fatal(err)
			}
			if reply, err := callEcho(ctx, conn, addMethod, "y"); reply != "echo:y" || err != nil {
				t.Error("switched off:", reply, err)
			}
		})
	}
	// Another process that shares the store gives the same reply, on another path.
	var echoes []*echoService
	for range 2 {
		srv, e := &rpc.Server{Name: "echo", Replies: store}, &echoService{name: "echo"}
		e.register(srv)
		srv.Start()
		t.Cleanup(srv.Stop)
		conn := bound(t, &rpc.Client{Local: map[string]*rpc.Server{"echo": srv}})
		if _, err := callEcho(metadata.AppendToOutgoingContext(t.Context(), resilience.IdempotencyKey, "1"), conn, addMethod, "x"); err != nil {
			t.Fatal(err)
		}
		echoes = append(echoes, e)
	}
	if echoes[0].calls.Load() != 1 || echoes[1].calls.Load() != 0 {
		t.Error("the store is not shared")
	}
}

func TestFaultsOnAllPaths(t *testing.T) {
	for _, way := range []string{"in process", "wire", "grpc-go"} {
		t.Run(way, func(t *testing.T) {
			h := newHouse(t, resilience.Policy{})
			conn := h.ways[way]
			ctx := metadata.AppendToOutgoingContext(t.Context(), "drill", "yes")
			if _, err := callEcho(ctx, conn, addMethod, "x"); err != nil {
				t.Fatal(err)
			}
			add := func(f resilience.Fault) {
				t.Helper()
				h.faults.StopAll()
				f.Metadata = map[string]string{"drill": ""}
				if _, err := h.faults.Add(f); err != nil {
					t.Fatal(err)
				}
				h.echo.calls.Store(0)
			}
			add(resilience.Fault{Error: codes.DataLoss})
			_, err := callEcho(ctx, conn, addMethod, "x")
			wantError(t, err, codes.DataLoss, "on purpose")
			if s, err := chatEcho(ctx, conn); err == nil {
				wantError(t, s.RecvMsg(stringValue("")), codes.DataLoss)
			}
			if h.echo.calls.Load() != 0 {
				t.Error("the handler ran")
			}
			if _, err := callEcho(t.Context(), conn, addMethod, "x"); err != nil {
				t.Error("a call that is not meant:", err)
			}
			add(resilience.Fault{Lose: true})
			_, err = callEcho(ctx, conn, addMethod, "x")
			wantError(t, err, codes.Unavailable, "lost on purpose")
			if n := h.echo.calls.Load(); n != 1 {
				t.Errorf("the handler ran %d times", n)
			}
			add(resilience.Fault{Delay: time.Hour})
			soon, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
			defer cancel()
			_, err = callEcho(soon, conn, addMethod, "x")
			wantError(t, err, codes.DeadlineExceeded)
			if n := h.srv.PolicyState()[addMethod].Counts; n["fault-error"] != 1 || n["fault-lost"] != 1 || n["fault-delay"] != 1 {
				t.Errorf("counted were %v", n)
			}
		})
	}
}
