package desk_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/desk"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var placed = events.NewTopic[*wrapperspb.StringValue]("orders.placed")

// shop has five events, a group mailer that refuses those that begin with "bad", and what each handler was given.
type shop struct {
	desk    desk.Desk
	handled chan string
}

func open(t *testing.T) *shop {
	t.Helper()
	broker := new(events.Memory)
	s := &shop{desk: desk.Desk{Broker: broker}, handled: make(chan string, 100)}
	bus := &events.Bus{Broker: broker}
	placed.Subscribe(bus, "mailer", func(_ context.Context, e *events.Event[*wrapperspb.StringValue]) error {
		s.handled <- e.Data.GetValue()
		if strings.HasPrefix(e.Data.GetValue(), "bad") {
			return events.Permanent(errors.New("no such address"))
		}
		return nil
	})
	if err := bus.Declare(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- bus.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		bus.Close(context.Background())
	})
	for _, text := range []string{"one", "bad two", "three", "four", "five"} {
		if err := placed.Publish(t.Context(), bus, wrapperspb.String(text)); err != nil {
			t.Fatal(err)
		}
	}
	s.wait(5)
	return s
}

// wait returns the next n that were handled.
func (s *shop) wait(n int) map[string]int {
	seen := make(map[string]int)
	for range n {
		seen[<-s.handled]++
	}
	return seen
}

// settled waits until nothing is in anybody's hands.
func (s *shop) settled(t *testing.T) {
	t.Helper()
	for {
		g, err := s.desk.Group(t.Context(), "orders.placed", "mailer")
		if err != nil {
			t.Fatal(err)
		}
		if g.Lag == 0 {
			return
		}
	}
}

func TestTopics(t *testing.T) {
	s := open(t)
	s.settled(t)
	all, err := s.desk.Topics(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("%+v, %v", all, err)
	}
	if got := all[0]; got.Topic != "orders.placed" || got.Events != 5 || got.Dead != 1 || got.LastMinute != 5 || len(got.Groups) != 1 || got.Groups[0].Group != "mailer" {
		t.Errorf("%+v", got)
	}
	_, err = s.desk.Topics(t.Context(), "orders.plcaed")
	if missing, ok := errors.AsType[*desk.NotFoundError](err); !ok || missing.Topic != "orders.plcaed" || fmt.Sprint(missing.Names) != "[orders.placed orders.placed.dead]" {
		t.Errorf("%v", err)
	}
}

func TestEvent(t *testing.T) {
	s := open(t)
	r, err := s.desk.Reader(t.Context(), "orders.placed")
	if err != nil {
		t.Fatal(err)
	}
	r.Passes = func(s events.Stored) bool { return s.Sequence == 3 }
	for stored, err := range r.Read(t.Context(), events.Start{All: true}, 0, time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		if e := r.Event(stored); e.Sequence != 3 || string(e.Data) != `"three"` || e.DataBase64 != nil || e.Type != "google.protobuf.StringValue" || e.Stored == nil {
			t.Errorf("%+v", e)
		}
		stored.Message.Data = []byte{0xff}
		if e := r.Event(stored); e.Data != nil || e.Unreadable == "" || len(e.DataBase64) != 1 {
			t.Errorf("what cannot be read: %+v", e)
		}
	}
}

func TestReplay(t *testing.T) {
	s := open(t)
	s.settled(t)
	reader, err := s.desk.Reader(t.Context(), "orders.placed")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.desk.Reader(t.Context(), "nothing"); !isMissing(err) {
		t.Errorf("no topic: %v", err)
	}
	if _, err := (&desk.Replay{Reader: reader, Group: "nobody"}).Count(t.Context()); !isMissing(err) {
		t.Errorf("no group: %v", err)
	}
	for range 2 { // the second time the redeliveries of the first are left out
		p := desk.Replay{Reader: reader, Group: "mailer", From: events.Start{Sequence: 3}}
		r, err := p.Count(t.Context())
		if err != nil || r.Events != 3 || r.First != 3 || r.Last != 5 || r.Redelivered != 0 {
			t.Fatalf("%+v, %v", r, err)
		}
		if len(s.handled) != 0 {
			t.Fatal("counting has had something handled")
		}
		if err := p.Run(t.Context(), r); err != nil || r.Redelivered != 3 || r.Name == "" {
			t.Fatalf("%+v, %v", r, err)
		}
		if got := s.wait(3); got["three"] != 1 || got["four"] != 1 || got["five"] != 1 {
			t.Errorf("handled once more: %v", got)
		}
	}
	p := desk.Replay{Reader: reader, Group: "mailer", From: events.Start{Sequence: 4}, Last: 4}
	if r, err := p.Count(t.Context()); err != nil || r.Events != 1 {
		t.Errorf("one event: %+v, %v", r, err)
	}
	p = desk.Replay{Reader: reader, Group: "mailer", From: events.Start{All: true}}
	if r, err := p.Count(t.Context()); err != nil || r.Events != 5 || r.Left != 6 {
		t.Errorf("all: %+v, %v", r, err)
	}
}

// TestReplayEnds holds that a replay that is told to end says where it was.
func TestReplayEnds(t *testing.T) {
	s := open(t)
	reader, err := s.desk.Reader(t.Context(), "orders.placed")
	if err != nil {
		t.Fatal(err)
	}
	p := desk.Replay{Reader: reader, Group: "mailer", From: events.Start{All: true}}
	r, err := p.Count(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	reader.Passes = func(s events.Stored) bool {
		if s.Sequence == 2 {
			cancel()
		}
		return true
	}
	err = p.Run(ctx, r)
	part, ok := errors.AsType[*desk.PartError](err)
	if !ok || part.Done != 1 || part.Of != 5 || part.At != 2 || !errors.Is(err, context.Canceled) {
		t.Errorf("%+v, %v", part, err)
	}
}

func TestLetters(t *testing.T) {
	s := open(t)
	s.settled(t)
	if _, err := s.desk.Letters(t.Context(), "nothing"); !isMissing(err) {
		t.Errorf("of no topic: %v", err)
	}
	l, err := s.desk.Letters(t.Context(), "orders.placed")
	if err != nil {
		t.Fatal(err)
	}
	all, err := l.All(t.Context())
	if err != nil || len(all) != 1 || all[0].Dead.Error != "no such address" || all[0].Dead.Sequence != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	if err := l.CheckGroups(t.Context(), all); err != nil {
		t.Error(err)
	}
	strange := all[0]
	strange.Dead.Group = "nobody"
	if err := l.CheckGroups(t.Context(), []desk.Letter{strange}); !isMissing(err) {
		t.Errorf("of no group: %v", err)
	}
	if err := l.Redeliver(t.Context(), all[0]); err != nil {
		t.Fatal(err)
	}
	if got := s.wait(1); got["bad two"] != 1 {
		t.Errorf("handled once more: %v", got)
	}
	s.settled(t) // and is dead again
	again, err := l.All(t.Context())
	if err != nil || len(again) != 1 || again[0].Sequence == all[0].Sequence {
		t.Fatalf("%+v, %v", again, err)
	}
	if err := l.Drop(t.Context(), again[0]); err != nil {
		t.Fatal(err)
	}
	if none, err := l.All(t.Context()); err != nil || len(none) != 0 {
		t.Errorf("%+v, %v", none, err)
	}
}

func isMissing(err error) bool {
	_, ok := errors.AsType[*desk.NotFoundError](err)
	return ok
}
