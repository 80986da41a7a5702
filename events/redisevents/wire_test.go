package redisevents_test

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/eventstest"
	"github.com/hanse-go/hanse/events/redisevents"
)

// TestWire holds what others find on the server.
func TestWire(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	b := s.declared("orders.placed", inSystem("shop"))
	m := eventstest.Event("1", "")
	m.Time = time.Date(2026, 2, 3, 4, 5, 6, 7000, time.UTC)
	m.Subject, m.Metadata, m.Extensions = "größer", map[string]string{"traceparent": "00-1"}, map[string]string{"tenant": "a b"}
	eventstest.Publish(t, b, "orders.placed", m, eventstest.Event("2", "key-1"))
	c := s.client()
	all, err := c.XRange(t.Context(), "{shop:orders.placed}", "-", "+").Result()
	if err != nil || len(all) != 1 {
		t.Fatalf("%v, %v", all, err)
	}
	want := map[string]any{
		"ce-specversion": "1.0", "ce-id": "1", "ce-source": "hanse:///test", "ce-type": "test.v1.Thing", "ce-time": "2026-02-03T04:05:06.000007Z", "ce-subject": "größer",
		"ce-tenant": "a b", "content-type": "application/protobuf", "traceparent": "00-1", "data": "1", "hanse-sequence": "1",
	}
	for name, value := range want {
		if got := all[0].Values[name]; got != value {
			t.Errorf("%s is %v, want %v", name, got, value)
		}
	}
	if len(all[0].Values) != len(want) {
		t.Errorf("there is more: %v", all[0].Values)
	}
	keyed, err := c.XRange(t.Context(), strings.Replace(partitionOf("orders.placed", "key-1"), "test", "shop", 1), "-", "+").Result()
	if err != nil || len(keyed) != 1 || keyed[0].Values["ce-partitionkey"] != "key-1" {
		t.Errorf("the partition of key-1 has %v, %v", keyed, err)
	}
	for _, m := range []*events.Message{
		{ID: "x", Metadata: map[string]string{"data": "1"}}, {ID: "x", Metadata: map[string]string{"ce-id": "1"}}, {ID: "x", Extensions: map[string]string{"source": "1"}},
	} {
		if err := eventstest.Send(t.Context(), b, "orders.placed", m); err == nil {
			t.Errorf("%+v is stored", m)
		}
	}
}

// TestForeign holds that what others add by XADD is delivered, with an order and without.
func TestForeign(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	b := s.declared("orders.placed", inSystem("shop"), func(o *redisevents.Options) { o.Poll = 50 * time.Millisecond })
	sources := []events.Source{
		subscribe(t, b, "orders.placed", "mailer", "a"), subscribe(t, b, "orders.placed", "stock", "a", eventstest.Ordered),
		subscribe(t, b, "orders.placed", "", "a", func(s *events.SubscriptionInfo) { s.Start = events.Start{} }),
	}
	c := s.client()
	for _, command := range [][]any{
		{"XADD", "{shop:orders.placed}", "*", "ce-specversion", "1.0", "ce-id", "7", "ce-source", "//billing", "ce-type", "orders.v1.Placed", "content-type", "application/json", "data", "{}"},
		{"XADD", "{shop:orders.placed}", "1-*", "who", "knows"},
		{"XADD", "{shop:orders.placed}", "*", "X-Own", "1", "ce-time", "yesterday"},
		{"PUBLISH", "{shop:orders.placed}:topic", ""},
	} {
		err := c.Do(t.Context(), command...).Err()
		if command[2] == "1-*" && err == nil {
			t.Error("an ID of before is taken")
		} else if command[2] != "1-*" && err != nil {
			t.Fatal(err)
		}
	}
	for _, src := range sources {
		got := eventstest.Take(t, src, 2)
		m, bare := got[0].Message(), got[1].Message()
		if m.ID != "7" || m.Source != "//billing" || m.Type != "orders.v1.Placed" || m.ContentType != "application/json" || string(m.Data) != "{}" ||
			time.Since(m.Time).Abs() > time.Minute || got[0].Sequence() != 0 {
			t.Errorf("got %+v", m)
		}
		if bare.ID == "" || bare.Metadata["x-own"] != "1" || time.Since(bare.Time).Abs() > time.Minute {
			t.Errorf("got %+v", bare)
		}
		eventstest.Ack(t, got...)
	}
	eventstest.Publish(t, b, "orders.placed", eventstest.Event("8", ""))
	for _, src := range sources {
		if got := eventstest.Take(t, src, 1); !slices.Equal(eventstest.IDs(got), []string{"8"}) || got[0].Sequence() != 1 {
			t.Errorf("got %v, number %d", eventstest.IDs(got), got[0].Sequence())
		} else {
			eventstest.Ack(t, got...)
		}
		eventstest.Nothing(t, src, 100*time.Millisecond)
	}
	// A number among those that have none is found.
	eventstest.Publish(t, b, "orders.placed", eventstest.Event("9", ""))
	late := subscribe(t, b, "orders.placed", "late", "a", func(s *events.SubscriptionInfo) { s.Start = events.Start{Sequence: 2} })
	if got := eventstest.Take(t, late, 1); got[0].Message().ID != "9" {
		t.Errorf("from number 2 on comes %v", eventstest.IDs(got))
	}
}

// partitionOf returns the stream of a key, as it is documented.
func partitionOf(topic, key string) string {
	h := fnv.New32a()
	h.Write([]byte(key))
	return fmt.Sprintf("{test:%s}:%d", topic, h.Sum32()%16)
}
