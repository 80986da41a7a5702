package events_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/eventstest"
)

func newMemory(*testing.T) events.Broker { return new(events.Memory) }

func TestMemory(t *testing.T) {
	eventstest.Run(t, eventstest.Suite{New: newMemory, Virtual: true})
}

// TestMemoryInRealTime runs what virtual time cannot show: members at work at the same time.
func TestMemoryInRealTime(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for what is over after a second")
	}
	eventstest.Run(t, eventstest.Suite{New: newMemory, AckWait: time.Second, Events: 5000})
}

// put publishes a message to a broker.
func put(t *testing.T, b events.Broker, topic, id string) error {
	t.Helper()
	done := make(chan error, 1)
	b.Publish(t.Context(), topic, &events.Message{ID: id, Source: "s", Type: "t", ContentType: "application/protobuf"}, func(err error) { done <- err })
	return <-done
}

func TestMemoryMaxAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(events.Memory)
		if err := b.Declare(t.Context(), events.TopicInfo{Name: "a", Limits: events.Limits{MaxAge: time.Hour}}); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			if err := put(t, b, "a", fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(25 * time.Minute)
		}
		stats, _ := b.Stats("a") // after 75 minutes: the first is as old as that, the second 50
		if stats.Messages != 2 || stats.Expired != 1 || stats.First != 2 || stats.Last != 3 {
			t.Errorf("%+v", stats)
		}
		src, err := b.Subscribe(t.Context(), events.SubscriptionInfo{Topic: "a", Group: "g", Member: "m", Start: events.Start{Sequence: 1}})
		if err != nil {
			t.Fatal(err)
		}
		all, err := src.Next(t.Context(), 10)
		if err != nil || len(all) != 2 || all[0].Sequence() != 2 {
			t.Errorf("%v, %v", all, err)
		}
		if err := src.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := src.Next(t.Context(), 1); !errors.Is(err, events.ErrClosed) {
			t.Errorf("Next of what is closed: %v", err)
		}
		if err := all[0].Ack(t.Context()); err == nil {
			t.Error("a closed member settles")
		}
	})
}

func TestMemoryDedupWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			broker *events.Memory
			stored uint64
		}{
			{&events.Memory{DedupWindow: time.Minute}, 2},
			{&events.Memory{}, 1},
			{&events.Memory{DedupWindow: -1}, 3},
		} {
			if err := tt.broker.Declare(t.Context(), events.TopicInfo{Name: "a"}); err != nil {
				t.Fatal(err)
			}
			for _, wait := range []time.Duration{59 * time.Second, time.Second, 0} {
				if err := put(t, tt.broker, "a", "1"); err != nil {
					t.Fatal(err)
				}
				time.Sleep(wait)
			}
			if stats, _ := tt.broker.Stats("a"); stats.Messages != tt.stored || stats.Duplicates != 3-tt.stored {
				t.Errorf("window %v: %+v, want %d stored", tt.broker.DedupWindow, stats, tt.stored)
			}
		}
	})
}

// TestMemoryDedupForgets holds that what is remembered is bounded, and that within the bound nothing is forgotten.
func TestMemoryDedupForgets(t *testing.T) {
	b := new(events.Memory)
	if err := b.Declare(t.Context(), events.TopicInfo{Name: "a", Limits: events.Limits{MaxMessages: 10, DropOldest: true}}); err != nil {
		t.Fatal(err)
	}
	const n = 200_000
	for i := range n {
		if err := put(t, b, "a", fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	before, _ := b.Stats("a")
	for _, i := range []int{n - 1, n - 1<<14, n - 10} {
		if err := put(t, b, "a", fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	stats, _ := b.Stats("a")
	if before.Duplicates != 0 || stats.Duplicates != 3 || stats.Messages != 10 || stats.Dropped != n-10 {
		t.Errorf("%+v", stats)
	}
}

func TestMemoryDrift(t *testing.T) {
	base := events.TopicInfo{Name: "a", Limits: events.Limits{MaxMessages: 5}, Delayed: true}
	for name, tt := range map[string]struct {
		change func(*events.TopicInfo)
		want   string
	}{
		"keys":          {func(i *events.TopicInfo) { i.Keyed = true }, "declare another topic"},
		"age":           {func(i *events.TopicInfo) { i.Limits.MaxAge = time.Nanosecond }, "let them age first"},
		"drop":          {func(i *events.TopicInfo) { i.Limits = events.Limits{MaxMessages: 1, DropOldest: true} }, "MaxMessages was 5 and is 1"},
		"drop bytes":    {func(i *events.TopicInfo) { i.Limits = events.Limits{MaxBytes: 1, DropOldest: true} }, "MaxBytes was"},
		"delayed":       {func(i *events.TopicInfo) { i.Delayed = false }, "1 events wait for their time"},
		"fewer":         {func(i *events.TopicInfo) { i.Limits.MaxMessages = 1 }, ""},
		"more and drop": {func(i *events.TopicInfo) { i.Limits = events.Limits{MaxMessages: 9, DropOldest: true} }, ""},
	} {
		b := new(events.Memory)
		if err := b.Declare(t.Context(), base); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"1", "2"} {
			if err := put(t, b, "a", id); err != nil {
				t.Fatal(err)
			}
		}
		b.Publish(t.Context(), "a", &events.Message{ID: "3", Due: time.Now().Add(time.Hour)}, func(err error) {
			if err != nil {
				t.Error(err)
			}
		})
		info := base
		tt.change(&info)
		err := b.Declare(t.Context(), info)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case tt.want != "" && (!errors.Is(err, events.ErrDrift) || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: %v, want ErrDrift with %q", name, err, tt.want)
		}
		if stats, _ := b.Stats("a"); stats.Messages != 3 {
			t.Errorf("%s: %d messages are left of 3", name, stats.Messages)
		}
	}
}

func TestMemoryRefuses(t *testing.T) {
	b := new(events.Memory)
	if err := b.Declare(t.Context(), events.TopicInfo{Name: "a", Limits: events.Limits{MaxBytes: 600}}); err != nil {
		t.Fatal(err)
	}
	var err error
	stored := 0
	for ; err == nil; stored++ {
		err = put(t, b, "a", fmt.Sprint(stored))
	}
	if !errors.Is(err, events.ErrFull) || !strings.Contains(err.Error(), "MaxBytes is 600") || stored != 3 {
		t.Errorf("after %d messages: %v", stored, err)
	}
	b.Publish(t.Context(), "a", &events.Message{ID: "later", Due: time.Now().Add(time.Hour)}, func(err error) {
		if !errors.Is(err, events.ErrFull) && !errors.Is(err, events.ErrUnsupported) {
			t.Errorf("for later: %v", err)
		}
	})
	if stats, _ := b.Stats("a"); stats.Refused != 2 || stats.Messages != 2 {
		t.Errorf("%+v", stats)
	}
	if _, ok := b.Stats("b"); ok {
		t.Error("there is a topic b")
	}

	info := events.SubscriptionInfo{Topic: "a", Group: "g", Member: "m"}
	src, err := b.Subscribe(t.Context(), info)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Subscribe(t.Context(), info); err == nil {
		t.Error("two members of one name")
	}
	other := info
	other.Member, other.Ordered = "n", true
	if _, err := b.Subscribe(t.Context(), other); !errors.Is(err, events.ErrDrift) {
		t.Errorf("an ordered member beside one that is not: %v", err)
	}
	if err := src.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if src, err = b.Subscribe(t.Context(), other); err != nil {
		t.Errorf("an ordered member when nobody else is there: %v", err)
	} else if err := src.Close(t.Context()); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Declare(ctx, events.TopicInfo{Name: "c"}); !errors.Is(err, context.Canceled) {
		t.Errorf("Declare with a context that has ended: %v", err)
	}
}

// memoryMember joins a group of topic a.
func memoryMember(t *testing.T, b *events.Memory, name string, ordered bool, maxInFlight int) events.Source {
	t.Helper()
	src, err := b.Subscribe(t.Context(), events.SubscriptionInfo{
		Topic: "a", Group: "g", Member: name, Ordered: ordered, MaxInFlight: maxInFlight, AckWait: 30 * time.Second, Start: events.Start{All: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close(context.WithoutCancel(t.Context())) })
	return src
}

// TestMemoryWakes holds that a message wakes somebody who can take it: not one who is leaving, or holds all that it may.
func TestMemoryWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(events.Memory)
		if err := b.Declare(t.Context(), events.TopicInfo{Name: "a"}); err != nil {
			t.Fatal(err)
		}
		leaves, stays := memoryMember(t, b, "leaves", false, 10), memoryMember(t, b, "stays", false, 10)
		for i := range 200 {
			ctx, cancel := context.WithCancel(t.Context())
			got := make(chan events.Delivery, 1)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				if all, err := leaves.Next(ctx, 1); err == nil {
					got <- all[0]
				}
			}()
			synctest.Wait()
			other, release := context.WithCancel(t.Context())
			go func() {
				if all, err := stays.Next(other, 1); err == nil {
					got <- all[0]
				}
			}()
			synctest.Wait()
			cancel()
			if err := put(t, b, "a", fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
			if err := (<-got).Ack(t.Context()); err != nil { // whoever it is
				t.Error(err)
			}
			<-ended
			release()
			synctest.Wait()
		}

		full := memoryMember(t, b, "full", false, 1)
		if err := put(t, b, "a", "held"); err != nil {
			t.Fatal(err)
		}
		held, err := full.Next(t.Context(), 5)
		if err != nil || len(held) != 1 {
			t.Fatalf("%v, %v", held, err)
		}
		first := held[0]
		got := make(chan string, 2)
		for _, m := range []struct {
			name string
			src  events.Source
		}{{"full", full}, {"stays", stays}} {
			go func() {
				if all, err := m.src.Next(t.Context(), 1); err == nil {
					got <- m.name + " got " + all[0].Message().ID
				}
			}()
			synctest.Wait()
		}
		if err := put(t, b, "a", "next"); err != nil {
			t.Fatal(err)
		}
		if who := <-got; who != "stays got next" {
			t.Error(who)
		}
		if err := put(t, b, "a", "last"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := first.Ack(t.Context()); err != nil {
			t.Fatal(err)
		}
		if who := <-got; who != "full got last" {
			t.Error(who)
		}
	})
}

// TestMemoryKeyAsAWhole holds that a member that let one message of a key expire loses those behind it, too.
func TestMemoryKeyAsAWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(events.Memory)
		if err := b.Declare(t.Context(), events.TopicInfo{Name: "a", Keyed: true}); err != nil {
			t.Fatal(err)
		}
		slow, other := memoryMember(t, b, "slow", true, 10), memoryMember(t, b, "other", true, 10)
		for _, id := range []string{"1", "2", "3"} {
			b.Publish(t.Context(), "a", &events.Message{ID: id, Key: "k"}, func(err error) {
				if err != nil {
					t.Error(err)
				}
			})
		}
		held, err := slow.Next(t.Context(), 2)
		if err != nil || len(held) != 2 {
			t.Fatalf("%v, %v", held, err)
		}
		held = []events.Delivery{held[0], held[1]}
		time.Sleep(20 * time.Second)
		if err := held[1].Extend(t.Context()); err != nil {
			t.Fatal(err)
		}
		all, err := other.Next(t.Context(), 5)
		if err != nil || len(all) != 3 || all[0].Message().ID != "1" || all[1].Message().ID != "2" || all[1].Attempt() != 2 || all[2].Attempt() != 1 {
			t.Fatalf("%v, %v", all, err)
		}
		for _, d := range held {
			if d.Ack(t.Context()) == nil {
				t.Errorf("%s is settled by who lost it", d.Message().ID)
			}
		}
	})
}
