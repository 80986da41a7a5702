package events_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/events"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// forward forwards a message and waits.
func forward(ctx context.Context, b *events.Bus, topic string, m *events.Message) error {
	result := make(chan error, 1)
	b.Forward(ctx, topic, m, func(err error) { result <- err })
	return <-result
}

func TestForward(t *testing.T) {
	topic := events.NewTopic[*wrapperspb.StringValue]("kept", events.Key((*wrapperspb.StringValue).GetValue), events.Limits{MaxSize: 20})
	m, err := topic.Encode(t.Context(), wrapperspb.String("k"), events.Metadata("a", "b"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := topic.Encode(t.Context(), wrapperspb.String("k"))
	if err != nil {
		t.Fatal(err)
	}
	if m.ID == "" || m.ID == other.ID || m.Source != "" || m.Key != "k" || m.Metadata["a"] != "b" {
		t.Errorf("encoded %+v", m)
	}
	if _, err := topic.Encode(t.Context(), wrapperspb.String(strings.Repeat("x", 100))); !errors.Is(err, events.ErrTooLarge) {
		t.Errorf("a large message: %v", err)
	}
	if _, err := events.NewTopic[*wrapperspb.StringValue]("No Name").Encode(t.Context(), wrapperspb.String("x")); err == nil || !strings.Contains(err.Error(), "No Name") {
		t.Errorf("a topic that is none: %v", err)
	}

	broker := &events.Memory{}
	bus := &events.Bus{Broker: broker, Source: "hanse:///orders"}
	if err := forward(t.Context(), bus, "kept", m); err == nil || !strings.Contains(err.Error(), "Declare") {
		t.Errorf("to a topic that was not declared: %v", err)
	}
	got := make(chan *events.Event[*wrapperspb.StringValue], 10)
	topic.Subscribe(bus, "g", func(_ context.Context, e *events.Event[*wrapperspb.StringValue]) error {
		got <- e
		return nil
	})
	if err := forward(t.Context(), bus, "kept.dead", m); err == nil || !strings.Contains(err.Error(), "Declare") {
		t.Errorf("to a topic that only the subscription implies: %v", err)
	}
	if err := bus.Declare(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	ended := make(chan error, 1)
	go func() { ended <- bus.Run(ctx) }()
	for range 2 { // the second one is known by its ID
		if err := forward(ctx, bus, "kept", m); err != nil {
			t.Error(err)
		}
	}
	other.Source = "elsewhere"
	if err := forward(ctx, bus, "kept", other); err != nil {
		t.Error(err)
	}
	if e := <-got; e.ID != m.ID || e.Source != "hanse:///orders" || e.Key != "k" || e.Data.GetValue() != "k" || e.Metadata["a"] != "b" {
		t.Errorf("got %+v", e)
	}
	if e := <-got; e.ID != other.ID || e.Source != "elsewhere" {
		t.Errorf("got %+v", e)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if s := bus.Stats(); s.Published != 3 || s.PublishFailed != 2 {
		t.Errorf("published %d, failed %d", s.Published, s.PublishFailed)
	}
}
