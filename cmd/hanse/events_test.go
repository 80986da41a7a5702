package main

import (
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/desk"
)

// TestRedeliverTwice holds that a redelivery which was interrupted before the letter was removed is the same for the backplane when it is made again.
func TestRedeliverTwice(t *testing.T) {
	p := newMachine(t)
	_, backplane := p.hub(t.TempDir(), "--dir", t.TempDir(), "--system", "shop")
	flags := eventsFlags{system: &named{name: "shop"}, backplane: string(backplane)}
	at, err := flags.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer at.close()
	for _, name := range []string{"orders.placed", "orders.placed.dead"} {
		if err := at.Declare(t.Context(), events.TopicInfo{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	dead := &events.Message{ID: "one/mailer", Source: "hanse:///shop", Type: "t", Metadata: map[string]string{
		"hanse-dead-topic": "orders.placed", "hanse-dead-id": "one", "hanse-dead-group": "mailer", "x": "y",
	}}
	for range 2 { // of the same ID: only one is kept
		if err := at.desk().PublishOne(t.Context(), "orders.placed.dead", dead); err != nil {
			t.Fatal(err)
		}
	}
	l, err := at.deadLetters(t.Context(), "orders.placed", nil)
	if err != nil {
		t.Fatal(err)
	}
	all, err := l.All(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("%v, %v", all, err)
	}
	for range 2 {
		if err := l.Redeliver(t.Context(), all[0]); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for s, err := range at.Read(t.Context(), "orders.placed", events.Start{All: true}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		if only, ok := s.Message.OnlyFor(); !ok || only != "mailer" || s.Message.ID != "one" || s.Message.Metadata["x"] != "y" {
			t.Errorf("got %+v", s.Message)
		}
		if _, ok := events.DeadLetterOf(s.Message); ok {
			t.Error("it is a dead letter still")
		}
	}
	if n != 1 {
		t.Errorf("the event was redelivered %d times", n)
	}
	if rest, err := l.All(t.Context()); err != nil || len(rest) > 0 {
		t.Errorf("left: %v, %v", rest, err)
	}
	if err := l.CheckGroups(t.Context(), all); err == nil || !strings.Contains(err.Error(), `no group "mailer" subscribes orders.placed`) {
		t.Errorf("without the group: %v", err)
	}
}

// TestEventText holds that what an event says cannot make a terminal do anything.
func TestEventText(t *testing.T) {
	const evil = "a\x1b]0;title\x07b\u009b2J"
	m := &events.Message{ID: evil, Source: evil, Type: evil, Subject: evil, Key: evil, ContentType: evil, Data: []byte(evil), Metadata: map[string]string{
		"x": evil, "hanse-dead-topic": evil, "hanse-dead-id": evil, "hanse-dead-error": evil, "hanse-dead-group": evil, "hanse-group": evil,
	}, Extensions: map[string]string{"e": evil}}
	r := (&desk.Reader{}).Event(events.Stored{Message: m, Sequence: 7, Time: time.Now()})
	r.Unreadable = evil
	text := eventText(r, true)
	for _, bad := range []string{"\x1b]", "\x07", "\u009b"} {
		if strings.Contains(text, bad) {
			t.Errorf("%q is in %q", bad, text)
		}
	}
	r.Data = []byte(`{"a":"` + "\u009b" + `"}`)
	for _, whole := range []bool{true, false} {
		if strings.Contains(eventText(r, whole), "\u009b") {
			t.Errorf("the data have it still")
		}
	}
	if got := size(1536) + size(5<<30) + rate(30) + rate(90) + rate(6000); got != "1.5 KiB5.0 GiB30/min1.5/s100/s" {
		t.Errorf("sizes and rates: %s", got)
	}
}
