//go:build unix

package rabbitevents_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/eventstest"
	amqp "github.com/rabbitmq/amqp091-go"
)

// TestForeignPublisher holds that messages of other programs are events, whatever they have of CloudEvents.
func TestForeignPublisher(t *testing.T) {
	n := rabbit(t)
	system := newSystem()
	b := newBroker(t, n.url(), system)
	eventstest.Declare(t, b, "orders")
	s := eventstest.Subscribe(t, b, eventstest.Member("orders", "mailer", "m"))
	info := eventstest.Member("orders", "stock", "m")
	info.Ordered = true
	o := eventstest.Subscribe(t, b, info)
	ch := foreign(t, n)
	at := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	for _, p := range []amqp.Publishing{
		{Headers: amqp.Table{"cloudEvents:id": "1", "cloudEvents:source": "/php", "cloudEvents:type": "t", "cloudEvents:time": "2026-02-03T05:05:06+01:00",
			"cloudEvents:partitionkey": "k", "cloudEvents:attempts": int64(3), "cloudEvents:urgent": true, "X-Trace": "abc", "list": []any{"x"}}, ContentType: "application/json", Body: []byte("{}")},
		{Headers: amqp.Table{"cloudEvents_id": "2", "cloudEvents_time": at}, Body: []byte("b")},
		{MessageId: "3", AppId: "legacy", Type: "order", Timestamp: at, Body: []byte("c")},
	} {
		if err := ch.PublishWithContext(t.Context(), system+".orders", "whatever", false, false, p); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []events.Source{s, o} {
		got := eventstest.Take(t, s, 3)
		first, second, third := got[0].Message(), got[1].Message(), got[2].Message()
		if first.ID != "1" || first.Source != "/php" || first.Type != "t" || !first.Time.Equal(at) || first.Key != "k" || first.ContentType != "application/json" ||
			first.Extensions["attempts"] != "3" || first.Extensions["urgent"] != "true" || first.Metadata["x-trace"] != "abc" || len(first.Metadata) != 1 {
			t.Errorf("the first is %+v", first)
		}
		if second.ID != "2" || !second.Time.Equal(at) || string(second.Data) != "b" {
			t.Errorf("the second is %+v", second)
		}
		if third.ID != "3" || third.Source != "legacy" || third.Type != "order" || !third.Time.Equal(at) || string(third.Data) != "c" {
			t.Errorf("the third is %+v", third)
		}
		eventstest.Ack(t, got...)
	}
	if err := ch.PublishWithContext(t.Context(), system+".orders", "", false, false, amqp.Publishing{Body: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	if m := eventstest.Take(t, s, 1)[0].Message(); m.ID == "" || m.Time.IsZero() {
		t.Errorf("a message that says nothing is %+v", m)
	}
}

// TestForeignConsumer holds what other programs see of an event.
func TestForeignConsumer(t *testing.T) {
	n := rabbit(t)
	system := newSystem()
	b := newBroker(t, n.url(), system)
	eventstest.Declare(t, b, "orders")
	ch := foreign(t, n)
	q, err := ch.QueueDeclare("", false, true, true, false, nil)
	if err == nil {
		err = ch.QueueBind(q.Name, "", system+".orders", false, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	came, err := ch.Consume(q.Name, "", true, true, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	m := eventstest.Event("1", "Lübeck")
	m.Subject, m.Metadata, m.Extensions = "order/1", map[string]string{"traceparent": "00-x"}, map[string]string{"tenant": "t"}
	eventstest.Publish(t, b, "orders", m)
	d := <-came
	for name, want := range map[string]any{
		"cloudEvents:specversion": "1.0", "cloudEvents:id": "1", "cloudEvents:source": "hanse:///test", "cloudEvents:type": "test.v1.Thing", "cloudEvents:subject": "order/1",
		"cloudEvents:partitionkey": "Lübeck", "cloudEvents:time": m.Time.Format(time.RFC3339Nano), "cloudEvents:tenant": "t", "traceparent": "00-x",
	} {
		if d.Headers[name] != want {
			t.Errorf("%s is %v, want %v", name, d.Headers[name], want)
		}
	}
	if len(d.Headers) != 9 || d.ContentType != "application/protobuf" || d.MessageId != "1" || d.Type != "test.v1.Thing" || string(d.Body) != "1" || d.DeliveryMode != amqp.Persistent {
		t.Errorf("got %+v", d)
	}
}

// TestDeadLettersWait holds that dead letters are kept before anybody subscribes them.
func TestDeadLettersWait(t *testing.T) {
	n := rabbit(t)
	system := newSystem()
	b := newBroker(t, n.url(), system)
	eventstest.Declare(t, b, "orders.dead")
	eventstest.Publish(t, b, "orders.dead", eventstest.Event("1", ""), eventstest.Event("2", ""))
	q, err := foreign(t, n).QueueDeclarePassive(system+".orders.dead", true, false, false, false, nil)
	if err != nil || q.Messages != 2 {
		t.Errorf("%d dead letters wait, want 2: %v", q.Messages, err)
	}
}

// TestNobody holds that it is said once that a topic has no groups.
func TestNobody(t *testing.T) {
	n := rabbit(t)
	var log logged
	b := newBroker(t, n.url(), newSystem(), log.to)
	eventstest.Declare(t, b, "orders")
	eventstest.Publish(t, b, "orders", eventstest.Event("1", ""), eventstest.Event("2", ""))
	discoverytest.Eventually(t, "it is said", func() bool { return log.count("has no groups") == 1 })
	eventstest.Publish(t, b, "orders", eventstest.Event("3", ""))
	if log.count("has no groups") != 1 {
		t.Error(log.text.String())
	}
}

// TestRefused holds that a broker that cannot connect says why, and never the password.
func TestRefused(t *testing.T) {
	n := rabbit(t)
	host := "127.0.0.1:" + n.port
	for url, want := range map[string]string{
		"amqp://guest:s3cret@" + host:                       "username or password not allowed",
		"amqp://guest:guest@" + host + "/s3cret":            "vhost s3cret not found",
		"http://guest:s3cret@" + host:                       "the URL cannot be read",
		"amqp://guest:s3cret%zz@" + host:                    "the URL cannot be read",
		"amqp://guest:s3cret@:5672":                         "the URL cannot be read",
		"amqps://guest:s3cret@" + host:                      "connect to " + host,
		"amqp://guest:s3cret@" + host + "?heartbeat=s3cret": "the URL cannot be read",
	} {
		var log logged
		b := newBroker(t, url, "s", log.to)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		err := b.Declare(ctx, eventstest.Topic("orders"))
		cancel()
		if err == nil || errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", url, err, want)
			continue
		}
		if secret := "s3cret"; strings.Contains(err.Error(), secret) && !strings.Contains(url, "/"+secret) || log.count(secret) > 0 {
			t.Errorf("%s: the password is said: %v %s", url, err, log.text.String())
		}
		b.Close()
	}
}
