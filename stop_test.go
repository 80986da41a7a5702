package hanse_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/rpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
)

// TestDrainUnderLoad replaces an app by another one, again and again, while calls come in from outside on every path and from a stock
// client: none may fail, and no handler may be cut off.
func TestDrainUnderLoad(t *testing.T) {
	registry := new(discovery.Memory)
	var handled, broken atomic.Int64
	one := make(chan struct{}) // received from for each call that was handled
	start := func() *runningApp {
		back := &hanse.Service{Name: "back", Setup: func(_ context.Context, s *hanse.Service) error {
			testpb.RegisterTestServiceServer(s, greetServer{})
			return nil
		}}
		front := &hanse.Service{Name: "front", Setup: func(_ context.Context, s *hanse.Service) error {
			conn := s.Conn("back")
			testpb.RegisterTestServiceServer(s, greetServer{before: func(ctx context.Context) error {
				if got := hello(conn, "back"); got != "Hello, back!" { // must work until the last outside call has ended
					broken.Add(1)
					return fmt.Errorf("back said %q", got)
				}
				handled.Add(1)
				select {
				case one <- struct{}{}:
				default:
				}
				return nil
			}})
			return nil
		}}
		r := begin(t, &hanse.App{Registry: registry}, front, back)
		r.log.await(t, "msg=ready", r.done) // others in the registry are ready already
		return r
	}
	current := start()

	ctx, cancel := context.WithCancel(t.Context())
	var load sync.WaitGroup
	var sent, failed atomic.Int64
	var firstFailure atomic.Pointer[string]
	for _, path := range []string{"unix", "tcp"} {
		caller := &hanse.App{Registry: registry}
		switch path {
		case "unix":
			caller.Path = "unix"
		case "tcp":
			caller.Path = "tcp"
		}
		defer caller.Close()
		conn := caller.Conn("front")
		for range 8 {
			load.Go(func() {
				for ctx.Err() == nil {
					sent.Add(1)
					if got := hello(conn, path); got != "Hello, "+path+"!" {
						failed.Add(1)
						firstFailure.CompareAndSwap(nil, &got)
					}
				}
			})
		}
	}
	for range 6 {
		next := start()
		for range 50 { // calls run while it drains
			<-one
		}
		current.end()
		current = next
	}
	cancel()
	load.Wait()
	current.end()
	t.Logf("sent %d, failed %d, handled %d", sent.Load(), failed.Load(), handled.Load())
	if failed.Load() > 0 || broken.Load() > 0 || handled.Load() < sent.Load() {
		t.Errorf("%d of %d calls failed (the first with %q), %d were cut off from their sibling", failed.Load(), sent.Load(), *firstFailure.Load(), broken.Load())
	}
}

// TestDrainTimeout holds that calls past the timeout are cancelled, and that Run names those which go on nevertheless.
func TestDrainTimeout(t *testing.T) {
	t.Run("heeds", func(t *testing.T) {
		svc := &hanse.Service{Name: "slow"}
		running := make(chan struct{})
		testpb.RegisterTestServiceServer(svc, greetServer{before: func(ctx context.Context) error {
			close(running)
			<-ctx.Done()
			return ctx.Err()
		}})
		r := run(t, &hanse.App{DrainTimeout: 50 * time.Millisecond}, svc)
		got := make(chan string)
		go func() { got <- hello(r.stock("slow"), "x") }()
		<-running
		r.end()
		if answer := <-got; !strings.Contains(answer, "rpc error") {
			t.Errorf("the cancelled call got %q", answer)
		}
		if !strings.Contains(r.log.String(), "drain timeout: cancelling what still runs") || !strings.Contains(r.log.String(), "slow/grpc.testing.TestService/UnaryCall") {
			t.Errorf("log:\n%s", r.log)
		}
	})
	t.Run("does not heed", func(t *testing.T) {
		svc := &hanse.Service{Name: "slow"}
		running, release := make(chan struct{}), make(chan struct{})
		testpb.RegisterTestServiceServer(svc, greetServer{before: func(ctx context.Context) error {
			close(running)
			<-release
			return nil
		}})
		svc.Go("deaf", func(context.Context) error { <-release; return nil })
		r := run(t, &hanse.App{DrainTimeout: 50 * time.Millisecond}, svc)
		got := make(chan string)
		go func() { got <- hello(r.stock("slow"), "x") }()
		<-running
		r.stop()
		began := time.Now()
		wantError(t, r.wait(), "still running 2s after they were cancelled: slow/grpc.testing.TestService/UnaryCall, task deaf of slow")
		if took := time.Since(began); took < 2*time.Second {
			t.Errorf("gave up after %v", took)
		}
		close(release)
		<-got
	})
	t.Run("OnStop does not return", func(t *testing.T) {
		svc := greeter()
		release := make(chan struct{})
		defer close(release)
		svc.OnStop(func(context.Context) error { <-release; return nil })
		r := run(t, &hanse.App{DrainTimeout: 50 * time.Millisecond}, svc)
		r.stop()
		wantError(t, r.wait(), "service greeter: OnStop has not returned")
	})
}

// TestDrainOrder follows one app through its end: it says that it drains while its calls still run, and is gone from the registry only
// after its last task and OnStop.
func TestDrainOrder(t *testing.T) {
	registry := new(discovery.Memory)
	svc := &hanse.Service{Name: "cart"}
	running, release := make(chan struct{}), make(chan struct{})
	testpb.RegisterTestServiceServer(svc, greetServer{before: func(ctx context.Context) error {
		close(running)
		<-release
		return nil
	}})
	state := func() discovery.State {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var s discovery.State
		registry.Watch(ctx, "cart", func(instances []discovery.Instance) {
			if len(instances) == 1 {
				s = instances[0].State
			}
			cancel()
		})
		return s
	}
	var atTask, atStop discovery.State
	svc.Go("task", func(ctx context.Context) error { <-ctx.Done(); atTask = state(); return nil })
	svc.OnStop(func(ctx context.Context) error { atStop = state(); return nil })
	r := run(t, &hanse.App{Registry: registry}, svc)
	conn := r.stock("cart")
	got := make(chan string)
	go func() { got <- hello(conn, "x") }()
	<-running
	r.stop()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	registry.Watch(ctx, "cart", func(instances []discovery.Instance) {
		if len(instances) == 1 && instances[0].State == discovery.Draining {
			cancel()
		}
	})
	close(release)
	if answer := <-got; answer != "Hello, x!" {
		t.Errorf("the call that ran got %q", answer)
	}
	r.end()
	if atTask != discovery.Draining || atStop != discovery.Draining || state() != "" {
		t.Errorf("state at the end of the task %q, at OnStop %q, after Run %q", atTask, atStop, state())
	}
}

// TestDrainTimeoutOfHTTP holds that HTTP requests past the timeout are cancelled as calls are, and named when they go on.
func TestDrainTimeoutOfHTTP(t *testing.T) {
	for _, heeds := range []bool{true, false} {
		t.Run(fmt.Sprint("heeds ", heeds), func(t *testing.T) {
			svc := greeter()
			running, release := make(chan struct{}), make(chan struct{})
			svc.Handle("GET /events/{id}", http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				close(running)
				<-req.Context().Done()
				if !heeds {
					<-release
				}
			}))
			r := run(t, &hanse.App{DrainTimeout: 50 * time.Millisecond}, svc)
			got := make(chan struct{})
			go func() {
				defer close(got)
				if res, err := http.Get("http://" + r.addr("greeter") + "/events/7"); err == nil {
					res.Body.Close()
				}
			}()
			<-running
			if heeds {
				r.end() // without an error that names the request
				if !strings.Contains(r.log.String(), "greeter: GET /events/{id}") {
					t.Errorf("log:\n%s", r.log)
				}
			} else {
				r.stop()
				wantError(t, r.wait(), "still running 2s after they were cancelled: greeter: GET /events/{id}")
			}
			close(release)
			<-got
		})
	}
}

// away is a registry that hears nothing of the end of an instance: whoever tells it so waits for as long as it is let.
type away struct{ *discovery.Memory }

func (r away) Register(ctx context.Context, inst discovery.Instance) (discovery.Lease, error) {
	l, err := r.Memory.Register(ctx, inst)
	return awayLease{l}, err
}

type awayLease struct{ discovery.Lease }

func (l awayLease) Update(ctx context.Context, inst discovery.Instance) error {
	if inst.State != discovery.Draining {
		return l.Lease.Update(ctx, inst)
	}
	<-ctx.Done()
	return ctx.Err()
}

// TestDrainWithoutRegistry holds that a registry which is away delays a drain by two seconds, however many services there are to
// withdraw, and leaves the rest of its time to what runs.
func TestDrainWithoutRegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		greeter, cart := greeter(), &hanse.Service{Name: "cart"}
		var left time.Duration
		cart.OnStop(func(ctx context.Context) error {
			deadline, _ := ctx.Deadline()
			left = time.Until(deadline)
			return nil
		})
		app := &hanse.App{Registry: away{new(discovery.Memory)}, Transports: []rpc.Transport{}, DrainTimeout: 10 * time.Second}
		r := run(t, app, greeter, cart)
		began := time.Now()
		r.end()
		if took := time.Since(began); took != 2*time.Second || left != 8*time.Second {
			t.Errorf("the drain took %v, and had %v left at its end", took, left)
		}
		if n := strings.Count(r.log.String(), "cannot tell the registry that the service drains"); n != 2 {
			t.Errorf("logged %d times:\n%s", n, r.log)
		}
	})
}
