package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/hanse-go/hanse/store"
	"github.com/hanse-go/hanse/store/storetest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	storetest.Run(t, storetest.Suite{New: func(*testing.T) store.Driver { return new(store.Memory) }, Virtual: true})
}

// TestMemoryForgetsDeletions holds that a watch is told when deletions that it should have seen are forgotten, and that memory is bounded.
func TestMemoryForgetsDeletions(t *testing.T) {
	host := &store.Client{Driver: new(store.Memory)}
	numbers := store.NewBucket[int]("numbers")
	kept, err := numbers.Put(t.Context(), host, "kept", 1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 * store.MemoryDeletions {
		key := fmt.Sprint(i)
		if _, err := numbers.Put(t.Context(), host, key, i); err != nil {
			t.Fatal(err)
		}
		if err := numbers.Delete(t.Context(), host, key); err != nil {
			t.Fatal(err)
		}
	}
	var told []string
	var last uint64
	for c, err := range numbers.Watch(t.Context(), host, store.After(kept)) {
		if err != nil {
			t.Fatal(err)
		}
		told = append(told, c.Kind.String()+c.Key)
		last = max(last, c.Revision)
		if c.Kind == store.Synced {
			break
		}
	}
	if fmt.Sprint(told) != "[reset putkept synced]" {
		t.Errorf("told %v", told)
	}
	n := 0
	for c, err := range numbers.Watch(t.Context(), host, store.After(2*3*store.MemoryDeletions)) {
		if err != nil {
			t.Fatal(err)
		}
		if c.Kind == store.Synced {
			break
		}
		if c.Kind == store.Deleted {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d deletions that are remembered were told, and one was made", n)
	}
}

func TestMemoryHeedsContexts(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	host := &store.Client{Driver: new(store.Memory)}
	numbers := store.NewBucket[int]("numbers")
	if _, err := numbers.Put(ctx, host, "a", 1); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := numbers.Put(t.Context(), host, "a", 1); err != nil {
		t.Fatal(err)
	}
	if _, err := numbers.Get(ctx, host, "a"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := numbers.Delete(ctx, host, "a"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := numbers.Keys(ctx, host); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func BenchmarkMemory(b *testing.B) {
	host := &store.Client{Driver: new(store.Memory)}
	numbers := store.NewBucket[int]("numbers")
	b.ReportAllocs()
	for i := range b.N {
		if _, err := numbers.Put(b.Context(), host, "a", i); err != nil {
			b.Fatal(err)
		}
	}
}
