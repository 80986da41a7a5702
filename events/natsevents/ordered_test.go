package natsevents_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/eventstest"
	"github.com/hanse-go/hanse/events/natsevents"
)

// ledger checks what the members of an ordered group handle: each key in order. An event may come again, for then what was handled
// before of its key does not count.
type ledger struct {
	t     *testing.T
	mu    sync.Mutex
	next  map[string]int // of each key: the number that is expected
	again int            // events handled more than once
	total int            // events handled, each counted once
	busy  map[string]string
	moved chan struct{} // gets a signal
}

func newLedger(t *testing.T) *ledger {
	return &ledger{t: t, next: make(map[string]int), busy: make(map[string]string), moved: make(chan struct{}, 1)}
}

// begin notes that a member handles an event, and end that it has done so.
func (l *ledger) begin(member string, m *events.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if other := l.busy[m.Key]; other != "" {
		l.t.Errorf("key %s is with %s and %s at the same time", m.Key, other, member)
	}
	l.busy[m.Key] = member
	_, number, _ := strings.Cut(m.ID, "/")
	i, _ := strconv.Atoi(number)
	if i > l.next[m.Key] {
		l.t.Errorf("key %s: %d comes to %s where %d should", m.Key, i, member, l.next[m.Key])
	}
}

func (l *ledger) end(m *events.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.busy, m.Key)
	_, number, _ := strings.Cut(m.ID, "/")
	if i, _ := strconv.Atoi(number); i == l.next[m.Key] {
		l.next[m.Key]++
		l.total++
	} else {
		l.again++
	}
	select {
	case l.moved <- struct{}{}:
	default:
	}
}

// reach waits until so many events were handled.
func (l *ledger) reach(n int) {
	l.t.Helper()
	ctx := eventstest.Within(l.t, 60*time.Second)
	for {
		l.mu.Lock()
		total := l.total
		l.mu.Unlock()
		if total >= n {
			return
		}
		select {
		case <-l.moved:
		case <-ctx.Done():
			l.t.Fatalf("%d of %d events were handled", total, n)
		}
	}
}

// member handles events until it is stopped. Of several deliveries of a key it handles one after the other, as package events does.
type member struct {
	t       *testing.T
	name    string
	source  events.Source
	cancel  context.CancelFunc
	done    chan struct{}
	handled int
}

func startMember(t *testing.T, b events.Broker, l *ledger, name string, change ...func(*events.SubscriptionInfo)) *member {
	t.Helper()
	info := eventstest.Member("t", "g", name, append([]func(*events.SubscriptionInfo){eventstest.Ordered}, change...)...)
	s, err := b.Subscribe(eventstest.Within(t, 20*time.Second), info)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{t: t, name: name, source: s, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(m.done)
		for {
			all, err := s.Next(ctx, 1+rand.N(20))
			if err != nil {
				if ctx.Err() == nil {
					t.Errorf("%s: %v", name, err)
				}
				return
			}
			for _, d := range all {
				select {
				case <-d.Lost():
					continue
				default:
				}
				l.begin(name, d.Message())
				l.end(d.Message())
				m.handled++
				_ = d.Ack(ctx) // of one that was lost meanwhile, it fails
			}
		}
	}()
	return m
}

// withTopic declares the topic t.
func withTopic(b *natsevents.Broker) *natsevents.Broker {
	if err := b.Declare(context.Background(), eventstest.Topic("t")); err != nil {
		panic(err)
	}
	return b
}

// stop ends the handling, and leaves the group when it is told to; otherwise it is as if the member had crashed.
func (m *member) stop(leaves bool) {
	m.cancel()
	<-m.done
	if leaves {
		eventstest.Leave(m.t, m.source)
	} else {
		m.t.Cleanup(func() { _ = m.source.Close(eventstest.Within(m.t, 10*time.Second)) })
	}
}

// A group grows from one member to four and shrinks again, under load.
func TestOrderedScale(t *testing.T) {
	n := newNode(t)
	b := n.broker(lease(time.Second))
	eventstest.Declare(t, b, "t")
	l := newLedger(t)
	members := []*member{startMember(t, n.declared(lease(time.Second)), l, "m0", eventstest.FromFirst)}
	const keys, each = 50, 200
	published := make(chan struct{})
	go func() {
		defer close(published)
		load(t, b, keys, each)
	}()
	l.reach(keys * each / 10)
	for i := range 3 {
		members = append(members, startMember(t, n.declared(lease(time.Second)), l, "m"+strconv.Itoa(i+1)))
	}
	l.reach(keys * each / 2)
	for _, m := range members[1:] {
		m.stop(true)
	}
	<-published
	l.reach(keys * each)
	members[0].stop(true)
	if l.again > 0 {
		t.Errorf("%d events were handled twice, though nobody crashed", l.again)
	}
	for _, m := range members {
		if m.handled == 0 {
			t.Errorf("%s had nothing to do", m.name)
		}
	}
}

// load publishes events of many keys, about 3,000 in a second.
func load(t *testing.T, b events.Broker, keys, each int) {
	ctx := eventstest.Within(t, 60*time.Second)
	var all sync.WaitGroup
	all.Add(keys * each)
	tick := time.NewTicker(time.Duration(keys) * time.Second / 3000)
	defer tick.Stop()
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
		<-tick.C
	}
	all.Wait()
}

// A member that crashes is replaced.
func TestOrderedCrash(t *testing.T) {
	n := newNode(t)
	b := n.broker(lease(time.Second))
	eventstest.Declare(t, b, "t")
	l := newLedger(t)
	stays := startMember(t, b, l, "stays", eventstest.FromFirst)
	conn := n.connect()
	dies := startMember(t, withTopic(broker(t, conn, lease(time.Second))), l, "dies")
	const keys, each = 50, 60
	published := make(chan struct{})
	go func() {
		defer close(published)
		load(t, b, keys, each)
	}()
	l.reach(keys * each / 3)
	conn.Close()
	dies.stop(false)
	<-published
	l.reach(keys * each)
	stays.stop(true)
	if dies.handled == 0 || l.again > 1000 {
		t.Errorf("the one that died handled %d; %d were handled again", dies.handled, l.again)
	}
}

// A member that crashes while the server is started again is replaced as fast: the client alone would notice only after some 20 s that the
// server has forgotten who follows the records of the group.
func TestOrderedCrashOverRestart(t *testing.T) {
	n := newNode(t)
	b := n.broker(lease(time.Second))
	eventstest.Declare(t, b, "t")
	stays := eventstest.Subscribe(t, b, eventstest.Member("t", "g", "stays", eventstest.Ordered))
	conn := n.connect()
	dies := eventstest.Subscribe(t, withTopic(broker(t, conn, lease(time.Second))), eventstest.Member("t", "g", "dies", eventstest.Ordered))
	for _, id := range ids(64, "%d/0") {
		key, _, _ := strings.Cut(id, "/")
		eventstest.Publish(t, b, "t", eventstest.Event(id, key))
	}
	eventstest.Take(t, dies, 1) // it has its share
	conn.Close()
	n.stop()
	n.start()
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	for seen := make(map[string]bool); len(seen) < 64; {
		all, err := stays.Next(ctx, 100)
		if err != nil {
			t.Fatalf("after %d of 64: %v", len(seen), err)
		}
		for _, d := range all {
			seen[d.Message().ID] = true
			if err := d.Ack(ctx); err != nil {
				t.Error(err)
			}
		}
	}
}

// A member that was cut off for longer than its lease is out: it is told so, gets nothing more of what others have now, and its
// acknowledgements count for nothing.
func TestOrderedFrozen(t *testing.T) {
	n := newNode(t)
	b := n.broker(lease(2 * time.Second))
	eventstest.Declare(t, b, "t")
	p := newProxy(t, n.addr)
	frozen := eventstest.Subscribe(t, withTopic(broker(t, connect(t, p.url()), lease(2*time.Second))), eventstest.Member("t", "g", "frozen", eventstest.Ordered, func(s *events.SubscriptionInfo) { s.MaxInFlight = 10 }))
	for _, id := range ids(64, "%d/0") {
		key, _, _ := strings.Cut(id, "/")
		eventstest.Publish(t, b, "t", eventstest.Event(id, key))
	}
	held := eventstest.Take(t, frozen, 10)
	stream, err := n.jetstream().Stream(t.Context(), "test_t")
	if err != nil {
		t.Fatal(err)
	}
	discoverytest.Eventually(t, "it has fetched all", func() bool {
		fetched := 0
		for info := range stream.ListConsumers(t.Context()).Info() {
			fetched += info.NumAckPending
		}
		return fetched == 64
	})
	eventstest.Nothing(t, frozen, 100*time.Millisecond) // it holds all that it may
	p.freeze()
	if err := held[0].Ack(t.Context()); err != nil { // which makes room, and does not arrive
		t.Error(err)
	}
	other := eventstest.Subscribe(t, b, eventstest.Member("t", "g", "other", eventstest.Ordered))
	got := eventstest.Take(t, other, 64)
	eventstest.Nothing(t, frozen, 100*time.Millisecond) // though it has fetched more ahead
	p.thaw()
	for _, d := range held[1:] {
		select {
		case <-d.Lost():
		case <-time.After(20 * time.Second):
			t.Fatal("a frozen member is not told that it has lost its events")
		}
		if err := d.Ack(t.Context()); err == nil {
			t.Error("a lost event can be acknowledged")
		}
	}
	// Half of the partitions come back to it, with their events when the other one gives them back.
	for _, d := range got {
		if err := d.Ack(t.Context()); err != nil {
			t.Error(err)
		}
	}
	eventstest.Nothing(t, frozen, 4*time.Second)
	eventstest.Nothing(t, other, 100*time.Millisecond)
	for _, id := range ids(64, "%d/1") {
		key, _, _ := strings.Cut(id, "/")
		eventstest.Publish(t, b, "t", eventstest.Event(id, key))
	}
	ctx, cancel := context.WithCancel(t.Context())
	counts := make(chan int, 64)
	var both sync.WaitGroup
	for i, s := range []events.Source{frozen, other} {
		both.Go(func() {
			for {
				all, err := s.Next(ctx, 100)
				if err != nil {
					return
				}
				for _, d := range all {
					_ = d.Ack(ctx)
					counts <- i
				}
			}
		})
	}
	shares := [2]int{}
	for range 64 {
		select {
		case i := <-counts:
			shares[i]++
		case <-time.After(20 * time.Second):
			t.Fatalf("events are missing: %v", shares)
		}
	}
	cancel()
	both.Wait()
	if shares[0] == 0 || shares[1] == 0 {
		t.Errorf("the members share the events as %v", shares)
	}
}

// A partition whose record names a member that does not have it, as when the answer to what it wrote got lost, is given back.
func TestOrderedAstray(t *testing.T) {
	n := newNode(t)
	b := n.broker(lease(time.Second))
	eventstest.Declare(t, b, "t")
	one := startMember(t, b, newLedger(t), "one")
	defer one.stop(true)
	l := newLedger(t)
	two := startMember(t, n.declared(lease(time.Second)), l, "two")
	defer two.stop(true)
	kv, err := n.jetstream().KeyValue(t.Context(), "test__events")
	if err != nil {
		t.Fatal(err)
	}
	owner := func(part int) string {
		e, err := kv.Get(t.Context(), fmt.Sprintf("group.t.g.part.%d", part))
		var r struct{ Owner string }
		if err != nil || json.Unmarshal(e.Value(), &r) != nil {
			return ""
		}
		return r.Owner
	}
	var parts []int // of two
	discoverytest.Eventually(t, "each has its share", func() bool {
		shares := make(map[string][]int)
		for part := range 16 {
			who := owner(part)
			shares[who] = append(shares[who], part)
		}
		parts = shares["two"]
		return len(parts) == 8 && len(shares["one"]) == 8
	})
	key := fmt.Sprintf("group.t.g.part.%d", parts[0])
	e, err := kv.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Update(t.Context(), key, []byte(`{"version":1,"owner":"one","epoch":100}`), e.Revision()); err != nil {
		t.Fatal(err)
	}
	discoverytest.Eventually(t, "it has the partition again", func() bool { return owner(parts[0]) == "two" })
}

// The order stays when the connection of a member breaks again and again, and nothing is handled twice but what was in its hands.
func TestOrderedOverBrokenConnections(t *testing.T) {
	n := newNode(t)
	b := n.broker(lease(2 * time.Second))
	eventstest.Declare(t, b, "t")
	p := newProxy(t, n.addr)
	l := newLedger(t)
	m := startMember(t, withTopic(broker(t, connect(t, p.url()), lease(2*time.Second))), l, "m", eventstest.FromFirst)
	const keys, each = 50, 60
	published := make(chan struct{})
	go func() {
		defer close(published)
		load(t, b, keys, each)
	}()
	for i := range 8 {
		l.reach(keys * each * (i + 1) / 12)
		p.cut()
	}
	<-published
	l.reach(keys * each)
	m.stop(true)
	if l.again > 0 {
		t.Errorf("%d events were handled twice", l.again)
	}
}

// A key that waits for a repetition holds up neither other keys nor, for long, a hand-over.
func TestOrderedPoison(t *testing.T) {
	n := newNode(t)
	b := n.broker(lease(time.Second))
	eventstest.Declare(t, b, "t")
	short := func(s *events.SubscriptionInfo) { s.AckWait = 5 * time.Second }
	one := eventstest.Subscribe(t, b, eventstest.Member("t", "g", "one", eventstest.Ordered, eventstest.FromFirst, short))
	eventstest.Publish(t, b, "t", eventstest.Event("poison/0", "poison"))
	poison := eventstest.Take(t, one, 1)[0]
	for i := range 200 {
		eventstest.Publish(t, b, "t", eventstest.Event(fmt.Sprintf("%d/0", i), fmt.Sprint(i)))
	}
	if got := eventstest.Handle(t, one, 200); slices.Contains(got, "poison/0") {
		t.Error("it comes again though it is held")
	}
	two := eventstest.Subscribe(t, n.declared(lease(time.Second)), eventstest.Member("t", "g", "two", eventstest.Ordered, short))
	for i := range 200 {
		eventstest.Publish(t, b, "t", eventstest.Event(fmt.Sprintf("%d/1", i), fmt.Sprint(i)))
	}
	results := make(chan events.Delivery, 500)
	ctx, cancel := context.WithCancel(t.Context())
	var both sync.WaitGroup
	for _, s := range []events.Source{one, two} {
		both.Go(func() {
			for {
				all, err := s.Next(ctx, 100)
				if errors.Is(err, context.Canceled) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				for _, d := range all {
					_ = d.Ack(ctx)
					results <- d
				}
			}
		})
	}
	again := false
	for range 200 {
		select {
		case d := <-results:
			again = again || d.Message().ID == "poison/0"
		case <-time.After(30 * time.Second):
			t.Fatal("events are missing")
		}
	}
	select {
	case <-poison.Lost(): // its partition went to the other one, which gets it again
		if !again {
			select {
			case d := <-results:
				again = d.Message().ID == "poison/0"
			case <-time.After(20 * time.Second):
			}
		}
		if !again {
			t.Error("a lost event does not come again")
		}
	default:
		if err := poison.Ack(ctx); err != nil {
			t.Error(err)
		}
	}
	cancel()
	both.Wait()
}

// A member that left with events unsettled hands over just these.
func TestOrderedHandOver(t *testing.T) {
	n := newNode(t)
	b := n.broker(lease(time.Second))
	eventstest.Declare(t, b, "t")
	one := eventstest.Subscribe(t, b, eventstest.Member("t", "g", "one", eventstest.Ordered, eventstest.FromFirst, func(s *events.SubscriptionInfo) { s.MaxInFlight = 300 }))
	var want []string
	for i := range 100 {
		id := fmt.Sprintf("%d/0", i)
		eventstest.Publish(t, b, "t", eventstest.Event(id, fmt.Sprint(i)))
	}
	for i, d := range eventstest.Take(t, one, 100) {
		if i%10 == 0 {
			want = append(want, d.Message().ID)
		} else if err := d.Ack(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	eventstest.Leave(t, one)
	two := eventstest.Subscribe(t, b, eventstest.Member("t", "g", "two", eventstest.Ordered))
	got := eventstest.Handle(t, two, len(want))
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	eventstest.Nothing(t, two, 300*time.Millisecond)
	eventstest.Leave(t, two)
	s, err := n.jetstream().Stream(t.Context(), "test_t")
	if err != nil {
		t.Fatal(err)
	}
	for name := range s.ConsumerNames(t.Context()).Name() {
		t.Errorf("the consumer %s is left", name)
	}
}

// A delivery that got lost on its way is delivered before those that come after it.
func TestOrderedLostDelivery(t *testing.T) {
	n := newNode(t)
	b := n.declared(lease(time.Second))
	s := eventstest.Subscribe(t, b, eventstest.Member("t", "g", "m", eventstest.Ordered, func(s *events.SubscriptionInfo) { s.AckWait = time.Hour }))
	var want []string
	for i := range 20 {
		id := fmt.Sprintf("k/%d", i)
		want = append(want, id)
		eventstest.Publish(t, b, "t", eventstest.Event(id, "k"))
	}
	stream, err := n.jetstream().Stream(t.Context(), "test_t")
	if err != nil {
		t.Fatal(err)
	}
	stolen := 0
	discoverytest.Eventually(t, "there are consumers for all partitions", func() bool {
		info, err := stream.Info(t.Context())
		return err == nil && info.State.Consumers == 16
	})
	for name := range stream.ConsumerNames(t.Context()).Name() {
		c, err := stream.Consumer(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		batch, err := c.FetchNoWait(3) // before the member asks
		if err != nil {
			t.Fatal(err)
		}
		for range batch.Messages() {
			stolen++
		}
	}
	if got := eventstest.Handle(t, s, len(want)); stolen != 3 || !slices.Equal(got, want) {
		t.Errorf("got %v, want %v, after %d were lost", got, want, stolen)
	}
}
