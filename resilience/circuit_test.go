package resilience_test

import (
	"testing"
	"time"

	"github.com/hanse-go/hanse/resilience"
)

// circuit drives a Circuit in a time of its own.
type circuit struct {
	resilience.Circuit
	now time.Time
}

func (c *circuit) call(outcome resilience.Outcome, n int) (refused int) {
	for range n {
		pass := c.Allow(c.now)
		if pass == resilience.Refused {
			refused++
			continue
		}
		c.Done(c.now, pass, outcome)
	}
	return refused
}

func (c *circuit) want(t *testing.T, when, state string) {
	t.Helper()
	if got := c.State(c.now); got.State != state {
		t.Errorf("%s: the circuit is %+v, want %s", when, got, state)
	}
}

func newCircuit(b resilience.Breaker) *circuit {
	c := &circuit{now: time.Now()}
	c.Counts = new(resilience.Counts)
	c.Set(b)
	return c
}

func TestCircuitOpens(t *testing.T) {
	for _, tt := range []struct {
		name    string
		breaker resilience.Breaker
		calls   func(*circuit)
		want    string
	}{
		{"too few calls", resilience.Breaker{}, func(c *circuit) { c.call(resilience.Unavailable, 19) }, "closed"},
		{"all fail", resilience.Breaker{}, func(c *circuit) { c.call(resilience.Unavailable, 20) }, "open"},
		{"time out", resilience.Breaker{}, func(c *circuit) { c.call(resilience.TimedOut, 20) }, "open"},
		{"few fail", resilience.Breaker{}, func(c *circuit) { c.call(resilience.Answered, 21); c.call(resilience.Unavailable, 80) }, "closed"},
		{"enough fail", resilience.Breaker{}, func(c *circuit) { c.call(resilience.Answered, 20); c.call(resilience.Unavailable, 80) }, "open"},
		{"callers give up", resilience.Breaker{}, func(c *circuit) { c.call(resilience.Abandoned, 100) }, "closed"},
		{"overload", resilience.Breaker{}, func(c *circuit) { c.call(resilience.Shed, 100) }, "closed"},
		{"bugs", resilience.Breaker{}, func(c *circuit) { c.call(resilience.Faulty, 100) }, "closed"},
		{"off", resilience.Breaker{Failures: -1}, func(c *circuit) { c.call(resilience.Unavailable, 100) }, "off"},
		{"long ago", resilience.Breaker{}, func(c *circuit) {
			c.call(resilience.Unavailable, 19)
			c.now = c.now.Add(11 * time.Second)
			c.call(resilience.Unavailable, 19)
		}, "closed"},
		{"own numbers", resilience.Breaker{Failures: 10, Calls: 10}, func(c *circuit) {
			c.call(resilience.Answered, 9)
			c.call(resilience.Unavailable, 1)
		}, "open"},
	} {
		c := newCircuit(tt.breaker)
		tt.calls(c)
		c.want(t, tt.name, tt.want)
	}
}

func TestCircuitProbes(t *testing.T) {
	c := newCircuit(resilience.Breaker{})
	c.call(resilience.Unavailable, 20)
	c.want(t, "after failures", "open")
	if n := c.call(resilience.Answered, 5); n != 5 {
		t.Errorf("open: %d of 5 calls were refused", n)
	}

	c.now = c.now.Add(1200 * time.Millisecond) // 1 s, and a tenth for chance
	for range 3 {
		if pass := c.Allow(c.now); pass != resilience.Probe {
			t.Fatalf("probe: %v", pass)
		}
	}
	if pass := c.Allow(c.now); pass != resilience.Refused {
		t.Errorf("a fourth probe: %v", pass)
	}
	c.want(t, "while probes run", "half-open")
	c.Done(c.now, resilience.Probe, resilience.Answered)
	c.Done(c.now, resilience.Probe, resilience.Unavailable)
	c.want(t, "after a failed probe", "open")
	c.Done(c.now, resilience.Probe, resilience.Answered)
	c.want(t, "after a late probe", "open")

	c.now = c.now.Add(1500 * time.Millisecond)
	if n := c.call(resilience.Answered, 1); n != 1 {
		t.Error("it did not open for longer")
	}
	c.now = c.now.Add(time.Second)
	c.call(resilience.Abandoned, 10)
	c.want(t, "when probes say nothing", "half-open")
	c.call(resilience.Answered, 2)
	c.want(t, "after two good probes", "half-open")
	c.call(resilience.Answered, 1)
	c.want(t, "after three", "closed")
	c.call(resilience.Unavailable, 19)
	c.want(t, "with a new window", "closed")
	for reason, want := range map[resilience.Reason]uint64{resilience.BreakerOpened: 2, resilience.BreakerClosed: 1, resilience.BreakerShort: 7} {
		if got := c.Counts.Of(reason); got != want {
			t.Errorf("%s: %d, want %d", reason, got, want)
		}
	}
}

func TestCircuitIsSwitchedOff(t *testing.T) {
	c := newCircuit(resilience.Breaker{})
	c.call(resilience.Unavailable, 20)
	c.Set(resilience.Breaker{Failures: -1})
	if n := c.call(resilience.Unavailable, 50); n != 0 {
		t.Errorf("%d calls were refused", n)
	}
	c.want(t, "off", "off")
}
