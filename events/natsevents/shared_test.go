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
	"github.com/hanse-go/hanse/events/eventstest"
	"github.com/nats-io/nats.go/jetstream"
)

func shared(*events.SubscriptionInfo) {}

var kinds = map[string]func(*events.SubscriptionInfo){"shared": shared, "ordered": eventstest.Ordered}

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
			eventstest.Declare(t, b, topic)
			eventstest.Publish(t, b, topic, eventstest.Event("1", "a"), eventstest.Event("2", "b"))
			between := time.Now()
			eventstest.Publish(t, b, topic, eventstest.Event("3", "c"), eventstest.Event("4", ""))
			s := eventstest.Subscribe(t, b, eventstest.Member(topic, "g", "m", change, func(s *events.SubscriptionInfo) { s.Start = c.start(between) }))
			eventstest.Publish(t, b, topic, eventstest.Event("5", "a"))
			got := eventstest.Handle(t, s, len(strings.Fields(c.want)))
			slices.Sort(got)
			if strings.Join(got, " ") != c.want {
				t.Errorf("%s: got %v, want %s", topic, got, c.want)
			}
			eventstest.Leave(t, s)
			eventstest.Publish(t, b, topic, eventstest.Event("6", "a")) // a group that is there goes on where it was
			if got := eventstest.Handle(t, eventstest.Subscribe(t, b, eventstest.Member(topic, "g", "m2", change, eventstest.FromFirst)), 1); got[0] != "6" {
				t.Errorf("%s: it goes on with %v", topic, got)
			}
		}
	}
}

// Two members share the work; two groups each get all of it.
func TestGroups(t *testing.T) {
	b := newNode(t).broker()
	eventstest.Declare(t, b, "t")
	few := func(s *events.SubscriptionInfo) { s.MaxInFlight = 5 }
	one, two := eventstest.Subscribe(t, b, eventstest.Member("t", "g", "1", few)), eventstest.Subscribe(t, b, eventstest.Member("t", "g", "2", few))
	other := eventstest.Subscribe(t, b, eventstest.Member("t", "other", "1"))
	for _, id := range ids(10, "%d") {
		eventstest.Publish(t, b, "t", eventstest.Event(id, ""))
	}
	first := eventstest.Take(t, one, 5) // all that it may hold
	eventstest.Nothing(t, one, 50*time.Millisecond)
	got := eventstest.Handle(t, two, 5)
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
	if got := eventstest.Handle(t, other, 10); strings.Join(got, "") != "0123456789" {
		t.Errorf("the other group got %v", got)
	}
	eventstest.Nothing(t, one, 100*time.Millisecond)
}

func TestSettle(t *testing.T) {
	b := newNode(t).broker()
	eventstest.Declare(t, b, "t")
	ctx := t.Context()
	s := eventstest.Subscribe(t, b, eventstest.Member("t", "g", "m", func(s *events.SubscriptionInfo) { s.AckWait = time.Second }))
	eventstest.Publish(t, b, "t", eventstest.Event("1", ""))
	begin := time.Now()
	d := eventstest.Take(t, s, 1)[0]
	if err := d.Retry(ctx, 500*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if err := d.Ack(ctx); err == nil {
		t.Error("it is settled twice")
	}
	if d = eventstest.Take(t, s, 1)[0]; d.Attempt() != 2 || time.Since(begin) < 500*time.Millisecond {
		t.Errorf("it comes again after %v as attempt %d", time.Since(begin), d.Attempt())
	}
	for range 4 { // it stays while it is extended
		if err := d.Extend(ctx); err != nil {
			t.Fatal(err)
		}
		eventstest.Nothing(t, s, 500*time.Millisecond)
	}
	again := eventstest.Take(t, s, 1)[0] // and comes again when not
	if again.Attempt() != 3 {
		t.Errorf("it is attempt %d", again.Attempt())
	}
	if err := again.Ack(ctx); err != nil {
		t.Fatal(err)
	}
	if err := again.Extend(ctx); err != nil {
		t.Error(err)
	}
	eventstest.Nothing(t, s, 1500*time.Millisecond)
}

// Close gives back at once what the member holds, what it fetched ahead, and what is on its way.
func TestCloseGivesBack(t *testing.T) {
	for kind, change := range kinds {
		t.Run(kind, func(t *testing.T) {
			b := newNode(t).broker(lease(time.Second))
			eventstest.Declare(t, b, "t")
			slow := func(s *events.SubscriptionInfo) { s.AckWait = time.Hour }
			s := eventstest.Subscribe(t, b, eventstest.Member("t", "g", "1", change, slow))
			var want []string
			for i := range 200 {
				id := fmt.Sprintf("%03d", i)
				want = append(want, id)
				eventstest.Publish(t, b, "t", eventstest.Event(id, id))
			}
			for range 3 {
				all := eventstest.Take(t, s, 30)
				for _, d := range all[:10] {
					id := d.Message().ID
					want = slices.DeleteFunc(want, func(w string) bool { return w == id })
					if err := d.Ack(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				held := all[10]
				eventstest.Leave(t, s)
				if err := held.Ack(t.Context()); err == nil {
					t.Error("what was held can be acknowledged after Close")
				}
				s = eventstest.Subscribe(t, b, eventstest.Member("t", "g", t.Name()+fmt.Sprint(len(want)), change, slow))
			}
			got := eventstest.Handle(t, s, len(want))
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("got %d: %v\nwant %d: %v", len(got), got, len(want), want)
			}
			eventstest.Nothing(t, s, 200*time.Millisecond)
		})
	}
}

// A member that nobody asks gives back what it fetched ahead.
func TestPausedMember(t *testing.T) {
	b := newNode(t).broker()
	eventstest.Declare(t, b, "t")
	short := func(s *events.SubscriptionInfo) { s.AckWait = 500 * time.Millisecond }
	one := eventstest.Subscribe(t, b, eventstest.Member("t", "g", "1", short))
	for _, id := range ids(20, "%d") {
		eventstest.Publish(t, b, "t", eventstest.Event(id, ""))
	}
	eventstest.Handle(t, one, 10) // as many again are fetched
	two := eventstest.Subscribe(t, b, eventstest.Member("t", "g", "2", short))
	eventstest.Handle(t, two, 10)
}

// A subscription whose group was deleted fails, and says so.
func TestDeletedGroup(t *testing.T) {
	n := newNode(t)
	b := n.broker()
	eventstest.Declare(t, b, "t")
	s := eventstest.Subscribe(t, b, eventstest.Member("t", "g", "m"))
	eventstest.Publish(t, b, "t", eventstest.Event("1", ""))
	eventstest.Handle(t, s, 1)
	if err := n.jetstream().DeleteConsumer(t.Context(), "test_t", "g"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Next(eventstest.Within(t, 20*time.Second), 1); err == nil || !strings.Contains(err.Error(), "was deleted") {
		t.Errorf("got %v", err)
	}
	eventstest.Subscribe(t, b, eventstest.Member("t", "g", "m2")) // begins anew
}

func TestGroupDrift(t *testing.T) {
	n := newNode(t)
	b := n.broker()
	eventstest.Declare(t, b, "t")
	eventstest.Subscribe(t, b, eventstest.Member("t", "plain", "m"))
	eventstest.Subscribe(t, b, eventstest.Member("t", "sorted", "m", eventstest.Ordered))
	if _, err := b.Subscribe(t.Context(), eventstest.Member("t", "plain", "m2", eventstest.Ordered)); !errors.Is(err, events.ErrDrift) {
		t.Errorf("got %v, want ErrDrift", err)
	}
	if _, err := b.Subscribe(t.Context(), eventstest.Member("t", "sorted", "m2")); !errors.Is(err, events.ErrDrift) {
		t.Errorf("got %v, want ErrDrift", err)
	}
	js := n.jetstream()
	if _, err := js.CreateConsumer(t.Context(), "test_t", jetstream.ConsumerConfig{Durable: "foreign", AckPolicy: jetstream.AckNonePolicy}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Subscribe(t.Context(), eventstest.Member("t", "foreign", "m")); !errors.Is(err, events.ErrDrift) {
		t.Errorf("got %v, want ErrDrift", err)
	}
	// What can change does.
	eventstest.Subscribe(t, b, eventstest.Member("t", "plain", "m3", func(s *events.SubscriptionInfo) { s.AckWait = 7 * time.Second }))
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
			eventstest.Declare(t, b, "t")
			s := eventstest.Subscribe(t, b, eventstest.Member("t", "g", "m", change))
			each := eventstest.Subscribe(t, b, eventstest.Member("t", "", "e"))
			eventstest.Publish(t, b, "t", eventstest.Event("1", "k"), eventstest.Event("2", "k"))
			held := eventstest.Take(t, s, 1)[0]
			eventstest.Handle(t, each, 2)
			n.stop()
			eventstest.Nothing(t, each, 100*time.Millisecond)
			n.start()
			eventstest.Publish(t, b, "t", eventstest.Event("3", "k"))
			if err := held.Ack(t.Context()); err != nil {
				t.Error(err)
			}
			if got := eventstest.Handle(t, s, 2); got[0] != "2" || got[1] != "3" {
				t.Errorf("got %v", got)
			}
			if got := eventstest.Handle(t, each, 1); got[0] != "3" {
				t.Errorf("each got %v", got)
			}
		})
	}
}

// A subscription without a group gets all from now on, and leaves nothing behind.
func TestEach(t *testing.T) {
	n := newNode(t)
	b := n.broker()
	eventstest.Declare(t, b, "t")
	eventstest.Publish(t, b, "t", eventstest.Event("before", ""))
	one, two := eventstest.Subscribe(t, b, eventstest.Member("t", "", "1")), eventstest.Subscribe(t, b, eventstest.Member("t", "", "2", eventstest.Ordered))
	eventstest.Publish(t, b, "t", eventstest.Event("1", ""), eventstest.Event("2", "k"), eventstest.Event("3", "k"))
	for _, s := range []events.Source{one, two} {
		ds := eventstest.Take(t, s, 3)
		if err := ds[1].Retry(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		again := eventstest.Take(t, s, 1)[0]
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
	eventstest.Publish(t, b, "t", eventstest.Event("4", ""))
	for _, s := range []events.Source{one, two} {
		if got := eventstest.Handle(t, s, 1); got[0] != "4" {
			t.Errorf("got %v after its consumer was deleted", got)
		}
		eventstest.Nothing(t, s, 50*time.Millisecond)
	}
	eventstest.Leave(t, one)
	eventstest.Leave(t, two)
	if left := consumers(); len(left) > 0 {
		t.Errorf("consumers are left: %v", left)
	}
}

// A subscription that does not take does not hold up others of the same connection.
func TestSlowConsumer(t *testing.T) {
	b := newNode(t).broker()
	eventstest.Declare(t, b, "t")
	slow := eventstest.Subscribe(t, b, eventstest.Member("t", "slow", "m"))
	quick := eventstest.Subscribe(t, b, eventstest.Member("t", "quick", "m"))
	ctx := eventstest.Within(t, 30*time.Second)
	const total = 5000
	failed := make(chan error, total)
	for i := range total {
		m := eventstest.Event(fmt.Sprint(i), "")
		m.Data = make([]byte, 1000)
		b.Publish(ctx, "t", m, func(err error) { failed <- err })
	}
	eventstest.Take(t, slow, 10)
	eventstest.Handle(t, quick, total)
	for range total {
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
	}
}

func TestNextEnds(t *testing.T) {
	b := newNode(t).broker()
	eventstest.Declare(t, b, "t")
	for kind, change := range kinds {
		s := eventstest.Subscribe(t, b, eventstest.Member("t", kind, "m", change))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Next(ctx, 1); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v", kind, err)
		}
		eventstest.Leave(t, s)
		if _, err := s.Next(t.Context(), 1); err == nil || !strings.Contains(err.Error(), "closed") {
			t.Errorf("%s: got %v", kind, err)
		}
	}
}
