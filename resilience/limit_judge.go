package resilience

import "time"

// judge is what a limiter knows of its method. It reckons with means: by Little's law the calls that run are their rate times their
// latency, whatever the latencies of single calls are like, so that the mean latency follows from two counts. limiter.mu is held.
type judge struct {
	phase   limitPhase
	ease    time.Duration // what calls take at ease; 0: not known yet
	latency time.Duration // at the last look

	began int64 // of the window, or of the trial's part
	until int64 // and its end, unless it says enough before
	area  int64 // the integral of the running calls over the window
	last  int64 // when area was added to

	before  time.Duration // the latency before the limit was reduced; 0: it was not
	beyond  float64       // and how many calls ran then
	slow    time.Duration // the latency of those that had ended when a trial began
	proved  bool          // that fewer calls are faster: else nothing is shed for its age
	tried   int64         // when the last trial began
	rate    float64       // of the calls that ended before, per ns
	doubted bool          // since, a reduction did not show it
	quiet   int64         // no trial begins before
	pause   time.Duration // after the next trial that finds nothing
	hurried int64         // when calls waited last
	skip    int64         // what ended before then ran under another limit
}

type limitPhase int8

const (
	atEase    limitPhase = iota
	draining             // a trial has begun: until a third of the calls run
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
	minSamples  = 8                      // calls, that say something about the latency
	proofCalls  = 32                     // calls, that can prove something
	lookEvery   = 100 * time.Millisecond // while it limits; more when calls take longer
	shortest    = 20 * time.Millisecond  // what can be measured
	longest     = time.Second            // calls that take longer wait for something
	lastProof   = 10 * time.Second       // after a trial began: what was not proved then is not so
	calmFor     = time.Second            // without calls that wait, until the limit is lifted
	firstPause  = time.Second            // after a trial that found nothing
	lastPause   = time.Minute
	keptRate    = 0.5  // of the calls that ended before fewer ran: as many end, but for those that end abreast
	proof       = 0.6  // of the gain in latency that fewer calls promise must show
	growth      = 1.25 // of the limit, from window to window, at most
	crowd       = 16   // calls at once are the fewest that a trial is worth
	saturation  = 0.8  // of the limit in use: it holds calls back
	overTheMark = 1.2  // of the latency that is aimed at
)

// Why a limiter changes its mind.
const (
	LimitTrial   Reason = "limit-trial"   // calls are slow: let a third of them run and see
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
		latency, mean, ok := l.measured(now)
		switch {
		case running <= l.limit.Load():
			j.before, j.beyond = j.slow, 3*float64(l.limit.Load())
			if ok {
				j.before, j.beyond = latency, mean
			}
			j.slow = max(j.slow, j.before)
			l.enter(settling, now, j.slow*5/4)
		case ok && now >= j.began+2*int64(max(j.slow, lookEvery)) && shows(l.aim(), latency): // those that run do not end: there are more than the server can work at
			l.reach(now, mean, latency)
		default:
			l.due.Store(now + int64(shortest)/4)
		}
	case settling:
		if now >= l.due.Load() {
			l.enter(measuring, now, max(j.slow*5/2, shortest)) // calls that run abreast end in it twice or three times
		}
	case measuring:
		if now >= l.due.Load() {
			l.conclude(now)
		}
	case limiting:
		switch {
		case !j.proved && now-j.tried > int64(lastProof):
			l.deny(now, j.latency)
		case j.skip != 0 && now >= j.skip:
			lasts := max(time.Duration(now-j.began), lookEvery/2)
			if j.before > 0 {
				lasts = lasts * 5 / 2
			}
			l.enter(limiting, now, lasts)
			if j.before > 0 { // it may say enough before it ends
				l.due.Store(now + int64(min(lasts, lookEvery)))
			}
		case j.skip == 0 && now >= l.due.Load():
			l.stepLimiting(now)
		}
	}
}

// enter begins a part of a trial, or a window.
func (l *Limiter) enter(p limitPhase, now int64, lasts time.Duration) {
	j := &l.judge
	l.equal.Store(p != limiting)
	j.phase, j.began, j.area, j.last, j.skip = p, now, 0, now, 0
	l.total += uint64(l.count.Swap(0))
	l.sum.Store(0)
	l.other.Store(0)
	j.until = now + int64(lasts)
	l.due.Store(j.until)
}

func (l *Limiter) stepAtEase(now, running int64) {
	j := &l.judge
	n := l.count.Load()
	if n < minSamples {
		return
	}
	latency := time.Duration(l.sum.Load() / n)
	j.latency = latency
	if j.ease == 0 || latency < j.ease {
		j.ease = latency
	}
	next, rate := latency, float64(n+l.other.Load())/float64(now-j.began)
	if took := time.Duration(now - j.began); took < 4*j.window() { // calls that come now take as long as those that run have for all of them
		next = max(next, time.Duration(running)*took/time.Duration(n+l.other.Load()))
	}
	l.enter(atEase, now, j.window())
	late := max(2*j.ease, j.ease+l.cfg.Delay)
	if latency <= late && next <= max(late, 6*j.ease) { // a third of so few is less than at ease, which shows nothing
		return
	}
	if next > max(longest, min(40*j.ease, 10*longest)) || latency > longest || running < max(crowd, 2*int64(l.cfg.Least)) || now < j.quiet {
		return
	}
	j.slow, j.proved, j.doubted, j.tried, j.rate = latency, false, false, now, rate
	l.counts.Add(LimitTrial)
	l.limit.Store(running / 3)
	l.enter(draining, now, 0)
}

// window is how long one is at ease: so long that calls that run abreast end in it once.
func (j *judge) window() time.Duration { return max(shortest, j.ease*3/2) }

// measured returns the mean latency of the window and how many calls ran; ok is false when too few ended.
func (l *Limiter) measured(now int64) (latency time.Duration, running float64, ok bool) {
	j := &l.judge
	ended := l.count.Load() + l.other.Load()
	if ended < minSamples || now == j.began {
		return 0, float64(j.area) / float64(max(now-j.began, 1)), false
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
	case !ok || !j.proven(latency, running):
		l.deny(now, latency)
	default:
		j.proved = true
		l.reach(now, running, latency)
	}
}

// proven reports whether calls have become as much faster by a reduction as they do in an overloaded server.
func (j *judge) proven(latency time.Duration, running float64) bool {
	promised := float64(j.before) * (1 - running/j.beyond)
	return float64(j.before-latency) >= proof*promised
}

// evident is proven for a window that has not ended. So many calls have ended, one after another, that it does not matter how far those
// were that ran when it began; they are twice as fast at least; and as many end as did before: where calls wait for something, it would be
// fewer, in proportion to those that run.
func (j *judge) evident(now, ended int64, latency time.Duration, running float64) bool {
	took := now - j.began
	return ended >= proofCalls && took >= 5*int64(latency) && 2*latency <= j.before && float64(ended) >= keptRate*j.rate*float64(took) && j.proven(latency, running)
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
	l.enter(atEase, now, l.judge.window())
}

// aim is the latency that an overloaded server is brought back to.
func (l *Limiter) aim() time.Duration {
	return max(2*l.judge.ease, l.judge.ease+l.cfg.Delay/2)
}

// reach finds the server overloaded: with so many calls running they take so long.
func (l *Limiter) reach(now int64, running float64, latency time.Duration) {
	j := &l.judge
	j.pause = 0
	j.latency = latency
	j.hurried = now
	l.counts.Add(LimitReached)
	l.set(now, running, running*min(1, float64(l.aim())/float64(latency)), latency)
}

// shows reports whether a reduction is large enough to show something.
func shows[N time.Duration | float64](to, from N) bool { return float64(to) < 0.75*float64(from) }

// set changes the limit, and begins the next window when what ran before has gone.
func (l *Limiter) set(now int64, running, to float64, latency time.Duration) {
	j := &l.judge
	to = max(to, float64(l.cfg.Least))
	j.before = 0
	if shows(to, running) {
		j.before, j.beyond = latency, running
	}
	l.limit.Store(int64(to))
	l.enter(limiting, now, latency)
	j.skip = now + int64(latency)
}

func (l *Limiter) stepLimiting(now int64) {
	j := &l.judge
	limit := l.limit.Load()
	latency, running, ok := l.measured(now)
	ended := l.count.Load() + l.other.Load()
	saturated := running >= saturation*float64(limit)
	if now < j.until && !(saturated && j.evident(now, ended, latency, running)) {
		l.due.Store(min(j.until, now+int64(lookEvery)))
		return
	}
	if !ok && !saturated && now-j.hurried >= int64(calmFor) {
		l.lift(now)
		return
	}
	if !ok {
		l.due.Store(now + int64(shortest))
		return
	}
	j.latency = latency
	shown := j.before > 0 && running < 0.9*j.beyond // what a reduction does
	if shown && ended < proofCalls {
		l.due.Store(now + int64(shortest))
		return
	}
	if saturated && shown && j.proven(latency, running) {
		j.proved, j.doubted, shown = true, false, false
	}
	switch old, ratio := float64(limit), float64(l.aim())/float64(latency); {
	case saturated && shown && (!j.proved || j.doubted):
		l.deny(now, latency)
	case saturated && shown:
		j.doubted = true
		l.set(now, running, old, latency)
	case !saturated && now-j.hurried >= int64(calmFor):
		l.lift(now)
	case !saturated:
		j.before = 0
		l.enter(limiting, now, lookEvery)
	case ratio < 1/overTheMark:
		l.set(now, running, old*max(ratio, 0.5), latency)
	default:
		l.set(now, running, old+max(1, old*(min(ratio, growth)-1)), latency)
	}
}
