package dashboard_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/dashboard"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/desk"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

var placed = events.NewTopic[*wrapperspb.StringValue]("orders.placed")

// shop has n events, of which the group mailer refuses those whose number ends in 7.
func shop(t *testing.T, n int) (broker *events.Memory, handled chan string) {
	t.Helper()
	broker, handled = new(events.Memory), make(chan string, 10*n)
	bus := &events.Bus{Broker: broker, Logger: slog.New(slog.DiscardHandler)}
	placed.Subscribe(bus, "mailer", func(_ context.Context, e *events.Event[*wrapperspb.StringValue]) error {
		handled <- e.Data.GetValue()
		if strings.HasSuffix(e.Data.GetValue(), "7") {
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
	for i := range n {
		if err := placed.Publish(t.Context(), bus, wrapperspb.String(fmt.Sprintf("order %d", i+1)), events.Metadata("tenant", "acme")); err != nil {
			t.Fatal(err)
		}
	}
	for range n {
		<-handled
	}
	settled(t, broker)
	return broker, handled
}

// settled waits until nothing is in anybody's hands.
func settled(t *testing.T, broker *events.Memory) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if g, err := (desk.Desk{Broker: broker}).Group(t.Context(), "orders.placed", "mailer"); err == nil && g.Lag == 0 {
			return
		}
	}
	t.Fatal("not all is handled")
}

// page is a part of what is stored.
type page struct {
	Events []struct {
		Sequence uint64
		Data     any
		Metadata map[string]string
	}
	Next    uint64
	Scanned int
}

func TestMessages(t *testing.T) {
	broker, _ := shop(t, 130)
	c, base := enter(t, &dashboard.Server{Events: broker})
	url := base + "/api/events/messages?topic=orders.placed"
	var numbers []uint64
	for next := ""; ; {
		p := get[page](t, c, url+next)
		for _, e := range p.Events {
			numbers = append(numbers, e.Sequence)
			if e.Data != fmt.Sprintf("order %d", e.Sequence) || e.Metadata["tenant"] != "acme" {
				t.Errorf("%+v", e)
			}
		}
		if p.Next == 0 {
			break
		}
		next = fmt.Sprintf("&before=%d", p.Next)
	}
	if len(numbers) != 130 || numbers[0] != 130 || numbers[129] != 1 {
		t.Errorf("%v", numbers)
	}
	for i := 1; i < len(numbers); i++ {
		if numbers[i] != numbers[i-1]-1 {
			t.Fatalf("%v", numbers)
		}
	}
	if p := get[page](t, c, url+"&q=ORDER%2012"); len(p.Events) != 11 || p.Events[10].Sequence != 12 || p.Scanned != 130 || p.Next != 0 {
		t.Errorf("those with a text: %+v", p)
	}
	if p := get[page](t, c, url+"&q=order%201&limit=3"); len(p.Events) != 3 || p.Next == 0 || p.Events[2].Sequence != 128 {
		t.Errorf("the first of those: %+v", p)
	}
	// What was deleted in between makes stretches with nothing in them.
	for n := range uint64(128) {
		if err := broker.Delete(t.Context(), "orders.placed", n+2); err != nil {
			t.Fatal(err)
		}
	}
	if p := get[page](t, c, url+"&limit=2"); len(p.Events) != 2 || p.Events[0].Sequence != 130 || p.Events[1].Sequence != 1 || p.Next != 0 {
		t.Errorf("with holes: %+v", p)
	}
	if res, text := ask(t, c, "GET", base+"/api/events/messages?topic=orders.plcaed", ""); res.StatusCode != 404 || !strings.Contains(text, "did you mean orders.placed?") {
		t.Errorf("%s %s", res.Status, text)
	}
}

func TestTopicsAndReplay(t *testing.T) {
	broker, handled := shop(t, 20)
	c, base := enter(t, &dashboard.Server{Events: broker})
	topics := get[[]desk.Topic](t, c, base+"/api/events/topics")
	if len(topics) != 1 || topics[0].Dead != 2 || topics[0].Events != 20 || topics[0].Groups[0].Group != "mailer" {
		t.Errorf("%+v", topics)
	}
	counted := get[desk.Replayed](t, c, base+"/api/events/replay?topic=orders.placed&group=mailer&from=11&to=13")
	if counted.Events != 3 || counted.Last != 13 || counted.Redelivered != 0 || len(handled) != 0 {
		t.Errorf("counted: %+v, %d handled", counted, len(handled))
	}
	order := map[string]string{"topic": "orders.placed", "group": "mailer", "from": "11", "to": "13"}
	if done := post[desk.Replayed](t, c, base+"/api/events/replay", order); done.Redelivered != 3 {
		t.Errorf("done: %+v", done)
	}
	for range 3 {
		<-handled
	}
	for query, want := range map[string]string{
		"topic=orders.placed&group=mailer":                     "a replay needs",
		"topic=orders.placed&group=mailer&from=x":              `is no position`,
		"topic=orders.placed&group=maler&from=1":               "did you mean mailer?",
		"topic=orders.placed.dead&group=mailer&from=1":         "redeliver them instead",
		"topic=orders.placed&group=mailer&from=1&to=beginning": "is no end",
	} {
		if res, text := ask(t, c, "GET", base+"/api/events/replay?"+query, ""); res.StatusCode < 400 || res.StatusCode == 500 || !strings.Contains(text, want) {
			t.Errorf("%s: %s %s", query, res.Status, text)
		}
	}
	soon := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	if none := get[desk.Replayed](t, c, base+"/api/events/replay?topic=orders.placed&group=mailer&from="+soon); none.Events != 0 {
		t.Errorf("from a time to come: %+v", none)
	}
}

func TestDeadLetters(t *testing.T) {
	broker, handled := shop(t, 30)
	sys := newSystem()
	c, base := enter(t, &dashboard.Server{System: sys, Events: broker})
	type letters struct {
		Letters []desk.Event
		Total   int
		Last    uint64
		Groups  []struct {
			Group string
			Count int
		}
	}
	url := base + "/api/events/dead"
	l := get[letters](t, c, url+"?topic=orders.placed")
	if l.Total != 3 || len(l.Letters) != 3 || l.Last != 3 || l.Groups[0].Group != "mailer" || l.Groups[0].Count != 3 || l.Letters[0].Sequence != 3 || l.Letters[0].Dead.Error != "no such address" {
		t.Errorf("%+v", l)
	}
	type done struct{ Meant, Done int }
	if d := post[done](t, c, url, map[string]any{"topic": "orders.placed", "do": "drop", "numbers": []int{2, 99}}); d != (done{1, 1}) {
		t.Errorf("drop one: %+v", d)
	}
	if d := post[done](t, c, url, map[string]any{"topic": "orders.placed", "do": "redeliver", "last": 1}); d != (done{1, 1}) {
		t.Errorf("redeliver those that were counted: %+v", d)
	}
	<-handled
	settled(t, broker)
	if l := get[letters](t, c, url+"?topic=orders.placed"); l.Total != 2 || l.Last != 4 {
		t.Errorf("%+v", l)
	}
	if d := post[done](t, c, url, map[string]any{"topic": "orders.placed", "do": "drop", "last": 9, "group": "another"}); d != (done{0, 0}) {
		t.Errorf("of another group: %+v", d)
	}
	sys.state.ReadOnly = true
	for _, order := range []string{`{"topic":"orders.placed","do":"drop","last":9}`, `{"topic":"orders.placed","group":"mailer","from":"1"}`} {
		path := url
		if strings.Contains(order, "from") {
			path = base + "/api/events/replay"
		}
		if res, text := ask(t, c, "POST", path, order, "Hanse-Dashboard", "1"); res.StatusCode != 403 {
			t.Errorf("of what is only shown: %s %s", res.Status, text)
		}
	}
	sys.state.ReadOnly = false
	for _, order := range []string{`{"topic":"orders.placed","do":"drop"}`, `{"topic":"orders.placed","do":"burn","last":9}`, `{"topic":"orders.placed","do":"drop","last":9,"numbers":[1]}`} {
		if res, text := ask(t, c, "POST", url, order, "Hanse-Dashboard", "1"); res.StatusCode != 400 {
			t.Errorf("%s: %s %s", order, res.Status, text)
		}
	}
	if l := get[letters](t, c, url+"?topic=orders.placed"); l.Total != 2 {
		t.Errorf("%+v", l)
	}
}

func TestNoEvents(t *testing.T) {
	c, base := enter(t, &dashboard.Server{})
	for _, path := range []string{"events/topics", "store/buckets", "metrics/series?metric=x"} {
		if res, _ := ask(t, c, "GET", base+"/api/"+path, ""); res.StatusCode != 404 {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
}
