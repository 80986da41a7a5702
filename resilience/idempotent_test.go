package resilience_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/resilience"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// till is a service that takes money, once for each key.
type till struct {
	resilience.Idempotent
	counts resilience.Counts
	taken  int // times that the handler ran
	do     func(ctx context.Context) error
}

func newTill() *till {
	t := &till{}
	t.Counts = &t.counts
	return t
}

func (t *till) pay(ctx context.Context, method, key, what string) (string, error) {
	if key != "" {
		ctx = metadata.NewIncomingContext(ctx, metadata.Pairs(resilience.IdempotencyKey, key))
	}
	reply, err := t.Intercept(ctx, wrapperspb.String(what), &grpc.UnaryServerInfo{FullMethod: method}, func(ctx context.Context, req any) (any, error) {
		t.taken++
		n := t.taken
		if t.do != nil {
			if err := t.do(ctx); err != nil {
				return nil, err
			}
		}
		return wrapperspb.String(fmt.Sprintf("%s %d", req.(*wrapperspb.StringValue).Value, n)), nil
	})
	if err != nil {
		return "", err
	}
	return reply.(*wrapperspb.StringValue).Value, nil
}

func TestRepliesAreGivenAgain(t *testing.T) {
	till := newTill()
	caller := "shop"
	till.Caller = func(context.Context) string { return caller }
	for i, step := range []struct{ caller, method, key, what, want string }{
		{"shop", "/pay", "1", "a", "a 1"},
		{"shop", "/pay", "1", "a", "a 1"},
		{"shop", "/pay", "2", "a", "a 2"},
		{"shop", "/refund", "1", "a", "a 3"}, // another method
		{"bank", "/pay", "1", "a", "a 4"},    // another caller
		{"bank", "/pay", "1", "a", "a 4"},
		{"shop", "/pay", "", "a", "a 5"}, // without a key
		{"shop", "/pay", "", "a", "a 6"},
		{"shop", "/pay", "1", "a", "a 1"},
	} {
		caller = step.caller
		if got, err := till.pay(t.Context(), step.method, step.key, step.what); got != step.want || err != nil {
			t.Errorf("step %d: %q, %v", i, got, err)
		}
	}
	caller = "shop"
	if _, err := till.pay(t.Context(), "/pay", "1", "b"); status.Code(err) != codes.InvalidArgument || till.taken != 6 {
		t.Errorf("the same key with another request: %v", err)
	}
	if n := till.counts.Of(resilience.Replayed); n != 3 {
		t.Errorf("%d were counted", n)
	}
	for _, key := range []string{strings.Repeat("x", 256)} {
		if _, err := till.pay(t.Context(), "/pay", key, "b"); status.Code(err) != codes.InvalidArgument {
			t.Errorf("key %.10q: %v", key, err)
		}
	}
	if _, err := till.pay(t.Context(), "/pay", strings.Repeat("x", 255), "b"); err != nil {
		t.Error(err)
	}
}

func TestRepliesAreKeptForTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		till := newTill()
		till.Keep = time.Minute
		for _, step := range []struct {
			after time.Duration
			want  string
		}{{0, "a 1"}, {time.Minute - 1, "a 1"}, {1, "a 2"}, {time.Minute - 1, "a 2"}, {2, "a 3"}} {
			time.Sleep(step.after)
			if got, err := till.pay(t.Context(), "/pay", "1", "a"); got != step.want || err != nil {
				t.Errorf("%q, %v, not %q", got, err, step.want)
			}
		}
	})
}

func TestWhichErrorsAreKept(t *testing.T) {
	kept := map[codes.Code]bool{codes.InvalidArgument: true, codes.NotFound: true, codes.AlreadyExists: true, codes.FailedPrecondition: true, codes.OutOfRange: true}
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		till := newTill()
		till.do = func(context.Context) error { return status.Errorf(code, "no %d", till.taken) }
		for range 2 {
			if _, err := till.pay(t.Context(), "/pay", "1", "a"); status.Code(err) != code {
				t.Errorf("%v became %v", code, err)
			}
		}
		if again := till.taken == 2; again == kept[code] {
			t.Errorf("%v: the handler ran %d times", code, till.taken)
		}
	}
	till := newTill()
	till.do = func(context.Context) error { return errors.New("no status") }
	till.pay(t.Context(), "/pay", "1", "a")
	till.do = nil
	if got, err := till.pay(t.Context(), "/pay", "1", "a"); got != "a 2" || err != nil {
		t.Error(got, err)
	}
	till = newTill()
	till.do = func(context.Context) error { panic("no") }
	func() {
		defer func() { recover() }()
		till.pay(t.Context(), "/pay", "1", "a")
	}()
	till.do = nil
	if got, err := till.pay(t.Context(), "/pay", "1", "a"); got != "a 2" || err != nil {
		t.Error("after a panic:", got, err)
	}
}

func TestDuplicatesWaitForTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		till := newTill()
		fail := errors.New("at first")
		till.do = func(context.Context) error {
			time.Sleep(10 * time.Second)
			err := fail
			fail = nil
			return err
		}
		var wg sync.WaitGroup
		failed, got := 0, map[string]int{}
		var mu sync.Mutex
		for range 10 {
			wg.Go(func() {
				reply, err := till.pay(t.Context(), "/pay", "1", "a")
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					failed++
				} else {
					got[reply]++
				}
			})
		}
		wg.Go(func() { // it does not wait as long
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			time.Sleep(time.Millisecond)
			if _, err := till.pay(ctx, "/pay", "1", "a"); status.Code(err) != codes.DeadlineExceeded {
				t.Error(err)
			}
		})
		wg.Wait()
		// The first has failed; the second runs, and the others get its reply.
		if failed != 1 || got["a 2"] != 9 || till.taken != 2 {
			t.Errorf("%d failed, the others got %v", failed, got)
		}
	})
}

// heedful is a store that does nothing for callers who have gone.
type heedful struct{ resilience.MemoryReplies }

func (s *heedful) Keep(ctx context.Context, key string, reply []byte, keep time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.MemoryReplies.Keep(ctx, key, reply, keep)
}

func TestACallerThatLeavesTakesNoReplyAway(t *testing.T) {
	till := newTill()
	till.Store = new(heedful)
	ctx, cancel := context.WithCancel(t.Context())
	till.do = func(context.Context) error { cancel(); return nil }
	till.pay(ctx, "/pay", "1", "a")
	if got, err := till.pay(t.Context(), "/pay", "1", "a"); got != "a 1" || err != nil {
		t.Error(got, err)
	}
}

func TestClaimsOfOthers(t *testing.T) {
	var store resilience.MemoryReplies
	here, there := newTill(), newTill()
	here.Store, there.Store = &store, &store
	here.do = func(context.Context) error {
		if _, err := there.pay(t.Context(), "/pay", "1", "a"); status.Code(err) != codes.Aborted {
			t.Errorf("while it runs elsewhere: %v", err)
		}
		return nil
	}
	if _, err := here.pay(t.Context(), "/pay", "1", "a"); err != nil {
		t.Fatal(err)
	}
	if got, err := there.pay(t.Context(), "/pay", "1", "a"); got != "a 1" || err != nil || there.taken != 0 {
		t.Error(got, err)
	}
}

func TestMemoryRepliesIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var counts resilience.Counts
		store := resilience.MemoryReplies{Bytes: 10_000, Counts: &counts}
		put := func(key string, n int) {
			t.Helper()
			if kept, err := store.Claim(t.Context(), key, time.Second); kept != nil || err != nil {
				t.Fatal(kept, err)
			}
			if err := store.Keep(t.Context(), key, make([]byte, n), time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 20 {
			put(fmt.Sprint(i), 1000)
		}
		if s := store.State(); s.Replies != 8 || s.Bytes > 10_000 || s.Running != 0 {
			t.Errorf("%+v", s)
		}
		if n := counts.Of(resilience.ReplayForgot); n != 12 {
			t.Errorf("%d were forgotten", n)
		}
		if kept, _ := store.Claim(t.Context(), "19", time.Second); kept == nil {
			t.Error("the latest was forgotten")
		}
		put("large", 20_000)
		if kept, err := store.Claim(t.Context(), "large", time.Second); kept != nil || err != nil {
			t.Error("what is too large was kept", err)
		}
		if _, err := store.Claim(t.Context(), "large", time.Second); err != resilience.ErrClaimed {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if _, err := store.Claim(t.Context(), "large", time.Second); err != nil {
			t.Error("after the lease:", err)
		}
		store.Drop(t.Context(), "large")
		time.Sleep(time.Minute)
		if s := store.State(); s != (resilience.MemoryRepliesState{}) {
			t.Errorf("after all: %+v", s)
		}
	})
}
