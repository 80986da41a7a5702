package resilience

import "time"

// judge is what a limiter knows of its method. It reckons with means: by Little's law the calls that run are their rate times their
// latency, whatever the latencies of single calls are like, so that the mean latency follows from two counts. limiter.mu is held.
type judge struct {
	phase   limitPhase
	ease    time.Duration // what calls take at ease; 0: not known yet
	latency time.Duration // at the last look

	began int64 // of the window, or of the trial's part
	area  int64 // the integral of the running calls over the window
	last  int64 // when area was added to

	before  time.Duration // the latency before the limit was reduced; 0: it was not
	beyond  int64         // and how many calls ran then
	quiet   int64         // no trial begins before
	pause   time.Duration // after the next trial that finds nothing
	hurried int64         // when calls waited last
	skip    int64         // what ended before then ran under another limit
}

type limitPhase int8

const (
	atEase    limitPhase = iota
	draining             // a trial has begun: until half as many calls run
	settling             // until what ran before has gone
	measuring            // the trial itself
	limiting             // the server is overloaded
)

func (p limitPhase) String() string {
	switch p {
	case atEase:
		return "at ease"
	case limiting:
		return "limiting"
	}
	return "trying"
}

const (
	minSamples  = 8                      // that say something about the latency
	lookEvery   = 100 * time.Millisecond // at ease
	shortest    = 20 * time.Millisecond  // what can be measured
	longest     = time.Second            // calls that take longer wait for something
	calmFor     = time.Second            // without calls that wait, until the limit is lifted
	firstPause  = time.Second            // after a trial that found nothing
	lastPause   = time.Minute
	proof       = 0.5  // of the gain in latency that fewer calls promise must show
	growth      = 1.25 // of the limit, from window to window, at most
	crowd       = 16   // calls at once are the fewest that a trial is worth
	saturation  = 0.8  // of the limit in use: it holds calls back
	overTheMark = 1.05 // of the latency that is aimed at
)

// Why a limiter changes its mind.
const (
	LimitTrial   Reason = "limit-trial"   // calls are slow: let half as many run and see
	LimitNone    Reason = "limit-none"    // they were slow all the same
	LimitReached Reason = "limit-reached" // the server is overloaded
	LimitLifted  Reason = "limit-lifted"  // it is not any more
)

// look goes on with what the limiter does at this time. Who is not alone leaves it to the other.
func (l *Limiter) look() {
	if !l.mu.TryLock() {
		return
	}
	var out verdicts
	if !l.closed {
		l.step(l.now())
		l.advanceLocked(&out)
	}
	l.mu.Unlock()
	out.tell()
}

func (l *Limiter) step(now int64) {
	j := &l.judge
	running := l.running.Load()
	j.area += running * (now - j.last)
	j.last = now
	if l.waiting.Load() > 0 {
		j.hurried = now
	}
	switch j.phase {
	case atEase:
		l.stepAtEase(now, running)
	case draining:
		switch patience := j.began + 2*int64(j.before); {
		case running <= l.limit.Load():
			l.enter(settling, now, j.before)
		case now >= patience: // what runs does not end: there is more than the server can do
			l.reach(now, l.limit.Load(), time.Duration(float64(j.before)*proof))
		default:
			l.due.Store(now + int64(shortest)/4)
		}
	case settling:
		if now >= l.due.Load() {
			l.enter(measuring, now, max(j.before, shortest))
		}
	case measuring:
		if now >= l.due.Load() {
			l.conclude(now)
		}
	case limiting:
		switch {
		case j.skip != 0 && now >= j.skip:
			l.enter(limiting, now, max(time.Duration(now-j.began), lookEvery/2))
		case j.skip == 0 && now >= l.due.Load():
			l.stepLimiting(now)
		}
	}
}

// enter begins a part of a trial, or a window.
func (l *Limiter) enter(p limitPhase, now int64, lasts time.Duration) {
	j := &l.judge
	j.phase, j.began, j.area, j.last, j.skip = p, now, 0, now, 0
	l.total += uint64(l.count.Swap(0))
	l.sum.Store(0)
	l.other.Store(0)
	l.due.Store(now + int64(lasts))
}

func (l *Limiter) stepAtEase(now, running int64) {
	j := &l.judge
	n := l.count.Load()
	if n < minSamples {
		return
	}
	latency := time.Duration(l.sum.Load() / n)
	all := n + l.other.Load()
	j.latency = latency
	if j.ease == 0 || latency < j.ease {
		j.ease = latency
	}
	coming := min(time.Duration(running*(now-j.began)/all), 4*latency) // what calls take that come now
	l.enter(atEase, now, lookEvery)
	if latency <= max(2*j.ease, j.ease+l.cfg.Delay) || latency > longest || running < max(crowd, 2*int64(l.cfg.Least)) || now < j.quiet {
		return
	}
	j.before, j.beyond = max(latency, coming), running
	l.counts.Add(LimitTrial)
	l.limit.Store(running / 2)
	l.enter(draining, now, 0)
}

// measured returns the mean latency of the window and how many calls ran; ok is false when none ended.
func (l *Limiter) measured(now int64) (latency time.Duration, running float64, ok bool) {
	j := &l.judge
	ended := l.count.Load() + l.other.Load()
	if ended == 0 || now == j.began {
		return 0, 0, false
	}
	return time.Duration(j.area / ended), float64(j.area) / float64(now-j.began), true
}

// conclude ends a trial.
func (l *Limiter) conclude(now int64) {
	j := &l.judge
	latency, running, ok := l.measured(now)
	limit := l.limit.Load()
	switch {
	case ok && running < saturation*float64(limit): // the calls have gone elsewhere
		l.lift(now)
	case !ok || !j.proven(latency, limit):
		l.deny(now, latency)
	default:
		l.reach(now, limit, latency)
	}
}

// proven reports whether calls have become as much faster by a reduction as they do in an overloaded server.
func (j *judge) proven(latency time.Duration, limit int64) bool {
	promised := float64(j.before) * (1 - float64(limit)/float64(j.beyond))
	return float64(j.before-latency) >= proof*promised
}

// deny learns that calls are slow though nothing holds them up.
func (l *Limiter) deny(now int64, latency time.Duration) {
	j := &l.judge
	j.ease = max(j.ease, j.before, latency)
	j.pause = min(max(2*j.pause, firstPause), lastPause)
	j.quiet = now + int64(j.pause)
	l.counts.Add(LimitNone)
	l.calm(now)
}

func (l *Limiter) lift(now int64) {
	l.counts.Add(LimitLifted)
	l.calm(now)
}

func (l *Limiter) calm(now int64) {
	l.judge.before = 0
	l.limit.Store(unlimited)
	l.enter(atEase, now, lookEvery)
}

// aim is the latency that an overloaded server is brought back to.
func (l *Limiter) aim() time.Duration {
	return max(2*l.judge.ease, l.judge.ease+l.cfg.Delay/2)
}

// reach finds the server overloaded: with so many calls running they take so long.
func (l *Limiter) reach(now, limit int64, latency time.Duration) {
	j := &l.judge
	j.pause = 0
	j.latency = latency
	j.hurried = now
	l.counts.Add(LimitReached)
	l.set(now, limit, int64(float64(limit)*min(1, float64(l.aim())/float64(latency))), latency)
}

// set changes the limit, and begins the next window when what ran under the old one has gone.
func (l *Limiter) set(now, from, to int64, latency time.Duration) {
	j := &l.judge
	to = max(to, int64(l.cfg.Least))
	j.before = 0
	if float64(to) < 0.9*float64(from) {
		j.before, j.beyond = latency, from
	}
	l.limit.Store(to)
	l.enter(limiting, now, latency)
	j.skip = now + int64(latency)
}

func (l *Limiter) stepLimiting(now int64) {
	j := &l.judge
	limit := l.limit.Load()
	latency, running, ok := l.measured(now)
	if !ok {
		l.enter(limiting, now, lookEvery)
		return
	}
	j.latency, j.ease = latency, min(j.ease, latency)
	saturated := running >= saturation*float64(limit)
	switch ratio := float64(l.aim()) / float64(latency); {
	case saturated && j.before > 0 && !j.proven(latency, limit):
		l.deny(now, latency)
	case !saturated && now-j.hurried >= int64(calmFor):
		l.lift(now)
	case !saturated:
		j.before = 0
		l.enter(limiting, now, lookEvery)
	case ratio < 1/overTheMark:
		l.set(now, limit, int64(float64(limit)*max(ratio, 0.5)), latency)
	default:
		l.set(now, limit, limit+max(1, int64(float64(limit)*(min(ratio, growth)-1))), latency)
	}
}
