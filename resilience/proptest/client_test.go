package proptest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/hanse-go/hanse/resilience"
	"pgregory.net/rapid"
)

// When a call is made again, there are no more repetitions in ten seconds than the share of the calls, or the reserve.
func TestBudget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		percent := rapid.IntRange(1, 100).Draw(t, "percent")
		var b resilience.Budget
		b.Set(percent)
		now := time.Now()
		type event struct {
			at    time.Time
			again bool
		}
		var events []event
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 2000).Draw(t, "ms")) * time.Millisecond)
			for range rapid.IntRange(0, 40).Draw(t, "calls") {
				b.Call(now)
				events = append(events, event{at: now})
			}
			took := false
			for range rapid.IntRange(0, 20).Draw(t, "repetitions") {
				if b.Take(now) {
					events = append(events, event{now, true})
					took = true
				}
			}
			if !took {
				continue
			}
			calls, again := 0, 0
			for _, e := range events {
				if now.Sub(e.at) >= 9*time.Second { // what the budget surely remembers
					continue
				}
				if e.again {
					again++
				} else {
					calls++
				}
			}
			// Calls of the tenth second may count, repetitions may not.
			old := 0
			for _, e := range events {
				if age := now.Sub(e.at); !e.again && age >= 9*time.Second && age < 10*time.Second {
					old++
				}
			}
			if most := max((calls+old)*percent/100, resilience.BudgetReserve); again > most {
				t.Fatalf("%d repetitions of %d calls, want at most %d", again, calls+old, most)
			}
		}
	})
}

// The breaker opens, probes and closes when failsafe-go's does, as long as all that counts lies within the window.
func TestCircuitLikeFailsafe(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		b := resilience.Breaker{
			Failures: rapid.IntRange(1, 100).Draw(r, "failures"),
			Calls:    rapid.IntRange(1, 30).Draw(r, "calls"),
			Probes:   rapid.IntRange(1, 5).Draw(r, "probes"),
		}
		// A step is a call that succeeds or fails; some come after a wait.
		steps := rapid.SliceOfN(rapid.SampledFrom([]string{"ok", "ok", "ok", "fails", "fails", "fails", "waits, ok", "waits, fails"}), 1, 200).Draw(r, "steps")
		wrong := ""
		synctest.Test(t, func(*testing.T) { wrong = compareCircuits(b, steps) })
		if wrong != "" {
			r.Fatal(wrong)
		}
	})
}

// compareCircuits drives both breakers with the same calls, and returns how they differ.
func compareCircuits(b resilience.Breaker, steps []string) string {
	const open, window = time.Hour, 1000 * time.Hour // in between nothing happens by itself
	oracle := circuitbreaker.NewBuilder[any]().
		WithFailureRateThreshold(float64(b.Failures)/100, uint(b.Calls), window).
		WithDelay(open).
		WithSuccessThreshold(uint(b.Probes)).
		Build()
	b.Window, b.Open, b.MaxOpen = window, open, open
	var c resilience.Circuit
	c.Set(b)
	for i, step := range steps {
		if strings.HasPrefix(step, "waits") {
			time.Sleep(open + open/5)
		}
		now := time.Now()
		pass := c.Allow(now)
		permitted := oracle.TryAcquirePermit()
		if permitted != (pass != resilience.Refused) {
			return fmt.Sprintf("step %d: pass %v, failsafe-go says %v (%v, %+v)", i, pass, permitted, oracle.State(), c.State(now))
		}
		if !permitted {
			continue
		}
		if strings.HasSuffix(step, "fails") {
			c.Done(now, pass, resilience.Unavailable)
			oracle.RecordError(errors.New("failed"))
		} else {
			c.Done(now, pass, resilience.Answered)
			oracle.RecordSuccess()
		}
		got := c.State(now).State
		if strings.HasSuffix(step, "ok") && got == "closed" && oracle.IsOpen() {
			return "" // failsafe-go also opens with the success that makes the calls enough; we open with a failure
		}
		if got != oracle.State().String() {
			return fmt.Sprintf("step %d: %s, failsafe-go says %s", i, got, oracle.State())
		}
	}
	return ""
}

// Pauses lie where full jitter puts them: from 0 to the first one, doubled each time, and never above the longest.
func TestPauses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := time.Duration(rapid.IntRange(1, 10_000).Draw(t, "first")) * time.Millisecond
		longest := time.Duration(rapid.IntRange(1, 100_000).Draw(t, "longest")) * time.Millisecond
		n := rapid.IntRange(1, 1000).Draw(t, "repetition")
		most := first
		for i := 1; i < n && most < longest; i++ {
			most *= 2
		}
		most = min(most, longest)
		if d := (resilience.Retry{Backoff: first, MaxBackoff: longest}).Pause(n); d < 0 || d > most {
			t.Fatalf("%v, want at most %v", d, most)
		}
	})
}

// Whatever happens, no more than the allowed share is ejected, an ejection ends in time, and instances that all do the same stay.
func TestOutliers(t *testing.T) {
	outcomes := []resilience.Outcome{
		resilience.Answered, resilience.Unavailable, resilience.Faulty, resilience.TimedOut, resilience.Shed, resilience.Abandoned,
	}
	rapid.Check(t, func(t *rapid.T) {
		share := rapid.IntRange(1, 100).Draw(t, "percent")
		var o resilience.Outliers
		o.Set(resilience.Outlier{MaxEjected: share})
		n := rapid.IntRange(1, 6).Draw(t, "instances")
		var all []*resilience.Watched
		out := make([]time.Time, n) // since when each is ejected
		for i := range n {
			all = append(all, o.Watch(fmt.Sprint(i)))
		}
		now := time.Now()
		alike := rapid.Bool().Draw(t, "alike")
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond)
			o.Check(now)
			outcome := rapid.SampledFrom(outcomes).Draw(t, "outcome")
			took := time.Duration(rapid.IntRange(0, 1000).Draw(t, "took")) * time.Millisecond
			only := rapid.IntRange(0, n-1).Draw(t, "instance")
			ejected := 0
			for i, w := range all {
				if !w.Ejected() { // one that follows at once is another ejection
					out[i] = time.Time{}
				}
				if (alike || i == only) && w.Admit(now) {
					w.Begin(now)
					w.End(now, took, outcome)
				}
			}
			for i, w := range all {
				if !w.Ejected() {
					out[i] = time.Time{}
					continue
				}
				ejected++
				if out[i].IsZero() {
					out[i] = now
				} else if now.Sub(out[i]) > time.Minute+4*time.Second {
					t.Fatalf("%d is ejected since %v", i, now.Sub(out[i]))
				}
			}
			if ejected*100 > n*share {
				t.Fatalf("%d of %d are ejected, and %d percent may be", ejected, n, share)
			}
			if !alike || ejected == 0 {
				continue
			}
			// The first whose call ends is compared with what the others did before theirs end, so that of few calls one may seem slow.
			for i, w := range o.State(now) {
				if all[i].Ejected() && w.Reason != resilience.EjectedSlow || ejected > 1 {
					t.Fatalf("all do the same, and %d are ejected: %+v", ejected, o.State(now))
				}
			}
		}
	})
}

// A policy resolves to what its most specific part that speaks of a setting says, and what resolves is right.
func TestResolve(t *testing.T) {
	timeout := rapid.SampledFrom([]time.Duration{0, 0, -1, time.Second, time.Minute})
	rapid.Check(t, func(t *rapid.T) {
		const method, contract, service = "/a.B/C", "a.B/*", "s"
		want := time.Duration(0)
		draw := func(what string) resilience.Policy {
			d := timeout.Draw(t, what)
			if want == 0 {
				want = d
			}
			return resilience.Policy{Timeout: d}
		}
		from := make(map[string]resilience.Policy)
		for _, name := range []string{service, ""} {
			m, c := draw("method of "+name), draw("contract of "+name)
			p := draw("all of " + name)
			p.Methods = map[string]resilience.Policy{method: m, contract: c}
			from[name] = p
		}
		if want == 0 {
			want = 10 * time.Second
		}
		got := resilience.Resolve(from, service, method)
		if got.Timeout != want {
			t.Fatalf("%v, want %v of %+v", got.Timeout, want, from)
		}
		if err := got.Check(); err != nil {
			t.Fatal(err)
		}
	})
}
