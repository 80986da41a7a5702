package resilience

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Outliers watches the instances of one service and ejects those that are worse than the others: it follows an [Outlier]. The zero value
// follows the defaults. Its methods are safe for concurrent use.
//
// It has no timer and no goroutine of its own: Check, called when a call begins, does what is due.
type Outliers struct {
	Counts *Counts // counts what it does; nil: nobody does. Set before use

	config atomic.Pointer[Outlier] // resolved; nil: the defaults
	due    atomic.Int64            // the next look at all, by clock

	mu  sync.Mutex
	all []*Watched

	// Of all, at the last look:
	looks   time.Time // when that was
	sum     tally
	lateSum tally
	ever    tally           // all that was counted until then, also of those that are gone
	means   []time.Duration // those of each, in order

	gone tally // what was counted of those that are gone
}

const (
	outlierWindow = 10 * time.Second
	lateSlots     = 2 // of the window: what an instance does now
	outlierEvery  = 250 * time.Millisecond
	outlierFresh  = 10 * time.Millisecond // how old a look may be that ejects an instance

	manyRated   = 20                    // calls of the peers lately, for which those before count no more
	minFailures = 5                     // failures for an error rate
	certainty   = 5                     // the evidence that it takes of one call
	fewFailures = 0.05                  // share of the peers' calls, next to which one failure on trial counts
	minTimed    = 5                     // calls for a latency
	minSlower   = 20 * time.Millisecond // than the peers
	probation   = 3                     // calls that must go well before the share grows
	firstShare  = 0.1                   // of the calls, after them
)

// Set makes it follow another policy. Instances that are ejected stay so, unless ejection is off now.
func (o *Outliers) Set(p Outlier) {
	p = under(p, defaultOutlier)
	o.config.Store(&p)
	o.due.Store(0)
}

func (o *Outliers) policy() *Outlier {
	if p := o.config.Load(); p != nil {
		return p
	}
	p := under(Outlier{}, defaultOutlier)
	o.config.CompareAndSwap(nil, &p)
	return o.config.Load()
}

// Watch begins to watch an instance, until Forget.
func (o *Outliers) Watch(name string) *Watched {
	w := &Watched{name: name, outliers: o}
	w.window.span = outlierWindow / slots
	w.slowAbove.Store(-1)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, w)
	return w
}

// Forget ends the watch of an instance that is gone.
func (o *Outliers) Forget(w *Watched) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = slices.DeleteFunc(o.all, func(x *Watched) bool { return x == w })
	o.gone = o.gone.plus(w.window.ever())
	w.gone = true
	o.due.Store(0)
}

// Check looks at all instances, at most four times a second. It reports whether [Watched.Ejected] has changed for one. It is cheap when
// nothing is due.
func (o *Outliers) Check(now time.Time) (changed bool) {
	is, due := int64(clock(now)), o.due.Load()
	if is < due || !o.due.CompareAndSwap(due, is+int64(outlierEvery)) {
		return false
	}
	p := o.policy()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.look(now)
	for _, w := range o.all {
		if w.phase.Load() == ejected && (!now.Before(w.until) || p.MaxEjected < 0) {
			w.comeBack(now)
			changed = true
		}
		if o.judge(w, now, p) {
			changed = true
		}
	}
	return changed
}

// look measures the instances, for the comparison of each with the others. o.mu is held.
func (o *Outliers) look(now time.Time) {
	o.looks, o.sum, o.lateSum, o.ever, o.means = now, tally{}, tally{}, o.gone, o.means[:0]
	for _, w := range o.all {
		w.seen, w.late, w.ever = w.window.look(now, lateSlots)
		o.sum, o.lateSum, o.ever = o.sum.plus(w.seen), o.lateSum.plus(w.late), o.ever.plus(w.ever)
		if w.seen.took > 0 {
			o.means = append(o.means, w.seen.mean())
		}
	}
	slices.Sort(o.means)
	p := o.policy()
	for _, w := range o.all {
		limit := time.Duration(-1)
		if peer := o.peerMean(w); peer > 0 && p.Slow > 0 {
			limit = time.Duration(float64(peer)*p.Slow) + minSlower
		}
		w.slowAbove.Store(int64(limit))
	}
}

// peerMean is the median of the average times of w's peers; 0 when there is none. o.mu is held.
func (o *Outliers) peerMean(w *Watched) time.Duration {
	n := len(o.means)
	own := -1
	if w.seen.took > 0 {
		own = slices.Index(o.means, w.seen.mean())
		n--
	}
	if n <= 0 {
		return 0
	}
	middle := (n - 1) / 2 // of the peers: of two in the middle the quicker
	if own >= 0 && middle >= own {
		middle++
	}
	return o.means[middle]
}

// judge ejects w if it is an outlier, and reports whether it did. o.mu is held.
func (o *Outliers) judge(w *Watched, now time.Time, p *Outlier) bool {
	if w.gone || w.phase.Load() == ejected || p.MaxEjected < 0 {
		return false
	}
	why := o.reason(w, now, p)
	if why == "" {
		w.spared = false
		return false
	}
	out := 0
	for _, x := range o.all {
		if x.phase.Load() == ejected {
			out++
		}
	}
	if len(o.all) == 1 || (out+1)*100 > len(o.all)*p.MaxEjected {
		if !w.spared {
			w.spared = true
			o.count(EjectionSpare)
		}
		return false
	}
	o.look(now) // its peers may do the same meanwhile
	if why = o.compare(w, now, p); why == "" {
		return false
	}
	w.eject(now, why, p)
	o.count(why)
	return true
}

// reason says why w is an outlier; "": it is none. o.mu is held.
func (o *Outliers) reason(w *Watched, now time.Time, p *Outlier) Reason {
	if now.Sub(o.looks) > outlierEvery {
		o.look(now)
	}
	why := o.compare(w, now, p)
	if why != "" && now.Sub(o.looks) > outlierFresh { // its peers may do the same meanwhile
		o.look(now)
		why = o.compare(w, now, p)
	}
	return why
}

// lapse keeps a failure of w, for failing. o.mu is held.
func (o *Outliers) lapse(w *Watched, now time.Time) {
	if now.Sub(o.looks) > time.Duration(len(o.all))*100*time.Microsecond {
		o.look(now)
	}
	w.lapses.add(lapse{now, w.window.ever().all() - 1, o.ever.minus(w.ever)})
}

// compare is reason by what was seen at the last look. o.mu is held.
func (o *Outliers) compare(w *Watched, now time.Time, p *Outlier) Reason {
	trial := w.phase.Load() == onTrial
	lately := o.lateSum.minus(w.late) // of its peers
	if why := o.failing(w, now, p, trial, lately); why != "" {
		return why
	}
	ownLately := w.window.sum(now, lateSlots)
	slow := share(ownLately.slow, ownLately.calls)
	// What counts as slow was known before its calls; the peers may have become as slow since then.
	if p.Slow > 0 && (ownLately.calls >= minTimed || trial && ownLately.calls > 0) && slow >= 0.5 && slow >= 3*share(lately.slow, lately.calls) &&
		ownLately.mean() >= 2*lately.mean() {
		return EjectedSlow
	}
	if p.Stall > 0 && o.stalled(w, now, p, trial) {
		return EjectedStall
	}
	return ""
}

// failing says why w fails too often; "": it does not. Its latest failures count, few or many of them, with the calls since the first: so
// calls that went well before do not hide that it fails now, and it matters little how many calls it gets. What it did is compared with
// what its peers did since then, lately, or since one of its earlier failures, whatever was worst, and must not look like chance. o.mu
// is held.
func (o *Outliers) failing(w *Watched, now time.Time, p *Outlier, trial bool, lately tally) Reason {
	if lately.all() < manyRated {
		lately = o.sum.minus(w.seen)
	}
	row := int(w.row.Load())
	if p.Consecutive > 0 && trial && row > 0 && lately.failing() < fewFailures {
		return EjectedFailed
	}
	rate := float64(p.ErrorRate) / 100
	healthy := rate / 10 // so much at least an instance may fail
	if p.ErrorRate < 0 {
		rate, healthy = math.Inf(1), float64(defaultOutlier.ErrorRate)/1000
	}
	calls, peers, peersRate := w.window.ever().all(), o.ever.minus(w.ever), lately.failing()
	enough := certainty + math.Log(float64(max(w.seen.all(), 1))) // each call is another chance to look bad by chance
	for k := w.lapses.known(); k > 0; k-- {
		first := w.lapses.last(k)
		if now.Sub(first.at) >= outlierWindow || !o.looks.After(first.at) {
			continue
		}
		meanwhile := peers.minus(first.peers)
		peersRate = max(peersRate, meanwhile.failing())
		n := max(calls-first.own, int64(k))
		own := share(int64(k), n)
		inRow := p.Consecutive > 0 && k >= p.Consecutive && k <= row
		switch {
		case inRow && peersRate == 0:
			return EjectedFailed
		case !inRow && (k < minFailures || own < rate || own < 3*peersRate):
			continue
		}
		likely := max(healthy, peersRate)
		if n := meanwhile.all(); n > 0 { // few calls say little
			likely = max(likely, (float64(meanwhile.failures)+0.5)/float64(n+1))
		}
		switch {
		case evidence(int64(k), n, likely) < enough:
		case inRow:
			return EjectedFailed
		default:
			return EjectedErrors
		}
	}
	return ""
}

// stalled reports whether w gives no answer while its peers do. o.mu is held.
func (o *Outliers) stalled(w *Watched, now time.Time, p *Outlier, trial bool) bool {
	unanswered := w.pending.Load()
	if unanswered == 0 || unanswered == 1 && !trial {
		return false
	}
	wait := p.Stall
	if peer := o.peerMean(w); peer == 0 {
		return false
	} else if p.Slow > 0 {
		wait = max(wait, time.Duration(float64(peer)*p.Slow))
	}
	if clock(now)-time.Duration(w.silent.Load()) < wait {
		return false
	}
	// When nobody answers, they all do the same.
	return slices.ContainsFunc(o.all, func(x *Watched) bool {
		return x != w && clock(now)-time.Duration(x.answered.Load()) < wait/2
	})
}

func (o *Outliers) count(r Reason) {
	if o.Counts != nil {
		o.Counts.Add(r)
	}
}

// State returns what is known of each instance.
func (o *Outliers) State(now time.Time) []WatchedState {
	o.mu.Lock()
	defer o.mu.Unlock()
	states := make([]WatchedState, len(o.all))
	for i, w := range o.all {
		states[i] = w.state(now)
	}
	return states
}
