package resilience

import (
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// Watched is an instance that [Outliers] watches. Each attempt of a call is told to it by Begin and End, which take no lock while all goes
// well. Its methods are safe for concurrent use.
type Watched struct {
	name     string
	outliers *Outliers

	phase     atomic.Int32
	window    window
	row       atomic.Int64 // failures in a row
	pending   atomic.Int64 // calls begun since the last answer
	silent    atomic.Int64 // when the first of them began, by clock
	answered  atomic.Int64 // when the last answer came, by clock
	slowAbove atomic.Int64 // calls that take longer are slow; negative: unknown

	good    atomic.Int64 // answers in a row while on trial
	probing atomic.Bool  // a call runs that finds out
	rising  atomic.Int64 // since when the share grows, by clock

	// Guarded by outliers.mu.
	gone   bool  // nobody watches it any more
	seen   tally // at the last look at all
	late   tally // the latest of it
	ever   tally // all that was counted until then
	lapses lapses
	spared bool // it deserved to be ejected, and too many were
	why    Reason
	until  time.Time     // while ejected
	last   time.Duration // of the last ejection
	back   time.Time     // from the last ejection
}

// The phases of an instance.
const (
	inService int32 = iota
	ejected
	onTrial // back, and gets one call at a time
	rising  // back, and its share grows
)

// Name returns the name that was given to Watch.
func (w *Watched) Name() string { return w.name }

// Ejected reports whether the instance should get no calls, as long as others can take them.
func (w *Watched) Ejected() bool { return w.phase.Load() == ejected }

// Admit reports whether an instance that came back from an ejection takes one more call now. If not, the call goes to another one, if
// there is any. It costs next to nothing for the others.
func (w *Watched) Admit(now time.Time) bool {
	if w.phase.Load() == inService {
		return true
	}
	return w.admitSlow(now)
}

func (w *Watched) admitSlow(now time.Time) bool {
	switch w.phase.Load() {
	case onTrial:
		return w.probing.CompareAndSwap(false, true)
	case rising:
		since := clock(now) - time.Duration(w.rising.Load())
		part := float64(since) / float64(w.outliers.policy().Return)
		if part < 1 {
			return rand.Float64() < firstShare+(1-firstShare)*part
		}
		w.phase.CompareAndSwap(rising, inService)
	}
	return true
}

// Begin tells that a call was given to the instance, now.
func (w *Watched) Begin(now time.Time) {
	if w.pending.Add(1) == 1 {
		w.silent.Store(int64(clock(now)))
	}
}

// End tells how a call ended, and how long it took; negative: that says nothing, as with a stream, and Begin was not called. It reports
// whether Ejected has changed.
func (w *Watched) End(now time.Time, took time.Duration, outcome Outcome) (changed bool) {
	limit := time.Duration(w.slowAbove.Load())
	slow := limit >= 0 && took > limit
	failed := outcome.Failed()
	switch outcome {
	case Shed:
		w.pending.Store(0)
		w.probing.Store(false)
		return false
	case Abandoned, TimedOut:
		if !slow {
			w.probing.Store(false)
			return false
		}
	default:
		w.pending.Store(0)
		w.answered.Store(int64(clock(now)))
	}
	if s := w.window.at(now); s != nil {
		if took >= 0 {
			s.calls.Add(1)
			s.took.Add(int64(took))
		} else {
			s.streams.Add(1)
		}
		if slow {
			s.slow.Add(1)
		}
		if failed {
			s.failures.Add(1)
		}
	}
	if !failed && !slow {
		if w.row.Load() != 0 {
			w.row.Store(0)
		}
		if w.phase.Load() == onTrial {
			w.passed(now)
		}
		return false
	}
	if failed {
		w.row.Add(1)
	}
	w.good.Store(0)
	w.probing.Store(false)
	o := w.outliers
	o.mu.Lock()
	defer o.mu.Unlock()
	if failed {
		o.lapse(w, now)
	}
	return o.judge(w, now, o.policy())
}

// passed counts a call of the trial that went well.
func (w *Watched) passed(now time.Time) {
	if w.good.Add(1) >= probation && w.phase.Load() == onTrial {
		w.rising.Store(int64(clock(now)))
		w.phase.CompareAndSwap(onTrial, rising)
	}
	w.probing.Store(false)
}

// eject takes the instance out of service. outliers.mu is held.
func (w *Watched) eject(now time.Time, why Reason, p *Outlier) {
	d := p.Eject
	if w.last > 0 && now.Sub(w.back) < w.last+p.Return+p.Eject { // it follows soon
		d = 2 * w.last
	}
	w.last = min(d, max(p.MaxEject, p.Eject))
	w.why, w.until, w.spared = why, now.Add(w.last), false
	w.phase.Store(ejected)
}

// comeBack puts the instance on trial. outliers.mu is held.
func (w *Watched) comeBack(now time.Time) {
	w.back = now
	w.window.reset()
	w.lapses.forget()
	w.row.Store(0)
	w.pending.Store(0)
	w.good.Store(0)
	w.probing.Store(false)
	w.phase.Store(onTrial)
	w.outliers.count(Returned)
}

// WatchedState is what is known of an instance.
type WatchedState struct {
	Instance string     `json:"instance"`
	State    string     `json:"state"`            // in service, ejected, on trial or rising
	Reason   Reason     `json:"reason,omitempty"` // of the last ejection
	Until    *time.Time `json:"until,omitempty"`  // while ejected
	Calls    int64      `json:"calls"`            // of the last ten seconds
	Failures int64      `json:"failures"`
	Slow     int64      `json:"slow"`
	Latency  float64    `json:"latency_ms"` // on average
}

// State returns what is known of the instance.
func (w *Watched) State(now time.Time) WatchedState {
	w.outliers.mu.Lock()
	defer w.outliers.mu.Unlock()
	return w.state(now)
}

// state is called with outliers.mu held.
func (w *Watched) state(now time.Time) WatchedState {
	t := w.window.sum(now, slots)
	s := WatchedState{
		Instance: w.name, Reason: w.why,
		State: [...]string{"in service", "ejected", "on trial", "rising"}[w.phase.Load()],
		Calls: t.calls + t.streams, Failures: t.failures, Slow: t.slow, Latency: float64(t.mean()) / float64(time.Millisecond),
	}
	if w.Ejected() {
		until := w.until
		s.Until = &until
	}
	return s
}
