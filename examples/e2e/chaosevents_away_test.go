//go:build unix

package e2e_test

import (
	"context"
	"errors"
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
	o := newOffice(t)
	o.startBroker()
	for _, service := range []string{"writer", "relay", "handler"} {
		o.start(service)
	}
	publisher := join(t, "publisher", o.broker.url(), func(s *hanse.Service) { tally.Marks.Declare(s) })
	const deadline = 2 * time.Second
	l, end := publish(t, publisher, tally.Load{Name: "p", Topic: tally.Marks, Keys: 40, PerSecond: 100, Timeout: deadline})
	await(t, "events are handled", func() bool { return len(o.handled()) > 100 })
	wait(long(3*time.Second, 0))

	back := takeAway(o.broker)
	away := time.Now()
	// One publisher has time.
	patient := make(chan error, 1)
	mark := tally.Mark{Key: "patient", Number: 1}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		patient <- tally.Marks.Publish(ctx, publisher, mark.Event())
	}()
	wait(long(30*time.Second, 3*time.Second))
	select {
	case err := <-patient:
		v.hold(false, "a publisher with time waits", "it got %v", why(err))
	default:
	}
	waiting, slowest := o.written(away)
	v.hold(float64(len(waiting)) > 20*time.Since(away).Seconds(), "the outbox keeps accepting", "%d events in %v, the slowest took %v",
		len(waiting), time.Since(away).Round(time.Second), slowest.Round(time.Millisecond))
	back()
	returned := time.Now()
	err := <-patient
	v.hold(err == nil, "a publisher with time waits, and succeeds", "%v %v after the broker is back", why(err), time.Since(returned).Round(10*time.Millisecond))
	awaitHandled(t, waiting, o.handled)
	drained := time.Since(returned)
	await(t, "events are acknowledged again", func() bool { return !l.since(returned).IsZero() })
	wait(long(5*time.Second, time.Second))
	end()

	late, vague := time.Duration(0), error(nil)
	all := l.failures()
	for _, f := range all {
		late = max(late, f.took-deadline)
		if !errors.Is(f.err, context.DeadlineExceeded) {
			vague = f.err
		}
	}
	var first error
	if len(all) > 0 {
		first = all[len(all)/2].err
	}
	v.hold(len(all) > 0 && late < 500*time.Millisecond && vague == nil, "those with 2 s fail by then", "%d failed, at most %v late: %s", len(all), late.Round(time.Millisecond), why(first))
	committed, _ := o.written(time.Time{})
	acknowledged := append(append(l.marks(), mark), committed...)
	marks, took := awaitHandled(t, acknowledged, o.handled)
	v.judge(judge(acknowledged, marks), false)
	v.hold(true, "all goes on", "the broker was away for %v; after it was back events were acknowledged in %v, and the backlog of the outbox was handled in %v; all was handled %v after the last event",
		returned.Sub(away).Round(time.Second), l.since(returned).Sub(returned).Round(10*time.Millisecond), drained.Round(10*time.Millisecond), took.Round(10*time.Millisecond))
}
