package store_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/store"
)

// shaky is a driver whose answers can get lost, before or after what was asked for is done.
type shaky struct {
	store.Memory
	deaf atomic.Bool  // does nothing
	mute atomic.Int32 // how many writes are done without an answer
}

func (s *shaky) Get(ctx context.Context, bucket, key string) (store.Record, error) {
	if s.deaf.Load() {
		<-ctx.Done()
		return store.Record{}, ctx.Err()
	}
	return s.Memory.Get(ctx, bucket, key)
}

func (s *shaky) Put(ctx context.Context, bucket string, w store.Write) (uint64, error) {
	if s.deaf.Load() {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	revision, err := s.Memory.Put(ctx, bucket, w)
	if s.mute.Add(-1) >= 0 {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return revision, err
}

func (s *shaky) Delete(ctx context.Context, bucket, key string, revision uint64) error {
	if s.deaf.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.Memory.Delete(ctx, bucket, key, revision)
}

// TestLockOutlivesLostAnswers holds that a holder finds its own record, and keeps it, when the answers to its writes got lost.
func TestLockOutlivesLostAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		driver := new(shaky)
		driver.mute.Store(1)
		host := &store.Client{Driver: driver, Logger: slog.New(slog.DiscardHandler)}
		began := time.Now()
		err := store.Lock(t.Context(), host, "a", func(ctx context.Context, token uint64) error {
			if took := time.Since(began); token == 0 || took >= 15*time.Second {
				t.Errorf("token %d after %v: it did not know its own record", token, took)
			}
			for range 5 {
				driver.mute.Store(1) // the next renewal
				time.Sleep(15 * time.Second)
				if ctx.Err() != nil {
					t.Fatalf("lost after %v: %v", time.Since(began), context.Cause(ctx))
				}
			}
			driver.mute.Store(0)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		err = store.Lock(t.Context(), host, "a", func(context.Context, uint64) error { return nil }, store.Wait(0))
		if err != nil {
			t.Errorf("it was not released: %v", err)
		}
	})
}

// TestLockEndsBeforeOthersHaveIt holds that a holder that cannot renew is told before another one begins.
func TestLockEndsBeforeOthersHaveIt(t *testing.T) {
	for _, after := range []time.Duration{500 * time.Millisecond, 1500 * time.Millisecond} { // before and after the first renewal
		synctest.Test(t, func(t *testing.T) {
			driver := new(shaky)
			host := &store.Client{Driver: driver, Logger: slog.New(slog.DiscardHandler)}
			other := &store.Client{Driver: &driver.Memory}
			var ended time.Time
			held, done := make(chan uint64), make(chan error)
			go func() {
				done <- store.Lock(t.Context(), host, "a", func(ctx context.Context, token uint64) error {
					held <- token
					<-ctx.Done()
					ended = time.Now()
					return context.Cause(ctx)
				}, store.TTL(3*time.Second))
			}()
			first := <-held
			time.Sleep(after)
			driver.deaf.Store(true)
			err := store.Lock(t.Context(), other, "a", func(_ context.Context, token uint64) error {
				synctest.Wait()
				if ended.IsZero() || !ended.Before(time.Now()) {
					t.Fatalf("two hold the lock: the first until %v, the second from %v", ended, time.Now())
				}
				if token <= first {
					t.Errorf("token %d after %d", token, first)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			if err := <-done; !errors.Is(err, store.ErrLost) {
				t.Error(err)
			}
		})
	}
}

// TestElectOutlivesAnOutage holds that a candidate stands again after the store was away.
func TestElectOutlivesAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		driver := new(shaky)
		host := &store.Client{Driver: driver, Logger: slog.New(slog.DiscardHandler)}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		terms := 0
		err := store.Elect(ctx, host, "a", func(ctx context.Context, _ uint64) error {
			terms++
			if terms == 2 {
				cancel()
				return nil
			}
			driver.deaf.Store(true)
			<-ctx.Done()
			time.AfterFunc(time.Hour, func() { driver.deaf.Store(false) })
			return ctx.Err()
		})
		if err != nil || terms != 2 {
			t.Errorf("%d terms, %v", terms, err)
		}
	})
}
