package resilience

import (
	"sync"
	"sync/atomic"
	"time"
)

// slots is how many parts a window has: what falls out of it does so in steps of a tenth.
const slots = 10

// window counts what happened lately. The zero value is not ready: span must be set. Adding is cheap and takes no lock.
type window struct {
	span time.Duration // of one slot
	of   [slots]slot
	mu   sync.Mutex // held while a slot begins anew
	past tally      // what fell out of it; guarded by mu
}

// slot is what happened in one tenth of the window.
type slot struct {
	turn     atomic.Int64 // the number of its tenth, since the clock began
	calls    atomic.Int64
	streams  atomic.Int64 // calls whose time says nothing
	failures atomic.Int64
	slow     atomic.Int64
	took     atomic.Int64 // nanoseconds of all calls together
}

// tally is what was counted in some slots.
type tally struct {
	calls, streams, failures, slow int64
	took                           time.Duration
}

func (t tally) plus(u tally) tally {
	return tally{t.calls + u.calls, t.streams + u.streams, t.failures + u.failures, t.slow + u.slow, t.took + u.took}
}

func (t tally) minus(u tally) tally {
	return tally{t.calls - u.calls, t.streams - u.streams, t.failures - u.failures, t.slow - u.slow, t.took - u.took}
}

// all is the number of calls, of whatever kind.
func (t tally) all() int64 { return t.calls + t.streams }

// failing is the share of the calls that failed; 0 without calls.
func (t tally) failing() float64 { return share(t.failures, t.all()) }

// mean is the average time of a call; 0 without calls.
func (t tally) mean() time.Duration {
	if t.calls == 0 {
		return 0
	}
	return t.took / time.Duration(t.calls)
}

func share(part, whole int64) float64 {
	if whole <= 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// began is what the clock counts from. A monotonic difference cannot jump with the time of day.
var began = time.Now()

// clock returns a moment as a number, which is positive also in the virtual time of tests, long before the program began.
func clock(now time.Time) time.Duration { return now.Sub(began) + 1<<61 }

// at returns the slot of a moment, which is not before those of earlier calls; nil when it is too old to count.
func (w *window) at(now time.Time) *slot {
	turn := int64(clock(now) / w.span)
	s := &w.of[turn%slots]
	if s.turn.Load() == turn {
		return s
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if last := s.turn.Load(); last > turn {
		return nil
	} else if last < turn {
		w.clear(s)
		s.turn.Store(turn)
	}
	return s
}

// clear empties a slot. w.mu is held.
func (w *window) clear(s *slot) {
	w.past = w.past.plus(tally{s.calls.Swap(0), s.streams.Swap(0), s.failures.Swap(0), s.slow.Swap(0), time.Duration(s.took.Swap(0))})
}

func (s *slot) tally() tally {
	return tally{s.calls.Load(), s.streams.Load(), s.failures.Load(), s.slow.Load(), time.Duration(s.took.Load())}
}

// sum adds up the last n slots, the present one among them.
func (w *window) sum(now time.Time, n int) tally {
	turn := int64(clock(now) / w.span)
	var t tally
	for i := range w.of {
		s := &w.of[i]
		if last := s.turn.Load(); last > turn-int64(n) {
			t = t.plus(s.tally())
		}
	}
	return t
}

// ever adds up all that was counted since the window was made.
func (w *window) ever() tally {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.past
	for i := range w.of {
		t = t.plus(w.of[i].tally())
	}
	return t
}

// look returns the sum of the whole window, that of its last n slots, and what was counted ever.
func (w *window) look(now time.Time, n int) (whole, late, ever tally) {
	turn := int64(clock(now) / w.span)
	w.mu.Lock()
	defer w.mu.Unlock()
	ever = w.past
	for i := range w.of {
		s := &w.of[i]
		t, age := s.tally(), turn-s.turn.Load()
		ever = ever.plus(t)
		if age < slots {
			whole = whole.plus(t)
		}
		if age < int64(n) {
			late = late.plus(t)
		}
	}
	return whole, late, ever
}

// reset forgets all.
func (w *window) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.of {
		w.clear(&w.of[i])
	}
}
