package eventstest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hanse-go/hanse/events"
)

// What follows is for further tests of a broker: each function does by hand one step of what package events does, and fails the test when that does not
// go well.

// Within returns a context that ends after d. Unlike that of the test, it lasts while the test cleans up.
func Within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeoutCause(context.Background(), d, errors.New("it took longer than "+d.String()))
	t.Cleanup(cancel)
	return ctx
}

// Topic returns a topic with keys that takes at most 64 MiB, and has the defaults otherwise.
func Topic(name string, change ...func(*events.TopicInfo)) events.TopicInfo {
	info := events.TopicInfo{Name: name, Keyed: true, Limits: events.Limits{MaxBytes: 64 << 20}.WithDefaults()}
	for _, c := range change {
		c(&info)
	}
	return info
}

// Declare declares a [Topic].
func Declare(t testing.TB, b events.Broker, name string, change ...func(*events.TopicInfo)) {
	t.Helper()
	if err := b.Declare(Within(t, 20*time.Second), Topic(name, change...)); err != nil {
		t.Fatal(err)
	}
}

// Event returns an event whose data is its ID.
func Event(id, key string) *events.Message {
	return &events.Message{
		ID: id, Source: "hanse:///test", Type: "test.v1.Thing", Time: time.Now().UTC(), ContentType: "application/protobuf", Key: key, Data: []byte(id),
	}
}

// Send publishes an event. It returns when the event is stored, or known not to be.
func Send(ctx context.Context, b events.Broker, topic string, m *events.Message) error {
	done := make(chan error, 1)
	b.Publish(ctx, topic, m, func(err error) { done <- err })
	return <-done
}

// Publish publishes events, one after the other.
func Publish(t testing.TB, b events.Broker, topic string, ms ...*events.Message) {
	t.Helper()
	for _, m := range ms {
		if err := Send(Within(t, 20*time.Second), b, topic, m); err != nil {
			t.Fatalf("publish %s: %v", m.ID, err)
		}
	}
}

// Member returns what a broker is told of a member that may hold 100 events.
func Member(topic, group, member string, change ...func(*events.SubscriptionInfo)) events.SubscriptionInfo {
	info := events.SubscriptionInfo{Topic: topic, Group: group, Member: member, AckWait: 20 * time.Second, MaxInFlight: 100}
	for _, c := range change {
		c(&info)
	}
	return info
}

// Ordered has a [Member] want the order of keys.
func Ordered(s *events.SubscriptionInfo) { s.Ordered = true }

// FromFirst has the group of a [Member] begin with the first event.
func FromFirst(s *events.SubscriptionInfo) { s.Start.All = true }

// Subscribe joins a group. The source is closed at the end of the test.
func Subscribe(t testing.TB, b events.Broker, info events.SubscriptionInfo) events.Source {
	t.Helper()
	s, err := b.Subscribe(Within(t, 20*time.Second), info)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { Leave(t, s) })
	return s
}

// Leave closes a source.
func Leave(t testing.TB, s events.Source) {
	t.Helper()
	if err := s.Close(Within(t, 10*time.Second)); err != nil {
		t.Errorf("close: %v", err)
	}
}

// Take returns n deliveries. It does not settle them.
func Take(t testing.TB, s events.Source, n int) (all []events.Delivery) {
	t.Helper()
	ctx := Within(t, 30*time.Second)
	for len(all) < n {
		some, err := s.Next(ctx, n-len(all))
		if err != nil {
			t.Fatalf("after %d of %d: %v", len(all), n, err)
		}
		all = append(all, some...)
	}
	return all
}

// Ack acknowledges deliveries.
func Ack(t testing.TB, all ...events.Delivery) {
	t.Helper()
	for _, d := range all {
		if err := d.Ack(Within(t, 10*time.Second)); err != nil {
			t.Errorf("ack %s: %v", d.Message().ID, err)
		}
	}
}

// Handle acknowledges n deliveries, and returns their IDs.
func Handle(t testing.TB, s events.Source, n int) (ids []string) {
	t.Helper()
	ctx := Within(t, 30*time.Second)
	for len(ids) < n {
		some, err := s.Next(ctx, n-len(ids))
		if err != nil {
			t.Fatalf("after %d of %d: %v", len(ids), n, err)
		}
		Ack(t, some...)
		ids = append(ids, IDs(some)...)
	}
	return ids
}

// IDs returns those of deliveries.
func IDs(all []events.Delivery) (ids []string) {
	for _, d := range all {
		ids = append(ids, d.Message().ID)
	}
	return ids
}

// Nothing checks that nothing comes for a while.
func Nothing(t testing.TB, s events.Source, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	some, err := s.Next(ctx, 1)
	if err == nil {
		t.Fatalf("got %s, want nothing", some[0].Message().ID)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
}
