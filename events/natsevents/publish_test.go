package natsevents_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/eventstest"
	"github.com/hanse-go/hanse/events/natsevents"
	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Another language sees CloudEvents in the binary mode of NATS.
func TestWireOut(t *testing.T) {
	n := newNode(t)
	b := n.broker()
	eventstest.Declare(t, b, "orders.placed")
	conn := n.connect()
	sub, err := conn.SubscribeSync("test.events.orders.placed.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	m := &events.Message{
		ID: "id 1", Source: "hanse:///orders", Type: "shop.v1.Placed", Subject: "Euro € < \U0001F600", Time: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC),
		ContentType: "application/protobuf", DataSchema: "https://x/y", Key: `k"%`, Extensions: map[string]string{"attempts": "3"},
		Metadata: map[string]string{"traceparent": "00-1-2-01", "tenant": "a%20b"}, Data: []byte{1, 2, 3},
	}
	eventstest.Publish(t, b, "orders.placed", m)
	got, err := sub.NextMsg(10 * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	want := nats.Header{
		"ce-specversion": {"1.0"}, "ce-id": {"id%201"}, "ce-source": {"hanse:///orders"}, "ce-type": {"shop.v1.Placed"},
		"ce-subject": {"Euro%20%E2%82%AC%20<%20%F0%9F%98%80"}, "ce-time": {"2026-01-02T03:04:05.000006Z"}, "content-type": {"application/protobuf"},
		"ce-dataschema": {"https://x/y"}, "ce-partitionkey": {"k%22%25"}, "ce-attempts": {"3"}, "traceparent": {"00-1-2-01"}, "tenant": {"a%20b"},
		"Nats-Msg-Id": {"hanse:///orders#id%201"},
	}
	if !maps.EqualFunc(got.Header, want, func(x, y []string) bool { return strings.Join(x, "\n") == strings.Join(y, "\n") }) {
		t.Errorf("headers are %q", got.Header)
	}
	if string(got.Data) != "\x01\x02\x03" {
		t.Errorf("the payload is %q", got.Data)
	}
	d := eventstest.Take(t, eventstest.Subscribe(t, b, eventstest.Member("orders.placed", "g", "m", eventstest.FromFirst)), 1)[0]
	if back := d.Message(); fmt.Sprint(*back) != fmt.Sprint(*m) || d.Sequence() != 1 || d.Attempt() != 1 {
		t.Errorf("it comes back as %+v", back)
	}
}

// Another language publishes, in its own way.
func TestWireIn(t *testing.T) {
	n := newNode(t)
	b := n.broker()
	eventstest.Declare(t, b, "t")
	js := n.jetstream()
	send := func(header nats.Header, subject, data string) {
		t.Helper()
		if _, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: subject, Header: header, Data: []byte(data)}); err != nil {
			t.Fatal(err)
		}
	}
	send(nats.Header{
		"Ce-Specversion": {"1.0"}, "Ce-Id": {`"a \"quoted\" one"`}, "CE-Source": {"/py"}, "ce-type": {"x.Y"}, "Ce-Time": {"2026-01-02T03:04:05+01:00"},
		"Content-Type": {"application/json"}, "ce-partitionkey": {"%4b%zz%"}, "ce-Region": {"eu%2D1"}, "TraceParent": {"00-3-4-00"}, "Status": {"200"},
	}, "test.events.t", `{"a":1}`)
	send(nil, "test.events.t._.3", "plain")
	for name, change := range map[string]func(*events.SubscriptionInfo){"group": eventstest.FromFirst, "ordered group": func(s *events.SubscriptionInfo) { s.Start.All, s.Ordered = true, true }} {
		s := eventstest.Subscribe(t, b, eventstest.Member("t", strings.ReplaceAll(name, " ", "-"), "m", change))
		got := map[string]*events.Message{}
		for _, d := range eventstest.Take(t, s, 2) {
			got[string(d.Message().Data)] = d.Message()
		}
		m := got[`{"a":1}`]
		if m == nil || m.ID != `a "quoted" one` || m.Source != "/py" || m.Type != "x.Y" || !m.Time.Equal(time.Date(2026, 1, 2, 2, 4, 5, 0, time.UTC)) ||
			m.ContentType != "application/json" || m.Key != "K%zz%" || fmt.Sprint(m.Extensions) != "map[region:eu-1]" || fmt.Sprint(m.Metadata) != "map[status:200 traceparent:00-3-4-00]" {
			t.Errorf("%s: got %+v", name, m)
		}
		if m := got["plain"]; m == nil || m.ID != "test_t/2" || m.Time.IsZero() {
			t.Errorf("%s: got %+v", name, m)
		}
	}
}

// One that publishes in structured mode is read by who subscribes a topic.
func TestWireInStructured(t *testing.T) {
	n := newNode(t)
	bus := &events.Bus{Broker: n.broker(), Logger: slog.New(slog.DiscardHandler)}
	topic := events.NewTopic[*wrapperspb.StringValue]("t", events.Key((*wrapperspb.StringValue).GetValue))
	got := make(chan *events.Event[*wrapperspb.StringValue], 10)
	topic.Subscribe(bus, "g", func(_ context.Context, e *events.Event[*wrapperspb.StringValue]) error {
		got <- e
		return nil
	}, events.Start{All: true})
	if err := bus.Declare(eventstest.Within(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- bus.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	}()
	_, err := n.jetstream().PublishMsg(t.Context(), &nats.Msg{Subject: "test.events.t", Header: nats.Header{"Content-Type": {"application/cloudevents+json"}, "x-own": {"1"}},
		Data: []byte(`{"specversion":"1.0","id":"4711","source":"/py","type":"google.protobuf.StringValue","partitionkey":"k","data":"tea"}`)})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case e := <-got:
		if e.ID != "4711" || e.Source != "/py" || e.Key != "k" || e.Data.GetValue() != "tea" || e.Metadata["x-own"] != "1" || e.Time.IsZero() {
			t.Errorf("got %+v", e)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it does not come")
	}
}

func TestReserved(t *testing.T) {
	b := newNode(t).broker()
	eventstest.Declare(t, b, "t")
	for what, m := range map[string]*events.Message{
		"partitionkey": {ID: "1", Extensions: map[string]string{"partitionkey": "x"}},
		"nats-msg-id":  {ID: "1", Metadata: map[string]string{"nats-msg-id": "x"}},
		"ce-id":        {ID: "1", Metadata: map[string]string{"ce-id": "x"}},
	} {
		if err := eventstest.Send(t.Context(), b, "t", m); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: got %v", what, err)
		}
	}
}

// Publishers wait while the broker is away, until their deadline.
func TestAwayPublisher(t *testing.T) {
	n := newNode(t)
	b := n.broker(func(o *natsevents.Options) { o.MaxPending = 3 })
	eventstest.Declare(t, b, "t")
	eventstest.Publish(t, b, "t", eventstest.Event("before", ""))
	n.stop()

	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := eventstest.Send(short, b, "t", eventstest.Event("short", ""))
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "away") {
		t.Errorf("got %v from a broker that is away", err)
	}
	var all sync.WaitGroup
	for i := range 3 {
		all.Go(func() {
			if err := eventstest.Send(eventstest.Within(t, 30*time.Second), b, "t", eventstest.Event(strconv.Itoa(i), "k")); err != nil {
				t.Error(err)
			}
		})
	}
	discoverytest.Eventually(t, "there is no room", func() bool {
		short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		err := eventstest.Send(short, b, "t", eventstest.Event("4", ""))
		return errors.Is(err, context.DeadlineExceeded) && strings.Contains(err.Error(), "wait already")
	})
	n.start()
	all.Wait()
	eventstest.Publish(t, b, "t", eventstest.Event("after", ""))
	got := eventstest.Handle(t, eventstest.Subscribe(t, b, eventstest.Member("t", "g", "m", eventstest.FromFirst)), 5)
	if joined := strings.Join(got, " "); !strings.HasPrefix(joined, "before ") || !strings.HasSuffix(joined, " after") {
		t.Errorf("got %v", got)
	}
}

// They do so while the client waits for a server that takes connections and says nothing, as one does that is stopped: meanwhile the client
// answers no question.
func TestStoppedServerPublisher(t *testing.T) {
	n := newNode(t)
	p := newProxy(t, n.addr)
	var log discoverytest.Log
	b := broker(t, connect(t, p.url(), nats.Timeout(20*time.Second)), func(o *natsevents.Options) { o.Logger = log.Logger() })
	eventstest.Declare(t, b, "t")
	p.freeze()
	p.cut()
	log.Await(t, "the broker is away")
	for i := range 10 {
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		err := eventstest.Send(ctx, b, "t", eventstest.Event(fmt.Sprint("late", i), "k"))
		cancel()
		if took := time.Since(began); took > 5*time.Second || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "the broker is away") {
			t.Errorf("got %v after %v", err, took)
		}
	}
	p.thaw()
	eventstest.Publish(t, b, "t", eventstest.Event("next", "k"))
}

func TestCloseWhileAway(t *testing.T) {
	n := newNode(t)
	b := n.broker()
	eventstest.Declare(t, b, "t")
	n.stop()
	done := make(chan error, 1)
	b.Publish(t.Context(), "t", eventstest.Event("1", ""), func(err error) { done <- err })
	b.Close()
	if err := <-done; err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("got %v", err)
	}
}

// The connection breaks again and again while many events are on their way. Each is stored once, and those of a key in order.
func TestPublishOverBrokenConnections(t *testing.T) {
	n := newNode(t)
	p := newProxy(t, n.addr)
	conn := connect(t, p.url())
	b := broker(t, conn)
	eventstest.Declare(t, b, "t")
	const keys, each = 20, 300
	ctx := eventstest.Within(t, 60*time.Second)
	var all sync.WaitGroup
	all.Add(keys * each)
	for i := range each {
		for key := range keys {
			k := strconv.Itoa(key)
			b.Publish(ctx, "t", eventstest.Event(k+"/"+strconv.Itoa(i), k), func(err error) {
				if err != nil {
					t.Error(err)
				}
				all.Done()
			})
		}
		if i%20 == 10 {
			p.cut()
		}
	}
	all.Wait()
	if conn.Stats().Reconnects == 0 {
		t.Error("the connection was never broken")
	}
	seen := make(map[string]int)
	for _, id := range eventstest.Handle(t, eventstest.Subscribe(t, n.declared(), eventstest.Member("t", "g", "m", eventstest.FromFirst, func(s *events.SubscriptionInfo) { s.MaxInFlight = 1000 })), keys*each) {
		key, number, _ := strings.Cut(id, "/")
		if i, _ := strconv.Atoi(number); seen[key] != i {
			t.Fatalf("key %s: %d where %d should be", key, i, seen[key])
		}
		seen[key]++
	}
	s, err := n.jetstream().Stream(t.Context(), "test_t")
	if err != nil {
		t.Fatal(err)
	}
	if msgs := s.CachedInfo().State.Msgs; msgs != keys*each {
		t.Errorf("%d events are stored, want %d", msgs, keys*each)
	}
}

// A topic that was deleted behind the broker's back is made again.
func TestDeletedTopic(t *testing.T) {
	n := newNode(t)
	b := n.broker()
	eventstest.Declare(t, b, "t", func(i *events.TopicInfo) { i.Limits.MaxMessages = 7 })
	eventstest.Publish(t, b, "t", eventstest.Event("1", ""))
	js := n.jetstream()
	if err := js.DeleteStream(t.Context(), "test_t"); err != nil {
		t.Fatal(err)
	}
	eventstest.Publish(t, b, "t", eventstest.Event("2", ""))
	s, err := js.Stream(t.Context(), "test_t")
	if err != nil {
		t.Fatal(err)
	}
	if is := s.CachedInfo(); is.Config.MaxMsgs != 7 || is.State.Msgs != 1 {
		t.Errorf("it is %+v", is)
	}
	if err := js.DeleteStream(t.Context(), "test_t"); err != nil {
		t.Fatal(err)
	}
	eventstest.Subscribe(t, b, eventstest.Member("t", "g", "m"))
	if _, err := js.Consumer(t.Context(), "test_t", "g"); err != nil {
		t.Error(err)
	}
}

// Random contexts, some too short: done is called once for each.
func TestDoneOnce(t *testing.T) {
	n := newNode(t)
	p := newProxy(t, n.addr)
	b := broker(t, connect(t, p.url()))
	eventstest.Declare(t, b, "t")
	var all sync.WaitGroup
	for i := range 1000 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.N(20_000))*time.Microsecond)
		all.Add(1)
		calls := 0
		b.Publish(ctx, "t", eventstest.Event(strconv.Itoa(i), ""), func(err error) {
			if calls++; calls > 1 {
				t.Error("done was called twice")
			}
			if err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			cancel()
			all.Done()
		})
		if i%250 == 100 {
			p.cut()
		}
	}
	all.Wait()
}
