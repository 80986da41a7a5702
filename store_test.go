package hanse_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/embednats"
	"github.com/hanse-go/hanse/resilience"
	"github.com/hanse-go/hanse/store"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

var visits = store.NewBucket[int]("visits")

// TestStoreIsShared holds that services of several apps have one store, and that buckets are there before anybody calls.
func TestStoreIsShared(t *testing.T) {
	shared := new(store.Memory)
	var services []*hanse.Service
	for _, name := range []string{"one", "two"} {
		svc := &hanse.Service{Name: name, Setup: func(ctx context.Context, s *hanse.Service) error {
			visits.Declare(s)
			_, err := visits.Modify(ctx, s, "all", func(n int, _ bool) (int, error) { return n + 1, nil })
			return err
		}}
		services = append(services, svc)
		run(t, &hanse.App{Store: shared}, svc)
	}
	for _, svc := range services {
		if e, err := visits.Get(t.Context(), svc, "all"); err != nil || e.Value != 2 {
			t.Errorf("%s sees %d, %v", svc.Name, e.Value, err)
		}
	}
}

// TestStoreIsTheBackplane holds that an app with a backplane needs nothing else for a store.
func TestStoreIsTheBackplane(t *testing.T) {
	dir := t.TempDir()
	for want := 1; want <= 2; want++ { // it is there after a restart
		svc := &hanse.Service{Name: "counter"}
		r := run(t, &hanse.App{Backplane: &embednats.Server{Dir: dir}}, svc)
		_, err := visits.Modify(t.Context(), svc, "all", func(n int, _ bool) (int, error) { return n + 1, nil })
		if err != nil {
			t.Fatal(err)
		}
		if e, err := visits.Get(t.Context(), svc, "all"); err != nil || e.Value != want {
			t.Errorf("after %d starts it is %d, %v", want, e.Value, err)
		}
		r.end()
	}
}

// TestNoStore holds that a service that wants a store does not start without one, and says in a line what to do.
func TestNoStore(t *testing.T) {
	for name, setup := range map[string]func(context.Context, *hanse.Service) error{
		"a bucket": func(_ context.Context, s *hanse.Service) error {
			visits.Declare(s)
			return nil
		},
		"a lock": func(ctx context.Context, s *hanse.Service) error {
			return store.Lock(ctx, s, "set-up", func(context.Context, uint64) error { return nil })
		},
	} {
		err := new(hanse.App).Run(t.Context(), &hanse.Service{Name: "one", Setup: setup})
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, want := range []string{"service one", "hanse dev", "--backplane", "embednats.Server", "App.Store"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q is not in: %v", name, want, err)
			}
		}
	}
	svc := greeter()
	r := run(t, new(hanse.App), svc)
	if got := hello(r.Conn("greeter"), "you"); got != "Hello, you!" {
		t.Errorf("calls need none: %q", got)
	}
	if _, err := visits.Get(t.Context(), svc, "all"); err == nil || !strings.Contains(err.Error(), "no store") {
		t.Errorf("a bucket that was not declared: %v", err)
	}
}

// TestStoreDrift holds that a bucket which cannot be as it is declared keeps an app from starting, and that all mistakes are told.
func TestStoreDrift(t *testing.T) {
	shared := new(store.Memory)
	host := &store.Client{Driver: shared}
	if _, err := visits.Put(t.Context(), host, "all", 1); err != nil {
		t.Fatal(err)
	}
	svc := &hanse.Service{Name: "one", Setup: func(_ context.Context, s *hanse.Service) error {
		store.NewBucket[[]byte]("visits").Declare(s)
		store.NewBucket[int]("No Name").Declare(s)
		return nil
	}}
	err := (&hanse.App{Store: shared}).Run(t.Context(), svc)
	if !errors.Is(err, store.ErrDrift) || !strings.Contains(err.Error(), `"No Name"`) {
		t.Error(err)
	}
}

// till is a contract with one method, which takes money.
var till = grpc.ServiceDesc{
	ServiceName: "test.v1.Till",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{MethodName: "Pay", Handler: func(srv any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
		in := new(wrapperspb.StringValue)
		if err := decode(in); err != nil {
			return nil, err
		}
		pay := func(context.Context, any) (any, error) {
			return wrapperspb.Int32(srv.(*atomic.Int32).Add(1)), nil
		}
		if intercept == nil {
			return pay(ctx, in)
		}
		return intercept(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: "/test.v1.Till/Pay"}, pay)
	}}},
}

// TestRepliesAreShared holds that a call which comes again with its key takes effect once, whichever instance it meets, unless a
// service wants to keep its replies elsewhere.
func TestRepliesAreShared(t *testing.T) {
	shared := new(store.Memory)
	var paid atomic.Int32
	for i, key := range []string{"1", "1", "2", "1", "1"} {
		svc := &hanse.Service{Name: "till"}
		svc.RegisterService(&till, &paid)
		if i == 4 {
			svc.Replies = new(resilience.MemoryReplies)
		}
		r := run(t, &hanse.App{Store: shared}, svc)
		ctx := metadata.AppendToOutgoingContext(t.Context(), resilience.IdempotencyKey, key)
		var header metadata.MD
		reply := new(wrapperspb.Int32Value)
		err := r.Conn("till").Invoke(ctx, "/test.v1.Till/Pay", wrapperspb.String("10"), reply, grpc.Header(&header))
		if want := []int32{1, 1, 2, 1, 3}[i]; err != nil || reply.Value != want {
			t.Errorf("call %d: payment %d, %v; want %d", i, reply.Value, err, want)
		}
		if again := len(header.Get(resilience.ReplayedKey)) > 0; again != (i == 1 || i == 3) {
			t.Errorf("call %d was replayed: %v", i, again)
		}
		r.end()
	}
	if paid.Load() != 3 {
		t.Errorf("the handler ran %d times", paid.Load())
	}
}
