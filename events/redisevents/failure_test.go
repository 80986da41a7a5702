package redisevents_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/eventstest"
	"github.com/hanse-go/hanse/events/redisevents"
)

// load publishes events until its context ends, and remembers which were acknowledged.
type load struct {
	mu    sync.Mutex
	acked map[string]bool
	sent  int
}

const loadKeys = 8

func newLoad() *load { return &load{acked: make(map[string]bool)} }

func (l *load) run(ctx context.Context, b events.Broker, topic string) {
	var each sync.WaitGroup
	for k := range loadKeys {
		each.Go(func() {
			var on sync.WaitGroup
			window := make(chan struct{}, 16)
			for n := 1; ctx.Err() == nil; n++ {
				window <- struct{}{}
				m := eventstest.Event(fmt.Sprintf("k%d:%d", k, n), fmt.Sprint("k", k))
				on.Add(1)
				l.mu.Lock()
				l.sent++
				l.mu.Unlock()
				b.Publish(context.Background(), topic, m, func(err error) {
					if err == nil {
						l.mu.Lock()
						l.acked[m.ID] = true
						l.mu.Unlock()
					}
					<-window
					on.Done()
				})
			}
			on.Wait()
		})
	}
	each.Wait()
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked)
}

// sink handles events, and holds that those of a key come in order: one may come again, but none before one that came not yet.
type sink struct {
	t    testing.TB
	mu   sync.Mutex
	seen map[string]int
	last map[string]int
}

func newSink(t testing.TB) *sink {
	return &sink{t: t, seen: make(map[string]int), last: make(map[string]int)}
}

func (s *sink) run(ctx context.Context, src events.Source) {
	for {
		all, err := src.Next(ctx, 50)
		if err != nil {
			if ctx.Err() == nil {
				s.t.Errorf("Next: %v", err)
			}
			return
		}
		s.mu.Lock()
		for _, d := range all {
			id := d.Message().ID
			s.seen[id]++
			key, _, _ := strings.Cut(id, ":")
			var n int
			fmt.Sscanf(id, key+":%d", &n)
			if n > s.last[key]+1 {
				s.t.Errorf("%s came after %d of its key", id, s.last[key])
			}
			s.last[key] = max(s.last[key], n)
		}
		s.mu.Unlock()
		for _, d := range all {
			_ = d.Ack(ctx) // of what was lost
		}
	}
}

func (s *sink) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

// TestServerKilled holds that what was acknowledged outlives the server's process, and comes in order, once and again.
func TestServerKilled(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	var log discoverytest.Log
	logged := func(o *redisevents.Options) { o.Logger = log.Logger() }
	publisher, consumer := s.declared("t"), s.broker(logged)
	src := subscribe(t, consumer, "t", "g", "a", eventstest.Ordered)
	loading, stop := context.WithCancel(context.Background())
	defer stop()
	handling, end := context.WithCancel(context.Background())
	defer end()
	l := newLoad()
	got := newSink(t)
	var running, handlers sync.WaitGroup
	running.Go(func() { l.run(loading, publisher, "t") })
	handlers.Go(func() { got.run(handling, src) })
	kills := 2
	if full() {
		kills = 6
	}
	for range kills {
		before := l.count()
		discoverytest.Eventually(t, "events are stored", func() bool { return l.count() > before+500 })
		s.running.Kill()
		s.start()
	}
	before := l.count()
	discoverytest.Eventually(t, "events are stored again", func() bool { return l.count() > before+500 })
	stop()
	running.Wait()
	discoverytest.Eventually(t, "all that was sent is handled", func() bool { return got.count() >= l.sent })
	end()
	handlers.Wait()
	lost, again := 0, 0
	for id := range l.acked {
		if got.seen[id] == 0 {
			lost++
		}
	}
	for _, n := range got.seen {
		again += n - 1
	}
	if lost > 0 {
		t.Errorf("%d of %d acknowledged events are lost", lost, len(l.acked))
	}
	// A second look: what the streams have.
	all := newSink(t)
	late := subscribe(t, s.broker(), "t", "late", "a", eventstest.Ordered)
	handling, end = context.WithCancel(context.Background())
	defer end()
	handlers.Go(func() { all.run(handling, late) })
	discoverytest.Eventually(t, "all is there", func() bool { return all.count() >= l.sent })
	end()
	handlers.Wait()
	twice := 0
	for _, n := range all.seen {
		twice += n - 1
	}
	told, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	if twice > 0 && !strings.Contains(string(told), "Truncating the AOF") {
		t.Errorf("%d events are stored twice", twice)
	}
	t.Logf("%d events acknowledged of %d, through %d kills: none lost, %d handled again, %d stored twice", len(l.acked), l.sent, kills, again, twice)
}

// TestServerAway holds that publishers wait for a server that is away, or say so by their deadline, and that it is logged once.
func TestServerAway(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	var log discoverytest.Log
	b := s.declared("t", func(o *redisevents.Options) { o.Logger = log.Logger() })
	sources := []events.Source{
		subscribe(t, b, "t", "mailer", "a"), subscribe(t, b, "t", "stock", "a", eventstest.Ordered),
		subscribe(t, b, "t", "", "a", func(i *events.SubscriptionInfo) { i.Start = events.Start{} }),
	}
	eventstest.Publish(t, b, "t", eventstest.Event("1", "k"))
	for _, src := range sources {
		eventstest.Ack(t, eventstest.Take(t, src, 1)...)
	}
	s.running.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if err := eventstest.Send(ctx, b, "t", eventstest.Event("late", "k")); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("publish while the broker is away: %v", err)
	}
	stored := make(chan error, 1)
	b.Publish(t.Context(), "t", eventstest.Event("2", "k"), func(err error) { stored <- err })
	away := 2 * time.Second
	if full() {
		away = 5 * time.Second
	}
	for _, src := range sources {
		eventstest.Nothing(t, src, away/3)
	}
	log.Await(t, "the broker does not answer")
	s.start()
	if err := <-stored; err != nil {
		t.Error(err)
	}
	for i, src := range sources {
		got := eventstest.Take(t, src, 1)
		if got[0].Message().ID == "late" { // it may have been stored, as the error said
			eventstest.Ack(t, got...)
			got = eventstest.Take(t, src, 1)
		}
		if got[0].Message().ID != "2" {
			t.Errorf("source %d got %v, want 2", i, eventstest.IDs(got))
		}
		eventstest.Ack(t, got...)
	}
	log.Await(t, "the broker is back")
	if n := log.Count("does not answer"); n != 1 {
		t.Errorf("it is logged %d times that the broker is away:\n%s", n, log.String())
	}
}

// TestWiped holds that a topic that was deleted is made again, and groups begin anew.
func TestWiped(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	b := s.declared("t")
	for _, mode := range []func(*events.SubscriptionInfo){func(*events.SubscriptionInfo) {}, eventstest.Ordered} {
		src := subscribe(t, b, "t", "g", "a", mode)
		eventstest.Publish(t, b, "t", eventstest.Event("1", "k"))
		eventstest.Ack(t, eventstest.Take(t, src, 1)...)
		if err := s.client().FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		if _, err := src.Next(eventstest.Within(t, 20*time.Second), 1); err == nil || !strings.Contains(err.Error(), "deleted on the broker") {
			t.Errorf("Next of a group that was deleted: %v", err)
		}
		eventstest.Publish(t, b, "t", eventstest.Event("2", "k"))
		src = subscribe(t, b, "t", "g", "b", mode)
		if got := eventstest.Take(t, src, 1); got[0].Message().ID != "2" {
			t.Errorf("got %v", eventstest.IDs(got))
		}
		if err := s.client().FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		eventstest.Publish(t, b, "t", eventstest.Event("3", "k")) // restores it
		if err := s.client().FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		subscribe(t, b, "t", "g2", "b", mode) // does, too
	}
}

// TestMemoryLimit holds that a server without memory refuses events, with an error that says so, and goes on delivering.
func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--maxmemory-policy", "noeviction")
	b := s.declared("t")
	shared, inOrder := subscribe(t, b, "t", "mailer", "a"), subscribe(t, b, "t", "stock", "a", eventstest.Ordered)
	eventstest.Publish(t, b, "t", eventstest.Event("1", "k"), eventstest.Event("2", "k"))
	eventstest.Ack(t, eventstest.Take(t, inOrder, 1)...) // it has its partitions
	c := s.client()
	if err := c.ConfigSet(t.Context(), "maxmemory", "1mb").Err(); err != nil {
		t.Fatal(err)
	}
	if err := eventstest.Send(eventstest.Within(t, 10*time.Second), b, "t", eventstest.Event("3", "k")); !errors.Is(err, events.ErrFull) || !strings.Contains(err.Error(), "maxmemory") {
		t.Errorf("publish: %v, want ErrFull", err)
	}
	got := eventstest.Take(t, shared, 2)
	eventstest.Ack(t, got[0])
	if err := got[1].Retry(t.Context(), 0); err != nil {
		t.Error(err)
	}
	eventstest.Ack(t, eventstest.Take(t, shared, 1)...)
	eventstest.Nothing(t, shared, 200*time.Millisecond)
	eventstest.Ack(t, eventstest.Take(t, inOrder, 1)...)
	eventstest.Nothing(t, inOrder, 3*time.Second) // longer than its lease
	if err := c.ConfigSet(t.Context(), "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	eventstest.Publish(t, b, "t", eventstest.Event("3", "k"))
	eventstest.Ack(t, eventstest.Take(t, inOrder, 1)...)
}

// TestAge holds that what is over its age goes, and does not count for the limits any more.
func TestAge(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	b := s.broker()
	info := eventstest.Topic("t", func(i *events.TopicInfo) {
		i.Limits.MaxAge, i.Limits.MaxMessages, i.Limits.MaxBytes = 700*time.Millisecond, 3, 10_000
	})
	if err := b.Declare(eventstest.Within(t, 10*time.Second), info); err != nil {
		t.Fatal(err)
	}
	eventstest.Publish(t, b, "t", eventstest.Event("1", "a"), eventstest.Event("2", "b"), eventstest.Event("3", ""))
	if err := eventstest.Send(t.Context(), b, "t", eventstest.Event("4", "")); !errors.Is(err, events.ErrFull) {
		t.Errorf("the fourth of three: %v", err)
	}
	c := s.client()
	discoverytest.Eventually(t, "they are over their age", func() bool { return eventstest.Send(t.Context(), b, "t", eventstest.Event("4", "")) == nil })
	discoverytest.Eventually(t, "they are dropped by themselves", func() bool {
		bytes, err := c.HGet(t.Context(), "{test:t}:topic", "bytes").Int()
		return err == nil && bytes == 0
	})
	all := int64(0)
	for _, key := range c.Keys(t.Context(), "{test:t}*").Val() {
		if c.Type(t.Context(), key).Val() == "stream" {
			all += c.XLen(t.Context(), key).Val()
		}
	}
	if all != 0 {
		t.Errorf("%d entries are left", all)
	}
}

// TestBytes holds the limit of bytes, with each of its two ways.
func TestBytes(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	b := s.broker()
	for _, drop := range []bool{false, true} {
		name := fmt.Sprint("t-", drop)
		info := eventstest.Topic(name, func(i *events.TopicInfo) { i.Limits.MaxBytes, i.Limits.DropOldest = 10_000, drop })
		if err := b.Declare(eventstest.Within(t, 10*time.Second), info); err != nil {
			t.Fatal(err)
		}
		var err error
		n := 0
		for ; n < 20 && err == nil; n++ {
			m := eventstest.Event(fmt.Sprint(n), fmt.Sprint("k", n%3))
			m.Data = make([]byte, 2000)
			err = eventstest.Send(t.Context(), b, name, m)
		}
		if !drop && (!errors.Is(err, events.ErrFull) || n != 5 || !strings.Contains(err.Error(), "MaxBytes")) || drop && err != nil {
			t.Errorf("drop %v: after %d events of 2 KB: %v", drop, n, err)
		}
		got := eventstest.IDs(eventstest.Take(t, subscribe(t, b, name, "g", "a"), 4))
		slices.Sort(got)
		want := []string{"0", "1", "2", "3"}
		if drop {
			want = []string{"16", "17", "18", "19"}
		}
		if !slices.Equal(got, want) {
			t.Errorf("drop %v: %v are there, want %v", drop, got, want)
		}
	}
}

// TestDue holds that events that wait outlive the server, count for the limits, and are there when they are due though nobody waited.
func TestDue(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	b := s.broker()
	info := eventstest.Topic("t", func(i *events.TopicInfo) { i.Delayed, i.Limits.MaxMessages = true, 2 })
	if err := b.Declare(eventstest.Within(t, 10*time.Second), info); err != nil {
		t.Fatal(err)
	}
	soon, later := eventstest.Event("soon", "k"), eventstest.Event("later", "k")
	soon.Due, later.Due = time.Now().Add(300*time.Millisecond), time.Now().Add(1500*time.Millisecond)
	eventstest.Publish(t, b, "t", later, soon, later)
	if err := eventstest.Send(t.Context(), b, "t", eventstest.Event("x", "")); !errors.Is(err, events.ErrFull) {
		t.Errorf("the third of two: %v", err)
	}
	s.running.Kill()
	s.start()
	src := subscribe(t, b, "t", "g", "a", eventstest.Ordered)
	if got := eventstest.IDs(eventstest.Take(t, src, 2)); !slices.Equal(got, []string{"soon", "later"}) {
		t.Errorf("got %v", got)
	}
	if since := time.Since(later.Due); since < 0 {
		t.Errorf("it came %v early", -since)
	}
	eventstest.Nothing(t, src, 100*time.Millisecond)
}

// TestScriptsForgotten holds that a server that forgot the scripts is told them again.
func TestScriptsForgotten(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	b := s.declared("t")
	src := subscribe(t, b, "t", "g", "a", eventstest.Ordered)
	l := newLoad()
	loading, stop := context.WithCancel(context.Background())
	handling, end := context.WithCancel(context.Background())
	defer end()
	var running sync.WaitGroup
	running.Go(func() { l.run(loading, b, "t") })
	got := newSink(t)
	running.Go(func() { got.run(handling, src) })
	for range 20 {
		before := l.count()
		if err := s.client().ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		discoverytest.Eventually(t, "events are stored", func() bool { return l.count() > before+20 })
	}
	stop()
	discoverytest.Eventually(t, "all is handled", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return got.count() == l.sent && len(l.acked) == l.sent
	})
	end()
	running.Wait()
}

// TestLateRetry holds that a member that was too slow does not take an event from the one that got it meanwhile.
func TestLateRetry(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	b := s.declared("t")
	brief := func(i *events.SubscriptionInfo) { i.AckWait = time.Second }
	slow := subscribe(t, b, "t", "g", "slow", brief)
	eventstest.Publish(t, b, "t", eventstest.Event("1", ""))
	d := eventstest.Take(t, slow, 1)[0]
	other := subscribe(t, b, "t", "g", "other")
	again := eventstest.Take(t, other, 1)[0]
	if again.Attempt() != 2 {
		t.Errorf("attempt %d, want 2", again.Attempt())
	}
	if err := d.Retry(t.Context(), 0); err != nil {
		t.Error(err)
	}
	eventstest.Nothing(t, slow, 700*time.Millisecond)
	eventstest.Ack(t, again)
}
