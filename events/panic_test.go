package events_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/events"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// A panic is one line of the log, which says what follows from it, and has the stack.
func TestPanicIsLoggedOnce(t *testing.T) {
	inBubble("handler", t, func(t *testing.T) {
		var log discoverytest.Log
		b := newBus(new(events.Memory))
		b.Logger = log.Logger()
		sub := placed.Subscribe(b, "g", func(context.Context, *events.Event[text]) error { panic("ouch") }, events.Retry{Attempts: 2})
		runBus(t, b)
		if err := placed.Publish(t.Context(), b, wrapperspb.String("x")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got := sub.Stats(); got.Panics != 2 || got.DeadLettered != 1 {
			t.Errorf("%+v", got)
		}
		wantPanics(t, &log, "a handler failed", "became a dead letter")
	})
	inBubble("job", t, func(t *testing.T) {
		var log discoverytest.Log
		b := newBus(new(events.Memory))
		b.Logger = log.Logger()
		events.Every(b, "tidy", events.Interval(time.Hour), func(context.Context, events.Firing) error { panic("ouch") }, events.Retry{Attempts: 2})
		runBus(t, b)
		time.Sleep(time.Hour + time.Minute)
		wantPanics(t, &log, "a job failed", "is given up")
	})
	inBubble("of one that is not its own any more", t, func(t *testing.T) {
		var log discoverytest.Log
		b := newBus(new(events.Memory))
		b.Logger = log.Logger()
		b.DrainTimeout = time.Second
		placed.Subscribe(b, "g", func(ctx context.Context, _ *events.Event[text]) error { <-ctx.Done(); panic("ouch") })
		stop := runBus(t, b)
		if err := placed.Publish(t.Context(), b, wrapperspb.String("x")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		stop()
		wantPanics(t, &log, "a handler failed")
	})
}

// wantPanics checks that the log is these lines, each with the panic and its stack.
func wantPanics(t *testing.T, log *discoverytest.Log, want ...string) {
	t.Helper()
	var lines []string
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, "ouch") {
			lines = append(lines, line)
		}
	}
	if len(lines) != len(want) {
		t.Fatalf("there are %d lines, want %d:\n%s", len(lines), len(want), log.String())
	}
	for i, what := range want {
		for _, part := range []string{what, "level=ERROR", `error="panic: ouch"`, "panic_test.go"} {
			if !strings.Contains(lines[i], part) {
				t.Errorf("line %d has no %s: %s", i+1, part, lines[i])
			}
		}
	}
}
