package rpc_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/balancer"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/resilience"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// protected runs f in a bubble, with a Conn to n instances, a, b and so on, that are called in turn.
func protected(t *testing.T, n int, policy resilience.Policy, f func(t *testing.T, client *rpc.Client, conn *rpc.Conn, instances []*echoService)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var w town
		var services []*echoService
		var list []discovery.Instance
		for i := range n {
			e, inst := w.instance(t, string(rune('a'+i)))
			services, list = append(services, e), append(list, inst)
		}
		client := w.client(newScript(list...), new(balancer.RoundRobin))
		client.Policies = map[string]resilience.Policy{"echo": policy}
		conn := bound(t, client)
		synctest.Wait() // all are connected
		if _, err := callEcho(t.Context(), conn, addMethod, "first"); err != nil {
			t.Fatal(err)
		}
		f(t, client, conn, services)
		w.close(conn)
	})
}

func TestRepeatedCalls(t *testing.T) {
	answer := func(err error, trailer ...string) func(context.Context) error {
		return func(ctx context.Context) error {
			grpc.SetTrailer(ctx, metadata.Pairs(trailer...))
			return err
		}
	}
	down, bug := status.Error(codes.Unavailable, "down"), status.Error(codes.Internal, "bug")
	full := status.Error(codes.ResourceExhausted, "full")
	keyed := metadata.AppendToOutgoingContext(context.Background(), "idempotency-key", "k1")
	for _, tt := range []struct {
		name     string
		ctx      context.Context
		method   string
		policy   resilience.Policy
		opts     []grpc.CallOption
		first    func(ctx context.Context) error // what the first attempt is answered; later ones succeed
		attempts int
		reason   resilience.Reason // is counted
		least    time.Duration     // that it takes
		most     time.Duration     // default: the longest pause
	}{
		{name: "unavailable", method: readMethod, first: answer(down), attempts: 2, reason: resilience.RetryFailed},
		{name: "a bug", method: putMethod, first: answer(bug), attempts: 2, reason: resilience.RetryFailed},
		{name: "an answer", method: readMethod, first: answer(status.Error(codes.NotFound, "")), attempts: 1},
		{name: "full, by the application", method: readMethod, first: answer(full), attempts: 1},
		{name: "full, and not processed", method: addMethod, first: answer(full, "hanse-not-processed", "1"), attempts: 2, reason: resilience.RetryFailed},
		{name: "leaves", method: addMethod, first: answer(down, "hanse-not-processed", "1"), attempts: 2, reason: resilience.RetryRefused, most: -1},
		{name: "may do harm", method: addMethod, first: answer(down), attempts: 1},
		{name: "with a key", ctx: keyed, method: addMethod, first: answer(down), attempts: 2, reason: resilience.RetryFailed},
		{name: "asked not to", method: readMethod, first: answer(down, "grpc-retry-pushback-ms", "-1"), attempts: 1, reason: resilience.RetryPushback},
		{name: "asked what makes no sense", method: readMethod, first: answer(down, "grpc-retry-pushback-ms", "soon"), attempts: 1, reason: resilience.RetryPushback},
		{
			name: "asked to wait", method: readMethod, first: answer(down, "grpc-retry-pushback-ms", "700"), attempts: 2, reason: resilience.RetryFailed,
			least: 700 * time.Millisecond, most: 700 * time.Millisecond,
		},
		{name: "asked to wait too long", method: readMethod, first: answer(down, "grpc-retry-pushback-ms", "60000"), attempts: 1, most: -1},
		{name: "off", method: readMethod, policy: resilience.Policy{Retry: resilience.Retry{Attempts: -1}}, first: answer(down), attempts: 1},
		{
			name: "off for a method", method: readMethod, first: answer(down), attempts: 1,
			policy: resilience.Policy{Methods: map[string]resilience.Policy{echoContract + "/*": {Retry: resilience.Retry{Attempts: -1}}}},
		},
		{name: "off for a call", method: readMethod, opts: []grpc.CallOption{resilience.WithoutRetry()}, first: answer(down), attempts: 1},
		{
			name: "on for a call", method: readMethod, policy: resilience.Policy{Retry: resilience.Retry{Attempts: -1}},
			opts: []grpc.CallOption{resilience.WithAttempts(2)}, first: answer(down), attempts: 2, reason: resilience.RetryFailed,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			protected(t, 2, tt.policy, func(t *testing.T, client *rpc.Client, conn *rpc.Conn, instances []*echoService) {
				var calls atomic.Int64
				for _, e := range instances {
					e.hook = func(ctx context.Context, _ string) error {
						if calls.Add(1) == 1 {
							return tt.first(ctx)
						}
						return nil
					}
				}
				ctx := t.Context()
				if tt.ctx != nil {
					ctx = tt.ctx
				}
				var info rpc.CallInfo
				start := time.Now()
				_, err := callEcho(ctx, conn, tt.method, "x", append(tt.opts, &info)...)
				took := time.Since(start)
				if (err == nil) != (tt.attempts > 1) || info.Attempts != tt.attempts || calls.Load() != int64(tt.attempts) {
					t.Errorf("%v, %d attempts, %d calls", err, info.Attempts, calls.Load())
				}
				most := tt.most
				if most == 0 {
					most = 50 * time.Millisecond
				}
				if took < tt.least || took > max(most, 0) {
					t.Errorf("took %v", took)
				}
				counts := client.Targets()["echo"].Counts
				if tt.reason != "" && counts[tt.reason] != 1 || tt.reason == "" && len(counts) > 0 {
					t.Errorf("counts %v", counts)
				}
			})
		})
	}
}

// A target that fails gets at most 1.2 times its calls.
func TestAmplification(t *testing.T) {
	protected(t, 3, resilience.Policy{}, func(t *testing.T, client *rpc.Client, conn *rpc.Conn, instances []*echoService) {
		var came, sent atomic.Int64
		for _, e := range instances {
			e.hook = func(context.Context, string) error {
				came.Add(1)
				return status.Error(codes.Internal, "down") // which the breaker leaves alone
			}
		}
		var running sync.WaitGroup
		for range 2000 { // ten seconds
			sent.Add(1)
			running.Go(func() { callEcho(context.Background(), conn, readMethod, "x") })
			time.Sleep(5 * time.Millisecond)
		}
		running.Wait()
		if amplification := float64(came.Load()) / float64(sent.Load()); amplification > 1.2 || amplification < 1.1 {
			t.Errorf("amplification %.3f", amplification)
		}
	})
}

// load makes a call every 5 ms for a time, without waiting for earlier ones, and returns how many each instance had, and how many failed.
func load(t *testing.T, conn *rpc.Conn, instances []*echoService, d, timeout time.Duration) (calls []int64, failed int64) {
	t.Helper()
	for _, e := range instances {
		calls = append(calls, -e.calls.Load())
	}
	var failures atomic.Int64
	var running sync.WaitGroup
	for range d / (5 * time.Millisecond) {
		running.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), timeout)
			defer cancel()
			if _, err := callEcho(ctx, conn, addMethod, "x"); err != nil {
				failures.Add(1)
			}
		})
		time.Sleep(5 * time.Millisecond)
	}
	for i, e := range instances {
		calls[i] += e.calls.Load()
	}
	running.Wait()
	return calls, failures.Load()
}

func takes(d time.Duration) func(context.Context, string) error {
	return func(ctx context.Context, _ string) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func TestOutliersAreLeft(t *testing.T) {
	for _, tt := range []struct {
		name    string
		bad     func() func(context.Context, string) error
		timeout time.Duration
		within  time.Duration
		reason  resilience.Reason
		or      resilience.Reason // when it is found first
	}{
		{"fails", func() func(context.Context, string) error {
			return func(context.Context, string) error { return status.Error(codes.Internal, "bug") }
		}, time.Second, 500 * time.Millisecond, resilience.EjectedFailed, ""},
		{"fails at times", func() func(context.Context, string) error {
			var n atomic.Int64
			return func(context.Context, string) error {
				if n.Add(1)%10 < 3 {
					return status.Error(codes.Unavailable, "down")
				}
				return nil
			}
		}, time.Second, 2 * time.Second, resilience.EjectedErrors, ""},
		{"is slow", func() func(context.Context, string) error { return takes(200 * time.Millisecond) }, time.Second, 2 * time.Second, resilience.EjectedSlow, ""},
		{"is too slow for its callers", func() func(context.Context, string) error { return takes(time.Minute) }, 100 * time.Millisecond, 2 * time.Second, resilience.EjectedSlow, resilience.EjectedStall},
		{"is silent", func() func(context.Context, string) error { return takes(time.Minute) }, 30 * time.Second, 3 * time.Second, resilience.EjectedStall, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			protected(t, 3, resilience.Policy{}, func(t *testing.T, client *rpc.Client, conn *rpc.Conn, instances []*echoService) {
				for _, e := range instances {
					e.hook = takes(2 * time.Millisecond)
				}
				if calls, failed := load(t, conn, instances, 2*time.Second, tt.timeout); failed > 0 || calls[0] < 100 {
					t.Fatalf("at first: calls %d, %d failed", calls, failed)
				}
				bad := tt.bad()
				instances[0].hook = bad
				var running sync.WaitGroup
				running.Go(func() { load(t, conn, instances, tt.within, tt.timeout) })
				time.Sleep(tt.within)
				if calls, _ := load(t, conn, instances, time.Second, tt.timeout); calls[0] > 2 {
					t.Errorf("%v later: calls %d", tt.within, calls)
				}
				running.Wait()
				counts := client.Targets()["echo"].Counts
				if counts[tt.reason]+counts[tt.or] == 0 {
					t.Errorf("counts %v, want %s", counts, tt.reason)
				}
				// It is well again: it comes back by and by.
				instances[0].hook = takes(2 * time.Millisecond)
				time.Sleep(30 * time.Second)
				soon, _ := load(t, conn, instances, 2*time.Second, tt.timeout)
				load(t, conn, instances, 10*time.Second, tt.timeout)
				late, failed := load(t, conn, instances, 2*time.Second, tt.timeout)
				if soon[0] == 0 || soon[0] > 100 || late[0] < 100 || failed > 0 {
					t.Errorf("back again: calls %d, then %d, %d failed: %v", soon, late, failed, client.Targets()["echo"])
				}
			})
		})
	}
}

// Callers that give up say nothing about an instance.
func TestCallersThatGiveUpEjectNobody(t *testing.T) {
	protected(t, 3, resilience.Policy{}, func(t *testing.T, client *rpc.Client, conn *rpc.Conn, instances []*echoService) {
		for _, e := range instances {
			e.hook = takes(10 * time.Millisecond)
		}
		load(t, conn, instances, time.Second, time.Second)
		if _, failed := load(t, conn, instances, 5*time.Second, 5*time.Millisecond); failed != 1000 {
			t.Errorf("%d failed", failed)
		}
		state := client.Targets()["echo"]
		if len(state.Counts) > 0 || state.Breaker.State != "closed" {
			t.Errorf("%+v", state)
		}
	})
}

func TestHalfOfTheInstancesStay(t *testing.T) {
	protected(t, 4, resilience.Policy{}, func(t *testing.T, client *rpc.Client, conn *rpc.Conn, instances []*echoService) {
		load(t, conn, instances, time.Second, time.Second)
		for _, e := range instances[:3] {
			e.hook = func(context.Context, string) error { return status.Error(codes.Internal, "bug") }
		}
		load(t, conn, instances, 10*time.Second, time.Second)
		out := 0
		for _, is := range client.Targets()["echo"].Instances {
			if is.State == "ejected" {
				out++
			}
		}
		if out > 2 {
			t.Errorf("%d are ejected", out)
		}
	})
}

func TestBreaker(t *testing.T) {
	protected(t, 1, resilience.Policy{}, func(t *testing.T, client *rpc.Client, conn *rpc.Conn, instances []*echoService) {
		instances[0].hook = func(context.Context, string) error { return status.Error(codes.Unavailable, "down") }
		calls, failed := load(t, conn, instances, 500*time.Millisecond, time.Second)
		if calls[0] > 50 || failed != 100 {
			t.Errorf("%d calls came through, %d failed", calls[0], failed)
		}
		_, err := callEcho(t.Context(), conn, addMethod, "x")
		wantError(t, err, codes.Unavailable, "breaker is open", `"echo"`)
		instances[0].hook = nil
		load(t, conn, instances, time.Second, time.Second)
		if _, failed := load(t, conn, instances, time.Second, time.Second); failed > 0 {
			t.Errorf("%d failed after it came back", failed)
		}
		counts := client.Targets()["echo"].Counts
		if counts[resilience.BreakerOpened] == 0 || counts[resilience.BreakerClosed] != 1 || counts[resilience.BreakerShort] == 0 {
			t.Errorf("counts %v", counts)
		}
	})
}

func TestPolicyTimeout(t *testing.T) {
	policy := resilience.Policy{
		Timeout: 2 * time.Second,
		Methods: map[string]resilience.Policy{putMethod: {Timeout: 500 * time.Millisecond}},
	}
	protected(t, 1, policy, func(t *testing.T, client *rpc.Client, conn *rpc.Conn, instances []*echoService) {
		instances[0].hook = takes(time.Minute)
		wait := func(what, method string, timeout, want time.Duration, opts ...grpc.CallOption) {
			t.Helper()
			ctx := context.Background()
			if timeout > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, timeout)
				defer cancel()
			}
			start := time.Now()
			_, err := callEcho(ctx, conn, method, "x", opts...)
			if took := time.Since(start); took != want || want < time.Minute && status.Code(err) != codes.DeadlineExceeded {
				t.Errorf("%s: %v after %v, want %v", what, err, took, want)
			}
		}
		wait("service", addMethod, 0, 2*time.Second)
		wait("method", putMethod, 0, 500*time.Millisecond)
		wait("own deadline", putMethod, 3*time.Second, 3*time.Second)
		wait("call", putMethod, 0, time.Second, resilience.WithTimeout(time.Second))
		wait("call, before its deadline", putMethod, 3*time.Second, time.Second, resilience.WithTimeout(time.Second))
		wait("call, after its deadline", putMethod, 3*time.Second, 3*time.Second, resilience.WithTimeout(time.Minute))
		wait("call without", addMethod, 0, time.Minute, resilience.WithoutTimeout())
		if n := client.Targets()["echo"].Counts[resilience.TimeoutEnded]; n != 4 {
			t.Errorf("%d timeouts are counted", n)
		}

		if err := client.SetPolicy("echo", resilience.Policy{Timeout: 4 * time.Second}); err != nil {
			t.Fatal(err)
		}
		wait("switched", putMethod, 0, 4*time.Second)
		if err := client.SetPolicy("echo", resilience.Policy{Timeout: -4}); err == nil {
			t.Error("a policy that is wrong is set")
		}
	})
}

func TestHedge(t *testing.T) {
	hedged := resilience.Policy{Hedge: resilience.Hedge{After: 20 * time.Millisecond}}
	for _, tt := range []struct {
		name, method string
		policy       resilience.Policy
		opts         []grpc.CallOption
		slow         func(context.Context, string) error
		took         time.Duration
		instance     string // whose answer it is; "": an error
		counts       map[resilience.Reason]uint64
	}{
		{"quick", readMethod, hedged, nil, takes(10 * time.Millisecond), 10 * time.Millisecond, "a", nil},
		{"the second wins", readMethod, hedged, nil, takes(time.Minute), 25 * time.Millisecond, "b", map[resilience.Reason]uint64{resilience.Hedged: 1, resilience.HedgeWon: 1}},
		{"the first wins", readMethod, hedged, nil, takes(22 * time.Millisecond), 22 * time.Millisecond, "a", map[resilience.Reason]uint64{resilience.Hedged: 1}},
		{"idempotent is not enough", putMethod, hedged, nil, takes(time.Second), time.Second, "a", nil},
		{"off", readMethod, resilience.Policy{}, nil, takes(time.Second), time.Second, "a", nil},
		{"off for the call", readMethod, hedged, []grpc.CallOption{resilience.WithoutHedge()}, takes(time.Second), time.Second, "a", nil},
		{"for the call", readMethod, resilience.Policy{}, []grpc.CallOption{resilience.WithHedge(5 * time.Millisecond)}, takes(time.Second), 10 * time.Millisecond, "b", map[resilience.Reason]uint64{resilience.Hedged: 1, resilience.HedgeWon: 1}},
		{"an answer is an answer", readMethod, hedged, nil, func(context.Context, string) error { return status.Error(codes.NotFound, "") }, 0, "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			protected(t, 2, tt.policy, func(t *testing.T, client *rpc.Client, conn *rpc.Conn, instances []*echoService) {
				for conn != nil { // until it is a's turn
					if reply, _ := callEcho(t.Context(), conn, addMethod, ""); reply == "b:" {
						break
					}
				}
				lost := make(chan error, 1)
				instances[0].hook = func(ctx context.Context, method string) error {
					grpc.SetHeader(ctx, metadata.Pairs("from", "a"))
					err := tt.slow(ctx, method)
					lost <- err
					return err
				}
				instances[1].hook = func(ctx context.Context, method string) error {
					grpc.SetHeader(ctx, metadata.Pairs("from", "b"))
					return takes(5*time.Millisecond)(ctx, method)
				}
				var header metadata.MD
				var info rpc.CallInfo
				start := time.Now()
				reply, err := callEcho(t.Context(), conn, tt.method, "x", append(tt.opts, grpc.Header(&header), &info)...)
				if took := time.Since(start); took != tt.took {
					t.Errorf("took %v, want %v", took, tt.took)
				}
				if tt.instance == "" {
					wantError(t, err, codes.NotFound)
				} else if err != nil || reply != tt.instance+":x" || info.Instance != tt.instance || fmt.Sprint(header["from"]) != "["+tt.instance+"]" {
					t.Errorf("%q, %v, %+v, %v", reply, err, info, header)
				}
				if tt.instance == "b" && <-lost == nil {
					t.Error("the call that lost was not cancelled")
				}
				counts := client.Targets()["echo"].Counts
				if len(counts) != len(tt.counts) {
					t.Errorf("counts %v, want %v", counts, tt.counts)
				}
				for reason, n := range tt.counts {
					if counts[reason] != n {
						t.Errorf("counts %v, want %v", counts, tt.counts)
					}
				}
			})
		})
	}
}

// Hedges by a percentile wait until the method is known, and stay within the budget.
func TestHedgePercentile(t *testing.T) {
	protected(t, 2, resilience.Policy{Hedge: resilience.Hedge{Percentile: 90}}, func(t *testing.T, client *rpc.Client, conn *rpc.Conn, instances []*echoService) {
		var calls, came atomic.Int64
		hook := func(ctx context.Context, method string) error {
			if came.Add(1)%20 == 0 { // one in twenty is slow
				return takes(time.Second)(ctx, method)
			}
			return takes(10*time.Millisecond)(ctx, method)
		}
		instances[0].hook, instances[1].hook = hook, hook
		slow := 0
		for range 1000 {
			start := time.Now()
			calls.Add(1)
			if _, err := callEcho(t.Context(), conn, readMethod, "x"); err != nil {
				t.Fatal(err)
			}
			if time.Since(start) > 100*time.Millisecond && calls.Load() > 150 {
				slow++
			}
		}
		counts := client.Targets()["echo"].Counts
		if counts[resilience.Hedged] < 30 || counts[resilience.Hedged] > 70 || slow > 5 {
			t.Errorf("%d are slow, counts %v", slow, counts)
		}
		// When all are slow the budget holds.
		instances[0].hook, instances[1].hook = takes(time.Second), takes(time.Second)
		before := instances[0].calls.Load() + instances[1].calls.Load()
		var running sync.WaitGroup
		for range 1000 {
			running.Go(func() { callEcho(context.Background(), conn, readMethod, "x") })
			time.Sleep(5 * time.Millisecond)
		}
		running.Wait()
		if n := instances[0].calls.Load() + instances[1].calls.Load() - before; n > 1300 { // those before count, too
			t.Errorf("%d calls for 1000", n)
		}
	})
}
