//go:build unix

package rabbitevents_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/eventstest"
	"github.com/hanse-go/hanse/events/rabbitevents"
	amqp "github.com/rabbitmq/amqp091-go"
)

// logged is a logger that a test reads.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), part)
}

func (l *logged) to(o *rabbitevents.Options) { o.Logger = slog.New(slog.NewTextHandler(l, nil)) }

// load publishes events of several keys all the time and handles them in two members, until it is stopped. What was confirmed must be handled, and
// what is handled must be in the order of its key: an event may come again, with those after it, but none may be left out.
type load struct {
	t         *testing.T
	stop      func()
	publisher *rabbitevents.Broker
	handlers  [2]*rabbitevents.Broker

	mu     sync.Mutex
	stored map[string]int // the last that was confirmed, by key
	last   map[string]int // the last that was handled
	all    int
	again  int
}

const loadKeys = 12

func newLoad(t *testing.T, n *node, change ...func(*rabbitevents.Options)) *load {
	l := &load{t: t, stored: make(map[string]int), last: make(map[string]int)}
	system := newSystem()
	l.publisher = newBroker(t, n.url(), system, change...)
	eventstest.Declare(t, l.publisher, "orders")
	ctx, cancel := context.WithCancel(eventstest.Within(t, 100*time.Second))
	var handling, publishing sync.WaitGroup
	for i := range l.handlers {
		b := newBroker(t, n.url(), system)
		l.handlers[i] = b
		info := eventstest.Member("orders", "mailer", fmt.Sprint("m", i))
		info.Ordered = true
		s, err := b.Subscribe(ctx, info)
		if err != nil {
			t.Fatal(err)
		}
		handling.Go(func() {
			defer s.Close(eventstest.Within(t, 10*time.Second))
			for {
				some, err := s.Next(ctx, 20)
				if err != nil {
					if ctx.Err() == nil {
						t.Errorf("Next: %v", err)
					}
					return
				}
				for _, d := range some {
					l.handle(d)
				}
			}
		})
	}
	pubCtx, enough := context.WithCancel(ctx)
	publishing.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-tick.C:
			case <-pubCtx.Done():
				return
			}
			key, number := fmt.Sprint("k", n%loadKeys), n/loadKeys+1
			publishing.Add(1)
			l.publisher.Publish(ctx, "orders", eventstest.Event(fmt.Sprintf("%s:%d", key, number), key), func(err error) {
				defer publishing.Done()
				if err != nil {
					t.Errorf("publish %s:%d: %v", key, number, err)
					return
				}
				l.mu.Lock()
				defer l.mu.Unlock()
				l.stored[key] = max(l.stored[key], number)
				l.all++
			})
		}
	})
	l.stop = sync.OnceFunc(func() {
		t.Helper()
		enough()
		publishing.Wait()
		discoverytest.Eventually(t, "all that was confirmed is handled", func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			for key, n := range l.stored {
				if l.last[key] < n {
					return false
				}
			}
			return true
		})
		cancel()
		handling.Wait()
		t.Logf("%d events, %d handled again", l.all, l.again)
	})
	t.Cleanup(l.stop)
	return l
}

func (l *load) handle(d events.Delivery) {
	var n int
	key := d.Message().Key
	fmt.Sscanf(d.Message().ID, key+":%d", &n)
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-d.Lost():
		return
	default:
	}
	if n > l.last[key]+1 {
		l.t.Errorf("%s is handled after %d", d.Message().ID, l.last[key])
	}
	if n <= l.last[key] {
		l.again++
	}
	l.last[key] = max(l.last[key], n)
	_ = d.Ack(context.Background()) // one that is lost comes again
}

// more waits until as many events more were handled.
func (l *load) more(n int) {
	l.t.Helper()
	handled := func() (sum int) {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, n := range l.last {
			sum += n
		}
		return sum
	}
	was := handled()
	discoverytest.Eventually(l.t, fmt.Sprint(n, " more events are handled"), func() bool { return handled() >= was+n })
}

// TestConnectionsClosed holds that nothing is lost or gets out of order when the server closes all connections, again and again.
func TestConnectionsClosed(t *testing.T) {
	n := rabbit(t)
	l := newLoad(t, n)
	for range 3 {
		l.more(200)
		n.eval(`rabbit_networking:close_all_connections(<<"a test">>).`)
	}
	l.more(200)
	l.stop()
}

// TestServerKilled holds that nothing that was confirmed is lost when the server is killed, and that its absence is said once.
func TestServerKilled(t *testing.T) {
	n := rabbit(t)
	var log logged
	l := newLoad(t, n, log.to)
	each := newBroker(t, n.url(), newSystem())
	eventstest.Declare(t, each, "ticks")
	s := eventstest.Subscribe(t, each, eventstest.Member("ticks", "", "m"))
	eventstest.Publish(t, each, "ticks", eventstest.Event("before", ""))
	l.more(300)
	n.kill()

	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if err := <-send(ctx, each, "ticks", eventstest.Event("in vain", "")); err == nil || !strings.Contains(err.Error(), "is away") {
		t.Errorf("with the server away: %v", err)
	}
	if err := each.Declare(ctx, eventstest.Topic("other")); err == nil || !strings.Contains(err.Error(), "is away") {
		t.Errorf("Declare with the server away: %v", err)
	}
	n.start()
	l.more(300)
	discoverytest.Eventually(t, "it is said that the server is back", func() bool { return log.count("is back") > 0 }) // all connections
	l.stop()
	eventstest.Publish(t, each, "ticks", eventstest.Event("after", ""))
	if got := eventstest.Take(t, s, 2); got[0].Message().ID != "before" || got[1].Message().ID != "after" {
		t.Errorf("got %s, %s", got[0].Message().ID, got[1].Message().ID)
	}
	if away, back := log.count("is away"), log.count("is back"); away != 1 || back != 1 {
		t.Errorf("it was said %d times that the server is away, and %d times that it is back: %s", away, back, log.text.String())
	}
}

// TestMemoryAlarm holds that publishers wait while the server is low on memory, that this is said once, and that deliveries go on.
func TestMemoryAlarm(t *testing.T) {
	n := rabbit(t)
	var log logged
	b := newBroker(t, n.url(), newSystem(), log.to)
	eventstest.Declare(t, b, "orders")
	s := eventstest.Subscribe(t, b, eventstest.Member("orders", "mailer", "m"))
	eventstest.Publish(t, b, "orders", eventstest.Event("1", ""), eventstest.Event("2", ""))
	n.eval(`vm_memory_monitor:set_vm_memory_high_watermark(0.00000001).`)
	recover := sync.OnceFunc(func() { n.eval(`vm_memory_monitor:set_vm_memory_high_watermark(0.4).`) })
	t.Cleanup(recover)

	discoverytest.Eventually(t, "the server is alarmed", func() bool { return n.eval(`rabbit_alarm:get_alarms().`) != "{ok, []}" })
	waits := send(eventstest.Within(t, 30*time.Second), b, "orders", eventstest.Event("3", "")) // which has the server say so
	discoverytest.Eventually(t, "the alarm is heard of", func() bool { return log.count("takes no events") > 0 })
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := <-send(ctx, b, "orders", eventstest.Event("in vain", "")); err == nil || !strings.Contains(err.Error(), "low on memory") {
		t.Errorf("publish: %v, want an error that says why", err)
	}
	eventstest.Ack(t, eventstest.Take(t, s, 2)...)
	other := eventstest.Subscribe(t, b, eventstest.Member("orders", "mailer", "other")) // joining needs no memory
	select {
	case err := <-waits:
		t.Errorf("publish with an alarm: %v", err)
	default:
	}
	recover()
	if err := <-waits; err != nil {
		t.Errorf("publish after the alarm: %v", err)
	}
	if n := log.count("takes no events"); n != 1 {
		t.Errorf("it was said %d times", n)
	}
	_ = other
}

// TestExchangeDeleted holds that a topic that was deleted on the server is made again, with its groups.
func TestExchangeDeleted(t *testing.T) {
	n := rabbit(t)
	system := newSystem()
	b := newBroker(t, n.url(), system)
	eventstest.Declare(t, b, "orders")
	s := eventstest.Subscribe(t, b, eventstest.Member("orders", "mailer", "m"))
	info := eventstest.Member("orders", "stock", "m")
	info.Ordered = true
	o := eventstest.Subscribe(t, b, info)
	conn := foreign(t, n)
	if err := conn.ExchangeDelete(system+".orders", false, false); err != nil {
		t.Fatal(err)
	}
	eventstest.Publish(t, b, "orders", eventstest.Event("1", "a"))
	for _, s := range []events.Source{s, o} {
		if got := eventstest.Take(t, s, 1); got[0].Message().ID != "1" {
			t.Errorf("got %s", got[0].Message().ID)
		}
	}
}

// TestGroupDeleted holds that who takes from a queue that is deleted is told, and that the group can be joined again.
func TestGroupDeleted(t *testing.T) {
	n := rabbit(t)
	system := newSystem()
	b := newBroker(t, n.url(), system)
	eventstest.Declare(t, b, "orders")
	s := eventstest.Subscribe(t, b, eventstest.Member("orders", "mailer", "m"))
	eventstest.Publish(t, b, "orders", eventstest.Event("1", ""))
	eventstest.Take(t, s, 1)
	if _, err := foreign(t, n).QueueDelete(system+".orders:mailer", false, false, false); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Next(eventstest.Within(t, 20*time.Second), 1); err == nil || !strings.Contains(err.Error(), "was deleted") {
		t.Errorf("Next: %v", err)
	}
	s = eventstest.Subscribe(t, b, eventstest.Member("orders", "mailer", "n"))
	eventstest.Publish(t, b, "orders", eventstest.Event("2", ""))
	if got := eventstest.Take(t, s, 1); got[0].Message().ID != "2" {
		t.Errorf("got %s", got[0].Message().ID)
	}
}

// foreign is a channel of another program.
func foreign(t *testing.T, n *node) *amqp.Channel {
	t.Helper()
	conn, err := amqp.Dial(n.url())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return ch
}
