package balancer

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/discovery"
)

const (
	// memory is the time constant of the latency average: a sample of that age has lost two thirds of its weight. A candidate that
	// gets no calls forgets at the same pace, so that a slow one is tried again.
	memory = 5 * time.Second
	// warmUp is the number of answers after which a candidate's latency counts. Before that a new instance is compared by calls in
	// flight alone: its first answers are slow (connections, caches) and would keep it from getting a second chance.
	warmUp = 8
	// floor is added to each latency, so that differences of a few microseconds do not outweigh calls in flight.
	floor = 100 * time.Microsecond
	// failureFactor multiplies the latency of a candidate at each failure, up to failureLimit: else one that fails fast would look
	// like the best.
	failureFactor = 10
	failureLimit  = 5 * time.Second
)

// Candidate is an instance that can take a call, with what is known of its load. Its methods are safe for concurrent use.
type Candidate struct {
	Instance discovery.Instance // must not change after the first call
	Born     time.Time          // when the instance became ready, as far as the caller knows; zero: long ago. Must not change either

	inflight atomic.Int64
	samples  atomic.Int64  // answers so far; at warmUp and above latency counts
	latency  atomic.Uint64 // bits of a float64: moving average in nanoseconds, as of stamp
	stamp    atomic.Int64  // when the last sample came, by clock
	warmedUp atomic.Int64  // when latency began to count, by clock
	hashed   atomic.Uint64 // of the instance's key; 0: not yet
}

// Renew returns a candidate for the instance as it is now, with what is known of its latency. Calls in flight stay with c.
func (c *Candidate) Renew(inst discovery.Instance) *Candidate {
	n := &Candidate{Instance: inst, Born: c.Born}
	n.samples.Store(c.samples.Load())
	n.latency.Store(c.latency.Load())
	n.stamp.Store(c.stamp.Load())
	n.warmedUp.Store(c.warmedUp.Load())
	return n
}

// Begin counts a call as in flight. Each Begin is followed by exactly one Done.
func (c *Candidate) Begin() { c.inflight.Add(1) }

// Done ends a call that began, now. Outcome says how it went and took the time since its Begin. [Abandoned] changes nothing but the number
// of calls in flight.
func (c *Candidate) Done(at time.Time, took time.Duration, outcome Outcome) {
	c.inflight.Add(-1)
	if outcome == Abandoned {
		return
	}
	now := int64(at.Sub(start))
	since := time.Duration(now - c.stamp.Swap(now))
	samples := c.samples.Add(1)
	switch {
	case outcome == Failed && samples < warmUp:
		c.samples.Store(warmUp) // it is known well enough
		fallthrough
	case samples == warmUp:
		c.warmedUp.Store(now)
	case samples > warmUp && outcome == Succeeded && now-int64(took) < c.warmedUp.Load():
		return // a slow call of the beginning that came late
	}
	for {
		old := c.latency.Load()
		average := math.Float64frombits(old)
		sample := float64(max(took, 0))
		switch {
		case outcome == Failed:
			failed := max(min((average+float64(floor))*failureFactor, float64(failureLimit)), average)
			average = max(sample, failed)
		case samples > 1 && samples <= warmUp: // the best of the beginning, for that is what will last
			average = min(average, sample)
		case sample >= average: // a rise counts at once
			average = sample
		default:
			keep := decay(float64(since) / float64(memory))
			average = average*keep + sample*(1-keep)
		}
		if c.latency.CompareAndSwap(old, math.Float64bits(average)) {
			return
		}
	}
}

// InFlight returns the number of calls that began and are not done.
func (c *Candidate) InFlight() int { return int(c.inflight.Load()) }

// Latency returns the average time of the latest calls: rises count at once, falls over about five seconds, and failures as ten times
// the average. Without calls it falls towards 0, so that a slow instance is tried again. It is 0 while nothing is known.
func (c *Candidate) Latency() time.Duration { return time.Duration(c.latencyAt(clock())) }

func (c *Candidate) latencyAt(now int64) float64 {
	average := math.Float64frombits(c.latency.Load())
	if idle := now - c.stamp.Load(); idle > int64(memory/16) { // shorter pauses are not worth the computation
		average *= decay(float64(idle) / float64(memory))
	}
	return average
}

// decay is close to e^-x, for x up to 10 or so, at a fifth of the price: (1+x/16)^-16.
func decay(x float64) float64 {
	d := 1 / (1 + x/16)
	d *= d
	d *= d
	d *= d
	return d * d
}

// known reports whether the candidate's latency counts.
func (c *Candidate) known() bool { return c.samples.Load() >= warmUp }

// weight returns the instance's share relative to its peers.
func (c *Candidate) weight() int { return max(c.Instance.Weight, 1) }

// start is what clock counts from; a monotonic difference is cheaper than the time of day, and cannot jump.
var start = time.Now()

func clock() int64 { return int64(time.Since(start)) }

// Outcome is what a call says about the instance that served it.
type Outcome int

// The outcomes of a call.
const (
	Succeeded Outcome = iota // the instance answered, be it with an error of the application
	Failed                   // the instance could not serve the call
	Abandoned                // the caller gave up: says nothing about the instance
)
