package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/hanse-go/hanse/store"
)

func watch(h *harness) {
	h.put("b", "1")
	h.put("a", "1")
	h.put("b", "2")
	h.put("gone", "1")
	if err := text.Delete(h.Context(), h.host, "gone"); err != nil {
		h.Fatal(err)
	}
	w := h.follow(h.peer)
	w.until("a=1", "b=2", "synced") // in the order of their revisions
	revision := h.put("c", "3")
	w.until("a=1", "b=2", "synced", "c=3")
	if got := w.seen()[3]; got.Revision != revision || got.Time.IsZero() {
		h.Errorf("told revision %d of %v, want %d", got.Revision, got.Time, revision)
	}
	if err := text.Delete(h.Context(), h.host, "b"); err != nil {
		h.Fatal(err)
	}
	w.until("a=1", "b=2", "synced", "c=3", "-b")
	if got := w.seen()[4]; got.Revision <= revision {
		h.Errorf("the deletion has revision %d, after %d", got.Revision, revision)
	}
	h.put("b", "4")
	w.until("a=1", "b=2", "synced", "c=3", "-b", "b=4")
	if err := text.Delete(h.Context(), h.host, "nothing"); err != nil {
		h.Fatal(err)
	}
	h.put("a", "5")
	w.until("a=1", "b=2", "synced", "c=3", "-b", "b=4", "a=5")
}

func watchEmpty(h *harness) {
	w := h.follow(h.peer)
	w.until("synced")
	h.put("a", "1")
	w.until("synced", "a=1")
}

func watchFilter(h *harness) {
	h.put("a.1", "x")
	h.put("b.1", "x")
	prefix, key := h.follow(h.peer, store.Prefix("a.")), h.follow(h.peer, store.Key("a"))
	prefix.until("a.1=x", "synced")
	key.until("synced")
	h.put("b.1", "y")
	h.put("a", "y")
	h.put("ab", "y")
	h.put("a.1", "y")
	prefix.until("a.1=x", "synced", "a.1=y")
	key.until("synced", "a=y")
	if err := text.Delete(h.Context(), h.host, "a"); err != nil {
		h.Fatal(err)
	}
	key.until("synced", "a=y", "-a")
	for _, err := range text.Watch(h.Context(), h.host, store.Prefix("a"), store.Key("a")) {
		if err == nil {
			h.Error("a watch of a prefix and a key was taken")
		}
		break
	}
}

func watchExpiry(h *harness) {
	h.put("a", "1", store.TTL(ttl))
	w := h.follow(h.peer)
	w.until("a=1", "synced", "-a")
	h.put("b", "1", store.TTL(ttl))
	h.put("c", "1")
	w.until("a=1", "synced", "-a", "b=1", "c=1", "-b")
	revision := h.put("b", "2")
	w.until("a=1", "synced", "-a", "b=1", "c=1", "-b", "b=2")
	if seen := w.seen(); seen[6].Revision != revision || seen[5].Revision >= revision {
		h.Errorf("it ended with revision %d, and is there again with %d", seen[5].Revision, seen[6].Revision)
	}
}

func watchAfter(h *harness) {
	h.put("a", "1")
	h.put("b", "1")
	revision := h.put("c", "1")
	w := h.follow(h.peer, store.After(revision))
	w.until("synced")
	w.end()

	h.put("b", "2")
	h.put("d", "1")
	if err := text.Delete(h.Context(), h.host, "c"); err != nil {
		h.Fatal(err)
	}
	w = h.follow(h.peer, store.After(revision))
	w.until("b=2", "d=1", "-c", "synced")
	h.put("d", "2")
	w.until("b=2", "d=1", "-c", "synced", "d=2")
	seen := w.seen()
	w.end()
	h.follow(h.host, store.After(seen[4].Revision)).until("synced")
	h.follow(h.host, store.After(seen[1].Revision)).until("-c", "d=2", "synced")
	h.follow(h.host, store.After(seen[0].Revision), store.Key("d")).until("d=2", "synced")
}

func watchUnknownRevision(h *harness) {
	revision := h.put("a", "1")
	w := h.follow(h.peer, store.After(revision+1<<40)) // of a store that is no more
	w.until("reset", "a=1", "synced")
	h.put("a", "2")
	w.until("reset", "a=1", "synced", "a=2")
}

func watchEnds(h *harness) {
	h.put("a", "1")
	w := h.follow(h.peer)
	w.untilSynced()
	w.end()
	if !errors.Is(w.err, context.Canceled) {
		h.Errorf("the watch ended with %v", w.err)
	}
	n := 0
	for range text.Watch(h.Context(), h.host) {
		n++
		break
	}
	if n != 1 {
		h.Errorf("%d rounds of a loop that was left in the first", n)
	}
	ctx, cancel := context.WithCancel(h.Context())
	cancel()
	for _, err := range text.Watch(ctx, h.host) {
		if !errors.Is(err, context.Canceled) {
			h.Errorf("a watch whose context has ended: %v", err)
		}
	}
	func() {
		defer func() {
			if recover() == nil {
				h.Error("the panic of a loop got lost")
			}
		}()
		for range text.Watch(h.Context(), h.host) {
			panic("in the loop")
		}
	}()
}

// watchUnderLoad holds that watches that begin at any time come to what there is.
func watchUnderLoad(h *harness) {
	var writers sync.WaitGroup
	for i := range 4 {
		writers.Go(func() {
			c := h.host
			if i%2 == 0 {
				c = h.peer
			}
			for n := range 50 {
				key := fmt.Sprint(rand.N(10))
				var err error
				if rand.N(4) == 0 {
					err = text.Delete(h.Context(), c, key)
				} else {
					_, err = text.Put(h.Context(), c, key, s(fmt.Sprint(i, n)))
				}
				if err != nil {
					h.Error(err)
				}
			}
		})
	}
	var watchers []*watcher
	for i := range 6 {
		c := h.host
		if i%2 == 0 {
			c = h.peer
		}
		watchers = append(watchers, h.follow(c))
	}
	writers.Wait()
	h.put("last", "1")
	want := make(map[string]string)
	got, err := text.Keys(h.Context(), h.host)
	if err != nil {
		h.Fatal(err)
	}
	for _, key := range got {
		e, err := text.Get(h.Context(), h.host, key)
		if err != nil {
			h.Fatal(err)
		}
		want[key] = e.Value.Value
	}
	for i, w := range watchers {
		h.eventually("the watch comes to an end", func() bool {
			seen := w.texts()
			return slices.Contains(seen, "last=1") && slices.Contains(seen, "synced")
		})
		have := make(map[string]string)
		revisions := make(map[string]uint64)
		for _, c := range w.seen() {
			if c.Revision < revisions[c.Key] {
				h.Errorf("watch %d: revision %d of %s after %d", i, c.Revision, c.Key, revisions[c.Key])
			}
			revisions[c.Key] = c.Revision
			switch c.Kind {
			case store.Put:
				have[c.Key] = c.Value.Value
			case store.Deleted:
				delete(have, c.Key)
			}
		}
		if !maps.Equal(have, want) {
			h.Errorf("watch %d comes to %v, and there is %v", i, have, want)
		}
	}
}
