package natsevents_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/eventstest"
	"github.com/hanse-go/hanse/events/natsevents"
	"github.com/nats-io/nats.go/jetstream"
)

func TestDeclareByMany(t *testing.T) {
	n := newNode(t)
	var all sync.WaitGroup
	for range 4 {
		b := n.broker()
		for range 3 {
			all.Go(func() {
				for range 3 {
					if err := b.Declare(eventstest.Within(t, 20*time.Second), eventstest.Topic("orders.placed", func(i *events.TopicInfo) { i.Delayed = true })); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	all.Wait()
	s, err := n.jetstream().Stream(t.Context(), "test_orders_placed")
	if err != nil {
		t.Fatal(err)
	}
	c := s.CachedInfo().Config
	if c.Retention != jetstream.LimitsPolicy || c.Storage != jetstream.FileStorage || c.Discard != jetstream.DiscardNew || c.MaxAge != 7*24*time.Hour ||
		c.MaxBytes != 64<<20 || c.MaxMsgs != -1 || c.MaxMsgSize != 1<<20 || c.Duplicates != 2*time.Minute || c.Replicas != 1 || len(c.Sources) != 1 {
		t.Errorf("the stream is %+v", c)
	}
}

// Topics whose names are the beginning of others', or end like a partition, do not meet.
func TestNamesDoNotMeet(t *testing.T) {
	n := newNode(t)
	b := n.broker()
	topics := []string{"a", "a.b", "a.b.c", "a.0", "a.later", "later", "events"}
	for _, name := range topics {
		eventstest.Declare(t, b, name, func(i *events.TopicInfo) { i.Delayed = true })
	}
	other := n.broker(func(o *natsevents.Options) { o.System = "test.a" })
	eventstest.Declare(t, other, "b")
	for _, name := range topics {
		eventstest.Publish(t, b, name, eventstest.Event(name+"/1", ""), eventstest.Event(name+"/2", "key"))
	}
	for _, name := range topics {
		got := eventstest.Handle(t, eventstest.Subscribe(t, b, eventstest.Member(name, "g", "m", eventstest.FromFirst)), 2)
		if strings.Join(got, " ") != name+"/1 "+name+"/2" {
			t.Errorf("%s has %v", name, got)
		}
	}
}

func TestDrift(t *testing.T) {
	type limits = events.Limits
	for _, c := range []struct {
		name   string
		before limits
		after  limits
		refuse string // of the error; "" when it is applied
		check  func(jetstream.StreamConfig) bool
	}{
		{"more age", limits{}, limits{MaxAge: 30 * 24 * time.Hour}, "", func(c jetstream.StreamConfig) bool { return c.MaxAge == 30*24*time.Hour }},
		{"for ever", limits{}, limits{MaxAge: -1}, "", func(c jetstream.StreamConfig) bool { return c.MaxAge == 0 }},
		{"less age, nothing older", limits{}, limits{MaxAge: time.Hour}, "", func(c jetstream.StreamConfig) bool { return c.MaxAge == time.Hour }},
		{"less age, some older", limits{}, limits{MaxAge: time.Nanosecond}, "MaxAge", nil},
		{"more bytes", limits{}, limits{MaxBytes: 128 << 20}, "", func(c jetstream.StreamConfig) bool { return c.MaxBytes == 128<<20 }},
		{"fewer bytes", limits{}, limits{MaxBytes: 1 << 20}, "", func(c jetstream.StreamConfig) bool { return c.MaxBytes == 1<<20 }},
		{"fewer bytes than there are", limits{}, limits{MaxBytes: 10}, "MaxBytes", nil},
		{"fewer events", limits{}, limits{MaxMessages: 3}, "", func(c jetstream.StreamConfig) bool { return c.MaxMsgs == 3 }},
		{"fewer events than there are", limits{}, limits{MaxMessages: 2}, "MaxMessages", nil},
		{"larger events", limits{}, limits{MaxSize: 2 << 20}, "", func(c jetstream.StreamConfig) bool { return c.MaxMsgSize == 2<<20 }},
		{"drops the oldest", limits{}, limits{DropOldest: true}, "", func(c jetstream.StreamConfig) bool { return c.Discard == jetstream.DiscardOld }},
		{"keeps all", limits{DropOldest: true}, limits{}, "", func(c jetstream.StreamConfig) bool { return c.Discard == jetstream.DiscardNew }},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNode(t)
			b := n.broker()
			if c.before.MaxBytes == 0 {
				c.before.MaxBytes = 64 << 20
			}
			if c.after.MaxBytes == 0 {
				c.after.MaxBytes = 64 << 20
			}
			eventstest.Declare(t, b, "t", func(i *events.TopicInfo) { i.Limits = c.before.WithDefaults() })
			eventstest.Publish(t, b, "t", eventstest.Event("1", ""), eventstest.Event("2", "k"), eventstest.Event("3", ""))
			err := b.Declare(t.Context(), eventstest.Topic("t", func(i *events.TopicInfo) { i.Limits = c.after.WithDefaults() }))
			if c.refuse != "" {
				if !errors.Is(err, events.ErrDrift) || !strings.Contains(err.Error(), c.refuse) {
					t.Errorf("got %v, want ErrDrift about %s", err, c.refuse)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			s, err := n.jetstream().Stream(t.Context(), "test_t")
			if err != nil {
				t.Fatal(err)
			}
			if is := s.CachedInfo(); !c.check(is.Config) || is.State.Msgs != 3 {
				t.Errorf("it is %+v with %d events", is.Config, is.State.Msgs)
			}
		})
	}
}

func TestForeignStreams(t *testing.T) {
	n := newNode(t)
	js := n.jetstream()
	b := n.broker()
	for name, config := range map[string]jetstream.StreamConfig{
		"retention":  {Name: "test_retention", Subjects: []string{"test.events.retention", "test.events.retention._.*"}, Retention: jetstream.WorkQueuePolicy},
		"storage":    {Name: "test_storage", Subjects: []string{"test.events.storage", "test.events.storage._.*"}, Storage: jetstream.MemoryStorage},
		"subjects":   {Name: "test_subjects", Subjects: []string{"something.else"}},
		"partitions": {Name: "test_partitions", Subjects: []string{"test.events.partitions", "test.events.partitions._.*"}, Metadata: map[string]string{"hanse-partitions": "8"}},
	} {
		if _, err := js.CreateStream(t.Context(), config); err != nil {
			t.Fatal(err)
		}
		if err := b.Declare(t.Context(), eventstest.Topic(name)); !errors.Is(err, events.ErrDrift) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v, want ErrDrift", name, err)
		}
	}
	// What an operator has set and no declaration knows stays.
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "test_mine", Subjects: []string{"test.events.mine", "test.events.mine._.*"}, Compression: jetstream.S2Compression, Metadata: map[string]string{"who": "me"},
	}); err != nil {
		t.Fatal(err)
	}
	eventstest.Declare(t, b, "mine")
	s, err := js.Stream(t.Context(), "test_mine")
	if err != nil {
		t.Fatal(err)
	}
	if c := s.CachedInfo().Config; c.Compression != jetstream.S2Compression || c.Metadata["who"] != "me" || c.MaxBytes != 64<<20 {
		t.Errorf("it is %+v", c)
	}
}

func TestLimits(t *testing.T) {
	n := newNode(t)
	b := n.broker()
	ctx := eventstest.Within(t, 30*time.Second)
	few := func(i *events.TopicInfo) { i.Limits.MaxMessages = 3 }
	eventstest.Declare(t, b, "few", few)
	eventstest.Publish(t, b, "few", eventstest.Event("1", ""), eventstest.Event("2", ""), eventstest.Event("3", ""))
	if err := eventstest.Send(ctx, b, "few", eventstest.Event("4", "")); !errors.Is(err, events.ErrFull) {
		t.Errorf("got %v, want ErrFull", err)
	}
	eventstest.Declare(t, b, "small", func(i *events.TopicInfo) { i.Limits.MaxBytes = 1000 })
	big := eventstest.Event("big", "")
	big.Data = make([]byte, 2000)
	if err := eventstest.Send(ctx, b, "small", big); !errors.Is(err, events.ErrFull) {
		t.Errorf("got %v, want ErrFull", err)
	}
	eventstest.Declare(t, b, "last", few, func(i *events.TopicInfo) { i.Limits.DropOldest = true })
	eventstest.Publish(t, b, "last", eventstest.Event("1", ""), eventstest.Event("2", ""), eventstest.Event("3", ""), eventstest.Event("4", ""))
	if got := eventstest.Handle(t, eventstest.Subscribe(t, b, eventstest.Member("last", "g", "m", eventstest.FromFirst)), 3); strings.Join(got, "") != "234" {
		t.Errorf("got %v", got)
	}

	eventstest.Declare(t, b, "tiny", func(i *events.TopicInfo) { i.Limits.MaxSize = 100 })
	big.Data = make([]byte, 101)
	if err := eventstest.Send(ctx, b, "tiny", big); !errors.Is(err, events.ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
	eventstest.Declare(t, b, "huge", func(i *events.TopicInfo) { i.Limits.MaxSize = -1 })
	big.Data = make([]byte, 2<<20)
	if err := eventstest.Send(ctx, b, "huge", big); !errors.Is(err, events.ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge, for the server takes less", err)
	}
	if err := eventstest.Send(ctx, b, "never", eventstest.Event("1", "")); err == nil || !strings.Contains(err.Error(), "not declared") {
		t.Errorf("got %v for a topic that was not declared", err)
	}
}

func TestDedup(t *testing.T) {
	b := newNode(t).broker()
	eventstest.Declare(t, b, "t")
	other := eventstest.Event("1", "")
	other.Source = "hanse:///other"
	eventstest.Publish(t, b, "t", eventstest.Event("1", ""), eventstest.Event("1", ""), other, eventstest.Event("1", "k"), eventstest.Event("2", ""))
	s := eventstest.Subscribe(t, b, eventstest.Member("t", "g", "m", eventstest.FromFirst))
	got := eventstest.Take(t, s, 3)
	for i, want := range []string{"hanse:///test 1", "hanse:///other 1", "hanse:///test 2"} {
		if m := got[i].Message(); m.Source+" "+m.ID != want {
			t.Errorf("%d: got %s %s, want %s", i, m.Source, m.ID, want)
		}
	}
	eventstest.Nothing(t, s, 100*time.Millisecond)
}

func TestDelay(t *testing.T) {
	n := newNode(t)
	b := n.broker()
	if err := func() error {
		eventstest.Declare(t, b, "never")
		m := eventstest.Event("1", "")
		m.Due = time.Now().Add(time.Hour)
		return eventstest.Send(t.Context(), b, "never", m)
	}(); !errors.Is(err, events.ErrUnsupported) {
		t.Errorf("got %v, want ErrUnsupported", err)
	}
	eventstest.Declare(t, b, "t", func(i *events.TopicInfo) { i.Delayed = true })
	s := eventstest.Subscribe(t, b, eventstest.Member("t", "g", "m"))
	o := eventstest.Subscribe(t, b, eventstest.Member("t", "o", "m", eventstest.Ordered))
	at := func(id, key string, due time.Time) *events.Message {
		m := eventstest.Event(id, key)
		m.Due = due
		return m
	}
	due := time.Now().Add(1500 * time.Millisecond)
	eventstest.Publish(t, b, "t", at("later", "k", due), at("later", "k", due), at("past", "k", time.Now().Add(-time.Hour)), eventstest.Event("now", ""))
	for name, s := range map[string]events.Source{"group": s, "ordered group": o} {
		for range 3 {
			d := eventstest.Take(t, s, 1)[0]
			m := d.Message()
			if early := time.Until(due); m.ID == "later" && early > 0 {
				t.Errorf("%s: it comes %v too early", name, early)
			}
			if m.ID == "later" && (m.Key != "k" || len(m.Metadata) != 0 || len(m.Extensions) != 0) {
				t.Errorf("%s: got %+v", name, m)
			}
			if err := d.Ack(t.Context()); err != nil {
				t.Error(err)
			}
		}
		eventstest.Nothing(t, s, 500*time.Millisecond)
	}
}

// What is due while its topic is full comes when there is room.
func TestDueWhileFull(t *testing.T) {
	n := newNode(t)
	b := n.broker()
	eventstest.Declare(t, b, "t", func(i *events.TopicInfo) { i.Delayed = true; i.Limits.MaxMessages = 1 })
	m := eventstest.Event("later", "")
	m.Due = time.Now().Add(500 * time.Millisecond)
	eventstest.Publish(t, b, "t", eventstest.Event("first", ""), m)
	js := n.jetstream()
	discoverytest.Eventually(t, "it is due", func() bool {
		s, err := js.Stream(t.Context(), "test__later")
		if err != nil {
			t.Fatal(err)
		}
		info, err := s.Info(t.Context(), jetstream.WithSubjectFilter("test.due.>"))
		return err == nil && len(info.State.Subjects) == 1
	})
	s, err := js.Stream(t.Context(), "test_t")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := eventstest.Handle(t, eventstest.Subscribe(t, b, eventstest.Member("t", "g", "m", eventstest.FromFirst)), 1); got[0] != "later" {
		t.Errorf("got %v", got)
	}
}

func TestWrongOptions(t *testing.T) {
	n := newNode(t)
	for what, change := range map[string]func(*natsevents.Options){
		"Dedup":      func(o *natsevents.Options) { o.Dedup = 1 },
		"Lease":      lease(time.Millisecond),
		"MaxPending": func(o *natsevents.Options) { o.MaxPending = -1 },
	} {
		b := n.broker(change)
		if err := b.Declare(t.Context(), eventstest.Topic("t")); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: declare: %v", what, err)
		}
		if err := eventstest.Send(t.Context(), b, "t", eventstest.Event("1", "")); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: publish: %v", what, err)
		}
		if _, err := b.Subscribe(t.Context(), eventstest.Member("t", "g", "m")); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: subscribe: %v", what, err)
		}
	}
	b := n.broker()
	if err := b.Declare(t.Context(), eventstest.Topic("Not A Name")); err == nil {
		t.Error("a wrong name is taken")
	}
	b.Close()
	if err := b.Declare(t.Context(), eventstest.Topic("t")); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("got %v from a closed broker", err)
	}
}

func TestSchema(t *testing.T) {
	n := newNode(t)
	b := n.broker()
	eventstest.Declare(t, b, "a.b")
	if data, revision, err := b.LoadSchema(t.Context(), "a.b"); data != nil || revision != 0 || err != nil {
		t.Fatal(data, revision, err)
	}
	store := func(data string, revision uint64, want bool) {
		t.Helper()
		if ok, err := b.StoreSchema(t.Context(), "a.b", []byte(data), revision); ok != want || err != nil {
			t.Fatalf("%s at %d: %v, %v", data, revision, ok, err)
		}
	}
	store("one", 0, true)
	store("two", 0, false)
	data, revision, err := n.broker().LoadSchema(t.Context(), "a.b")
	if string(data) != "one" || err != nil {
		t.Fatal(string(data), err)
	}
	store("two", revision, true)
	store("three", revision, false)
	if data, _, err := b.LoadSchema(t.Context(), "a.b"); string(data) != "two" || err != nil {
		t.Fatal(string(data), err)
	}
}
