package natsevents_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/nats-io/nats.go/jetstream"
)

func shared(*events.SubscriptionInfo) {}

var kinds = map[string]func(*events.SubscriptionInfo){"shared": shared, "ordered": ordered}

func TestStart(t *testing.T) {
	n := newNode(t)
	b := n.broker()
	for kind, change := range kinds {
		for name, c := range map[string]struct {
			start func(between time.Time) events.Start
			want  string
		}{
			"now":      {func(time.Time) events.Start { return events.Start{} }, "5"},
			"all":      {func(time.Time) events.Start { return events.Start{All: true} }, "1 2 3 4 5"},
			"time":     {func(between time.Time) events.Start { return events.Start{Time: between} }, "3 4 5"},
			"sequence": {func(time.Time) events.Start { return events.Start{Sequence: 2} }, "2 3 4 5"},
		} {
			topic := kind + "." + name
			declare(t, b, topic)
			mustPublish(t, b, topic, event("1", "a"), event("2", "b"))
			between := time.Now()
			mustPublish(t, b, topic, event("3", "c"), event("4", ""))
			s := subscribe(t, b, subscription(topic, "g", "m", change, func(s *events.SubscriptionInfo) { s.Start = c.start(between) }))
			mustPublish(t, b, topic, event("5", "a"))
			got := handle(t, s, len(strings.Fields(c.want)))
			slices.Sort(got)
			if strings.Join(got, " ") != c.want {
				t.Errorf("%s: got %v, want %s", topic, got, c.want)
			}
			leave(t, s)
			mustPublish(t, b, topic, event("6", "a")) // a group that is there goes on where it was
			if got := handle(t, subscribe(t, b, subscription(topic, "g", "m2", change, fromFirst)), 1); got[0] != "6" {
				t.Errorf("%s: it goes on with %v", topic, got)
			}
		}
	}
}

// Two members share the work; two groups each get all of it.
func TestGroups(t *testing.T) {
	b := newNode(t).broker()
	declare(t, b, "t")
	few := func(s *events.SubscriptionInfo) { s.MaxInFlight = 5 }
	one, two := subscribe(t, b, subscription("t", "g", "1", few)), subscribe(t, b, subscription("t", "g", "2", few))
	other := subscribe(t, b, subscription("t", "other", "1"))
	for _, id := range ids(10, "%d") {
		mustPublish(t, b, "t", event(id, ""))
	}
	first := take(t, one, 5) // all that it may hold
	nothing(t, one, 50*time.Millisecond)
	got := handle(t, two, 5)
	for _, d := range first {
		got = append(got, d.Message().ID)
		if err := d.Ack(t.Context()); err != nil {
			t.Error(err)
		}
	}
	slices.Sort(got)
	if strings.Join(got, "") != "0123456789" {
		t.Errorf("the group got %v", got)
	}
	if got := handle(t, other, 10); strings.Join(got, "") != "0123456789" {
		t.Errorf("the other group got %v", got)
	}
	nothing(t, one, 100*time.Millisecond)
}

func TestSettle(t *testing.T) {
	b := newNode(t).broker()
	declare(t, b, "t")
	ctx := t.Context()
	s := subscribe(t, b, subscription("t", "g", "m", func(s *events.SubscriptionInfo) { s.AckWait = time.Second }))
	mustPublish(t, b, "t", event("1", ""))
	begin := time.Now()
	d := take(t, s, 1)[0]
	if err := d.Retry(ctx, 500*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if err := d.Ack(ctx); err == nil {
		t.Error("it is settled twice")
	}
	if d = take(t, s, 1)[0]; d.Attempt() != 2 || time.Since(begin) < 500*time.Millisecond {
		t.Errorf("it comes again after %v as attempt %d", time.Since(begin), d.Attempt())
	}
	for range 4 { // it stays while it is extended
		if err := d.Extend(ctx); err != nil {
			t.Fatal(err)
		}
		nothing(t, s, 500*time.Millisecond)
	}
	again := take(t, s, 1)[0] // and comes again when not
	if again.Attempt() != 3 {
		t.Errorf("it is attempt %d", again.Attempt())
	}
	if err := again.Ack(ctx); err != nil {
		t.Fatal(err)
	}
	if err := again.Extend(ctx); err != nil {
		t.Error(err)
	}
	nothing(t, s, 1500*time.Millisecond)
}

// Close gives back at once what the member holds, what it fetched ahead, and what is on its way.
func TestCloseGivesBack(t *testing.T) {
	for kind, change := range kinds {
		t.Run(kind, func(t *testing.T) {
			b := newNode(t).broker(lease(time.Second))
			declare(t, b, "t")
			slow := func(s *events.SubscriptionInfo) { s.AckWait = time.Hour }
			s := subscribe(t, b, subscription("t", "g", "1", change, slow))
			var want []string
			for i := range 200 {
				id := fmt.Sprintf("%03d", i)
				want = append(want, id)
				mustPublish(t, b, "t", event(id, id))
			}
			for range 3 {
				all := take(t, s, 30)
				for _, d := range all[:10] {
					id := d.Message().ID
					want = slices.DeleteFunc(want, func(w string) bool { return w == id })
					if err := d.Ack(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				held := all[10]
				leave(t, s)
				if err := held.Ack(t.Context()); err == nil {
					t.Error("what was held can be acknowledged after Close")
				}
				s = subscribe(t, b, subscription("t", "g", t.Name()+fmt.Sprint(len(want)), change, slow))
			}
			got := handle(t, s, len(want))
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("got %d: %v\nwant %d: %v", len(got), got, len(want), want)
			}
			nothing(t, s, 200*time.Millisecond)
		})
	}
}

// A member that nobody asks gives back what it fetched ahead.
func TestPausedMember(t *testing.T) {
	b := newNode(t).broker()
	declare(t, b, "t")
	short := func(s *events.SubscriptionInfo) { s.AckWait = 500 * time.Millisecond }
	one := subscribe(t, b, subscription("t", "g", "1", short))
	for _, id := range ids(20, "%d") {
		mustPublish(t, b, "t", event(id, ""))
	}
	handle(t, one, 10) // as many again are fetched
	two := subscribe(t, b, subscription("t", "g", "2", short))
	handle(t, two, 10)
}

// A subscription whose group was deleted fails, and says so.
func TestDeletedGroup(t *testing.T) {
	n := newNode(t)
	b := n.broker()
	declare(t, b, "t")
	s := subscribe(t, b, subscription("t", "g", "m"))
	mustPublish(t, b, "t", event("1", ""))
	handle(t, s, 1)
	if err := n.jetstream().DeleteConsumer(t.Context(), "test_t", "g"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Next(within(t, 20*time.Second), 1); err == nil || !strings.Contains(err.Error(), "was deleted") {
		t.Errorf("got %v", err)
	}
	subscribe(t, b, subscription("t", "g", "m2")) // begins anew
}

func TestGroupDrift(t *testing.T) {
	n := newNode(t)
	b := n.broker()
	declare(t, b, "t")
	subscribe(t, b, subscription("t", "plain", "m"))
	subscribe(t, b, subscription("t", "sorted", "m", ordered))
	if _, err := b.Subscribe(t.Context(), subscription("t", "plain", "m2", ordered)); !errors.Is(err, events.ErrDrift) {
		t.Errorf("got %v, want ErrDrift", err)
	}
	if _, err := b.Subscribe(t.Context(), subscription("t", "sorted", "m2")); !errors.Is(err, events.ErrDrift) {
		t.Errorf("got %v, want ErrDrift", err)
	}
	js := n.jetstream()
	if _, err := js.CreateConsumer(t.Context(), "test_t", jetstream.ConsumerConfig{Durable: "foreign", AckPolicy: jetstream.AckNonePolicy}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Subscribe(t.Context(), subscription("t", "foreign", "m")); !errors.Is(err, events.ErrDrift) {
		t.Errorf("got %v, want ErrDrift", err)
	}
	// What can change does.
	subscribe(t, b, subscription("t", "plain", "m3", func(s *events.SubscriptionInfo) { s.AckWait = 7 * time.Second }))
	c, err := js.Consumer(t.Context(), "test_t", "plain")
	if err != nil {
		t.Fatal(err)
	}
	if got := c.CachedInfo().Config.AckWait; got != 7*time.Second {
		t.Errorf("AckWait is %v", got)
	}
}

// Consumers go on when the broker is back.
func TestAwayConsumer(t *testing.T) {
	for kind, change := range kinds {
		t.Run(kind, func(t *testing.T) {
			n := newNode(t)
			b := n.broker(lease(time.Second))
			declare(t, b, "t")
			s := subscribe(t, b, subscription("t", "g", "m", change))
			each := subscribe(t, b, subscription("t", "", "e"))
			mustPublish(t, b, "t", event("1", "k"), event("2", "k"))
			held := take(t, s, 1)[0]
			handle(t, each, 2)
			n.stop()
			nothing(t, each, 100*time.Millisecond)
			n.start()
			mustPublish(t, b, "t", event("3", "k"))
			if err := held.Ack(t.Context()); err != nil {
				t.Error(err)
			}
			if got := handle(t, s, 2); got[0] != "2" || got[1] != "3" {
				t.Errorf("got %v", got)
			}
			if got := handle(t, each, 1); got[0] != "3" {
				t.Errorf("each got %v", got)
			}
		})
	}
}

// A subscription without a group gets all from now on, and leaves nothing behind.
func TestEach(t *testing.T) {
	n := newNode(t)
	b := n.broker()
	declare(t, b, "t")
	mustPublish(t, b, "t", event("before", ""))
	one, two := subscribe(t, b, subscription("t", "", "1")), subscribe(t, b, subscription("t", "", "2", ordered))
	mustPublish(t, b, "t", event("1", ""), event("2", "k"), event("3", "k"))
	for _, s := range []events.Source{one, two} {
		ds := take(t, s, 3)
		if err := ds[1].Retry(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		again := take(t, s, 1)[0]
		if m := again.Message(); m.ID != "2" || again.Attempt() != 2 {
			t.Errorf("%s comes again, as attempt %d", m.ID, again.Attempt())
		}
		for _, d := range []events.Delivery{ds[0], again, ds[2]} {
			if err := d.Ack(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
	js := n.jetstream()
	s, err := js.Stream(t.Context(), "test_t")
	if err != nil {
		t.Fatal(err)
	}
	consumers := func() (names []string) {
		list := s.ConsumerNames(t.Context())
		for name := range list.Name() {
			names = append(names, name)
		}
		if err := list.Err(); err != nil {
			t.Error(err)
		}
		return names
	}
	// One that vanishes behind our back is made again, where it was.
	for _, name := range consumers() {
		if err := js.DeleteConsumer(t.Context(), "test_t", name); err != nil {
			t.Fatal(err)
		}
	}
	mustPublish(t, b, "t", event("4", ""))
	for _, s := range []events.Source{one, two} {
		if got := handle(t, s, 1); got[0] != "4" {
			t.Errorf("got %v after its consumer was deleted", got)
		}
		nothing(t, s, 50*time.Millisecond)
	}
	leave(t, one)
	leave(t, two)
	if left := consumers(); len(left) > 0 {
		t.Errorf("consumers are left: %v", left)
	}
}

// A subscription that does not take does not hold up others of the same connection.
func TestSlowConsumer(t *testing.T) {
	b := newNode(t).broker()
	declare(t, b, "t")
	slow := subscribe(t, b, subscription("t", "slow", "m"))
	quick := subscribe(t, b, subscription("t", "quick", "m"))
	ctx := within(t, 30*time.Second)
	const total = 5000
	failed := make(chan error, total)
	for i := range total {
		m := event(fmt.Sprint(i), "")
		m.Data = make([]byte, 1000)
		b.Publish(ctx, "t", m, func(err error) { failed <- err })
	}
	take(t, slow, 10)
	handle(t, quick, total)
	for range total {
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
	}
}

func TestNextEnds(t *testing.T) {
	b := newNode(t).broker()
	declare(t, b, "t")
	for kind, change := range kinds {
		s := subscribe(t, b, subscription("t", kind, "m", change))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Next(ctx, 1); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v", kind, err)
		}
		leave(t, s)
		if _, err := s.Next(t.Context(), 1); err == nil || !strings.Contains(err.Error(), "closed") {
			t.Errorf("%s: got %v", kind, err)
		}
	}
}
