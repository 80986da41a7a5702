package storetest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/resilience"
	"github.com/hanse-go/hanse/store"
)

// lockTTL is short, so that what is lost is lost soon.
const lockTTL = store.TTL(2 * time.Second)

func lock(h *harness) {
	var inside, turns atomic.Int32
	var last atomic.Uint64
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			c := h.host
			if i%2 == 0 {
				c = h.peer
			}
			for range 3 {
				err := store.Lock(h.Context(), c, "a", func(ctx context.Context, token uint64) error {
					if n := inside.Add(1); n != 1 {
						h.Errorf("%d hold the lock", n)
					}
					if before := last.Swap(token); before >= token {
						h.Errorf("token %d after %d", token, before)
					}
					turns.Add(1)
					if _, err := text.Put(h.Context(), c, "work", s("1")); err != nil { // takes a while
						h.Error(err)
					}
					inside.Add(-1)
					return ctx.Err()
				})
				if err != nil {
					h.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if turns.Load() != 18 {
		h.Errorf("%d turns", turns.Load())
	}
	failed := errors.New("failed")
	h.is("the error of the function", store.Lock(h.Context(), h.host, "a", func(context.Context, uint64) error { return failed }), failed)
}

func lockWait(h *harness) {
	free := h.held("a")
	nothing := func(context.Context, uint64) error { return nil }
	for _, wait := range []time.Duration{0, 50 * time.Millisecond} {
		err := store.Lock(h.Context(), h.peer, "a", nothing, store.Wait(wait))
		h.is("a lock that another holds", err, store.ErrLocked)
		if err != nil && !strings.Contains(err.Error(), "process ") {
			h.Errorf("who holds it? %v", err)
		}
	}
	if err := store.Lock(h.Context(), h.peer, "b", nothing, store.Wait(0)); err != nil {
		h.Errorf("another lock: %v", err)
	}
	ctx, cancel := context.WithTimeout(h.Context(), 50*time.Millisecond)
	defer cancel()
	h.is("while the context lasts", store.Lock(ctx, h.peer, "a", nothing), context.DeadlineExceeded)

	done := make(chan error)
	go func() { done <- store.Lock(h.Context(), h.peer, "a", nothing, store.Wait(time.Minute)) }()
	free()
	if err := <-done; err != nil {
		h.Error(err)
	}
	for _, bad := range []store.LockOption{store.TTL(time.Millisecond), store.TTL(-1), store.Wait(-1)} {
		if err := store.Lock(h.Context(), h.host, "a", nothing, bad); err == nil {
			h.Errorf("the option %T(%v) was taken", bad, bad)
		}
	}
	if err := store.Lock(h.Context(), h.host, "", nothing); err == nil {
		h.Error("a lock without a name")
	}
}

// held takes a lock, and returns what releases it and waits for that.
func (h *harness) held(name string, opts ...store.LockOption) (free func()) {
	h.Helper()
	has, release, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- store.Lock(h.Context(), h.host, name, func(context.Context, uint64) error {
			close(has)
			<-release
			return nil
		}, opts...)
	}()
	select {
	case <-has:
	case err := <-done:
		h.Fatal(err)
	}
	return func() {
		close(release)
		if err := <-done; err != nil {
			h.Error(err)
		}
	}
}

// lockEnds holds that the lock outlives a context that ends, until the function has returned.
func lockEnds(h *harness) {
	ctx, cancel := context.WithCancel(h.Context())
	err := store.Lock(ctx, h.host, "a", func(ctx context.Context, _ uint64) error {
		cancel()
		<-ctx.Done()
		for end := time.Now().Add(2 * time.Duration(lockTTL)); time.Now().Before(end); time.Sleep(time.Duration(lockTTL) / 4) {
			err := store.Lock(h.Context(), h.peer, "a", func(context.Context, uint64) error { return nil }, store.Wait(0))
			h.is("while the function ends", err, store.ErrLocked)
		}
		return context.Cause(ctx)
	}, lockTTL)
	h.is("the cause", err, context.Canceled)
	if errors.Is(err, store.ErrLost) {
		h.Error(err)
	}
	if err := store.Lock(h.Context(), h.peer, "a", func(context.Context, uint64) error { return nil }, store.Wait(0)); err != nil {
		h.Errorf("after it: %v", err)
	}
}

func lockIsKept(h *harness) {
	err := store.Lock(h.Context(), h.host, "a", func(ctx context.Context, _ uint64) error {
		timer := time.NewTimer(3 * time.Duration(lockTTL))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			h.Errorf("the lock was lost: %v", context.Cause(ctx))
		}
		h.is("after three times the TTL", store.Lock(h.Context(), h.peer, "a", func(context.Context, uint64) error { return nil }, store.Wait(0)), store.ErrLocked)
		return nil
	}, lockTTL)
	if err != nil {
		h.Error(err)
	}
}

// records is the bucket of locks, as a program of another version might have it.
var records = store.NewBucket[map[string]any]("hanse-locks")

// lockTaken holds that a holder whose record somebody takes away learns it.
func lockTaken(h *harness) {
	err := store.Lock(h.Context(), h.host, "a", func(ctx context.Context, _ uint64) error {
		other := &store.Client{Driver: h.driver}
		if err := records.Delete(h.Context(), other, "a"); err != nil {
			h.Error(err)
		}
		if _, err := records.Put(h.Context(), other, "a", map[string]any{"version": 9, "holder": "me", "host": "elsewhere", "pid": 1}, lockTTL); err != nil {
			h.Error(err)
		}
		<-ctx.Done()
		h.is("the cause", context.Cause(ctx), store.ErrLost)
		if ctx.Err() != context.Canceled {
			h.Errorf("the error of the context: %v", ctx.Err())
		}
		return nil
	}, lockTTL)
	h.is("a lock that was taken away", err, store.ErrLost)

	// Who has not noticed yet does not release what is another's.
	err = store.Lock(h.Context(), h.host, "b", func(context.Context, uint64) error {
		other := &store.Client{Driver: h.driver}
		if _, err := records.Put(h.Context(), other, "b", map[string]any{"version": 9, "holder": "me"}, lockTTL); err != nil {
			h.Error(err)
		}
		return nil
	})
	h.is("a lock that was taken away a moment ago", err, store.ErrLost)
	if _, err := records.Get(h.Context(), &store.Client{Driver: h.driver}, "b"); err != nil {
		h.Errorf("the other's lock: %v", err)
	}
	if err := store.Lock(h.Context(), h.peer, "a", func(context.Context, uint64) error { return nil }); err != nil {
		h.Errorf("when the other one's time is over: %v", err)
	}
}

// lockAfterCrash holds that a lock whose holder is gone is free when its time is over, and not before.
func lockAfterCrash(h *harness) {
	began := time.Now()
	if _, err := records.Create(h.Context(), h.host, "a", map[string]any{"version": 1, "holder": "dead"}, lockTTL); err != nil {
		h.Fatal(err)
	}
	e, err := records.Get(h.Context(), h.host, "a")
	if err != nil {
		h.Fatal(err)
	}
	err = store.Lock(h.Context(), h.peer, "a", func(_ context.Context, token uint64) error {
		if token <= e.Revision {
			h.Errorf("token %d after %d", token, e.Revision)
		}
		if took := time.Since(began); took < time.Duration(lockTTL) || took > time.Duration(lockTTL)+h.Grain+5*time.Second {
			h.Errorf("it was free after %v", took)
		}
		return nil
	}, store.TTL(time.Minute))
	if err != nil {
		h.Error(err)
	}
}

func lockPanic(h *harness) {
	func() {
		defer func() {
			if p := recover(); p != "in the function" {
				h.Errorf("recovered %v", p)
			}
		}()
		store.Lock(h.Context(), h.host, "a", func(context.Context, uint64) error { panic("in the function") })
	}()
	if err := store.Lock(h.Context(), h.peer, "a", func(context.Context, uint64) error { return nil }, store.Wait(0)); err != nil {
		h.Errorf("after the panic: %v", err)
	}
}

func elect(h *harness) {
	var leaders atomic.Int32
	var wg sync.WaitGroup
	led := make(chan *candidate, 3)
	for i := range 3 {
		c := &candidate{client: h.host}
		if i%2 == 0 {
			c.client = h.peer
		}
		ctx, cancel := context.WithCancel(h.Context())
		c.stop = cancel
		wg.Go(func() {
			err := store.Elect(ctx, c.client, "a", func(ctx context.Context, token uint64) error {
				if n := leaders.Add(1); n != 1 {
					h.Errorf("%d lead", n)
				}
				defer leaders.Add(-1)
				c.token = token
				led <- c
				<-ctx.Done()
				return ctx.Err()
			}, lockTTL)
			if err != nil {
				h.Error(err)
			}
		})
	}
	var last *candidate
	for range 3 { // each one leads once
		next := <-led
		if last != nil && (next == last || next.token <= last.token) {
			h.Errorf("token %d after %d", next.token, last.token)
		}
		last = next
		next.stop()
	}
	wg.Wait()
	failed := errors.New("failed")
	h.is("an error of who leads", store.Elect(h.Context(), h.host, "a", func(context.Context, uint64) error { return failed }), failed)
}

type candidate struct {
	client *store.Client
	token  uint64
	stop   func()
}

func electStepsDown(h *harness) {
	ctx, cancel := context.WithCancel(h.Context())
	defer cancel()
	var tokens []uint64
	err := store.Elect(ctx, h.host, "a", func(ctx context.Context, token uint64) error {
		tokens = append(tokens, token)
		switch len(tokens) {
		case 1:
			return nil // it steps down, and stands again
		case 2: // somebody takes the lock away
			if err := records.Delete(h.Context(), &store.Client{Driver: h.driver}, "a"); err != nil {
				h.Error(err)
			}
			<-ctx.Done()
			return errors.New("it was interrupted")
		}
		cancel()
		return nil
	}, store.TTL(time.Second))
	if err != nil || len(tokens) != 3 || tokens[0] >= tokens[1] || tokens[1] >= tokens[2] {
		h.Errorf("tokens %d, %v", tokens, err)
	}
}

func replies(h *harness) {
	here, there := &store.Replies{Host: h.host}, &store.Replies{Host: h.peer}
	here.Declare()
	if err := h.host.Prepare(h.Context()); err != nil {
		h.Fatal(err)
	}
	claims := func(r *store.Replies, key, want string, wantErr error) {
		h.Helper()
		kept, err := r.Claim(h.Context(), key, 2*ttl)
		if string(kept) != want || (kept != nil) != (want != "") || !errors.Is(err, wantErr) {
			h.Errorf("claim of %q: %q, %v; want %q, %v", key, kept, err, want, wantErr)
		}
	}
	const key = "/pay\x00shop\x001"
	claims(here, key, "", nil)
	claims(there, key, "", resilience.ErrClaimed)
	claims(here, "/pay\x00shop\x002", "", nil)
	if err := there.Keep(h.Context(), key, []byte("not mine"), time.Minute); err == nil {
		h.Error("a reply without a claim was kept")
	}
	if err := here.Keep(h.Context(), key, []byte("done"), time.Minute); err != nil {
		h.Error(err)
	}
	claims(there, key, "done", nil)
	claims(here, key, "done", nil)

	if err := here.Drop(h.Context(), "/pay\x00shop\x002"); err != nil {
		h.Error(err)
	}
	claims(there, "/pay\x00shop\x002", "", nil)
	if err := here.Drop(h.Context(), "/pay\x00shop\x002"); err != nil { // it is the other one's
		h.Error(err)
	}
	claims(here, "/pay\x00shop\x002", "", resilience.ErrClaimed)

	// The lease of a claim ends, another takes it, and the first is too late.
	claims(here, "slow", "", nil)
	h.eventually("the lease ends", func() bool {
		kept, err := there.Claim(h.Context(), "slow", time.Minute)
		return kept == nil && err == nil
	})
	h.is("too late", here.Keep(h.Context(), "slow", []byte("first"), time.Minute), store.ErrRevision)
	if err := there.Keep(h.Context(), "slow", []byte("second"), time.Minute); err != nil {
		h.Error(err)
	}
	claims(here, "slow", "second", nil)

	claims(here, "large", "", nil)
	h.is("a reply that is too large", here.Keep(h.Context(), "large", make([]byte, 2<<20), time.Minute), store.ErrTooLarge)
	claims(there, "large", "", nil)
}
