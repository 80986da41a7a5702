//go:build unix

package e2e_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/examples/e2e/tally"
)

// drain has a process finish what it does, and returns when it has ended.
func (p *program) drain(t *testing.T) {
	t.Helper()
	signal(t, p.cmd.Process.Pid, syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(patience):
		t.Fatalf("process %d does not end", p.cmd.Process.Pid)
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("a process that was told to end ended with status %d", code)
	}
}

// chaosEventsKill kills a publisher, a writer, a relay, handlers and their broker in turn, while events go through them.
func chaosEventsKill(t *testing.T, v *verdict) {
	o := newOffice(t)
	server := o.startBroker()
	publisher, writer, relay := o.start("publisher"), o.start("writer"), o.start("relay")
	handlers := []*actor{o.start("handler"), o.start("handler")}
	await(t, "events of both ways are handled", func() bool {
		ways := make(map[byte]int)
		for _, m := range o.handled() {
			ways[m.Key[0]]++
		}
		return ways['p'] > 50 && ways['w'] > 50
	})

	// Handlers take turns, for what a dead one had is another's only after 6 s.
	turns := []*actor{publisher, handlers[0], server, relay, writer, publisher, handlers[1], server, relay, writer}
	every := time.NewTicker(long(1200*time.Millisecond, 400*time.Millisecond))
	defer every.Stop()
	kills := 0
	for began := time.Now(); time.Since(began) < long(2*time.Minute, 4*time.Second); kills++ {
		<-every.C
		a := turns[kills%len(turns)]
		a.kill(t)
		a.program = a.start()
	}
	publisher.drain(t)
	writer.drain(t)
	direct := marksOf(book(t, o.ledger))
	committed, _ := o.written(time.Time{})
	acknowledged := append(direct, committed...)
	all, took := awaitHandled(t, acknowledged, o.handled)
	v.judge(judge(acknowledged, all), false)
	again := len(judge(nil, marksOf(book(t, o.delivered))).doubled)
	v.hold(kills > 0 && len(direct) > 0 && len(committed) > 0, "whoever is killed", "%d kills; %d events published, %d by the outbox; %d delivered again; all was handled %v after the last event",
		kills, len(direct), len(committed), again, took.Round(10*time.Millisecond))
}

// chaosEventsScale has more handlers and fewer, while events are published.
func chaosEventsScale(t *testing.T, v *verdict) {
	build(t, "tallyman")
	broker := newHub(t)
	broker.start()
	effects := filepath.Join(t.TempDir(), "effects")
	handler := func() *program {
		return tallyman(t, broker.url(), "handler", map[string]string{"TALLY_EFFECTS": effects, "TALLY_TAKES": "5ms"})
	}
	// takePart waits until each process handles events.
	takePart := func(all ...*program) {
		t.Helper()
		since := time.Now()
		await(t, fmt.Sprintf("%d processes handle events", len(all)), func() bool {
			by := make(map[int]bool)
			for _, e := range book(t, effects) {
				if e.At.After(since) {
					by[e.By] = true
				}
			}
			for _, p := range all {
				if !by[p.cmd.Process.Pid] {
					return false
				}
			}
			return true
		})
	}
	publisher := join(t, "publisher", broker.url(), func(s *hanse.Service) { tally.Marks.Declare(s) })
	l, end := publish(t, publisher, tally.Load{Name: "p", Topic: tally.Marks, Keys: 64, PerSecond: 200, Timeout: 20 * time.Second})
	first := handler()
	takePart(first)
	rounds := 1
	if chaosEvents {
		rounds = 3
	}
	for range rounds {
		wait(long(5*time.Second, time.Second))
		others := []*program{handler(), handler(), handler()}
		takePart(append(others, first)...)
		wait(long(5*time.Second, time.Second))
		var leaving sync.WaitGroup
		for _, p := range others {
			leaving.Go(func() { signal(t, p.cmd.Process.Pid, syscall.SIGTERM) })
		}
		leaving.Wait()
		for _, p := range others {
			select {
			case <-p.exited:
			case <-time.After(patience):
				t.Fatal("a handler does not end")
			}
		}
		takePart(first)
	}
	end()
	all, took := awaitHandled(t, l.marks(), fromBook(t, effects))
	v.judge(judge(l.marks(), all), false)
	_, failed := l.counts()
	v.hold(failed == 0, "no failed publish", "%d failed; all was handled %v after the last event", failed, took.Round(10*time.Millisecond))
}

// chaosEventsPoison publishes events that always fail among others.
func chaosEventsPoison(t *testing.T, v *verdict) {
	build(t, "tallyman")
	broker := newHub(t)
	broker.start()
	effects := filepath.Join(t.TempDir(), "effects")
	const attempts = 6
	dead := events.NewTopic[tally.Text](tally.Marks.Name() + ".dead")
	letters := make(chan *events.Event[tally.Text], 100)
	publisher := join(t, "publisher", broker.url(), func(s *hanse.Service) {
		tally.Marks.Declare(s)
		dead.Subscribe(s, "watch", func(_ context.Context, e *events.Event[tally.Text]) error {
			letters <- e
			return nil
		}, events.Start{All: true})
	})
	tallyman(t, broker.url(), "handler", map[string]string{"TALLY_EFFECTS": effects, "TALLY_ATTEMPTS": fmt.Sprint(attempts), "TALLY_RETRY": long(4*time.Second, time.Second).String()})
	l, end := publish(t, publisher, tally.Load{Name: "p", Topic: tally.Marks, Keys: 40, PerSecond: 100, Timeout: 20 * time.Second})
	await(t, "events are handled", func() bool { return len(book(t, effects)) > 100 })
	began := time.Now()
	wait(spellOfEvents())

	// Three keys, in each a bad event and good ones behind it.
	poisoned := time.Now()
	var behind []tally.Mark
	const keys, good = 3, 5
	for k := range keys {
		for n := range 1 + good {
			m := tally.Mark{Key: fmt.Sprint("poison-", k), Number: int64(2*n + 1)}
			if n == 0 {
				m.Number = 0
			} else {
				behind = append(behind, m)
			}
			if err := tally.Marks.Publish(t.Context(), publisher, m.Event(), events.ID(m.String())); err != nil {
				t.Fatal(err)
			}
		}
	}
	var dying time.Duration
	var wrong []string
	for range keys {
		select {
		case e := <-letters:
			dying = time.Since(poisoned)
			letter, ok := events.DeadLetterOf(&events.Message{Metadata: e.Metadata})
			if !ok || letter.Topic != tally.Marks.Name() || letter.Group != tally.Group || letter.Attempts != attempts ||
				letter.Error != "no stomach for "+letter.ID || letter.ID != strings.TrimSpace(e.Data.GetValue()) {
				wrong = append(wrong, fmt.Sprintf("%+v", letter))
			}
		case <-time.After(patience):
			t.Fatal("there is no dead letter")
		}
	}
	v.hold(len(wrong) == 0, fmt.Sprintf("dead letters after %d attempts, with the error", attempts), "%d, the last after %v; wrong: %v", keys, dying.Round(100*time.Millisecond), wrong)
	wait(max(0, spellOfEvents()-dying))
	ended := time.Now()
	end()
	acknowledged := append(l.marks(), behind...)
	all, _ := awaitHandled(t, acknowledged, fromBook(t, effects))
	v.judge(judge(acknowledged, all), false)

	latencies := func(from, to time.Time) (calls probeCalls) {
		for _, e := range book(t, effects) {
			if e.Published.After(from) && e.Published.Before(to) && e.Key[:1] == "p" && e.Key[:2] != "po" {
				calls = append(calls, probeCall{latency: e.At.Sub(e.Published)})
			}
		}
		return calls
	}
	before, during := latencies(began, poisoned), latencies(poisoned, ended)
	// Behind a message that fails it would be seconds; what there is in the short form's few events is up to the machine.
	bound := 2*before.latency(0.99) + long(20*time.Millisecond, 500*time.Millisecond)
	v.hold(during.latency(0.99) < bound && len(during) > 0, "other keys are not delayed", "p50 %v, p99 %v before; p50 %v, p99 %v meanwhile (bound %v)",
		tenths(before.latency(0.5)), tenths(before.latency(0.99)), tenths(during.latency(0.5)), tenths(during.latency(0.99)), tenths(bound))
}

// spellOfEvents is how long each state is looked at.
func spellOfEvents() time.Duration { return long(10*time.Second, 2*time.Second) }

func tenths(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

// chaosEventsSlow has handlers that take longer than the broker would wait for a member that is not heard of.
func chaosEventsSlow(t *testing.T, v *verdict) {
	build(t, "tallyman")
	broker := newHub(t)
	broker.start()
	effects := filepath.Join(t.TempDir(), "effects")
	publisher := join(t, "publisher", broker.url(), func(s *hanse.Service) { tally.Marks.Declare(s) })
	tallyman(t, broker.url(), "handler", map[string]string{"TALLY_EFFECTS": effects, "TALLY_TAKES": "3s", "TALLY_ACKWAIT": "1s"})
	l, end := publish(t, publisher, tally.Load{Name: "p", Topic: tally.Marks, Keys: 50, PerSecond: 20, Timeout: 5 * time.Second})
	wait(3 * time.Second)
	end()
	all, took := awaitHandled(t, l.marks(), fromBook(t, effects))
	_, failed := l.counts()
	v.hold(failed == 0, "publishers do not wait for handlers", "%d of %d failed, the slowest took %v", failed, failed+len(l.marks()), l.slowest.Round(time.Millisecond))
	v.judge(judge(l.marks(), all), false)
	v.hold(took < patience, "the backlog is handled", "%v after the last event, 3 s each, AckWait 1 s", took.Round(100*time.Millisecond))
}
