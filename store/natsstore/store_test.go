package natsstore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/store"
	"github.com/hanse-go/hanse/store/natsstore"
	"github.com/nats-io/nats.go/jetstream"
)

// stream returns what the server has for the bucket of the tests.
func stream(t *testing.T, s *natsstore.Store) jetstream.Stream {
	t.Helper()
	js, err := jetstream.New(s.Conn)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "KV_test_store_text")
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// TestOthersSeeIt holds that a client that knows nothing of Hanse reads and writes the same bucket.
func TestOthersSeeIt(t *testing.T) {
	s := newStore(t)
	host := &store.Client{Driver: s}
	revision := put(t, host, "a.b", "1")
	js, err := jetstream.New(s.Conn)
	if err != nil {
		t.Fatal(err)
	}
	kv, err := js.KeyValue(t.Context(), "test_store_text")
	if err != nil {
		t.Fatal(err)
	}
	e, err := kv.Get(t.Context(), "a.b")
	if err != nil || string(e.Value()) != "1" || e.Revision() != revision {
		t.Fatal(e, err)
	}
	theirs, err := kv.Update(t.Context(), "a.b", []byte("2"), revision)
	if err != nil {
		t.Fatal(err)
	}
	if e, err := text.Get(t.Context(), host, "a.b"); err != nil || string(e.Value) != "2" || e.Revision != theirs {
		t.Error(e, err)
	}
	if err := kv.Delete(t.Context(), "a.b"); err != nil {
		t.Fatal(err)
	}
	if _, err := text.Get(t.Context(), host, "a.b"); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
	if _, err := text.Create(t.Context(), host, "a.b", []byte("3")); err != nil {
		t.Error(err)
	}
	if err := text.Delete(t.Context(), host, "a.b"); err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Get(t.Context(), "a.b"); !errors.Is(err, jetstream.ErrKeyNotFound) {
		t.Error(err)
	}
	if _, err := kv.Put(t.Context(), "=x", nil); err != nil { // a key that is none of ours
		t.Fatal(err)
	}
	if keys, err := text.Keys(t.Context(), host); err != nil || len(keys) != 0 {
		t.Errorf("%q, %v", keys, err)
	}
}

// TestDeletionsGo holds that what is deleted, or has had its time, leaves nothing behind, and that watches are not told twice.
func TestDeletionsGo(t *testing.T) {
	s := newStore(t)
	s.SetMarker(time.Second)
	host := &store.Client{Driver: s}
	put(t, host, "kept", "1")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	told := make(chan string, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for c, err := range text.Watch(ctx, host) {
			if err == nil {
				told <- c.Kind.String() + " " + c.Key
			}
		}
	}()
	// One after the other: a watch may leave out what was changed again before it was told.
	tells := func(want string) {
		t.Helper()
		if got := <-told; got != want {
			t.Fatalf("told %q, want %q", got, want)
		}
	}
	tells("put kept")
	tells("synced ")
	put(t, host, "deleted", "1")
	tells("put deleted")
	if err := text.Delete(t.Context(), host, "deleted"); err != nil {
		t.Fatal(err)
	}
	tells("deleted deleted")
	put(t, host, "expires", "1", store.TTL(time.Second))
	tells("put expires")
	tells("deleted expires")
	discoverytest.Eventually(t, "one message is left", func() bool {
		info, err := stream(t, s).Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return info.State.Msgs == 1
	})
	put(t, host, "end", "1")
	tells("put end")
	cancel()
	<-done
}

// TestWatchAfterForgottenDeletions holds that a watch that goes on after a revision is told when it may have missed a deletion.
func TestWatchAfterForgottenDeletions(t *testing.T) {
	s := newStore(t)
	s.SetMarker(2 * time.Second)
	host := &store.Client{Driver: s}
	put(t, host, "a", "1")
	revision := put(t, host, "b", "1")
	told := func() (all []string) {
		for c, err := range text.Watch(t.Context(), host, store.After(revision)) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, c.Kind.String()+" "+c.Key)
			if c.Kind == store.Synced {
				break
			}
		}
		return all
	}
	if got := told(); !slices.Equal(got, []string{"synced "}) {
		t.Errorf("when nothing has happened: %q", got)
	}
	if err := text.Delete(t.Context(), host, "a"); err != nil {
		t.Fatal(err)
	}
	if got := told(); !slices.Equal(got, []string{"deleted a", "synced "}) {
		t.Errorf("after a deletion: %q", got)
	}
	discoverytest.Eventually(t, "the deletion is forgotten", func() bool {
		info, err := stream(t, s).Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return info.State.Msgs == 1
	})
	put(t, host, "c", "1")
	if got := told(); !slices.Equal(got, []string{"reset ", "put b", "put c", "synced "}) {
		t.Errorf("when the deletion is forgotten: %q", got)
	}
}

// TestBucketIsMadeAnew holds that a bucket that was removed is there again when it is used, and that its revisions, which are tokens, grow.
func TestBucketIsMadeAnew(t *testing.T) {
	s := newStore(t)
	host := &store.Client{Driver: s}
	before := put(t, host, "a", "1")
	js, err := jetstream.New(s.Conn)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), "KV_test_store_text"); err != nil {
		t.Fatal(err)
	}
	if _, err := text.Get(t.Context(), host, "a"); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
	if after := put(t, host, "a", "1"); after <= before {
		t.Errorf("revision %d after %d", after, before)
	}
	if err := js.DeleteStream(t.Context(), "KV_test_store_text"); err != nil {
		t.Fatal(err)
	}
	if after, err := text.Create(t.Context(), host, "a", nil); err != nil || after <= before {
		t.Errorf("revision %d after %d, %v", after, before, err)
	}
}

func TestDrift(t *testing.T) {
	s := newStore(t)
	js, err := jetstream.New(s.Conn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "test_store_text", History: 5}); err != nil {
		t.Fatal(err)
	}
	_, err = text.Get(t.Context(), &store.Client{Driver: s}, "a")
	if !errors.Is(err, store.ErrDrift) || !strings.Contains(err.Error(), "nats kv rm test_store_text") {
		t.Errorf("a bucket with a history: %v", err)
	}
	if _, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "test_store_plain"}); err != nil {
		t.Fatal(err)
	}
	plain := store.NewBucket[[]byte]("plain") // the nats command's buckets can be made to fit
	if _, err := plain.Put(t.Context(), &store.Client{Driver: s}, "a", []byte("1"), store.TTL(time.Hour)); err != nil {
		t.Fatal(err)
	}

	_, err = text.Get(t.Context(), &store.Client{Driver: new(natsstore.Store)}, "a")
	if err == nil || !strings.Contains(err.Error(), "Conn") {
		t.Errorf("without a connection: %v", err)
	}
}

// TestSystemsAreApart holds that systems in one cluster do not see each other's values.
func TestSystemsAreApart(t *testing.T) {
	s := newStore(t)
	put(t, &store.Client{Driver: s}, "a", "1")
	for _, system := range []string{"", "Test", "test_store", "a.b c/*>ü"} {
		other := &store.Client{Driver: &natsstore.Store{Conn: s.Conn, System: system}}
		if _, err := text.Get(t.Context(), other, "a"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("system %q: %v", system, err)
		}
		put(t, other, "a", system)
	}
	if e, err := text.Get(t.Context(), &store.Client{Driver: s}, "a"); err != nil || string(e.Value) != "1" {
		t.Errorf("%q, %v", e.Value, err)
	}
}

func TestNoJetStream(t *testing.T) {
	e := newEngine(t)
	e.stop()
	e.options.JetStream = false
	e.start()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	_, err := text.Get(ctx, &store.Client{Driver: &natsstore.Store{Conn: e.connect()}}, "a")
	if err == nil || !strings.Contains(err.Error(), "started with -js") {
		t.Error(err)
	}
}

// TestNoRoom holds that what a server has no room for is refused with a reason.
func TestNoRoom(t *testing.T) {
	e := newEngine(t)
	e.stop()
	e.options.JetStreamMaxStore = 1 << 20
	e.start()
	host := &store.Client{Driver: &natsstore.Store{Conn: e.connect()}}
	_, err := store.NewBucket[[]byte]("large", store.Limits{MaxBytes: 2 << 20}).Put(t.Context(), host, "a", nil)
	if !errors.Is(err, store.ErrFull) {
		t.Errorf("a bucket that is larger than the disk may be: %v", err)
	}
	unlimited := store.NewBucket[[]byte]("unlimited", store.Limits{MaxBytes: -1})
	for range 10 {
		if _, err = unlimited.Put(t.Context(), host, rev(), make([]byte, 200_000)); err != nil {
			break
		}
	}
	if !errors.Is(err, store.ErrFull) {
		t.Errorf("more than the disk may have: %v", err)
	}
}

var keyNumber int

func rev() string { keyNumber++; return strings.Repeat("k", keyNumber) }

// TestItIsOnDisk holds that values are in the server's files when a write has returned.
func TestItIsOnDisk(t *testing.T) {
	e := newEngine(t)
	host := &store.Client{Driver: &natsstore.Store{Conn: e.connect(), System: "test"}}
	const secret = "a text that is nowhere else"
	put(t, host, "a", secret)
	found := false
	err := filepath.WalkDir(e.options.StoreDir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		found = found || strings.Contains(string(text), secret)
		return err
	})
	if err != nil || !found {
		t.Errorf("found %v, %v", found, err)
	}
}
