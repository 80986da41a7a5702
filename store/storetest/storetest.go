// Package storetest is the suite that every driver of package store passes.
//
// A driver's test is one call:
//
//	func TestDriver(t *testing.T) {
//		storetest.Run(t, storetest.Suite{New: func(t *testing.T) store.Driver { return newDriver(t) }})
//	}
package storetest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/store"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Suite says how to make a driver, and what it promises besides what all do.
type Suite struct {
	// New returns a driver without buckets.
	New func(t *testing.T) store.Driver

	// Peer returns another driver for the buckets of d, as another process would have. Nil: the same driver is used twice.
	Peer func(t *testing.T, d store.Driver) store.Driver

	// Virtual runs the cases in a bubble of testing/synctest: the driver goes by its clock, and needs nothing outside.
	Virtual bool

	// Grain is how much longer than their TTL the driver may keep values.
	Grain time.Duration

	// Outage takes the engine of d away and returns what brings it back, with all that it had. Nil: there is none to be taken away.
	Outage func(t *testing.T, d store.Driver) (back func())
}

// Run tests a driver.
func Run(t *testing.T, s Suite) {
	if s.Peer == nil {
		s.Peer = func(_ *testing.T, d store.Driver) store.Driver { return d }
	}
	for _, c := range []struct {
		name string
		test func(*harness)
	}{
		{"Get", get},
		{"Revisions", revisions},
		{"Create", create},
		{"Update", update},
		{"Delete", deletes},
		{"Keys", keys},
		{"AnyKey", anyKey},
		{"Values", values},
		{"Types", types},
		{"Aliases", aliases},
		{"TooLarge", tooLarge},
		{"Full", full},
		{"TTLOfBucket", ttlOfBucket},
		{"TTLOfKey", ttlOfKey},
		{"TTLBeginsAnew", ttlBeginsAnew},
		{"OneCreates", oneCreates},
		{"EachModifies", eachModifies},
		{"Buckets", buckets},
		{"Admin", admin},
		{"DeclareAgain", declareAgain},
		{"DeclareOtherwise", declareOtherwise},
		{"DeclareAtOnce", declareAtOnce},
		{"Watch", watch},
		{"WatchEmpty", watchEmpty},
		{"WatchFilter", watchFilter},
		{"WatchExpiry", watchExpiry},
		{"WatchAfter", watchAfter},
		{"WatchUnknownRevision", watchUnknownRevision},
		{"WatchEnds", watchEnds},
		{"WatchUnderLoad", watchUnderLoad},
		{"Lock", lock},
		{"LockWait", lockWait},
		{"LockEnds", lockEnds},
		{"LockIsKept", lockIsKept},
		{"LockTaken", lockTaken},
		{"LockAfterCrash", lockAfterCrash},
		{"LockPanic", lockPanic},
		{"Elect", elect},
		{"ElectStepsDown", electStepsDown},
		{"Replies", replies},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !s.Virtual {
				t.Parallel()
				c.test(newHarness(t, s))
				return
			}
			synctest.Test(t, func(t *testing.T) { c.test(newHarness(t, s)) })
		})
	}
	if s.Outage == nil {
		return
	}
	for _, c := range []struct {
		name string
		test func(*harness)
	}{
		{"OutageOfOperations", outageOfOperations},
		{"OutageOfWatch", outageOfWatch},
		{"OutageOfLock", outageOfLock},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(newHarness(t, s))
		})
	}
}

// harness is what a case has: two processes with the same store.
type harness struct {
	*testing.T
	Suite
	driver     store.Driver
	host, peer *store.Client
}

func newHarness(t *testing.T, s Suite) *harness {
	t.Helper()
	h := &harness{T: t, Suite: s, driver: s.New(t)}
	h.host = &store.Client{Driver: h.driver}
	h.peer = &store.Client{Driver: s.Peer(t, h.driver)}
	return h
}

// ttl is a time to keep values in a test.
const ttl = time.Second

// text is the bucket of most cases.
var text = store.NewBucket[*wrapperspb.StringValue]("text")

func s(v string) *wrapperspb.StringValue { return wrapperspb.String(v) }

// put writes a value and returns its revision.
func (h *harness) put(key, value string, opts ...store.PutOption) uint64 {
	h.Helper()
	revision, err := text.Put(h.Context(), h.host, key, s(value), opts...)
	if err != nil {
		h.Fatal(err)
	}
	return revision
}

// gets holds that a process sees a value.
func (h *harness) gets(c *store.Client, key, want string, revision uint64) {
	h.Helper()
	e, err := text.Get(h.Context(), c, key)
	if err != nil || e.Key != key || e.Value.GetValue() != want || e.Revision != revision {
		h.Errorf("%s is %q (%v), revision %d, %v; want %q of revision %d", key, e.Value.GetValue(), e.Key, e.Revision, err, want, revision)
	}
}

// is holds that an error is of a kind.
func (h *harness) is(what string, err, want error) {
	h.Helper()
	if !errors.Is(err, want) {
		h.Errorf("%s: %v, want %v", what, err, want)
	}
}

// eventually looks until ok holds.
func (h *harness) eventually(what string, ok func() bool) {
	h.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			h.Fatalf("not in 30 s: %s", what)
		}
	}
}

// has reports whether a key has a value.
func (h *harness) has(key string) bool {
	h.Helper()
	_, err := text.Get(h.Context(), h.host, key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		h.Fatal(err)
	}
	return err == nil
}

// watcher follows a watch.
type watcher struct {
	h      *harness
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	changes []store.Change[*wrapperspb.StringValue]
	err     error
}

// follow begins a watch, which ends with the case.
func (h *harness) follow(c *store.Client, opts ...store.WatchOption) *watcher {
	ctx, cancel := context.WithCancel(h.Context())
	w := &watcher{h: h, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(w.done)
		for change, err := range text.Watch(ctx, c, opts...) {
			w.mu.Lock()
			if err != nil {
				w.err = err
			} else {
				w.changes = append(w.changes, change)
			}
			w.mu.Unlock()
		}
	}()
	h.Cleanup(w.end)
	return w
}

func (w *watcher) end() {
	w.cancel()
	<-w.done
}

// seen returns what was told.
func (w *watcher) seen() []store.Change[*wrapperspb.StringValue] {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.changes)
}

// texts returns what was told, for comparison: key=value, -key, synced and reset.
func (w *watcher) texts() (all []string) {
	for _, c := range w.seen() {
		switch c.Kind {
		case store.Put:
			all = append(all, c.Key+"="+c.Value.GetValue())
		case store.Deleted:
			all = append(all, "-"+c.Key)
		default:
			all = append(all, c.Kind.String())
		}
	}
	return all
}

// until waits for what was told to be this.
func (w *watcher) until(want ...string) {
	w.h.Helper()
	defer func() {
		if w.h.Failed() {
			w.h.Logf("told: %q, want %q; %v", w.texts(), want, w.err)
		}
	}()
	w.h.eventually("the watch tells all", func() bool { return slices.Equal(w.texts(), want) || len(w.texts()) > len(want) })
	if got := w.texts(); !slices.Equal(got, want) {
		w.h.Errorf("told %q, want %q", got, want)
	}
}

// untilSynced waits until the watch has told what there is.
func (w *watcher) untilSynced() {
	w.h.Helper()
	w.h.eventually("the watch is synced", func() bool { return slices.Contains(w.texts(), "synced") })
}
