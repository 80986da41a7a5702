package hansetest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/hansetest"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

// greeter answers with its name, and asks another service when it has one.
type greeter struct {
	testpb.UnimplementedTestServiceServer
	name string
	next testpb.TestServiceClient
	wait time.Duration
}

func (g *greeter) UnaryCall(ctx context.Context, in *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	name := g.name
	if g.next != nil {
		out, err := g.next.UnaryCall(ctx, in)
		if err != nil {
			return nil, err
		}
		name += "," + out.Username
	}
	select {
	case <-time.After(g.wait):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return &testpb.SimpleResponse{Username: name}, nil
}

// chain is a service whose calls go on to next.
func chain(name, next string) *hanse.Service {
	return &hanse.Service{Name: name, Setup: func(ctx context.Context, s *hanse.Service) error {
		g := &greeter{name: name}
		if next != "" {
			g.next = testpb.NewTestServiceClient(s.Conn(next))
		}
		testpb.RegisterTestServiceServer(s, g)
		s.Handle("GET /name-of-"+name, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, name) }))
		return nil
	}}
}

func call(t *testing.T, sys *hansetest.System, service string, opts ...grpc.CallOption) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	out, err := testpb.NewTestServiceClient(sys.Conn(service)).UnaryCall(ctx, &testpb.SimpleRequest{}, opts...)
	return out.GetUsername(), err
}

func want(t *testing.T, sys *hansetest.System, service, want string, opts ...grpc.CallOption) {
	t.Helper()
	if got, err := call(t, sys, service, opts...); err != nil || got != want {
		t.Errorf("%s answered %q, %v; want %q", service, got, err, want)
	}
}

func TestEachPath(t *testing.T) {
	hansetest.EachPath(t, func(t *testing.T, on hansetest.Options) {
		sys := on.Run(t, chain("a", "b"), chain("b", "c"))
		sys.Fake("c", func(r grpc.ServiceRegistrar) { testpb.RegisterTestServiceServer(r, &greeter{name: "fake"}) })
		var info rpc.CallInfo
		want(t, sys, "a", "a,b,fake", &info)
		path := on.Path
		if path == hansetest.Memory {
			path = rpc.TCP
		}
		if info.Path != path {
			t.Errorf("the call went by %q, not %q", info.Path, path)
		}
		for _, name := range []string{"a", "b"} {
			res, err := sys.HTTP(name).Get("http://anything/name-of-" + name)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			res.Body.Close()
			if string(body) != name || err != nil {
				t.Errorf("HTTP to %s: %q, %v", name, body, err)
			}
		}
	})
}

func TestBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := hansetest.Fake("slow", func(r grpc.ServiceRegistrar) {
			testpb.RegisterTestServiceServer(r, &greeter{name: "slow", wait: time.Hour})
		})
		sys := hansetest.Run(t, chain("a", "slow"), slow)
		start := time.Now()
		client := testpb.NewTestServiceClient(sys.Conn("a"))
		_, err := client.UnaryCall(t.Context(), &testpb.SimpleRequest{}) // its default deadline ends it
		if status.Code(err) != codes.DeadlineExceeded || time.Since(start) != 10*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

func TestLatencyAndPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := hansetest.Run(t, chain("a", "b"), chain("b", ""))
		want(t, sys, "a", "a,b")
		sys.SetLatency(time.Second)
		start := time.Now()
		want(t, sys, "a", "a,b")
		if took := time.Since(start); took < 4*time.Second || took > 5*time.Second {
			t.Errorf("with two round trips of 2 s the call took %v", took)
		}
		sys.SetLatency(0)
		sys.Partition("a", "b")
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := testpb.NewTestServiceClient(sys.Conn("a")).UnaryCall(ctx, &testpb.SimpleRequest{})
		if status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("behind a partition: %v", err)
		}
		want(t, sys, "b", "b") // the test itself is not cut off
		sys.Heal()
		time.Sleep(time.Minute)
		want(t, sys, "a", "a,b")
		sys.Partition("test", "b")
		want(t, sys, "a", "a,b")
	})
}

func TestKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := hansetest.Run(t, chain("a", "b"), chain("b", ""), chain("b", ""))
		want(t, sys, "a", "a,b")
		all := sys.Instances("b")
		if len(all) != 2 || all[0].Host != "b-1" || all[1].Host != "b-2" || all[0].ID == all[1].ID {
			t.Fatalf("instances: %v", all)
		}
		all[0].Kill()
		all[0].Kill()
		for range 20 {
			want(t, sys, "a", "a,b")
		}
		all[1].Kill()
		synctest.Wait()
		if _, err := sys.HTTP("b").Get("http://b/"); !errors.Is(err, syscall.ECONNREFUSED) { // the registry still knows it
			t.Errorf("just after the last instance was killed: %v", err)
		}
		time.Sleep(2 * time.Second)
		if left := sys.Instances("b"); len(left) != 0 {
			t.Errorf("instances: %v", left)
		}
		if _, err := call(t, sys, "a"); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("with no instance: %v", err)
		}
		sys.Heal() // brings nobody back to life
		sys.Start(chain("b", ""))
		want(t, sys, "a", "a,b")
	})
}

// revenant calls another service when it has long been dead.
type revenant struct {
	testpb.UnimplementedTestServiceServer
	next    testpb.TestServiceClient
	started chan bool
	result  chan error
}

func (r *revenant) EmptyCall(context.Context, *testpb.Empty) (*testpb.Empty, error) {
	r.started <- true
	time.Sleep(5 * time.Second)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, err := r.next.UnaryCall(ctx, &testpb.SimpleRequest{})
	r.result <- err
	return nil, err
}

func TestTheDeadStayDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &revenant{started: make(chan bool), result: make(chan error, 1)}
		svc := &hanse.Service{Name: "a"}
		r.next = testpb.NewTestServiceClient(svc.Conn("b"))
		testpb.RegisterTestServiceServer(svc, r)
		sys := hansetest.Run(t, svc, chain("b", ""))
		failed := make(chan error, 1)
		go func() {
			_, err := testpb.NewTestServiceClient(sys.Conn("a")).EmptyCall(t.Context(), &testpb.Empty{})
			failed <- err
		}()
		<-r.started
		sys.Instances("a")[0].Kill()
		if err := <-failed; status.Code(err) != codes.Unavailable {
			t.Errorf("the call that was in flight: %v", err)
		}
		sys.Heal()
		if err := <-r.result; err == nil {
			t.Error("a killed instance called another one")
		}
	})
}

func TestStopAndIsolate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stopped atomic.Bool
		b := chain("b", "")
		b.OnStop(func(context.Context) error { stopped.Store(true); return nil })
		sys := hansetest.Run(t, b, chain("b", ""))
		sys.Instances("b")[0].Stop()
		if !stopped.Load() || len(sys.Instances("b")) != 1 {
			t.Errorf("stopped %v, instances %v", stopped.Load(), sys.Instances("b"))
		}
		want(t, sys, "b", "b")
		sys.Instances("b")[0].Isolate()
		if _, err := call(t, sys, "b"); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("isolated: %v", err)
		}
	})
}

func TestConfigAndApp(t *testing.T) {
	var text string
	svc := &hanse.Service{Name: "a", Setup: func(ctx context.Context, s *hanse.Service) error {
		var cfg struct{ Greeting string }
		err := s.Config(&cfg)
		text = cfg.Greeting
		return err
	}}
	intercepted := false
	o := hansetest.Options{Config: "a: {greeting: moin}\n", App: func(a *hanse.App) { intercepted = true }}
	o.Run(t, svc)
	if text != "moin" || !intercepted {
		t.Errorf("greeting %q, %v", text, intercepted)
	}
}

// double is a test that may fail.
type double struct {
	testing.TB
	failures []string
	log      strings.Builder
	cleanups []func()
}

func (d *double) Helper()           {}
func (d *double) Cleanup(f func())  { d.cleanups = append(d.cleanups, f) }
func (d *double) Output() io.Writer { return &d.log }
func (d *double) Errorf(format string, args ...any) {
	d.failures = append(d.failures, fmt.Sprintf(format, args...))
}
func (d *double) Fatalf(format string, args ...any) {
	d.Errorf(format, args...)
	panic(d)
}

// run runs a test and returns what it failed with.
func (d *double) run(test func()) []string {
	func() {
		defer func() {
			if p := recover(); p != nil && p != any(d) {
				panic(p)
			}
		}()
		test()
	}()
	for i := len(d.cleanups) - 1; i >= 0; i-- {
		d.cleanups[i]()
	}
	return d.failures
}

func TestFailures(t *testing.T) {
	release := make(chan bool)
	defer close(release)
	for _, tt := range []struct {
		name, want string
		test       func(d *double)
	}{
		{"set-up", "a-1 did not start: service a: set-up failed: no database", func(d *double) {
			hansetest.Run(d, &hanse.Service{Name: "a", Setup: func(context.Context, *hanse.Service) error { return errors.New("no database") }})
		}},
		{"stop", "a-1: service a: OnStop: it is stuck", func(d *double) {
			svc := chain("a", "")
			svc.OnStop(func(context.Context) error { return errors.New("it is stuck") })
			hansetest.Run(d, svc)
		}},
		{"leak of a service", "goroutines are left after the test", func(d *double) {
			hansetest.Run(d, &hanse.Service{Name: "a", Setup: func(context.Context, *hanse.Service) error {
				go func() { <-release }()
				return nil
			}})
		}},
		{"leak of the test", "goroutines are left after the test", func(d *double) {
			hansetest.Run(d)
			go func() { <-release }()
		}},
		{"unknown service", `there is no instance of "b"`, func(d *double) {
			hansetest.Run(d, chain("a", "")).Partition("a", "b")
		}},
		{"fault without memory", `latency needs the path "memory", not "tcp"`, func(d *double) {
			hansetest.Options{Path: rpc.TCP}.Run(d).SetLatency(1)
		}},
		{"nothing", "", func(d *double) { hansetest.Run(d, chain("a", "")) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := &double{TB: t}
			got := strings.Join(d.run(func() { tt.test(d) }), "\n")
			if !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
				t.Errorf("failed with %q, want %q", got, tt.want)
			}
			if n := len(d.failures); n > 1 {
				t.Errorf("%d failures for one fault: %q", n, d.failures)
			}
			if tt.want == "" && !strings.Contains(d.log.String(), "ready") {
				t.Errorf("log: %s", d.log.String())
			}
		})
	}
}

func TestParallel(t *testing.T) {
	for i := range 8 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			sys := hansetest.Run(t, chain("a", "b"), chain("b", ""))
			for range 20 {
				want(t, sys, "a", "a,b")
			}
		})
	}
}

// TestSystemsOfOneTest holds that systems of one test may call each other, and end one by one, without looking like leaks.
func TestSystemsOfOneTest(t *testing.T) {
	inner := hansetest.Options{Path: rpc.InProcess}.Run(t, chain("b", ""))
	outer := hansetest.Options{Path: rpc.InProcess}.Run(t, chain("a", ""))
	want(t, inner, "b", "b") // on a goroutine that the second one labels, too
	want(t, outer, "a", "a")
}

func TestLog(t *testing.T) {
	var log strings.Builder
	t.Run("system", func(t *testing.T) {
		noisy := &hanse.Service{Name: "noisy", Setup: func(_ context.Context, s *hanse.Service) error {
			s.Logger().Info("set up", "by", "hand")
			return nil
		}}
		hansetest.Options{Log: &log}.Run(t, noisy, chain("a", ""))
	})
	for _, line := range []string{`msg="set up" host=noisy-1 service=noisy instance=\w+ by=hand`, "msg=ready host=a-1"} {
		if !regexp.MustCompile(line).MatchString(log.String()) {
			t.Errorf("the log has no %s:\n%s", line, &log)
		}
	}
}
