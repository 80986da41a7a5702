package discoverytest

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery"
)

// patience is how long a change may take to be seen. It is generous, for it only delays failures.
const patience = 20 * time.Second

// Watcher follows a service in a test.
type Watcher struct {
	t         *testing.T
	service   string
	cancel    context.CancelFunc
	snapshots chan []discovery.Instance
	done      chan error
	stopped   bool
}

// Watch follows a service (empty: all) until the test ends, and checks that the registry's Watch keeps its promises.
func Watch(t *testing.T, reg discovery.Registry, service string) *Watcher {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := &Watcher{t: t, service: service, cancel: cancel, snapshots: make(chan []discovery.Instance, 4096), done: make(chan error, 1)}
	var busy atomic.Bool
	go func() {
		w.done <- reg.Watch(ctx, service, func(list []discovery.Instance) {
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
func (w *Watcher) First() []discovery.Instance {
	w.t.Helper()
	return w.Until("there is a snapshot", func([]discovery.Instance) bool { return true })
}

// Until returns the first snapshot for which ok holds. The test fails when none comes in time.
func (w *Watcher) Until(what string, ok func([]discovery.Instance) bool) []discovery.Instance {
	w.t.Helper()
	var last []discovery.Instance
	deadline := time.After(patience)
	for {
		select {
		case last = <-w.snapshots:
			if ok(last) {
				return last
			}
		case err := <-w.done:
			w.done <- err
			w.t.Fatalf("waiting until %s: Watch(%q) returned: %v", what, w.service, err)
		case <-deadline:
			w.t.Fatalf("waiting until %s: not seen by Watch(%q) in %v; last snapshot: %+v", what, w.service, patience, last)
		}
	}
}

// Stop ends the watch. It fails the test when Watch does not return, or not with nil.
func (w *Watcher) Stop() {
	if w.stopped {
		return
	}
	w.stopped = true
	w.cancel()
	select {
	case err := <-w.done:
		if err != nil {
			w.t.Errorf("Watch(%q) ended with %v, want nil", w.service, err)
		}
	case <-time.After(patience):
		w.t.Errorf("Watch(%q) did not return %v after its context ended", w.service, patience)
	}
}
