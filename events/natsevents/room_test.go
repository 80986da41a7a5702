package natsevents_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/embednats"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/eventstest"
	"github.com/hanse-go/hanse/events/natsevents"
)

// fill publishes large events until one is refused, and returns the IDs of those that were stored.
func fill(t *testing.T, b events.Broker, topic string, most int) (ids []string, err error) {
	t.Helper()
	for len(ids) < most {
		m := eventstest.Event(fmt.Sprintf("%s-%d-%d", topic, time.Now().UnixNano(), len(ids)), "k")
		m.Data = make([]byte, 64<<10)
		if err := eventstest.Send(eventstest.Within(t, 20*time.Second), b, topic, m); err != nil {
			return ids, err
		}
		ids = append(ids, m.ID)
	}
	return ids, nil
}

// has checks that exactly these events are in a topic, in their order.
func has(t *testing.T, b events.Broker, topic, group string, ids []string) {
	t.Helper()
	s := eventstest.Subscribe(t, b, eventstest.Member(topic, group, "m", eventstest.FromFirst, eventstest.Ordered))
	if got := eventstest.Handle(t, s, len(ids)); strings.Join(got, " ") != strings.Join(ids, " ") {
		t.Errorf("%d events are in the topic, or others than the %d that were stored", len(got), len(ids))
	}
	eventstest.Nothing(t, s, 200*time.Millisecond)
}

// A server that may not keep more refuses what is published, and topics that would be allowed to take more than is left.
func TestStoreFull(t *testing.T) {
	n := newNode(t, func(s *embednats.Server) { s.MaxDisk = 8 << 20 })
	var log discoverytest.Log
	b := n.broker(lease(time.Second), func(o *natsevents.Options) { o.Logger = log.Logger() })
	most := func(bytes int64) func(*events.TopicInfo) {
		return func(i *events.TopicInfo) { i.Limits.MaxBytes = bytes }
	}
	eventstest.Declare(t, b, "first", most(6<<20))
	err := b.Declare(eventstest.Within(t, 20*time.Second), eventstest.Topic("second", most(6<<20)))
	for _, want := range []string{"cannot set 6.0 MiB (Limits.MaxBytes) aside", "6.0 MiB are set aside for others", "lower Limits.MaxBytes", "--max-disk", "MaxDisk", "max_file_store"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	eventstest.Declare(t, b, "third", most(-1))
	eventstest.Subscribe(t, b, eventstest.Member("third", "watch", "m", eventstest.Ordered))
	stored, err := fill(t, b, "third", 1000)
	if !errors.Is(err, events.ErrFull) || len(stored) < 50 {
		t.Errorf("got %v after %d events, want ErrFull", err, len(stored))
	}
	log.Await(t, "deliveries of an ordered group pause")
	n.stop()
	n.change = nil
	n.start()
	log.Await(t, "deliveries of an ordered group go on")
	more, err := fill(t, b, "third", 20)
	if err != nil {
		t.Error(err)
	}
	has(t, b, "third", "g", append(stored, more...))
}

// A server whose disk is full refuses what is published, and new topics, and goes on when there is room again. Topics with the default limit
// are made on a disk that is smaller than one of them.
func TestDiskFull(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=160m", "hanse-test", dir).CombinedOutput(); err != nil {
		t.Skipf("no small disk can be made here: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	n := newNode(t, func(s *embednats.Server) { s.Dir = filepath.Join(dir, "data") })
	b := n.broker()
	whole := func(i *events.TopicInfo) { i.Limits = events.Limits{}.WithDefaults() }
	for _, name := range []string{"a", "a.dead", "b"} {
		eventstest.Declare(t, b, name, whole)
	}
	stored, err := fill(t, b, "a", 20)
	if err != nil {
		t.Fatal(err)
	}
	ballast := filepath.Join(dir, "ballast")
	_ = os.WriteFile(ballast, make([]byte, 200<<20), 0o600) // as much as there is room for
	more, err := fill(t, b, "a", 1000)
	if stored = append(stored, more...); !errors.Is(err, events.ErrFull) {
		t.Errorf("got %v after %d events, want ErrFull", err, len(stored))
	}
	if err := b.Declare(eventstest.Within(t, 20*time.Second), eventstest.Topic("c", whole)); err == nil || !strings.Contains(err.Error(), "the broker's disk is full") {
		t.Errorf("got %v for a topic that is declared while the disk is full", err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	discoverytest.Eventually(t, "there is room again", func() bool {
		one, err := fill(t, b, "a", 1)
		stored = append(stored, one...)
		return err == nil
	})
	more, err = fill(t, b, "a", 20)
	if err != nil {
		t.Error(err)
	}
	eventstest.Declare(t, b, "c", whole)
	has(t, b, "a", "g", append(stored, more...))
}
