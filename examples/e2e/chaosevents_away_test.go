//go:build unix

package e2e_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/examples/e2e/tally"
)

func chaosEventsKilled(t *testing.T, v *verdict) {
	chaosEventsAway(t, v, func(h *hub) (back func()) {
		h.process.kill(t)
		return h.start
	})
}

func chaosEventsStopped(t *testing.T, v *verdict) {
	chaosEventsAway(t, v, func(h *hub) (back func()) { return h.process.freeze(t) })
}

// chaosEventsAway takes the broker away for a while.
func chaosEventsAway(t *testing.T, v *verdict, takeAway func(*hub) (back func())) {
	build(t, "tallyman")
	broker := newHub(t)
	broker.start()
	effects := filepath.Join(t.TempDir(), "effects")
	publisher := join(t, "publisher", broker.url(), func(s *hanse.Service) { tally.Marks.Declare(s) })
	tallyman(t, broker.url(), "handler", map[string]string{"TALLY_EFFECTS": effects})
	const deadline = 2 * time.Second
	l, end := publish(t, publisher, tally.Load{Name: "p", Topic: tally.Marks, Keys: 40, PerSecond: 100, Timeout: deadline})
	await(t, "events are handled", func() bool { return len(book(t, effects)) > 100 })
	wait(long(3*time.Second, 0))

	back := takeAway(broker)
	away := time.Now()
	// One publisher has time.
	patient := make(chan error, 1)
	mark := tally.Mark{Key: "patient", Number: 1}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		patient <- tally.Marks.Publish(ctx, publisher, mark.Event())
	}()
	wait(long(30*time.Second, 4*time.Second))
	select {
	case err := <-patient:
		v.hold(false, "a publisher with time waits", "it got %v", why(err))
	default:
	}
	back()
	returned := time.Now()
	err := <-patient
	v.hold(err == nil, "a publisher with time waits, and succeeds", "%v %v after the broker is back", why(err), time.Since(returned).Round(10*time.Millisecond))
	await(t, "events are acknowledged again", func() bool { return !l.since(returned).IsZero() })
	wait(long(5*time.Second, time.Second))
	end()

	late, vague := time.Duration(0), error(nil)
	l.mu.Lock()
	failed := len(l.failed)
	for _, f := range l.failed {
		late = max(late, f.took-deadline)
		if !errors.Is(f.err, context.DeadlineExceeded) {
			vague = f.err
		}
	}
	var first error
	if failed > 0 {
		first = l.failed[failed/2].err
	}
	l.mu.Unlock()
	v.hold(failed > 0 && late < 500*time.Millisecond && vague == nil, "those with 2 s fail by then", "%d failed, at most %v late: %s", failed, late.Round(time.Millisecond), why(first))
	acknowledged := append(l.marks(), mark)
	all, took := awaitHandled(t, acknowledged, fromBook(t, effects))
	v.judge(judge(acknowledged, all), true)
	v.hold(true, "all goes on", "acknowledged %v after the broker was back from %v away; all was handled %v after the last event",
		l.since(returned).Sub(returned).Round(10*time.Millisecond), returned.Sub(away).Round(time.Second), took.Round(10*time.Millisecond))
}
