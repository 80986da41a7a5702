package eventstest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hanse-go/hanse/events"
)

func (e *env) declareAgain() {
	info := events.TopicInfo{Name: "orders.placed", Limits: events.Limits{MaxMessages: 1000}.WithDefaults()}
	var all sync.WaitGroup
	for range 4 {
		broker := e.peer()
		all.Go(func() {
			for range 5 {
				if err := broker.Declare(e.ctx, info); err != nil {
					e.Errorf("Declare: %v", err)
				}
			}
		})
	}
	all.Wait()
	if !e.NoReplay {
		e.publish(info.Name, "1", "2")
	}
	info.Limits.MaxMessages = 2000
	if err := e.broker.Declare(e.ctx, info); err != nil {
		e.Errorf("with a higher limit: %v", err)
	}
	join := e.early(events.SubscriptionInfo{Group: "mailer"})
	if e.NoReplay {
		e.publish(info.Name, "1", "2")
	}
	e.ack(join().next(2)...)

	info.Keyed = true
	if err := e.broker.Declare(e.ctx, info); err != nil && !errors.Is(err, events.ErrDrift) {
		e.Errorf("with keys: %v, which is no ErrDrift", err)
	}
}

func (e *env) undeclared() {
	if err := <-e.send("nobody.knows", message("1", "")); err == nil {
		e.Error("a topic that was not declared takes a message")
	}
	if _, err := e.broker.Subscribe(e.ctx, events.SubscriptionInfo{Topic: "nobody.knows", Group: "g", Member: "m", AckWait: e.AckWait, MaxInFlight: 1}); err == nil {
		e.Error("a topic that was not declared has a group")
	}
}

func (e *env) attributes() {
	topic := e.declare(events.TopicInfo{Keyed: true})
	want := &events.Message{
		ID: "id-1 with blanks, ü and %", Source: "hanse:///order%20s", Type: "shop.orders.v1.Placed", Subject: "order/4711 \"größer\"",
		Time: time.Date(2026, 2, 3, 4, 5, 6, 789012345, time.UTC), ContentType: "application/json; charset=utf-8",
		DataSchema: "https://example.com/schema?a=b&c=d", Key: "Lübeck / 1",
		Extensions: map[string]string{"tenant": "überall", "empty1": "x"},
		Metadata:   map[string]string{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "x-own": "a, b; c=d"},
		Data:       []byte{0, 1, 2, 0xff, '\r', '\n', 0},
	}
	m := e.early(events.SubscriptionInfo{Group: "mailer", Ordered: true})()
	if err := <-e.send(topic, want); err != nil {
		e.Fatal(err)
	}
	d := m.next(1)[0]
	got := d.Message()
	if got.ID != want.ID || got.Source != want.Source || got.Type != want.Type || got.Subject != want.Subject || !got.Time.Equal(want.Time) ||
		got.ContentType != want.ContentType || got.DataSchema != want.DataSchema || got.Key != want.Key ||
		!maps.Equal(got.Extensions, want.Extensions) || !maps.Equal(got.Metadata, want.Metadata) || string(got.Data) != string(want.Data) {
		e.Errorf("got  %+v\nwant %+v", got, want)
	}
	if d.Attempt() != 1 {
		e.Errorf("attempt %d, want 1", d.Attempt())
	}
	e.ack(d)

	bare := &events.Message{ID: "2", Source: "x", Type: "t", Time: time.Unix(1, 0), ContentType: "application/protobuf", Data: []byte{}}
	if err := <-e.send(topic, bare); err != nil {
		e.Fatal(err)
	}
	got = m.next(1)[0].Message()
	if got.ID != "2" || got.Source != "x" || got.Subject != "" || got.Key != "" || len(got.Extensions) > 0 || len(got.Metadata) > 0 || len(got.Data) > 0 {
		e.Errorf("a bare message has become %+v", got)
	}
}

func (e *env) share() {
	topic := e.declare(events.TopicInfo{})
	const n = 60
	var members []*member
	for range 3 {
		members = append(members, e.member(events.SubscriptionInfo{Group: "mailer", MaxInFlight: 5}))
	}
	ctx, stop := context.WithCancel(e.ctx)
	defer stop()
	var mu sync.Mutex
	seen := make(map[string]int)
	served := make(map[string]int)
	all := make(chan struct{})
	var running sync.WaitGroup
	for _, m := range members {
		running.Go(func() {
			for {
				some, err := m.src.Next(ctx, 2)
				if err != nil {
					return
				}
				e.ack(some...)
				mu.Lock()
				for _, d := range some {
					seen[d.Message().ID]++
					served[m.name]++
				}
				if len(seen) == n {
					select {
					case <-all:
					default:
						close(all)
					}
				}
				mu.Unlock()
			}
		})
	}
	for i := range n {
		e.publish(topic, fmt.Sprint("m", i))
	}
	select {
	case <-all:
	case <-e.ctx.Done():
	}
	stop()
	running.Wait()
	if len(seen) != n {
		e.Errorf("%d of %d messages were delivered", len(seen), n)
	}
	for id, times := range seen {
		if times != 1 {
			e.Errorf("%s was delivered %d times, though it was settled", id, times)
		}
	}
}

func (e *env) groups() {
	topic := e.declare(events.TopicInfo{})
	a, b := e.member(events.SubscriptionInfo{Group: "mailer"}), e.member(events.SubscriptionInfo{Group: "stock"})
	e.publish(topic, "1", "2", "3")
	for _, m := range []*member{a, b} {
		got := m.next(3)
		if !slices.Equal(slices.Sorted(slices.Values(ids(got))), []string{"1", "2", "3"}) {
			e.Errorf("%s got %v", m.name, ids(got))
		}
		e.ack(got...)
	}
}

func (e *env) each() {
	topic := e.declare(events.TopicInfo{})
	e.publish(topic, "before")
	a, b := e.member(events.SubscriptionInfo{}), e.member(events.SubscriptionInfo{})
	e.publish(topic, "1", "2")
	for _, m := range []*member{a, b} {
		got := m.next(2) // without a key they have no order
		if !slices.Equal(slices.Sorted(slices.Values(ids(got))), []string{"1", "2"}) {
			e.Errorf("%s got %v, want 1 and 2, which were published after it came", m.name, ids(got))
		}
		e.ack(got...)
	}
	a.close()
	again := e.member(events.SubscriptionInfo{Member: a.name})
	e.publish(topic, "3")
	for _, m := range []*member{again, b} {
		if got := m.next(1); got[0].Message().ID != "3" {
			e.Errorf("%s got %v, want 3", m.name, ids(got))
		}
	}
}

func (e *env) groupGoesOn() {
	topic := e.declare(events.TopicInfo{})
	e.publish(topic, "before")
	m := e.member(events.SubscriptionInfo{Group: "mailer"})
	e.publish(topic, "1", "2")
	e.ack(m.next(2)...)
	m.close()
	e.publish(topic, "3", "4")
	m = e.member(events.SubscriptionInfo{Group: "mailer", Start: events.Start{All: true}})
	got := m.next(2)
	if !slices.Equal(slices.Sorted(slices.Values(ids(got))), []string{"3", "4"}) {
		e.Errorf("the group goes on with %v, want 3 and 4: what it has handled is done, and what came meanwhile waits", ids(got))
	}
	e.ack(got...)
	m.none(aLittle)
}

func (e *env) startAll() {
	topic := e.declare(events.TopicInfo{})
	e.publish(topic, "1", "2", "3")
	m := e.member(events.SubscriptionInfo{Group: "late", Start: events.Start{All: true}})
	if got := ids(m.next(3)); !slices.Equal(slices.Sorted(slices.Values(got)), []string{"1", "2", "3"}) {
		e.Errorf("got %v", got)
	}
}

func (e *env) startRefused() {
	topic := e.declare(events.TopicInfo{})
	e.publish(topic, "1")
	for _, start := range []events.Start{{All: true}, {Time: time.Now().Add(-time.Hour)}, {Sequence: 1}} {
		_, err := e.broker.Subscribe(e.ctx, events.SubscriptionInfo{Topic: topic, Group: "late", Member: "m", Start: start, AckWait: e.AckWait, MaxInFlight: 1})
		if !errors.Is(err, events.ErrUnsupported) {
			e.Errorf("a new group that begins with %+v: %v, want ErrUnsupported", start, err)
		}
	}
}

func (e *env) startTime() {
	topic := e.declare(events.TopicInfo{})
	e.publish(topic, "1", "2")
	e.wait(aLittle)
	middle := time.Now()
	e.wait(aLittle)
	e.publish(topic, "3", "4")
	m := e.member(events.SubscriptionInfo{Group: "late", Start: events.Start{Time: middle}})
	if got := ids(m.next(2)); !slices.Equal(slices.Sorted(slices.Values(got)), []string{"3", "4"}) {
		e.Errorf("got %v, want what was stored after the time: 3 and 4", got)
	}
}

func (e *env) startSequence() {
	topic := e.declare(events.TopicInfo{})
	e.publish(topic, "1", "2", "3")
	all := e.member(events.SubscriptionInfo{Group: "all", Start: events.Start{All: true}}).next(3)
	var second uint64
	for i, d := range all {
		if d.Sequence() == 0 {
			e.Fatalf("message %d has no number", i)
		}
		if d.Message().ID == "2" {
			second = d.Sequence()
		}
	}
	m := e.member(events.SubscriptionInfo{Group: "late", Start: events.Start{Sequence: second}})
	if got := ids(m.next(2)); !slices.Equal(slices.Sorted(slices.Values(got)), []string{"2", "3"}) {
		e.Errorf("got %v, want 2 and 3", got)
	}
}

func (e *env) maxInFlight() {
	topic := e.declare(events.TopicInfo{})
	m := e.member(events.SubscriptionInfo{Group: "mailer", MaxInFlight: 3, AckWait: e.Timeout})
	e.publish(topic, "1", "2", "3", "4", "5")
	held := m.next(3)
	m.none(aLittle)
	e.ack(held[0])
	e.ack(m.next(1)...)
}

func (e *env) retry() {
	topic := e.declare(events.TopicInfo{})
	m := e.member(events.SubscriptionInfo{Group: "mailer", AckWait: e.Timeout})
	e.publish(topic, "1")
	d := m.next(1)[0]
	began := time.Now()
	const after = time.Second
	if err := d.Retry(e.ctx, after); err != nil {
		e.Fatal(err)
	}
	d = m.next(1)[0]
	if took := time.Since(began); took < after-50*time.Millisecond {
		e.Errorf("it came again after %v, want %v", took, after)
	}
	if d.Message().ID != "1" || d.Attempt() != 2 {
		e.Errorf("got %s, attempt %d; want 1, attempt 2", d.Message().ID, d.Attempt())
	}
	if err := d.Retry(e.ctx, 0); err != nil {
		e.Fatal(err)
	}
	d = m.next(1)[0]
	if d.Attempt() != 3 {
		e.Errorf("attempt %d, want 3", d.Attempt())
	}
	e.ack(d)
	m.none(aLittle)
}

func (e *env) memberGone() {
	topic := e.declare(events.TopicInfo{})
	gone := e.member(events.SubscriptionInfo{Group: "mailer"})
	e.publish(topic, "1", "2")
	if got := gone.next(2); got[0].Attempt() != 1 {
		e.Errorf("attempt %d, want 1", got[0].Attempt())
	}
	gone.crash()
	m := e.member(events.SubscriptionInfo{Group: "mailer"})
	got := m.next(2)
	if !slices.Equal(slices.Sorted(slices.Values(ids(got))), []string{"1", "2"}) {
		e.Errorf("got %v", ids(got))
	}
	for _, d := range got {
		if !e.NoAttempts && d.Attempt() != 2 {
			e.Errorf("%s: attempt %d, want 2", d.Message().ID, d.Attempt())
		}
	}
	e.ack(got...)
	m.none(e.AckWait + aLittle)
}

func (e *env) extend() {
	topic := e.declare(events.TopicInfo{})
	m := e.member(events.SubscriptionInfo{Group: "mailer"})
	other := e.member(events.SubscriptionInfo{Group: "mailer"})
	e.publish(topic, "1")
	m, other, d := e.race(m, other)
	quarter := e.AckWait / 4
	for range 10 {
		e.wait(quarter)
		if err := d.Extend(e.ctx); err != nil {
			e.Fatalf("Extend: %v", err)
		}
	}
	m.none(quarter)
	other.none(quarter)
	e.ack(d)
	if err := d.Extend(e.ctx); err != nil {
		e.Logf("Extend of what is settled: %v", err) // allowed
	}
	other.none(e.AckWait + aLittle)
}

// extendOne holds that of two messages that a member holds, the one that it does not extend comes again, and the other does not.
func (e *env) extendOne() {
	topic := e.declare(events.TopicInfo{})
	m := e.member(events.SubscriptionInfo{Group: "mailer"})
	e.publish(topic, "1", "2")
	held := m.next(2)
	ctx, stop := context.WithCancel(e.ctx)
	var extending sync.WaitGroup
	extending.Go(func() {
		tick := time.NewTicker(e.AckWait / 4)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_ = held[1].Extend(ctx)
			case <-ctx.Done():
				return
			}
		}
	})
	got := m.next(1)
	stop()
	extending.Wait()
	if got[0].Message().ID != held[0].Message().ID {
		e.Errorf("%s comes again, which was extended", ids(got))
	}
	e.ack(got...)
	e.ack(held[1])
	m.none(e.AckWait + aLittle)
}

// ackThenClose holds that what a member settled right before it left is done, however much that is.
func (e *env) ackThenClose() {
	for _, ordered := range []bool{false, true} {
		topic := e.declare(events.TopicInfo{Name: fmt.Sprint("orders.", ordered), Keyed: ordered})
		info := events.SubscriptionInfo{Topic: topic, Group: "mailer", Ordered: ordered, MaxInFlight: 500, AckWait: e.Timeout}
		leaves := e.member(info)
		var all []string
		for i := range 400 {
			all = append(all, fmt.Sprint("m", i))
		}
		e.publishKey(topic, "k", all...)
		for range len(all) / 50 {
			e.ack(leaves.next(50)...)
		}
		leaves.close()
		e.publishKey(topic, "k", "last")
		m := e.member(info)
		if got := m.next(1); got[0].Message().ID != "last" {
			e.Errorf("ordered %v: %s comes again, which was settled", ordered, got[0].Message().ID)
		} else {
			e.ack(got...)
		}
		m.none(aLittle)
	}
}

func (e *env) handOver() {
	topic := e.declare(events.TopicInfo{})
	leaves := e.member(events.SubscriptionInfo{Group: "mailer", AckWait: e.Timeout})
	e.publish(topic, "1", "2")
	held := leaves.next(2)
	e.ack(held[0])
	leaves.close()
	m := e.member(events.SubscriptionInfo{Group: "mailer", AckWait: e.Timeout})
	if got := m.next(1); got[0].Message().ID != held[1].Message().ID {
		e.Errorf("got %v, want %s", ids(got), held[1].Message().ID)
	} else {
		e.ack(got...)
	}
	m.none(aLittle)
}

func (e *env) nextEnds() {
	topic := e.declare(events.TopicInfo{})
	m := e.member(events.SubscriptionInfo{Group: "mailer"})
	ctx, cancel := context.WithCancel(e.ctx)
	result := make(chan error)
	go func() {
		_, err := m.src.Next(ctx, 10)
		result <- err
	}()
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		e.Errorf("Next whose context ended: %v", err)
	}
	for range 20 { // messages that come while Next ends are not lost
		ctx, cancel := context.WithCancel(e.ctx)
		got := make(chan []events.Delivery)
		go func() {
			some, _ := m.src.Next(ctx, 10)
			got <- some
		}()
		stored := e.send(topic, message(fmt.Sprint("m", e.names), ""))
		e.names++
		cancel()
		if err := <-stored; err != nil {
			e.Fatal(err)
		}
		some := <-got
		if len(some) == 0 {
			some = m.next(1)
		}
		e.ack(some...)
	}
	m.none(aLittle)
}

func (e *env) publishEnds() {
	topic := e.declare(events.TopicInfo{})
	ctx, cancel := context.WithCancel(e.ctx)
	cancel()
	done := make(chan error, 1)
	e.broker.Publish(ctx, topic, message("1", ""), func(err error) { done <- err })
	select {
	case err := <-done: // it may be stored, and then there is no error
		if err != nil && !errors.Is(err, context.Canceled) {
			e.Errorf("publish with a context that has ended: %v", err)
		}
	case <-e.ctx.Done():
		e.Error("done is not called though the context has ended")
	}
}

func (e *env) dedup() {
	topic := e.declare(events.TopicInfo{})
	m := e.member(events.SubscriptionInfo{Group: "mailer"})
	first, other := message("1", ""), message("1", "")
	other.Source = "hanse:///other"
	again := message("1", "")
	again.Metadata = map[string]string{"hanse-redelivery": "one"}
	for _, msg := range []*events.Message{first, message("1", ""), other, again, message("1", "")} {
		if err := <-e.send(topic, msg); err != nil {
			e.Fatal(err)
		}
	}
	var sources []string
	for _, d := range m.next(3) {
		sources = append(sources, d.Message().Identity())
		e.ack(d)
	}
	slices.Sort(sources)
	if want := []string{"hanse:///other#1", "hanse:///test#1", "hanse:///test#1#one"}; !slices.Equal(sources, want) {
		e.Errorf("got %v, want %v", sources, want)
	}
	m.none(aLittle)
}

func (e *env) due() {
	topic := e.declare(events.TopicInfo{Delayed: true})
	m := e.member(events.SubscriptionInfo{Group: "mailer"})
	later, past := message("later", ""), message("past", "")
	began := time.Now()
	later.Due, past.Due = began.Add(2*time.Second), began.Add(-time.Hour)
	for _, msg := range []*events.Message{later, past, message("now", "")} {
		if err := <-e.send(topic, msg); err != nil {
			e.Fatal(err)
		}
	}
	got := m.next(2)
	if !slices.Equal(slices.Sorted(slices.Values(ids(got))), []string{"now", "past"}) {
		e.Errorf("got %v at once, want now and past", ids(got))
	}
	e.ack(got...)
	got = m.next(1)
	if took := time.Since(began); took < 2*time.Second-50*time.Millisecond || got[0].Message().ID != "later" {
		e.Errorf("got %v after %v, want later after 2s", ids(got), took)
	}
	e.ack(got...)
}

func (e *env) full() {
	topic := e.declare(events.TopicInfo{Limits: events.Limits{MaxMessages: 3}})
	join := e.early(events.SubscriptionInfo{Group: "late"})
	e.publish(topic, "1", "2", "3")
	if err := <-e.send(topic, message("4", "")); !errors.Is(err, events.ErrFull) {
		e.Errorf("the fourth of at most three: %v, want ErrFull", err)
	}
	m := join()
	if got := ids(m.next(3)); !slices.Equal(slices.Sorted(slices.Values(got)), []string{"1", "2", "3"}) {
		e.Errorf("got %v", got)
	}
	m.none(aLittle)
}

func (e *env) dropOldest() {
	topic := e.declare(events.TopicInfo{Limits: events.Limits{MaxMessages: 2, DropOldest: true}})
	join := e.early(events.SubscriptionInfo{Group: "late"})
	e.publish(topic, "1", "2", "3")
	if got := ids(join().next(2)); !slices.Equal(slices.Sorted(slices.Values(got)), []string{"2", "3"}) {
		e.Errorf("got %v, want 2 and 3", got)
	}
}

func (e *env) tooLarge() {
	topic := e.declare(events.TopicInfo{Limits: events.Limits{MaxSize: 1000}})
	m := message("1", "")
	m.Data = make([]byte, 100_000)
	if err := <-e.send(topic, m); !errors.Is(err, events.ErrTooLarge) {
		e.Errorf("100,000 bytes of at most 1000: %v, want ErrTooLarge", err)
	}
	e.publish(topic, "2")
}

func (e *env) schema() {
	keeper, ok := e.broker.(events.SchemaKeeper)
	if !ok {
		e.Skip("the broker keeps no schemas")
	}
	topic := e.declare(events.TopicInfo{})
	text, revision, err := keeper.LoadSchema(e.ctx, topic)
	if err != nil || len(text) != 0 || revision != 0 {
		e.Fatalf("a new topic has the schema %q, revision %d: %v", text, revision, err)
	}
	if ok, err := keeper.StoreSchema(e.ctx, topic, []byte("one"), 0); err != nil || !ok {
		e.Fatalf("the first schema: %v, %v", ok, err)
	}
	if ok, err := keeper.StoreSchema(e.ctx, topic, []byte("other"), 0); err != nil || ok {
		e.Errorf("a schema that knows nothing of the first is stored: %v, %v", ok, err)
	}
	peer := e.peer().(events.SchemaKeeper)
	text, revision, err = peer.LoadSchema(e.ctx, topic)
	if err != nil || string(text) != "one" || revision == 0 {
		e.Fatalf("got %q, revision %d: %v", text, revision, err)
	}
	if ok, err := peer.StoreSchema(e.ctx, topic, []byte("two"), revision); err != nil || !ok {
		e.Errorf("the second schema: %v, %v", ok, err)
	}
	if text, _, err = keeper.LoadSchema(e.ctx, topic); err != nil || string(text) != "two" {
		e.Errorf("got %q: %v", text, err)
	}
}
