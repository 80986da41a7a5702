package eventstest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/events"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// instance is a running bus.
type instance struct {
	*events.Bus
	name string
	stop func() // drains it
}

// instance runs a bus with a broker of another process, which subscribe subscribes.
func (e *env) instance(broker events.Broker, subscribe func(*events.Bus, string)) *instance {
	e.Helper()
	e.names++
	i := &instance{name: fmt.Sprint("instance-", e.names)}
	i.Bus = &events.Bus{
		Broker: broker, Source: "hanse:///" + i.name, Member: i.name, DrainTimeout: e.Timeout,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	subscribe(i.Bus, i.name)
	if err := i.Declare(e.ctx); err != nil {
		e.Fatalf("%s: Declare: %v", i.name, err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(e.ctx))
	done := make(chan error, 1)
	go func() { done <- i.Run(ctx) }()
	i.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			e.Errorf("%s: Run: %v", i.name, err)
		}
	})
	e.Cleanup(i.stop)
	return i
}

// load publishes events of many keys, and waits until they are stored.
func (e *env) load(topic *events.Topic[text], host events.Host, keys, total int) {
	e.Helper()
	var receipts []*events.Receipt
	for n := range total {
		receipts = append(receipts, topic.PublishAsync(e.ctx, host, wrapperspb.String(fmt.Sprintf("k%d:%d", n%keys, n/keys+1))))
	}
	for _, r := range receipts {
		if err := r.Wait(e.ctx); err != nil {
			e.Errorf("publish: %v", err)
			return
		}
	}
}

func (e *env) typed() {
	topic := events.NewTopic[text]("orders.placed", events.Key(keyOf))
	got := make(chan *events.Event[text], 10)
	i := e.instance(e.broker, func(b *events.Bus, _ string) {
		topic.Subscribe(b, "mailer", func(_ context.Context, ev *events.Event[text]) error {
			got <- ev
			return nil
		})
	})
	before := time.Now()
	err := topic.Publish(e.ctx, i, wrapperspb.String("a:1"), events.ID("own"), events.Subject("it"), events.Metadata("x-own", "1"), events.Extension("tenant", "t1"))
	if err != nil {
		e.Fatal(err)
	}
	ev := <-got
	if ev.Data.GetValue() != "a:1" || ev.ID != "own" || ev.Source != "hanse:///"+i.name || ev.Subject != "it" || ev.Key != "a" ||
		ev.Topic != "orders.placed" || ev.Group != "mailer" || ev.Attempt != 1 || ev.Metadata["x-own"] != "1" || ev.Extensions["tenant"] != "t1" ||
		ev.Time.Before(before.Add(-time.Second)) || ev.Time.After(time.Now().Add(time.Second)) || !e.NoSequence && ev.Sequence == 0 {
		e.Errorf("got %+v", ev)
	}
	all := []text{wrapperspb.String("b:1"), wrapperspb.String("b:2"), wrapperspb.String("b:3")}
	if err := topic.PublishAll(e.ctx, i, all); err != nil {
		e.Fatal(err)
	}
	for _, want := range all {
		if ev := <-got; ev.Data.GetValue() != want.GetValue() {
			e.Errorf("got %s, want %s", ev.Data.GetValue(), want.GetValue())
		}
	}
}

func (e *env) poison() {
	topic := events.NewTopic[text]("orders.placed")
	deadTopic := events.NewTopic[text]("orders.placed.dead")
	handled, dead := make(chan string, 100), make(chan *events.Event[text], 10)
	attempts := 0
	i := e.instance(e.broker, func(b *events.Bus, _ string) {
		topic.Subscribe(b, "mailer", func(_ context.Context, ev *events.Event[text]) error {
			if ev.Data.GetValue() == "poison" {
				attempts++ // one at a time
				return fmt.Errorf("no stomach\nfor attempt %d", ev.Attempt)
			}
			handled <- ev.Data.GetValue()
			return nil
		}, events.Retry{Attempts: 3, Min: 10 * time.Millisecond, Max: 20 * time.Millisecond})
		deadTopic.Subscribe(b, "watch", func(_ context.Context, ev *events.Event[text]) error {
			dead <- ev
			return nil
		})
	})
	if err := topic.Publish(e.ctx, i, wrapperspb.String("poison"), events.ID("bad")); err != nil {
		e.Fatal(err)
	}
	for n := range 5 {
		if err := topic.Publish(e.ctx, i, wrapperspb.String(fmt.Sprint(n))); err != nil {
			e.Fatal(err)
		}
	}
	for range 5 {
		<-handled
	}
	ev := <-dead
	i.stop()
	letter, ok := events.DeadLetterOf(&events.Message{Metadata: ev.Metadata})
	if !ok || letter.Topic != "orders.placed" || letter.Group != "mailer" || letter.Attempts != 3 || letter.ID != "bad" ||
		letter.Error != "no stomach for attempt 3" || ev.Data.GetValue() != "poison" || ev.Source != "hanse:///"+i.name || time.Since(letter.Time) > time.Hour {
		e.Errorf("the dead letter is %+v of %+v", letter, ev)
	}
	if attempts != 3 {
		e.Errorf("it was handled %d times, want 3", attempts)
	}
	if len(dead) > 0 {
		e.Errorf("there is another dead letter: %+v", <-dead)
	}
}

func (e *env) poisonKey() {
	topic := events.NewTopic[text]("orders.placed", events.Key(keyOf))
	var mu sync.Mutex
	var order []string
	all := make(chan struct{})
	i := e.instance(e.broker, func(b *events.Bus, _ string) {
		topic.Subscribe(b, "mailer", func(_ context.Context, ev *events.Event[text]) error {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, ev.Data.GetValue())
			if ev.Data.GetValue() == "bad:1" {
				return errors.New("poison")
			}
			if len(order) == 3+2+5 {
				close(all)
			}
			return nil
		}, events.Retry{Attempts: 3, Min: 300 * time.Millisecond, Max: 300 * time.Millisecond})
	})
	for _, v := range []string{"bad:1", "bad:2", "bad:3", "a:1", "b:1", "c:1", "a:2", "b:2"} {
		if err := topic.Publish(e.ctx, i, wrapperspb.String(v)); err != nil {
			e.Fatal(err)
		}
	}
	select {
	case <-all:
	case <-e.ctx.Done():
		e.Error(context.Cause(e.ctx))
	}
	i.stop()
	var bad []string
	for _, v := range order {
		if strings.HasPrefix(v, "bad") {
			bad = append(bad, v)
		}
	}
	if want := []string{"bad:1", "bad:1", "bad:1", "bad:2", "bad:3"}; !slices.Equal(bad, want) {
		e.Errorf("the poisoned key was handled as %v, want %v", bad, want)
	}
}

// many is how many keys the events under load have.
const many = 20

func (e *env) subscribeRecord(topic *events.Topic[text], r *record) func(*events.Bus, string) {
	return func(b *events.Bus, name string) {
		topic.Subscribe(b, "mailer", r.handler(name), events.AckWait(e.AckWait), events.Retry{Min: 10 * time.Millisecond, Max: 50 * time.Millisecond})
	}
}

func (e *env) scale() {
	topic := events.NewTopic[text]("orders.placed", events.Key(keyOf))
	r := e.newRecord()
	first := e.instance(e.peer(), e.subscribeRecord(topic, r))
	var loading sync.WaitGroup
	loading.Go(func() { e.load(topic, first, many, e.Events) })
	r.until(e.Events / 4)
	var others []*instance
	for range 3 {
		others = append(others, e.instance(e.peer(), e.subscribeRecord(topic, r)))
	}
	r.until(e.Events / 2)
	for _, i := range others {
		i.stop()
	}
	r.until(e.Events)
	loading.Wait()
	first.stop()
	if r.again > 0 {
		e.Errorf("%d events were handled twice, though nobody crashed", r.again)
	}
}

func (e *env) crash() {
	topic := events.NewTopic[text]("orders.placed", events.Key(keyOf))
	r := e.newRecord()
	var killed []*Mortal
	var instances []*instance
	for range 3 {
		m := NewMortal(e.peer())
		killed = append(killed, m)
		instances = append(instances, e.instance(m, e.subscribeRecord(topic, r)))
	}
	var loading sync.WaitGroup
	publisher := e.instance(e.peer(), func(*events.Bus, string) {})
	loading.Go(func() { e.load(topic, publisher, many, e.Events) })
	r.until(e.Events / 4)
	killed[0].Kill()
	r.kill(instances[0].name)
	r.until(e.Events / 2)
	killed[1].Kill()
	r.kill(instances[1].name)
	r.until(e.Events)
	loading.Wait()
	instances[2].stop()
}

func (e *env) drain() {
	topic := events.NewTopic[text]("orders.placed")
	var mu sync.Mutex
	times := make(map[string]int)
	all := make(chan struct{})
	half := make(chan struct{})
	subscribe := func(b *events.Bus, name string) {
		topic.Subscribe(b, "mailer", func(_ context.Context, ev *events.Event[text]) error {
			e.moment()
			mu.Lock()
			defer mu.Unlock()
			times[ev.Data.GetValue()]++
			switch n := len(times); {
			case times[ev.Data.GetValue()] > 1:
				e.Errorf("%s was handled twice, now by %s", ev.Data.GetValue(), name)
			case n == e.Events/2:
				close(half)
			case n == e.Events:
				close(all)
			}
			return nil
		}, events.AckWait(e.Timeout))
	}
	stays := e.instance(e.peer(), subscribe)
	goes := e.instance(e.peer(), subscribe)
	var loading sync.WaitGroup
	loading.Go(func() { e.load(topic, stays, many, e.Events) })
	for _, step := range []struct {
		what string
		when <-chan struct{}
		then func()
	}{{"half of the events", half, goes.stop}, {"all events", all, loading.Wait}} {
		select {
		case <-step.when:
			step.then()
		case <-e.ctx.Done():
			mu.Lock()
			n := len(times)
			mu.Unlock()
			e.Fatalf("%s: %d of %d were handled", step.what, n, e.Events)
		}
	}
	stays.stop()
	handled := stays.Stats().Subscriptions[0].Handled + goes.Stats().Subscriptions[0].Handled
	if handled != uint64(e.Events) {
		e.Errorf("the instances count %d events, and there were %d", handled, e.Events)
	}
}

func (e *env) redelivery() {
	topic := events.NewTopic[text]("orders.placed")
	deadTopic := events.NewTopic[text]("orders.placed.dead")
	got, dead := make(chan string, 10), make(chan *events.Event[text], 1)
	fail := true
	i := e.instance(e.broker, func(b *events.Bus, _ string) {
		topic.Subscribe(b, "mailer", func(_ context.Context, ev *events.Event[text]) error {
			if fail {
				return events.Permanent(errors.New("never"))
			}
			got <- "mailer: " + ev.ID
			return nil
		})
		topic.Subscribe(b, "stock", func(_ context.Context, ev *events.Event[text]) error {
			got <- "stock: " + ev.ID
			return nil
		})
		deadTopic.Subscribe(b, "watch", func(_ context.Context, ev *events.Event[text]) error {
			dead <- ev
			return nil
		})
	})
	if err := topic.Publish(e.ctx, i, wrapperspb.String("v"), events.ID("1")); err != nil {
		e.Fatal(err)
	}
	if first := <-got; first != "stock: 1" {
		e.Errorf("got %s", first)
	}
	ev := <-dead
	fail = false
	letter, _ := events.DeadLetterOf(&events.Message{Metadata: ev.Metadata})
	m := message("", "")
	m.ID, m.Source, m.Data, m.Metadata = ev.ID, ev.Source, []byte("\n\x01v"), ev.Metadata
	if err := <-e.send(letter.Topic, letter.Redelivery(m, "first")); err != nil {
		e.Fatal(err)
	}
	if again := <-got; again != "mailer: 1" {
		e.Errorf("got %s", again)
	}
	e.wait(aLittle)
	i.stop()
	if len(got) > 0 {
		e.Errorf("another group got it, too: %s", <-got)
	}
	if n := i.Stats().Subscriptions[1].Skipped; n != 1 {
		e.Errorf("stock skipped %d events, want 1", n)
	}
}
