package events

import (
	"context"
	"errors"
	"testing"

	"github.com/hanse-go/hanse/telemetry"
)

// What it costs to tell of an event whose trace is not recorded: numbers and span, without the headers that carry the trace on.
func BenchmarkTell(b *testing.B) {
	tells, err := telemetry.New(telemetry.Config{})
	if err != nil {
		b.Fatal(err)
	}
	t := newTeller(tells.Service("bench", "", ""), nil)
	ctx := context.Background()
	b.Run("send", func(b *testing.B) {
		m := &Message{ID: "1", Metadata: make(map[string]string)}
		b.ReportAllocs()
		for b.Loop() {
			s := t.send(ctx, "orders.placed", m, false)
			s.over(nil)
		}
	})
	b.Run("process", func(b *testing.B) {
		g := t.group("orders.placed", "mailer")
		it := &item{message: &Message{ID: "1", Metadata: map[string]string{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"}}}
		b.ReportAllocs()
		for b.Loop() {
			w := g.begin(ctx, it)
			g.over(w, nil)
			w.Span.End()
		}
	})
}

func TestErrorType(t *testing.T) {
	for want, err := range map[string]error{
		"full": errors.Join(ErrFull), "timeout": Permanent(context.DeadlineExceeded), "panic": newPanicked("x"), "_OTHER": errors.New("x"),
		"events.BatchError": &BatchError{}, "canceled": context.Canceled,
	} {
		if got := errorType(err); got != want {
			t.Errorf("%v is of type %s, want %s", err, got, want)
		}
	}
}
