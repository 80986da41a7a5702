package events_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/events"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// quickAndSlow subscribes with a handler that is quick for some events, and waits for leave to handle the others.
func quickAndSlow(b *events.Bus, leave <-chan struct{}, handled *atomic.Int64, opts ...events.SubscribeOption) *events.Subscription {
	return placed.Subscribe(b, "g", func(_ context.Context, e *events.Event[text]) error {
		if e.Data.GetValue() == "slow" {
			<-leave
		}
		handled.Add(1)
		return nil
	}, opts...)
}

func publishMany(t *testing.T, b *events.Bus, value string, n int) {
	t.Helper()
	for range n {
		publish(t, b, placed, value)
	}
}

// TestDrainGivesBack holds that what was fetched ahead goes to others as soon as a drain begins, and is not begun.
func TestDrainGivesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := new(events.Memory)
		var first, second atomic.Int64
		leave, at := make(chan struct{}), make(chan struct{})
		close(at)
		b := newBus(broker)
		sub := quickAndSlow(b, leave, &first, events.Concurrency(1))
		stop := runBus(t, b)
		publishMany(t, b, "quick", 2000)
		synctest.Wait()
		publishMany(t, b, "slow", 50)
		synctest.Wait()
		if s := sub.Stats(); s.Held < 20 || s.Running != 1 {
			t.Fatalf("nothing was fetched ahead: %+v", s)
		}
		other := newBus(broker)
		other.Member = "other"
		quickAndSlow(other, at, &second)
		stopOther := runBus(t, other)
		stopped := make(chan error)
		go func() { stopped <- stop() }()
		synctest.Wait()
		if n := second.Load(); n != 49 {
			t.Errorf("while one event is still being handled, %d of 49 others went to the other instance", n)
		}
		close(leave)
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		if n := first.Load(); n != 2001 {
			t.Errorf("the first instance handled %d events, want 2001", n)
		}
		if s := sub.Stats(); s.Returned == 0 || s.Held != 0 || s.Received != s.Handled+s.Returned {
			t.Errorf("%+v", s)
		}
		if err := stopOther(); err != nil {
			t.Error(err)
		}
	})
}

// TestDrainBeginsNothing holds that events behind the one of their key that is being handled are not begun in a drain.
func TestDrainBeginsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := new(hooked)
		b := newBus(broker)
		var handled []string
		leave := make(chan struct{})
		keyed.Subscribe(b, "g", func(_ context.Context, e *events.Event[text]) error {
			<-leave
			handled = append(handled, e.Data.GetValue())
			return nil
		})
		stop := runBus(t, b)
		publish(t, b, keyed, "a:1", "a:2", "a:3")
		synctest.Wait()
		stopped := make(chan error)
		go func() { stopped <- stop() }()
		synctest.Wait()
		close(leave)
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		if got := strings.Join(handled, " "); got != "a:1" {
			t.Errorf("handled %s, want a:1 alone", got)
		}
	})
}

// TestAhead holds that less is fetched ahead when handlers become slow.
func TestAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(new(events.Memory))
		var handled atomic.Int64
		leave := make(chan struct{})
		sub := quickAndSlow(b, leave, &handled, events.Concurrency(2))
		stop := runBus(t, b)
		publishMany(t, b, "quick", 5000)
		synctest.Wait()
		publishMany(t, b, "slow", 5000)
		synctest.Wait()
		before := sub.Stats().Held
		for range 4500 {
			time.Sleep(time.Second)
			leave <- struct{}{}
		}
		synctest.Wait()
		if after := sub.Stats().Held; before < 100 || after > 4 {
			t.Errorf("with quick handlers %d were held, with slow ones %d", before, after)
		}
		close(leave)
		stop()
	})
}

// TestAheadPace holds that what is fetched ahead is soon as much as is handled in 20 ms, no more of it than is held at most, and nothing more before
// anything was handled.
func TestAheadPace(t *testing.T) {
	for _, c := range []struct {
		name        string
		takes       time.Duration // a handler
		least, most int           // of what is asked for at once
		asks        int           // until it is the least
	}{
		{"at once", 0, 512, 1024, 14},
		{"0.1 ms", 100 * time.Microsecond, 90, 200, 10},
		{"never", time.Hour, 1, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &hooked{}
				var limits []int
				h.limit = func(n int) { limits = append(limits, n) }
				b := newBus(h)
				sub := placed.Subscribe(b, "g", func(ctx context.Context, _ *events.Event[text]) error {
					select {
					case <-time.After(c.takes):
					case <-ctx.Done():
					}
					return nil
				}, events.Concurrency(1), events.Start{All: true})
				publishMany(t, b, "", 5000)
				stop := runBus(t, b)
				time.Sleep(time.Second)
				synctest.Wait()
				if c.takes < time.Second && sub.Stats().Handled != 5000 {
					t.Errorf("%+v", sub.Stats())
				}
				first := slices.IndexFunc(limits, func(n int) bool { return n >= c.least })
				if most := slices.Max(limits); first < 0 || first >= c.asks || most > c.most {
					t.Errorf("asked for %v: %d are wanted by the %dth time, and never more than %d", limits, c.least, c.asks, c.most)
				}
				if c.takes > time.Second {
					b.DrainTimeout = time.Millisecond
				}
				stop()
			})
		})
	}
}

// TestMaxInFlight holds that no more are held than was said, also while a key waits.
func TestMaxInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(&hooked{unlimited: true})
		sub := keyed.Subscribe(b, "g", func(_ context.Context, e *events.Event[text]) error {
			if e.Key == "bad" {
				return errors.New("not yet")
			}
			return nil
		}, events.MaxInFlight(5), events.Retry{Min: time.Hour, Max: time.Hour})
		stop := runBus(t, b)
		for i := range 10 {
			publish(t, b, keyed, fmt.Sprint("bad:", i))
		}
		synctest.Wait()
		if s := sub.Stats(); s.Held != 5 {
			t.Errorf("%d are held, want 5", s.Held)
		}
		stop()
	})
}

// TestDeadAgain holds that an event that is delivered once more and dies again is a dead letter that all see.
func TestDeadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := new(events.Memory)
		b := newBus(broker)
		placed.Subscribe(b, "g", func(context.Context, *events.Event[text]) error { return events.Permanent(errors.New("never")) })
		var seen []string
		events.NewTopic[text]("orders.placed.dead").Subscribe(b, "watch", func(_ context.Context, e *events.Event[text]) error {
			seen = append(seen, e.ID)
			letter, _ := events.DeadLetterOf(&events.Message{Metadata: e.Metadata})
			if len(seen) > 2 {
				return nil
			}
			again := letter.Redelivery(&events.Message{
				ID: e.ID, Source: e.Source, Type: "google.protobuf.StringValue", ContentType: "application/protobuf", Metadata: e.Metadata,
			}, fmt.Sprint("r", len(seen)))
			broker.Publish(t.Context(), letter.Topic, again, func(err error) {
				if err != nil {
					t.Error(err)
				}
			})
			return nil
		})
		stop := runBus(t, b)
		if err := placed.Publish(t.Context(), b, wrapperspb.String(""), events.ID("1")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		stop()
		if got := strings.Join(seen, " "); got != "1/g 1/g/r1 1/g/r2" {
			t.Errorf("dead letters: %s", got)
		}
	})
}
