package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/outbox"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// TestHandOver has relays of one outbox come and go while events of several keys are published: all arrive, those of a key in their order.
func TestHandOver(t *testing.T) {
	onEach(t, func(t *testing.T, d database) {
		db := d.migrated(t)
		broker := &recorder{}
		stopped := make(chan struct{})
		var relaying sync.WaitGroup
		for range 3 {
			other := d.open(t)
			relaying.Go(func() {
				for {
					ctx, cancel := context.WithTimeout(context.Background(), time.Duration(20+rand.IntN(60))*time.Millisecond)
					err := (&outbox.Relay{DB: other, Batch: 7, Poll: 5 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)}).Run(ctx, hostOf(t, broker))
					cancel()
					if err != nil {
						t.Error(err)
					}
					select {
					case <-stopped:
						return
					default:
					}
				}
			})
		}
		const keys, each = 8, 40
		var publishing sync.WaitGroup
		for k := range keys {
			publishing.Go(func() {
				for i := range each {
					if err := publishOne(t.Context(), db, fmt.Sprintf("k%d %d", k, i)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		publishing.Wait()
		eventually(t, "an empty outbox", func() bool { return count(t, db, "hanse_outbox") == 0 })
		close(stopped)
		relaying.Wait()
		texts := broker.texts(t)
		if err := inOrder(texts); err != nil || len(texts) != keys*each {
			t.Errorf("%d events, want %d: %v", len(texts), keys*each, err)
		}
		if broker.given != len(texts) {
			t.Errorf("the broker was given %d events for %d: clean hand-overs repeat none", broker.given, len(texts))
		}
	})
}

// TestOneAtATime has two relays at work: only one moves the events of a topic at a time.
func TestOneAtATime(t *testing.T) {
	onEach(t, func(t *testing.T, d database) {
		db := d.migrated(t)
		var at atomic.Int32
		var relays [2]*outbox.Relay
		for i := range relays {
			broker := &slowBroker{recorder: &recorder{}, at: &at, name: int32(i + 1)}
			relays[i] = &outbox.Relay{DB: d.open(t)}
			relay(t, relays[i], hostOf(t, broker))
			t.Cleanup(func() {
				if broker.overlapped.Load() {
					t.Error("both relays had events on the way")
				}
			})
		}
		for i := range 50 {
			publish(t, db, fmt.Sprintf("k%d 0", i))
		}
		eventually(t, "an empty outbox", func() bool { return count(t, db, "hanse_outbox") == 0 })
		var published uint64
		for _, r := range relays {
			s, err := r.Stats(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			published += s.Published
		}
		if published != 50 {
			t.Errorf("the relays published %d events, want 50", published)
		}
	})
}

// slowBroker notices that another is at work at the same time.
type slowBroker struct {
	*recorder
	name       int32
	at         *atomic.Int32
	overlapped atomic.Bool
}

func (b *slowBroker) Publish(ctx context.Context, topic string, m *events.Message, done func(error)) {
	if !b.at.CompareAndSwap(0, b.name) && b.at.Load() != b.name {
		b.overlapped.Store(true)
	}
	go func() {
		<-time.After(time.Millisecond)
		b.at.Store(0)
		b.recorder.Publish(ctx, topic, m, done)
	}()
}

// TestBrokerAway publishes while the broker is away: the outbox takes it all, and gives it all when the broker is back.
func TestBrokerAway(t *testing.T) {
	onEach(t, func(t *testing.T, d database) {
		db := d.migrated(t)
		broker := &recorder{}
		broker.refuseAs(func(*events.Message) error { return fmt.Errorf("away: %w", context.DeadlineExceeded) })
		var log lines
		r := &outbox.Relay{DB: db, MaxPending: 10, MaxAge: time.Nanosecond, Logger: slog.New(slog.NewTextHandler(&log, nil))}
		relay(t, r, hostOf(t, broker))
		for i := range 30 {
			publish(t, db, fmt.Sprintf("k%d %d", i%3, i/3))
		}
		eventually(t, "failures", func() bool {
			s, err := r.Stats(t.Context())
			return err == nil && s.Failures > 2 && s.Pending == 30 && s.Oldest > 0 && strings.Contains(s.LastError, "away")
		})
		if err := r.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "waited") || !strings.Contains(err.Error(), "away") {
			t.Errorf("check: %v", err)
		}
		if err := (&outbox.Relay{DB: db, MaxPending: 10}).Check(t.Context()); err == nil || !strings.Contains(err.Error(), "more than 10") {
			t.Errorf("check: %v", err)
		}
		if err := (&outbox.Relay{DB: db, MaxPending: 30, MaxAge: time.Hour}).Check(t.Context()); err != nil {
			t.Errorf("check: %v", err)
		}
		broker.refuseAs(nil)
		eventually(t, "all events", func() bool { return len(broker.texts(t)) == 30 })
		if err := inOrder(broker.texts(t)); err != nil {
			t.Error(err)
		}
		eventually(t, "a good state", func() bool { return r.Check(t.Context()) == nil })
		if text := log.String(); strings.Count(text, "events wait") != 1 || strings.Count(text, "published again") != 1 {
			t.Errorf("the log:\n%s", text)
		}
	})
}

// TestRefused has the broker refuse an event for good: it is set aside, and those behind it go on.
func TestRefused(t *testing.T) {
	onEach(t, func(t *testing.T, d database) {
		db := d.migrated(t)
		broker := &recorder{}
		broker.refuseAs(func(m *events.Message) error {
			if strings.Contains(string(m.Data), "bad") {
				return events.ErrTooLarge
			}
			return nil
		})
		publish(t, db, "a 0", "a bad", "a 1", "b 0")
		run(t, db, `INSERT INTO hanse_outbox (topic, lane, attributes, data, created_at) VALUES ('text', '=c', 'nonsense', $1, 0)`, []byte("x"))
		publish(t, db, "c 0")
		var log lines
		r := &outbox.Relay{DB: db, Logger: slog.New(slog.NewTextHandler(&log, nil))}
		relay(t, r, hostOf(t, broker))
		eventually(t, "an empty outbox", func() bool { return count(t, db, "hanse_outbox") == 0 })
		texts := broker.texts(t)
		if err := inOrder(texts); err != nil || len(texts) != 4 {
			t.Errorf("published %q: %v", texts, err)
		}
		all, err := outbox.Refusals(t.Context(), db, 10)
		if err != nil || len(all) != 2 {
			t.Fatalf("%d were set aside: %v", len(all), err)
		}
		bad, nonsense := all[0], all[1]
		if textOf(t, bad.Message) != "a bad" || bad.Topic != "text" || !strings.Contains(bad.Error, "too large") || time.Since(bad.RefusedAt).Abs() > time.Minute || time.Since(bad.CreatedAt).Abs() > time.Minute {
			t.Errorf("%+v", bad)
		}
		if nonsense.Message != nil || !strings.Contains(nonsense.Error, "cannot be read") {
			t.Errorf("%+v", nonsense)
		}
		if s, err := r.Stats(t.Context()); err != nil || s.SetAside != 2 || s.Refused != 2 || s.Published != 4 {
			t.Errorf("%+v, %v", s, err)
		}
		if n := strings.Count(log.String(), "refused for good"); n != 2 {
			t.Errorf("logged %d times:\n%s", n, log.String())
		}

		broker.refuseAs(nil)
		if err := outbox.Again(t.Context(), db, bad.Number); err != nil {
			t.Fatal(err)
		}
		r.Wake()
		eventually(t, "the event that was bad", func() bool { return slices.Contains(broker.texts(t), "a bad") })
		if err := outbox.Drop(t.Context(), db, nonsense.Number); err != nil {
			t.Fatal(err)
		}
		for _, f := range []func() error{
			func() error { return outbox.Again(t.Context(), db, bad.Number) },
			func() error { return outbox.Drop(t.Context(), db, nonsense.Number) },
		} {
			if err := f(); err == nil || !strings.Contains(err.Error(), "no event") {
				t.Errorf("of one that is not there: %v", err)
			}
		}
		if all, err := outbox.Refusals(t.Context(), db, 10); err != nil || len(all) != 0 {
			t.Errorf("%v, %v", all, err)
		}
	})
}

// TestKeyWaits has the broker refuse events of one key for a while: these wait, and no others, however many there are.
func TestKeyWaits(t *testing.T) {
	onEach(t, func(t *testing.T, d database) {
		db := d.migrated(t)
		broker := &recorder{}
		broker.refuseAs(func(m *events.Message) error {
			if m.Key == "bad" {
				return errors.New("not now")
			}
			return nil
		})
		for i := range 20 {
			publish(t, db, "bad "+itoa(i))
		}
		for i := range 20 {
			publish(t, db, "good "+itoa(i))
		}
		relay(t, &outbox.Relay{DB: db, Batch: 5}, hostOf(t, broker))
		eventually(t, "those of the other key", func() bool { return len(broker.texts(t)) == 20 })
		if n := count(t, db, "hanse_outbox"); n < 20 {
			t.Errorf("%d events are left, want 20", n)
		}
		broker.refuseAs(nil)
		eventually(t, "all", func() bool { return len(broker.texts(t)) == 40 })
		if err := inOrder(broker.texts(t)); err != nil {
			t.Error(err)
		}
	})
}

// TestFullTopic has one topic take nothing: another one is not delayed by it.
func TestFullTopic(t *testing.T) {
	onEach(t, func(t *testing.T, d database) {
		db := d.migrated(t)
		full := events.NewTopic[*wrapperspb.StringValue]("full", events.Limits{MaxMessages: 1})
		for range 3 {
			if err := outbox.Publish(t.Context(), db, full, wrapperspb.String("x")); err != nil {
				t.Fatal(err)
			}
		}
		broker := &events.Memory{}
		bus := hostOf(t, broker)
		full.Declare(bus)
		r := &outbox.Relay{DB: db}
		relay(t, r, bus)
		publish(t, db, "a 0", "a 1")
		eventually(t, "those of the other topic", func() bool {
			s, ok := broker.Stats("text")
			return ok && s.Messages == 2
		})
		eventually(t, "the reason", func() bool {
			s, err := r.Stats(t.Context())
			return err == nil && s.Pending == 2 && strings.Contains(s.LastError, "full")
		})
	})
}

// TestUndeclared holds that events of topics that the host does not declare are left to others.
func TestUndeclared(t *testing.T) {
	onEach(t, func(t *testing.T, d database) {
		db := d.migrated(t)
		others := events.NewTopic[*wrapperspb.StringValue]("others")
		if err := outbox.Publish(t.Context(), db, others, wrapperspb.String("x")); err != nil {
			t.Fatal(err)
		}
		run(t, db, `UPDATE hanse_outbox SET created_at = created_at - 120000`)
		broker := &recorder{}
		bus := hostOf(t, broker)
		var log lines
		relay(t, &outbox.Relay{DB: db, Logger: slog.New(slog.NewTextHandler(&log, nil))}, bus)
		publish(t, db, "a 0")
		eventually(t, "a hint", func() bool {
			return strings.Contains(log.String(), "does not declare their topic") && strings.Contains(log.String(), "topic=others")
		})
		eventually(t, "an event", func() bool { return len(broker.texts(t)) == 1 })
		if n := count(t, db, "hanse_outbox WHERE topic = 'others'"); n != 1 {
			t.Errorf("%d of the other topic are left, want 1", n)
		}
		others.Declare(bus)
		eventually(t, "that of the other topic", func() bool { return len(broker.texts(t)) == 2 })
	})
}

// TestSource holds that an outbox has one source, whichever service moves its events: by that and the ID a broker knows an event.
func TestSource(t *testing.T) {
	onEach(t, func(t *testing.T, d database) {
		db := d.migrated(t)
		broker := &recorder{}
		for i, source := range []string{"hanse:///first", "hanse:///second"} {
			bus := &events.Bus{Broker: broker, Source: source}
			text.Declare(bus)
			stop := relay(t, &outbox.Relay{DB: db}, bus)
			publish(t, db, "a "+itoa(i))
			eventually(t, "an event", func() bool { return len(broker.messages()) == i+1 })
			stop()
			if got := broker.messages()[i].Source; got != "hanse:///first" {
				t.Errorf("the source is %q", got)
			}
		}
	})
}

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
