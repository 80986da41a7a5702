package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/store"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func get(h *harness) {
	_, err := text.Get(h.Context(), h.host, "a")
	h.is("get of nothing", err, store.ErrNotFound)
	before := time.Now()
	revision := h.put("a", "1")
	h.gets(h.host, "a", "1", revision)
	h.gets(h.peer, "a", "1", revision)
	e, err := text.Get(h.Context(), h.peer, "a")
	if err != nil || e.Time.Before(before.Add(-time.Minute)) || e.Time.After(time.Now().Add(time.Minute)) {
		h.Errorf("written at %v, %v", e.Time, err)
	}
	_, err = text.Get(h.Context(), h.host, "A")
	h.is("get of another key", err, store.ErrNotFound)
}

func revisions(h *harness) {
	last := uint64(0)
	for i := range 5 {
		for _, key := range []string{"a", "b"} {
			revision := h.put(key, fmt.Sprint(i))
			if revision <= last {
				h.Errorf("revision %d after %d", revision, last)
			}
			last = revision
			h.gets(h.peer, key, fmt.Sprint(i), revision)
		}
	}
	if err := text.Delete(h.Context(), h.host, "a"); err != nil {
		h.Fatal(err)
	}
	if revision := h.put("a", "again"); revision <= last {
		h.Errorf("revision %d of a key that was deleted, after %d", revision, last)
	}
}

func create(h *harness) {
	first, err := text.Create(h.Context(), h.host, "a", s("1"))
	if err != nil {
		h.Fatal(err)
	}
	_, err = text.Create(h.Context(), h.peer, "a", s("2"))
	h.is("create of what is there", err, store.ErrExists)
	h.gets(h.host, "a", "1", first)
	for range 3 {
		if err := text.Delete(h.Context(), h.host, "a"); err != nil {
			h.Fatal(err)
		}
		second, err := text.Create(h.Context(), h.peer, "a", s("3"))
		if err != nil || second <= first {
			h.Errorf("create after delete: revision %d after %d, %v", second, first, err)
		}
		h.gets(h.host, "a", "3", second)
		_, err = text.Create(h.Context(), h.host, "a", s("4"))
		h.is("create of what is there again", err, store.ErrExists)
		first = second
	}
}

func update(h *harness) {
	first := h.put("a", "1")
	_, err := text.Update(h.Context(), h.host, "b", s("2"), first)
	h.is("update of what is not there", err, store.ErrRevision)
	second, err := text.Update(h.Context(), h.peer, "a", s("2"), first)
	if err != nil || second <= first {
		h.Fatalf("revision %d after %d, %v", second, first, err)
	}
	for _, stale := range []uint64{first, second + 1, second + 1000} {
		_, err = text.Update(h.Context(), h.host, "a", s("3"), stale)
		h.is("update of another revision", err, store.ErrRevision)
	}
	h.gets(h.host, "a", "2", second)
	if err := text.Delete(h.Context(), h.host, "a"); err != nil {
		h.Fatal(err)
	}
	_, err = text.Update(h.Context(), h.host, "a", s("4"), second)
	h.is("update of what was deleted", err, store.ErrRevision)
	if h.has("a") {
		h.Error("it is there again")
	}
	if _, err := text.Update(h.Context(), h.host, "a", s("5"), 0); err != nil {
		h.Errorf("update of the revision 0, which is a create: %v", err)
	}
	_, err = text.Update(h.Context(), h.host, "a", s("6"), 0)
	h.is("and again", err, store.ErrExists)
}

func deletes(h *harness) {
	if err := text.Delete(h.Context(), h.host, "a"); err != nil {
		h.Errorf("delete of what is not there: %v", err)
	}
	h.is("delete of a revision that is not there", text.Delete(h.Context(), h.host, "a", store.IfRevision(1)), store.ErrRevision)
	first := h.put("a", "1")
	second := h.put("a", "2")
	h.is("delete of an old revision", text.Delete(h.Context(), h.peer, "a", store.IfRevision(first)), store.ErrRevision)
	h.gets(h.host, "a", "2", second)
	if err := text.Delete(h.Context(), h.peer, "a", store.IfRevision(second)); err != nil {
		h.Error(err)
	}
	if h.has("a") {
		h.Error("it is still there")
	}
	h.is("delete of what was deleted", text.Delete(h.Context(), h.peer, "a", store.IfRevision(second)), store.ErrRevision)
	h.put("a", "3")
	for range 2 {
		if err := text.Delete(h.Context(), h.peer, "a"); err != nil {
			h.Error(err)
		}
	}
	if h.has("a") {
		h.Error("it is there again")
	}
}

func keys(h *harness) {
	lists := func(want []string, opts ...store.KeysOption) {
		h.Helper()
		got, err := text.Keys(h.Context(), h.peer, opts...)
		if err != nil || !slices.Equal(got, want) {
			h.Errorf("keys %q, %v; want %q", got, err, want)
		}
	}
	lists(nil)
	for _, key := range []string{"b", "a.1", "a.2", "a", "ab"} {
		h.put(key, "x")
		h.put(key, "y")
	}
	lists([]string{"a", "a.1", "a.2", "ab", "b"})
	lists([]string{"a", "a.1", "a.2", "ab"}, store.Prefix("a"))
	lists([]string{"a.1", "a.2"}, store.Prefix("a."))
	lists(nil, store.Prefix("c"))
	if err := text.Delete(h.Context(), h.host, "a.1"); err != nil {
		h.Fatal(err)
	}
	lists([]string{"a", "a.2", "ab", "b"})
}

func anyKey(h *harness) {
	all := []string{
		"a", "A", "a.b", "a..b", ".", "..", ".a", "a.", "a=2E", "=", "*", ">", "a.>", "a.*", "a b", " ", "\x00", "\n", "grün", "日本", "a/b", `a\b`, "$KV", "_", "-",
		strings.Repeat("x", 512), strings.Repeat("é", 256), strings.Repeat(".", 512),
	}
	want := make(map[string]uint64)
	for _, key := range all {
		want[key] = h.put(key, key)
	}
	for _, key := range all {
		h.gets(h.peer, key, key, want[key])
	}
	got, err := text.Keys(h.Context(), h.peer)
	slices.Sort(all)
	if err != nil || !slices.Equal(got, all) {
		h.Errorf("keys %q, %v; want %q", got, err, all)
	}
	if got, err := text.Keys(h.Context(), h.host, store.Prefix("a.")); err != nil || !slices.Equal(got, []string{"a.", "a.*", "a..b", "a.>", "a.b"}) {
		h.Errorf("keys that begin with \"a.\": %q, %v", got, err)
	}
	for _, key := range all {
		h.follow(h.peer, store.Key(key)).until(key+"="+key, "synced")
		if err := text.Delete(h.Context(), h.host, key); err != nil {
			h.Errorf("delete %q: %v", key, err)
		}
		if h.has(key) {
			h.Errorf("%q is still there", key)
		}
	}
	for _, key := range []string{"", strings.Repeat("x", 513), "a\xff"} {
		if _, err := text.Put(h.Context(), h.host, key, s("x")); err == nil {
			h.Errorf("the key %.20q was taken", key)
		}
	}
}

type plain struct {
	Name  string
	Count int `json:"n"`
}

func values(h *harness) {
	raw := store.NewBucket[[]byte]("raw")
	for _, v := range [][]byte{nil, {}, {0}, []byte("\r\n\x00\xff"), bytes.Repeat([]byte{7}, 100_000)} {
		if _, err := raw.Put(h.Context(), h.host, "a", v); err != nil {
			h.Fatal(err)
		}
		if e, err := raw.Get(h.Context(), h.peer, "a"); err != nil || !bytes.Equal(e.Value, v) {
			h.Errorf("%d bytes became %d, %v", len(v), len(e.Value), err)
		}
	}
	structs := store.NewBucket[plain]("structs")
	want := plain{"n\n", 7}
	if _, err := structs.Put(h.Context(), h.host, "a", want); err != nil {
		h.Fatal(err)
	}
	if e, err := structs.Get(h.Context(), h.peer, "a"); err != nil || e.Value != want {
		h.Errorf("%+v, %v", e.Value, err)
	}
	lists := store.NewBucket[[]string]("lists")
	if _, err := lists.Put(h.Context(), h.host, "a", []string{"x", "y"}); err != nil {
		h.Fatal(err)
	}
	if e, err := lists.Get(h.Context(), h.peer, "a"); err != nil || !slices.Equal(e.Value, []string{"x", "y"}) {
		h.Errorf("%+v, %v", e.Value, err)
	}
}

func types(h *harness) {
	h.put("a", "1")
	for name, err := range map[string]error{
		"another message": first(store.NewBucket[*wrapperspb.Int32Value]("text").Get(h.Context(), h.peer, "a")),
		"json":            first(store.NewBucket[plain]("text").Get(h.Context(), &store.Client{Driver: h.driver}, "a")),
	} {
		h.is(name, err, store.ErrDrift)
	}
	// Another Go type of the same kind is the program's business.
	store.NewBucket[int]("numbers").Put(h.Context(), h.host, "a", 7)
	if e, err := store.NewBucket[float64]("numbers").Get(h.Context(), &store.Client{Driver: h.driver}, "a"); err != nil || e.Value != 7 {
		h.Errorf("%v, %v", e.Value, err)
	}
	if _, err := store.NewBucket[plain]("numbers").Get(h.Context(), &store.Client{Driver: h.driver}, "a"); err == nil || errors.Is(err, store.ErrNotFound) {
		h.Errorf("a number as a struct: %v", err)
	}
}

func first[T any](_ T, err error) error { return err }

func aliases(h *harness) {
	raw := store.NewBucket[[]byte]("raw")
	mine := []byte("abc")
	if _, err := raw.Put(h.Context(), h.host, "a", mine); err != nil {
		h.Fatal(err)
	}
	mine[0] = 'X'
	e, err := raw.Get(h.Context(), h.host, "a")
	if err != nil {
		h.Fatal(err)
	}
	e.Value[1] = 'X'
	for c, err := range raw.Watch(h.Context(), h.host) {
		if err != nil || string(c.Value) != "abc" {
			h.Errorf("the watch has %q, %v", c.Value, err)
		}
		c.Value[2] = 'X'
		break
	}
	if e, err := raw.Get(h.Context(), h.host, "a"); err != nil || string(e.Value) != "abc" {
		h.Errorf("%q, %v", e.Value, err)
	}
}

func tooLarge(h *harness) {
	raw := store.NewBucket[[]byte]("raw", store.Limits{MaxSize: 1000})
	if _, err := raw.Put(h.Context(), h.host, "a", make([]byte, 1000)); err != nil {
		h.Error(err)
	}
	_, err := raw.Put(h.Context(), h.host, "a", make([]byte, 1001))
	h.is("more than MaxSize", err, store.ErrTooLarge)
	if e, err := raw.Get(h.Context(), h.host, "a"); err != nil || len(e.Value) != 1000 {
		h.Errorf("%d bytes, %v", len(e.Value), err)
	}
	large := store.NewBucket[[]byte]("large")
	if _, err := large.Put(h.Context(), h.host, "a", make([]byte, 1<<20-16<<10)); err != nil {
		h.Errorf("the default: %v", err)
	}
	_, err = large.Put(h.Context(), h.host, "a", make([]byte, 1<<20))
	h.is("more than the default", err, store.ErrTooLarge)
}

func full(h *harness) {
	raw := store.NewBucket[[]byte]("raw", store.Limits{MaxBytes: 20_000})
	n := 0
	for ; n < 100; n++ {
		_, err := raw.Put(h.Context(), h.host, fmt.Sprint(n), make([]byte, 1000))
		if errors.Is(err, store.ErrFull) {
			break
		}
		if err != nil {
			h.Fatal(err)
		}
	}
	if n < 10 || n > 20 {
		h.Fatalf("%d values of 1000 bytes fit into 20,000", n)
	}
	got, err := raw.Keys(h.Context(), h.peer)
	if err != nil || len(got) != n {
		h.Errorf("there are %d values, %v; want %d", len(got), err, n)
	}
	if _, err := raw.Put(h.Context(), h.host, "3", make([]byte, 1000)); err != nil {
		h.Errorf("a value of the same size in place of another: %v", err)
	}
	for i := range 3 {
		if err := raw.Delete(h.Context(), h.host, fmt.Sprint(i)); err != nil {
			h.Errorf("delete while it is full: %v", err)
		}
	}
	if _, err := raw.Put(h.Context(), h.host, "new", make([]byte, 1000)); err != nil {
		h.Errorf("there is room again: %v", err)
	}
}

func ttlOfBucket(h *harness) {
	short := store.NewBucket[*wrapperspb.StringValue]("text", store.TTL(ttl))
	began := time.Now()
	for key, opts := range map[string][]store.PutOption{"a": nil, "for ever": {store.TTL(-1)}, "longer": {store.TTL(time.Hour)}} {
		if _, err := short.Put(h.Context(), h.host, key, s("x"), opts...); err != nil {
			h.Fatal(err)
		}
	}
	h.endsBetween("a", began)
	if !h.has("for ever") || !h.has("longer") {
		h.Error("what was to stay is gone")
	}
	if _, err := short.Create(h.Context(), h.peer, "a", s("again")); err != nil {
		h.Errorf("create of what has had its time: %v", err)
	}
}

// endsBetween holds that a value that is written after a time stays for the TTL and not much longer.
func (h *harness) endsBetween(key string, began time.Time) {
	h.Helper()
	h.eventually(key+" ends", func() bool { return !h.has(key) })
	if took := time.Since(began); took < ttl || took > ttl+h.Grain+5*time.Second {
		h.Errorf("a value to be kept for %v was there for %v", ttl, took)
	}
}

func ttlOfKey(h *harness) {
	h.put("a", "for ever")
	began := time.Now()
	revision := h.put("b", "1", store.TTL(ttl))
	h.gets(h.peer, "b", "1", revision)
	h.endsBetween("b", began)
	_, err := text.Update(h.Context(), h.host, "b", s("2"), revision)
	h.is("update of what has had its time", err, store.ErrRevision)
	if got, err := text.Keys(h.Context(), h.peer); err != nil || !slices.Equal(got, []string{"a"}) {
		h.Errorf("keys %q, %v", got, err)
	}
	for _, bad := range []store.TTL{0, -2} {
		if _, err := text.Put(h.Context(), h.host, "c", s("x"), bad); err == nil {
			h.Errorf("a TTL of %v was taken", time.Duration(bad))
		}
	}
}

func ttlBeginsAnew(h *harness) {
	h.put("a", "1", store.TTL(ttl))
	h.put("b", "1", store.TTL(ttl))
	h.put("c", "1", store.TTL(ttl))
	h.put("a", "2") // for ever
	revision, began := h.put("b", "2", store.TTL(ttl)), time.Now()
	renewals := time.NewTicker(ttl / 2)
	defer renewals.Stop()
	for range 3 { // as one does who keeps a lease
		<-renewals.C
		var err error
		began = time.Now()
		if revision, err = text.Update(h.Context(), h.peer, "b", s("3"), revision, store.TTL(ttl)); err != nil {
			h.Fatal(err)
		}
	}
	h.endsBetween("b", began)
	h.eventually("c ends", func() bool { return !h.has("c") })
	if !h.has("a") {
		h.Error("a is gone")
	}
}

func oneCreates(h *harness) {
	for round := range 5 {
		var wg sync.WaitGroup
		won := make(chan int, 16)
		for i := range 16 {
			wg.Go(func() {
				c := h.host
				if i%2 == 0 {
					c = h.peer
				}
				_, err := text.Create(h.Context(), c, fmt.Sprint(round), s(fmt.Sprint(i)))
				if err == nil {
					won <- i
				} else if !errors.Is(err, store.ErrExists) {
					h.Error(err)
				}
			})
		}
		wg.Wait()
		close(won)
		if len(won) != 1 {
			h.Fatalf("%d have created the same key", len(won))
		}
		e, err := text.Get(h.Context(), h.host, fmt.Sprint(round))
		if want := fmt.Sprint(<-won); err != nil || e.Value.Value != want {
			h.Errorf("%v, %v; %s has created it", e.Value, err, want)
		}
	}
}

func eachModifies(h *harness) {
	counts := store.NewBucket[int]("counts")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			c := h.host
			if i%2 == 0 {
				c = h.peer
			}
			for range 10 {
				_, err := counts.Modify(h.Context(), c, "n", func(n int, found bool) (int, error) {
					if found != (n > 0) {
						h.Errorf("found %v: %d", found, n)
					}
					return n + 1, nil
				})
				if err != nil {
					h.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if e, err := counts.Get(h.Context(), h.host, "n"); err != nil || e.Value != 80 {
		h.Errorf("80 times one more is %d, %v", e.Value, err)
	}
	enough := errors.New("enough")
	_, err := counts.Modify(h.Context(), h.host, "n", func(int, bool) (int, error) { return 0, enough })
	h.is("an error of the function", err, enough)
}

func buckets(h *harness) {
	other := store.NewBucket[*wrapperspb.StringValue]("text.other")
	h.put("a", "1")
	if _, err := other.Get(h.Context(), h.host, "a"); !errors.Is(err, store.ErrNotFound) {
		h.Errorf("a value of another bucket: %v", err)
	}
	if _, err := other.Put(h.Context(), h.host, "b", s("2")); err != nil {
		h.Fatal(err)
	}
	if got, err := text.Keys(h.Context(), h.peer); err != nil || !slices.Equal(got, []string{"a"}) {
		h.Errorf("keys %q, %v", got, err)
	}
	if got, err := other.Keys(h.Context(), h.peer); err != nil || !slices.Equal(got, []string{"b"}) {
		h.Errorf("keys %q, %v", got, err)
	}
}

func declareAgain(h *harness) {
	revision := h.put("a", "1")
	again := &store.Client{Driver: h.driver}
	text.Declare(again)
	if err := again.Prepare(h.Context()); err != nil {
		h.Fatal(err)
	}
	h.gets(again, "a", "1", revision)
}

func declareOtherwise(h *harness) {
	limited := func(most int64) *store.Bucket[[]byte] {
		return store.NewBucket[[]byte]("raw", store.Limits{MaxBytes: most})
	}
	if _, err := limited(50_000).Put(h.Context(), h.host, "a", make([]byte, 30_000)); err != nil {
		h.Fatal(err)
	}
	more := &store.Client{Driver: h.driver}
	if _, err := limited(100_000).Put(h.Context(), more, "b", make([]byte, 30_000)); err != nil {
		h.Errorf("a larger limit is not applied: %v", err)
	}
	_, err := limited(40_000).Get(h.Context(), &store.Client{Driver: h.driver}, "a")
	h.is("a limit below what is there", err, store.ErrDrift)
	if e, err := limited(100_000).Get(h.Context(), more, "b"); err != nil || len(e.Value) != 30_000 {
		h.Errorf("%d bytes, %v", len(e.Value), err)
	}
	less := &store.Client{Driver: h.driver}
	if _, err := limited(70_000).Get(h.Context(), less, "a"); err != nil {
		h.Errorf("a smaller limit: %v", err)
	}
	_, err = limited(70_000).Put(h.Context(), less, "c", make([]byte, 30_000))
	h.is("a smaller limit is not applied", err, store.ErrFull)

	both := &store.Client{Driver: h.driver}
	limited(70_000).Declare(both)
	limited(80_000).Declare(both)
	h.is("two declarations in one program", both.Prepare(h.Context()), store.ErrDrift)
}

func declareAtOnce(h *harness) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			c := &store.Client{Driver: h.driver}
			if i%2 == 0 {
				c.Driver = h.peer.Driver
			}
			text.Declare(c)
			if err := c.Prepare(h.Context()); err != nil {
				h.Error(err)
			}
		})
	}
	wg.Wait()
	h.put("a", "1")
}
