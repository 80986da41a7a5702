package events_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/events"
	"go.opentelemetry.io/otel/baggage"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// hooked is a broker whose calls a test may take.
type hooked struct {
	events.Memory
	publish   func(ctx context.Context, topic string, m *events.Message, done func(error)) bool
	subscribe func(events.SubscriptionInfo) error
	next      func() error
	limit     func(int) // what is asked for
	lost      <-chan struct{}
	doubtful  atomic.Bool // deliveries are not valid
	ack       error
	unlimited bool // deliveries; the limit is the subscription's to keep
	retries   atomic.Int64
}

func (h *hooked) Publish(ctx context.Context, topic string, m *events.Message, done func(error)) {
	if h.publish != nil && h.publish(ctx, topic, m, done) {
		return
	}
	h.Memory.Publish(ctx, topic, m, done)
}

func (h *hooked) Subscribe(ctx context.Context, s events.SubscriptionInfo) (events.Source, error) {
	if h.subscribe != nil {
		if err := h.subscribe(s); err != nil {
			return nil, err
		}
	}
	if h.unlimited {
		s.MaxInFlight = 1 << 20
	}
	src, err := h.Memory.Subscribe(ctx, s)
	if err != nil {
		return nil, err
	}
	return &hookedSource{src, h}, nil
}

type hookedSource struct {
	events.Source
	h *hooked
}

func (s *hookedSource) Next(ctx context.Context, limit int) ([]events.Delivery, error) {
	if s.h.next != nil {
		if err := s.h.next(); err != nil {
			return nil, err
		}
	}
	if s.h.limit != nil {
		s.h.limit(limit)
	}
	all, err := s.Source.Next(ctx, limit)
	all = slices.Clone(all)
	for i := range all {
		all[i] = &hookedDelivery{all[i], s.h}
	}
	return all, err
}

type hookedDelivery struct {
	events.Delivery
	h *hooked
}

func (d *hookedDelivery) Lost() <-chan struct{} { return d.h.lost }

func (d *hookedDelivery) Valid() bool { return !d.h.doubtful.Load() }

func (d *hookedDelivery) Ack(ctx context.Context) error {
	if d.h.ack != nil {
		return d.h.ack
	}
	return d.Delivery.Ack(ctx)
}

func (d *hookedDelivery) Retry(ctx context.Context, after time.Duration) error {
	d.h.retries.Add(1)
	return d.Delivery.Retry(ctx, after)
}

// TestSourceFails holds that a group is joined again when the broker ended its source, and that a broker that is away ends nothing.
func TestSourceFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		fails, refused, joined := 0, 0, 0
		h := &hooked{}
		h.next = func() error {
			mu.Lock()
			defer mu.Unlock()
			if fails == 0 {
				return nil
			}
			fails--
			return errors.New("the consumer was deleted")
		}
		h.subscribe = func(events.SubscriptionInfo) error {
			mu.Lock()
			defer mu.Unlock()
			if joined++; joined > 1 && refused > 0 {
				refused--
				return errors.New("the broker is away")
			}
			return nil
		}
		b := newBus(h)
		got := make(chan string, 10)
		sub := placed.Subscribe(b, "g", func(_ context.Context, e *events.Event[text]) error {
			got <- e.Data.GetValue()
			return nil
		})
		fails, refused = 2, 3
		stop := runBus(t, b)
		synctest.Wait()
		if s := sub.Stats(); s.LastError != "the consumer was deleted" {
			t.Errorf("%+v", s)
		}
		publish(t, b, placed, "1")
		if v := <-got; v != "1" {
			t.Errorf("got %s", v)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		if joined != 6 {
			t.Errorf("joined %d times, want 1, 3 in vain, and 2", joined)
		}
	})
}

// TestLost holds that a handler whose event others got meanwhile is told, and that what it does counts no more.
func TestLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := make(chan struct{})
		h := &hooked{lost: lost}
		b := newBus(h)
		var cause error
		sub := placed.Subscribe(b, "g", func(ctx context.Context, e *events.Event[text]) error {
			<-ctx.Done()
			cause = context.Cause(ctx)
			return ctx.Err()
		}, events.Concurrency(1), events.MaxInFlight(1))
		stop := runBus(t, b)
		publish(t, b, placed, "1")
		synctest.Wait()
		if s := sub.Stats(); s.Running != 1 {
			t.Fatalf("%+v", s)
		}
		sub.Pause()
		close(lost)
		synctest.Wait()
		if s := sub.Stats(); !errors.Is(cause, events.ErrLost) || s.Lost != 1 || s.Failed != 0 || s.Held != 0 {
			t.Errorf("cause %v, %+v", cause, s)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestDoubtful holds that no handler begins while it is not certain that its event is this member's, and that the order stays.
func TestDoubtful(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := make(chan struct{})
		h := &hooked{lost: lost}
		b := newBus(h)
		var handled []string
		keyed := events.NewTopic[text]("orders.keyed", events.Key(func(text) string { return "k" }))
		sub := keyed.Subscribe(b, "g", func(_ context.Context, e *events.Event[text]) error {
			handled = append(handled, e.Data.GetValue())
			return nil
		})
		stop := runBus(t, b)
		h.doubtful.Store(true)
		publish(t, b, keyed, "1")
		publish(t, b, keyed, "2")
		time.Sleep(time.Minute)
		if s := sub.Stats(); len(handled) > 0 || s.Held != 2 || s.Running != 0 {
			t.Errorf("in doubt: %v, %+v", handled, s)
		}
		h.doubtful.Store(false)
		time.Sleep(time.Second)
		if s := sub.Stats(); !slices.Equal(handled, []string{"1", "2"}) || s.Handled != 2 || s.Failed != 0 {
			t.Errorf("when it is certain: %v, %+v", handled, s)
		}
		h.doubtful.Store(true)
		publish(t, b, keyed, "3")
		time.Sleep(time.Second)
		close(lost)
		time.Sleep(time.Second)
		if s := sub.Stats(); len(handled) != 2 || s.Lost != 1 || s.Held != 0 {
			t.Errorf("when it is lost: %v, %+v", handled, s)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestDeadLettersAreNotLost holds that an event stays until it is stored as a dead letter.
func TestDeadLettersAreNotLost(t *testing.T) {
	for _, topic := range []*events.Topic[text]{placed, keyed} {
		inBubble(topic.Name(), t, func(t *testing.T) {
			var mu sync.Mutex
			fails := 5
			h := &hooked{}
			h.publish = func(_ context.Context, topic string, _ *events.Message, done func(error)) bool {
				mu.Lock()
				defer mu.Unlock()
				if !strings.HasSuffix(topic, ".dead") || fails == 0 {
					return false
				}
				fails--
				done(events.ErrFull)
				return true
			}
			b := newBus(h)
			calls := 0
			var order []string
			sub := topic.Subscribe(b, "g", func(_ context.Context, e *events.Event[text]) error {
				if e.Data.GetValue() == "a:1" {
					calls++
					return events.Permanent(errors.New("never"))
				}
				mu.Lock()
				defer mu.Unlock()
				order = append(order, e.Data.GetValue())
				return nil
			}, events.Concurrency(1))
			stop := runBus(t, b)
			publish(t, b, topic, "a:1", "a:2", "b:1")
			synctest.Wait()
			mu.Lock()
			if want := map[bool][]string{false: {"a:2", "b:1"}, true: {"b:1"}}[topic == keyed]; !slices.Equal(order, want) {
				t.Errorf("while the dead letter waits, %v were handled, want %v", order, want)
			}
			mu.Unlock()
			time.Sleep(5 * time.Minute)
			if s := sub.Stats(); calls != 1 || s.DeadLettered != 1 || s.Handled != 2 || s.Held != 0 {
				t.Errorf("%d calls, %+v", calls, s)
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
			if stats, _ := h.Stats(topic.Name() + ".dead"); stats.Messages != 1 {
				t.Errorf("%d dead letters", stats.Messages)
			}
		})
	}
}

// TestDeadTopic holds that what fails as a dead letter does not become another one, or get lost.
func TestDeadTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hooked{}
		b := newBus(h)
		dead := events.NewTopic[text]("orders.placed.dead")
		sub := dead.Subscribe(b, "g", func(_ context.Context, e *events.Event[text]) error {
			return events.Permanent(errors.New("not even this"))
		}, events.Retry{Attempts: 2, Max: time.Minute})
		stop := runBus(t, b)
		publish(t, b, dead, "1")
		time.Sleep(24 * time.Hour)
		if s := sub.Stats(); s.Failed < 1000 || s.DeadLettered != 0 {
			t.Errorf("%+v", s)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestProcessKiller holds that an event that was delivered again and again and never settled becomes a dead letter.
func TestProcessKiller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hooked{}
		if err := h.Declare(t.Context(), events.TopicInfo{Name: "orders.placed"}); err != nil {
			t.Fatal(err)
		}
		if err := put(t, h, "orders.placed", "1"); err != nil {
			t.Fatal(err)
		}
		info := events.SubscriptionInfo{Topic: "orders.placed", Group: "g", Member: "dies", Start: events.Start{All: true}}
		for range 6 {
			src, err := h.Memory.Subscribe(t.Context(), info)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := src.Next(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			if err := src.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		b := newBus(h)
		sub := placed.Subscribe(b, "g", func(context.Context, *events.Event[text]) error { panic("it is handled") }, events.Retry{Attempts: 2})
		stop := runBus(t, b)
		time.Sleep(time.Hour)
		if err := stop(); err != nil {
			t.Error(err)
		}
		if s := sub.Stats(); s.DeadLettered != 1 || s.Failed != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestContent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hooked{}
		b := newBus(h)
		asJSON := events.NewTopic[text]("orders.json", events.JSON())
		got := make(chan string, 10)
		handler := func(_ context.Context, e *events.Event[text]) error {
			got <- e.Data.GetValue()
			return nil
		}
		sub := asJSON.Subscribe(b, "g", handler)
		stop := runBus(t, b)
		var stored *events.Message
		h.publish = func(_ context.Context, topic string, m *events.Message, _ func(error)) bool {
			if topic == "orders.json" {
				stored = m
			}
			return false
		}
		publish(t, b, asJSON, "größer")
		if v := <-got; v != "größer" || string(stored.Data) != `"größer"` || stored.ContentType != "application/json" {
			t.Errorf("got %s, stored as %+v", v, stored)
		}
		h.publish = nil
		bytes, err := proto.Marshal(wrapperspb.String("binary"))
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range []*events.Message{
			{ContentType: "application/x-protobuf", Data: bytes},
			{ContentType: "application/json; charset=utf-8", Data: []byte(`"text"`)},
			{ContentType: "application/protobuf", Data: []byte{0xff}},
			{ContentType: "text/plain", Data: []byte("x")},
			{ContentType: "application/protobuf", Data: bytes, Type: "shop.v1.Other"},
		} {
			m.ID, m.Source = string(rune('a'+i)), "elsewhere"
			if m.Type == "" {
				m.Type = "google.protobuf.StringValue"
			}
			h.Memory.Publish(t.Context(), "orders.json", m, func(err error) {
				if err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		if a, b := <-got, <-got; a != "binary" || b != "text" {
			t.Errorf("got %s and %s", a, b)
		}
		if s := sub.Stats(); s.DeadLettered != 3 || s.Handled != 3 || s.LastError != `it carries a "shop.v1.Other", and the topic's messages are google.protobuf.StringValue` {
			t.Errorf("what cannot be read becomes a dead letter at once: %+v", s)
		}
		stop()
	})
}

// TestTrace holds that an event belongs to the trace of the call in which it was published, and what its handler does, to the same.
func TestTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const parent, other = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		b := newBus(new(events.Memory))
		next := events.NewTopic[text]("orders.next")
		got := make(chan map[string]string, 10)
		placed.Subscribe(b, "g", func(ctx context.Context, e *events.Event[text]) error {
			md, _ := metadata.FromOutgoingContext(ctx)
			if tp := md.Get("traceparent"); len(e.Metadata) > 0 && !slices.Equal(tp, []string{e.Metadata["traceparent"]}) {
				t.Errorf("calls of the handler carry %v", tp)
			}
			return next.Publish(ctx, b, e.Data)
		})
		next.Subscribe(b, "g", func(_ context.Context, e *events.Event[text]) error {
			got <- e.Metadata
			return nil
		})
		stop := runBus(t, b)
		incoming := metadata.NewIncomingContext(t.Context(), metadata.Pairs("traceparent", parent, "tracestate", "a=b", "secret", "x"))
		for _, tt := range []struct {
			ctx  context.Context
			want map[string]string
		}{
			{t.Context(), nil},
			{incoming, map[string]string{"traceparent": parent, "tracestate": "a=b"}},
			{metadata.AppendToOutgoingContext(incoming, "traceparent", other, "baggage", "c=d"), map[string]string{"traceparent": other, "baggage": "c=d"}},
		} {
			if err := placed.Publish(tt.ctx, b, wrapperspb.String("1")); err != nil {
				t.Fatal(err)
			}
			if md := <-got; !maps.Equal(md, tt.want) {
				t.Errorf("the trace is %v, want %v", md, tt.want)
			}
		}
		stop()
	})
}

// TestBaggage holds that baggage goes with an event to its handler, and with what that publishes, by the W3C's header.
func TestBaggage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(new(events.Memory))
		next := events.NewTopic[text]("orders.next")
		got := make(chan string, 10)
		placed.Subscribe(b, "g", func(ctx context.Context, e *events.Event[text]) error {
			got <- baggage.FromContext(ctx).Member("user").Value()
			return next.Publish(ctx, b, e.Data)
		})
		next.Subscribe(b, "g", func(ctx context.Context, e *events.Event[text]) error {
			got <- e.Metadata["baggage"]
			return nil
		})
		stop := runBus(t, b)
		user, err := baggage.NewMember("user", "ann")
		if err != nil {
			t.Fatal(err)
		}
		all, err := baggage.New(user)
		if err != nil {
			t.Fatal(err)
		}
		given := metadata.AppendToOutgoingContext(baggage.ContextWithBaggage(t.Context(), all), "baggage", "user=bob", "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		for _, tt := range []struct {
			ctx  context.Context
			want string
		}{{t.Context(), ""}, {baggage.ContextWithBaggage(t.Context(), all), "ann"}, {given, "bob"}} {
			if err := placed.Publish(tt.ctx, b, wrapperspb.String("1")); err != nil {
				t.Fatal(err)
			}
			header := ""
			if tt.want != "" {
				header = "user=" + tt.want
			}
			if first, second := <-got, <-got; first != tt.want || second != header {
				t.Errorf("%q and %q, want %q", first, second, tt.want)
			}
		}
		stop()
	})
}

// TestLastWord holds that a publisher whose time is over is told what the broker has to say to it, and does not wait long for that.
func TestLastWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		says := true
		b := newBus(&hooked{publish: func(ctx context.Context, _ string, _ *events.Message, done func(error)) bool {
			go func() {
				<-ctx.Done()
				<-time.After(time.Millisecond)
				if says {
					done(errors.New("the disk is away"))
				}
			}()
			return true
		}})
		for _, want := range []string{"the disk is away", context.DeadlineExceeded.Error()} {
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			err := placed.Publish(ctx, b, wrapperspb.String("1"))
			cancel()
			if err == nil || !strings.HasSuffix(err.Error(), want) || time.Since(began) > 1100*time.Millisecond {
				t.Errorf("%v after %v, want %q", err, time.Since(began), want)
			}
			says = false
		}
	})
}

// TestWindow holds that only so many events are on their way, and that nothing of them is forgotten.
func TestWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var held []func(error)
		h := &hooked{publish: func(_ context.Context, _ string, _ *events.Message, done func(error)) bool {
			held = append(held, done)
			return true
		}}
		b := newBus(h)
		b.Window = 3
		var receipts []*events.Receipt
		for range 3 {
			receipts = append(receipts, placed.PublishAsync(t.Context(), b, wrapperspb.String("1")))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := placed.PublishAsync(ctx, b, wrapperspb.String("4")).Wait(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a fourth event: %v", err)
		}
		select {
		case <-receipts[0].Done():
			t.Error("it is done")
		default:
		}
		if err := receipts[0].Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait: %v", err)
		}
		if err := b.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Flush: %v", err)
		}
		flushed := make(chan error, 1)
		go func() { flushed <- b.Close(t.Context()) }()
		held[0](nil)
		held[1](events.ErrFull)
		synctest.Wait()
		if len(flushed) > 0 {
			t.Error("Close returned with an event on its way")
		}
		held[2](nil)
		if err := <-flushed; err != nil {
			t.Error(err)
		}
		if a, b := receipts[0].Wait(ctx), receipts[1].Wait(ctx); a != nil || !errors.Is(b, events.ErrFull) {
			t.Errorf("%v, %v", a, b)
		}
		if s := b.Stats(); s.Published != 2 || s.PublishFailed != 2 {
			t.Errorf("%+v", s)
		}
	})
}

// TestUnsettled holds that what the broker could not be told is counted.
func TestUnsettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hooked{ack: errors.New("the connection broke")}
		b := newBus(h)
		calls := 0
		sub := placed.Subscribe(b, "g", func(context.Context, *events.Event[text]) error {
			if calls++; calls == 2 {
				h.ack = nil
			}
			return nil
		}, events.Concurrency(1))
		stop := runBus(t, b)
		publish(t, b, placed, "1")
		time.Sleep(time.Minute)
		if s := sub.Stats(); s.Unsettled != 1 || s.Handled != 1 || s.Received != 2 || s.Held != 0 {
			t.Errorf("%+v", s)
		}
		stop()
	})
}

// TestLateSubscription holds that a subscription made while the bus runs gets events.
func TestLateSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(new(events.Memory))
		stop := runBus(t, b)
		synctest.Wait()
		got := make(chan string, 1)
		placed.Subscribe(b, "g", func(_ context.Context, e *events.Event[text]) error {
			got <- e.Data.GetValue()
			return nil
		})
		placed.Subscribe(b, "g", nil) // is logged
		synctest.Wait()
		publish(t, b, placed, "1")
		if v := <-got; v != "1" {
			t.Errorf("got %s", v)
		}
		if names := b.Declared(); !slices.Equal(names, []string{"orders.placed"}) {
			t.Errorf("declared: %v", names)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		if err := b.Run(t.Context()); err == nil {
			t.Error("a bus runs twice")
		}
	})
}

// TestDeclareFails holds that a host does not start when its topics cannot be made, and that nothing stays behind.
func TestDeclareFails(t *testing.T) {
	h := &hooked{subscribe: func(s events.SubscriptionInfo) error {
		if s.Group == "bad" {
			return events.ErrDrift
		}
		return nil
	}}
	if err := h.Declare(t.Context(), events.TopicInfo{Name: "orders.keyed"}); err != nil {
		t.Fatal(err)
	}
	b := newBus(h)
	ok := func(context.Context, *events.Event[text]) error { return nil }
	placed.Subscribe(b, "good", ok)
	placed.Subscribe(b, "bad", ok)
	keyed.Declare(b)
	err := b.Run(t.Context())
	for _, want := range []string{
		`topic "orders.keyed": declared differently: its events have keys in one declaration and none in the other`,
		`subscription "bad" of topic "orders.placed": declared differently`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
	src, err := h.Subscribe(t.Context(), events.SubscriptionInfo{Topic: "orders.placed", Group: "good", Member: "m"})
	if err != nil {
		t.Errorf("the group was not left: %v", err)
	} else if err := src.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
