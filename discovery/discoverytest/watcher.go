package discoverytest

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery"
)

// patience is how long a change may take to be seen. It is generous, for it only delays failures.
const patience = 20 * time.Second

// Watcher follows what a registry tells of a service in a test: its instances, or its split rules.
type Watcher[T any] struct {
	t         *testing.T
	watch     string // what is called
	cancel    context.CancelFunc
	snapshots chan []T
	done      chan error
	stopped   bool
}

// Watch follows a service (empty: all) until the test ends, and checks that the registry's Watch keeps its promises.
func Watch(t *testing.T, reg discovery.Registry, service string) *Watcher[discovery.Instance] {
	t.Helper()
	return follow(t, "Watch", service, reg.Watch)
}

// WatchSplits follows the rules of a service (empty: all) until the test ends.
func WatchSplits(t *testing.T, reg discovery.Splitter, service string) *Watcher[discovery.Split] {
	t.Helper()
	return follow(t, "WatchSplits", service, reg.WatchSplits)
}

func follow[T any](t *testing.T, name, service string, watch func(ctx context.Context, service string, notify func([]T)) error) *Watcher[T] {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := &Watcher[T]{t: t, watch: fmt.Sprintf("%s(%q)", name, service), cancel: cancel, snapshots: make(chan []T, 4096), done: make(chan error, 1)}
	var busy atomic.Bool
	go func() {
		w.done <- watch(ctx, service, func(list []T) {
			if !busy.CompareAndSwap(false, true) {
				t.Error("notify was called while another call of it ran")
			}
			w.snapshots <- list
			busy.Store(false)
		})
	}()
	t.Cleanup(w.Stop)
	return w
}

// First returns the first snapshot that was not yet taken.
func (w *Watcher[T]) First() []T {
	w.t.Helper()
	return w.Until("there is a snapshot", func([]T) bool { return true })
}

// Until returns the first snapshot for which ok holds. The test fails when none comes in time.
func (w *Watcher[T]) Until(what string, ok func([]T) bool) []T {
	w.t.Helper()
	var last []T
	deadline := time.After(patience)
	for {
		select {
		case last = <-w.snapshots:
			if ok(last) {
				return last
			}
		case err := <-w.done:
			w.done <- err
			w.t.Fatalf("waiting until %s: %s returned: %v", what, w.watch, err)
		case <-deadline:
			w.t.Fatalf("waiting until %s: not seen by %s in %v; last snapshot: %+v", what, w.watch, patience, last)
		}
	}
}

// Stop ends the watch. It fails the test when that does not return, or not with nil.
func (w *Watcher[T]) Stop() {
	if w.stopped {
		return
	}
	w.stopped = true
	w.cancel()
	select {
	case err := <-w.done:
		if err != nil {
			w.t.Errorf("%s ended with %v, want nil", w.watch, err)
		}
	case <-time.After(patience):
		w.t.Errorf("%s did not return %v after its context ended", w.watch, patience)
	}
}
