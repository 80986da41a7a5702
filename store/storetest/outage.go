package storetest

import (
	"context"
	"errors"
	"time"

	"github.com/hanse-go/hanse/store"
)

// outageOfOperations holds that operations wait for an engine that comes back, as long as they may, and that they say what is wrong.
func outageOfOperations(h *harness) {
	first := h.put("a", "1")
	back := h.Outage(h.T, h.driver)
	for what, do := range map[string]func(context.Context) error{
		"get":    func(ctx context.Context) error { _, err := text.Get(ctx, h.host, "a"); return err },
		"put":    func(ctx context.Context) error { _, err := text.Put(ctx, h.host, "a", s("2")); return err },
		"delete": func(ctx context.Context) error { return text.Delete(ctx, h.host, "nothing") },
		"keys":   func(ctx context.Context) error { _, err := text.Keys(ctx, h.host); return err },
	} {
		ctx, cancel := context.WithTimeout(h.Context(), 200*time.Millisecond)
		h.is(what+" while it is away", do(ctx), context.DeadlineExceeded)
		cancel()
	}

	type result struct {
		revision uint64
		err      error
	}
	created, updated := make(chan result, 1), make(chan result, 1)
	waiting, cancel := context.WithTimeout(h.Context(), time.Minute)
	defer cancel()
	go func() {
		revision, err := text.Create(waiting, h.peer, "b", s("new"))
		created <- result{revision, err}
	}()
	counts := store.NewBucket[int]("counts") // one that is not there yet
	go func() {
		_, err := counts.Put(waiting, h.peer, "n", 1)
		updated <- result{0, err}
	}()
	time.Sleep(100 * time.Millisecond) // they are under way, or not: both must do
	back()
	if r := <-created; r.err != nil {
		h.Errorf("create: %v", r.err)
	} else {
		h.gets(h.host, "b", "new", r.revision)
	}
	if r := <-updated; r.err != nil {
		h.Errorf("put in a new bucket: %v", r.err)
	}
	e, err := text.Get(waiting, h.host, "a")
	if err != nil || e.Value.Value != "1" && e.Value.Value != "2" || e.Revision < first { // the put that was given up may have been made
		h.Errorf("%q of revision %d, %v", e.Value.GetValue(), e.Revision, err)
	}
}

func outageOfWatch(h *harness) {
	h.put("a", "1")
	h.put("b", "1")
	w := h.follow(h.peer)
	w.until("a=1", "b=1", "synced")
	for i := range 2 {
		back := h.Outage(h.T, h.driver)
		go back()
		ctx, cancel := context.WithTimeout(h.Context(), time.Minute)
		if _, err := text.Put(ctx, h.host, "a", s("2")); err != nil && i == 0 {
			h.Fatal(err)
		}
		if err := text.Delete(ctx, h.host, "b"); err != nil {
			h.Fatal(err)
		}
		cancel()
		if i == 0 {
			w.until("a=1", "b=1", "synced", "a=2", "-b")
		}
	}
	h.put("c", "1")
	w.until("a=1", "b=1", "synced", "a=2", "-b", "a=2", "c=1")
}

// outageOfLock holds that a holder that cannot reach the store ends when its time is over, and one that can again before goes on.
func outageOfLock(h *harness) {
	const long = store.TTL(20 * time.Second)
	err := store.Lock(h.Context(), h.host, "short outage", func(ctx context.Context, _ uint64) error {
		h.Outage(h.T, h.driver)()
		h.eventually("the store is there again", func() bool {
			ctx, cancel := context.WithTimeout(h.Context(), time.Second)
			defer cancel()
			_, err := text.Put(ctx, h.peer, "a", s("1"))
			return err == nil
		})
		return ctx.Err()
	}, long)
	if err != nil {
		h.Errorf("after a short outage: %v", err)
	}

	var back func()
	err = store.Lock(h.Context(), h.host, "long outage", func(ctx context.Context, _ uint64) error {
		back = h.Outage(h.T, h.driver)
		began := time.Now()
		<-ctx.Done()
		if took := time.Since(began); took > time.Duration(lockTTL)+time.Second {
			h.Errorf("the lock was lost after %v", took)
		}
		return context.Cause(ctx)
	}, lockTTL)
	h.is("after a long outage", err, store.ErrLost)
	back()
	ctx, cancel := context.WithTimeout(h.Context(), time.Minute)
	defer cancel()
	if err := store.Lock(ctx, h.peer, "long outage", func(context.Context, uint64) error { return nil }); err != nil && !errors.Is(err, store.ErrLost) {
		h.Errorf("when it is back: %v", err)
	}
}
