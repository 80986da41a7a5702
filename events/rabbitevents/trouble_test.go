//go:build unix

package rabbitevents_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/eventstest"
	"github.com/hanse-go/hanse/events/rabbitevents"
	amqp "github.com/rabbitmq/amqp091-go"
)

// send publishes without waiting.
func send(ctx context.Context, b events.Broker, topic string, m *events.Message) <-chan error {
	done := make(chan error, 1)
	b.Publish(ctx, topic, m, func(err error) { done <- err })
	return done
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
	drifts(b.Declare(t.Context(), eventstest.Topic("foreign")), system+".foreign", "fanout", "direct", "delete it")

	eventstest.Declare(t, b, "orders")
	s := eventstest.Subscribe(t, b, eventstest.Member("orders", "mailer", "m"))
	eventstest.Declare(t, b, "orders", func(i *events.TopicInfo) { i.Limits.MaxSize = 5 }) // which is no setting of queues
	drifts(b.Declare(t.Context(), eventstest.Topic("orders", func(i *events.TopicInfo) { i.Limits.MaxAge = time.Hour })), "MaxAge is 168h0m0s there and 1h0m0s", "keep it")
	drifts(b.Declare(t.Context(), eventstest.Topic("orders", func(i *events.TopicInfo) { i.Limits.MaxMessages = 7 })), "MaxMessages is -1 there and 7")
	_, err := b.Subscribe(t.Context(), func() events.SubscriptionInfo {
		i := eventstest.Member("orders", "mailer", "n")
		i.Ordered = true
		return i
	}())
	drifts(err, `"mailer"`, "does not keep the order")
	eventstest.Publish(t, b, "orders", eventstest.Event("1", ""))
	eventstest.Ack(t, eventstest.Take(t, s, 1)...)

	// A queue that somebody else has made.
	eventstest.Declare(t, b, "mine")
	n.eval(`rabbit_amqqueue:declare(rabbit_misc:r(<<"/">>, queue, <<"` + system + `.mine:mailer">>), true, false, [], none, <<"test">>).`)
	_, err = b.Subscribe(t.Context(), eventstest.Member("mine", "mailer", "m"))
	drifts(err, system+".mine:mailer", "inequivalent arg", "delete it")
}

// TestDelayed holds that what RabbitMQ cannot do is an error before anything waits for it.
func TestDelayed(t *testing.T) {
	n := rabbit(t)
	b := newBroker(t, n.url(), newSystem())
	if err := b.Declare(t.Context(), eventstest.Topic("orders", func(i *events.TopicInfo) { i.Delayed = true })); !errors.Is(err, events.ErrUnsupported) {
		t.Errorf("Declare: %v, want ErrUnsupported", err)
	}
	eventstest.Declare(t, b, "orders")
	m := eventstest.Event("1", "")
	m.Due = time.Now().Add(time.Hour)
	if err := <-send(t.Context(), b, "orders", m); !errors.Is(err, events.ErrUnsupported) {
		t.Errorf("publish: %v, want ErrUnsupported", err)
	}
}

// TestMaxAge holds that what is too old goes, and that a topic may keep its events for years, or for ever.
func TestMaxAge(t *testing.T) {
	n := rabbit(t)
	b := newBroker(t, n.url(), newSystem())
	for name, age := range map[string]time.Duration{"short": 300 * time.Millisecond, "years": 5 * 365 * 24 * time.Hour, "ever": -1} {
		eventstest.Declare(t, b, name, func(i *events.TopicInfo) { i.Limits.MaxAge = age })
		s := eventstest.Subscribe(t, b, eventstest.Member(name, "mailer", "m"))
		eventstest.Publish(t, b, name, eventstest.Event("1", ""))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		<-ctx.Done()
		cancel()
		eventstest.Publish(t, b, name, eventstest.Event("2", ""))
		want := "1"
		if name == "short" {
			want = "2"
		}
		if got := eventstest.Take(t, s, 1); got[0].Message().ID != want {
			t.Errorf("%s: got %s, want %s", name, got[0].Message().ID, want)
		}
	}
}

// TestLost holds that a member is told when the server takes its deliveries back, and that they come again, to a subscription without a
// group, too, for which nothing that was published meanwhile is missed.
func TestLost(t *testing.T) {
	n := rabbit(t)
	system := newSystem()
	b, publisher := newBroker(t, n.url(), system), newBroker(t, n.url(), system)
	eventstest.Declare(t, b, "orders")
	eventstest.Declare(t, publisher, "orders")
	shared, each := eventstest.Subscribe(t, b, eventstest.Member("orders", "mailer", "m")), eventstest.Subscribe(t, b, eventstest.Member("orders", "", "m"))
	eventstest.Publish(t, publisher, "orders", eventstest.Event("1", ""))
	var held []events.Delivery
	for _, s := range []events.Source{shared, each} {
		held = append(held, eventstest.Take(t, s, 1)...)
	}
	n.eval(`rabbit_networking:close_all_connections(<<"a test">>).`)
	eventstest.Publish(t, publisher, "orders", eventstest.Event("2", ""))
	for i, s := range []events.Source{shared, each} {
		select {
		case <-held[i].Lost():
		case <-time.After(20 * time.Second):
			t.Fatal("nobody says that it is lost")
		}
		if err := held[i].Ack(t.Context()); err == nil {
			t.Error("a delivery of before is acknowledged")
		}
		got := eventstest.Take(t, s, 2)
		if got[0].Message().ID != "1" || got[0].Attempt() != 2 || got[1].Message().ID != "2" || got[1].Attempt() != 1 {
			t.Errorf("got %s, attempt %d, and %s, attempt %d; want 1, attempt 2, and 2, attempt 1",
				got[0].Message().ID, got[0].Attempt(), got[1].Message().ID, got[1].Attempt())
		}
		eventstest.Ack(t, got...)
	}
}

// TestEachLeavesNothing holds that the queue of a subscription without a group goes with it.
func TestEachLeavesNothing(t *testing.T) {
	n := rabbit(t)
	system := newSystem()
	b := newBroker(t, n.url(), system)
	eventstest.Declare(t, b, "orders")
	s, err := b.Subscribe(t.Context(), eventstest.Member("orders", "", "m"))
	if err != nil {
		t.Fatal(err)
	}
	there := func() bool {
		_, err := foreign(t, n).QueueDeclarePassive(system+".orders::m", true, false, false, false, nil)
		return err == nil
	}
	if !there() {
		t.Error("there is no queue")
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if there() {
		t.Error("the queue is there still")
	}
}

// TestOtherPartitions holds that programs that divide keys differently do not share a topic.
func TestOtherPartitions(t *testing.T) {
	n := rabbit(t)
	system := newSystem()
	b := newBroker(t, n.url(), system)
	other := newBroker(t, n.url(), system, func(o *rabbitevents.Options) { o.Partitions = 4 })
	eventstest.Declare(t, b, "orders")
	eventstest.Declare(t, other, "orders") // there is nothing yet that it concerns
	if _, err := b.Subscribe(t.Context(), eventstest.Member("orders", "mailer", "m")); !errors.Is(err, events.ErrDrift) {
		t.Errorf("Subscribe: %v, want ErrDrift", err)
	}
	eventstest.Declare(t, b, "orders")
	info := eventstest.Member("orders", "mailer", "m")
	info.Ordered = true
	eventstest.Subscribe(t, b, info)
	if err := other.Declare(t.Context(), eventstest.Topic("orders")); !errors.Is(err, events.ErrDrift) || !strings.Contains(err.Error(), "Partitions is 8 there and 4") {
		t.Errorf("Declare: %v, want ErrDrift", err)
	}
}

// TestTLS holds that an amqps URL is TLS with certificates that are verified.
func TestTLS(t *testing.T) {
	n := rabbit(t)
	c := discoverytest.NewCredentials(t)
	_, port, err := net.SplitHostPort(discoverytest.FreeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	n.eval(`ok = rabbit_networking:start_ssl_listener({"127.0.0.1", ` + port + `}, [{cacertfile, "` + c.CAFile + `"}, {certfile, "` + c.CertFile + `"}, {keyfile, "` + c.KeyFile + `"}], 2).`)
	url := "amqps://guest:guest@127.0.0.1:" + port
	b := newBroker(t, url, newSystem(), func(o *rabbitevents.Options) { o.TLS = c.Client("") })
	eventstest.Declare(t, b, "orders")
	eventstest.Publish(t, b, "orders", eventstest.Event("1", ""))
	if err := newBroker(t, url, newSystem()).Declare(eventstest.Within(t, 20*time.Second), eventstest.Topic("orders")); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("without the authority: %v", err)
	}
}

// TestOneConsumer holds that the server gives an ordered queue to one consumer at a time, whatever members think: here another program
// has all of them, and no member knows.
func TestOneConsumer(t *testing.T) {
	n := rabbit(t)
	system := newSystem()
	b := newBroker(t, n.url(), system)
	eventstest.Declare(t, b, "orders")
	info := eventstest.Member("orders", "mailer", "m")
	info.Ordered = true
	s := eventstest.Subscribe(t, b, info)
	ch := foreign(t, n)
	got := make(chan amqp.Delivery, 10)
	for i := range 8 {
		came, err := ch.Consume(fmt.Sprint(system, ".orders:mailer:", i), "", false, false, false, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for d := range came {
				got <- d
			}
		}()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := s.Next(ctx, 1); err == nil {
		t.Error("there is an event")
	}
	eventstest.Publish(t, b, "orders", eventstest.Event("1", "k"), eventstest.Event("2", "k"), eventstest.Event("3", "k"))
	first := <-got
	<-got
	if err := first.Ack(false); err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if all, err := s.Next(ctx, 1); err == nil {
		t.Errorf("%s came, while another consumer has what is before it", all[0].Message().ID)
	}
	if err := ch.Close(); err != nil {
		t.Fatal(err)
	}
	all := eventstest.Take(t, s, 2)
	if all[0].Message().ID != "2" || all[1].Message().ID != "3" {
		t.Errorf("got %s and %s, want 2 and 3", all[0].Message().ID, all[1].Message().ID)
	}
	eventstest.Ack(t, all...)
}

// TestHandOverKeepsOrder holds that a partition that goes to another member goes with what had come to the first one and was not begun: nothing behind
// that is there before it.
func TestHandOverKeepsOrder(t *testing.T) {
	n := rabbit(t)
	b := newBroker(t, n.url(), newSystem())
	eventstest.Declare(t, b, "orders")
	info := eventstest.Member("orders", "mailer", "m")
	info.Ordered, info.MaxInFlight = true, 20
	first := eventstest.Subscribe(t, b, info)
	const keys, each = 16, 30
	var all []<-chan error
	for i := range keys * each {
		key := fmt.Sprint("k", i%keys)
		all = append(all, send(t.Context(), b, "orders", eventstest.Event(fmt.Sprintf("%s:%d", key, i/keys+1), key)))
	}
	for _, done := range all {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	last := make(map[string]int)
	handle := func(all []events.Delivery) {
		t.Helper()
		for _, d := range all {
			var number int
			key := d.Message().Key
			fmt.Sscanf(d.Message().ID, key+":%d", &number)
			if number != last[key]+1 {
				t.Errorf("%s comes after %d", d.Message().ID, last[key])
			}
			last[key] = max(last[key], number)
			eventstest.Ack(t, d)
		}
	}
	var held []events.Delivery
	for range 16 { // of each partition, so that none moves yet
		held = append(held, eventstest.Take(t, first, 1)...)
	}
	info.Member = "n"
	second := eventstest.Subscribe(t, b, info)
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond) // in which it gets in line
	defer cancel()
	early, _ := second.Next(ctx, 5)
	handle(held)
	handle(early)
	for range 10 {
		handle(eventstest.Take(t, second, 5))
	}
}
