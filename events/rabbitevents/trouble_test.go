//go:build unix

package rabbitevents_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/events"
)

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func topicInfo(name string, change ...func(*events.TopicInfo)) events.TopicInfo {
	info := events.TopicInfo{Name: name, Keyed: true, Limits: events.Limits{MaxBytes: 64 << 20}.WithDefaults()}
	for _, c := range change {
		c(&info)
	}
	return info
}

func declare(t *testing.T, b events.Broker, name string, change ...func(*events.TopicInfo)) {
	t.Helper()
	if err := b.Declare(within(t, 20*time.Second), topicInfo(name, change...)); err != nil {
		t.Fatal(err)
	}
}

func event(id, key string) *events.Message {
	return &events.Message{
		ID: id, Source: "hanse:///test", Type: "test.v1.Thing", Time: time.Now().UTC(), ContentType: "application/protobuf", Key: key, Data: []byte(id),
	}
}

// send publishes without waiting.
func send(ctx context.Context, b events.Broker, topic string, m *events.Message) <-chan error {
	done := make(chan error, 1)
	b.Publish(ctx, topic, m, func(err error) { done <- err })
	return done
}

func publish(t *testing.T, b events.Broker, topic string, all ...*events.Message) {
	t.Helper()
	for _, m := range all {
		if err := <-send(within(t, 20*time.Second), b, topic, m); err != nil {
			t.Fatalf("publish %s: %v", m.ID, err)
		}
	}
}

func subscription(topic, group, member string) events.SubscriptionInfo {
	return events.SubscriptionInfo{Topic: topic, Group: group, Member: member, AckWait: 20 * time.Second, MaxInFlight: 100}
}

func subscribe(t *testing.T, b events.Broker, info events.SubscriptionInfo) events.Source {
	t.Helper()
	s, err := b.Subscribe(within(t, 20*time.Second), info)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(within(t, 10*time.Second)); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// take returns n deliveries. It does not settle them.
func take(t *testing.T, s events.Source, n int) (all []events.Delivery) {
	t.Helper()
	ctx := within(t, 30*time.Second)
	for len(all) < n {
		some, err := s.Next(ctx, n-len(all))
		if err != nil {
			t.Fatalf("after %d of %d: %v", len(all), n, err)
		}
		all = append(all, some...)
	}
	return all
}

func ack(t *testing.T, all ...events.Delivery) {
	t.Helper()
	for _, d := range all {
		if err := d.Ack(t.Context()); err != nil {
			t.Errorf("ack %s: %v", d.Message().ID, err)
		}
	}
}

// TestDrift holds that what is there with other settings is an error that says what and what to do.
func TestDrift(t *testing.T) {
	n := rabbit(t)
	system := newSystem()
	b := newBroker(t, n.url(), system)
	n.eval(`rabbit_exchange:declare(rabbit_misc:r(<<"/">>, exchange, <<"` + system + `.foreign">>), direct, true, false, false, [], <<"test">>).`)
	drifts := func(err error, parts ...string) {
		t.Helper()
		if !errors.Is(err, events.ErrDrift) {
			t.Errorf("%v, want ErrDrift", err)
			return
		}
		for _, part := range parts {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%v, want it to say %q", err, part)
			}
		}
	}
	drifts(b.Declare(t.Context(), topicInfo("foreign")), system+".foreign", "fanout", "direct", "delete it")

	declare(t, b, "orders")
	s := subscribe(t, b, subscription("orders", "mailer", "m"))
	declare(t, b, "orders", func(i *events.TopicInfo) { i.Limits.MaxSize = 5 }) // which is no setting of queues
	drifts(b.Declare(t.Context(), topicInfo("orders", func(i *events.TopicInfo) { i.Limits.MaxAge = time.Hour })), "MaxAge is 168h0m0s there and 1h0m0s", "keep it")
	drifts(b.Declare(t.Context(), topicInfo("orders", func(i *events.TopicInfo) { i.Limits.MaxMessages = 7 })), "MaxMessages is -1 there and 7")
	_, err := b.Subscribe(t.Context(), func() events.SubscriptionInfo { i := subscription("orders", "mailer", "n"); i.Ordered = true; return i }())
	drifts(err, `"mailer"`, "does not keep the order")
	publish(t, b, "orders", event("1", ""))
	ack(t, take(t, s, 1)...)

	// A queue that somebody else has made.
	declare(t, b, "mine")
	n.eval(`rabbit_amqqueue:declare(rabbit_misc:r(<<"/">>, queue, <<"` + system + `.mine:mailer">>), true, false, [], none, <<"test">>).`)
	_, err = b.Subscribe(t.Context(), subscription("mine", "mailer", "m"))
	drifts(err, system+".mine:mailer", "inequivalent arg", "delete it")
}
