package resilience

import (
	"cmp"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Limit says when a method of a server counts as overloaded and what becomes of the calls that are too many. There is no number of calls
// to guess: a [Limiter] finds it from the latency. Streams are not limited, for they live as long as they like, nor are the calls of
// siblings in the same process, which were let in at its edge.
type Limit struct {
	// Delay is how much longer than at ease the calls of a method may take before it may count as overloaded; twice as long as at ease
	// is never too long. A server that is overloaded is brought back below half of it. Default: 100 ms. -1: never limited.
	Delay time.Duration

	// Wait is how long a call may wait for its turn; the oldest is shed. Default: 500 ms.
	Wait time.Duration

	// Least is how many calls of a method may run at once whatever their latency. Default: 8.
	Least int
}

var defaultLimit = Limit{Delay: 100 * time.Millisecond, Wait: 500 * time.Millisecond, Least: 8}

func (l Limit) check() error {
	return errors.Join(notBelow("Limit.Delay", l.Delay), positive("Limit.Wait", l.Wait), positive("Limit.Least", l.Least))
}

// A Limiter bounds how many calls of one method run at once, when more would only make all of them slower. Most of the time it does
// nothing but count, at the cost of a few atomic additions a call:
//
//   - At ease there is no limit, however many calls run and however long they take: 10,000 handlers that wait for something are no load.
//     The limiter learns how long calls take.
//   - When calls take much longer than at ease, it makes an experiment before it believes that the server is overloaded: for a moment
//     it lets only a third of them run; the others wait, and none is shed. In an overloaded server fewer calls are as much
//     fast. Where they are not, the calls are just slow now: that becomes the new ease, and the next experiment is a while off.
//   - Else it limits: the limit follows the gradient of the latency, so that the server is busy and its calls are quick. The others
//     wait for their turn, critical ones first. Who waits too long, or is the oldest when too many wait, is shed. While calls are
//     shed, the latest come first, because their callers are still there. Each reduction must prove itself like the first.
//   - When no call has waited for a second, it is at ease again.
//
// A method whose calls take over a second is never limited: it waits for something, as a long poll does.
//
// Calls that end with an error, other than DeadlineExceeded, say nothing about the latency. Use [NewLimiter]. Its methods are safe for
// concurrent use.
type Limiter struct {
	cfg    Limit
	counts *Counts
	began  time.Time

	running atomic.Int64 // calls that are let in and have not ended
	limit   atomic.Int64 // how many Normal ones may run; 0: as many as there are
	equal   atomic.Bool  // the limit is the same for all priorities: during a trial
	waiting atomic.Int64 // the length of the queue

	count atomic.Int64 // of the window: calls that ended well,
	sum   atomic.Int64 // the time that they took,
	other atomic.Int64 // and those that ended otherwise
	due   atomic.Int64 // when there is something to do

	mu     sync.Mutex
	queue  queue
	tick   *time.Timer // runs while calls wait
	lifo   int64       // until when the latest calls come first
	judge  judge
	total  uint64 // calls that ended in earlier windows
	closed bool
}

// NewLimiter returns a limiter for the calls of one method. Zero fields of cfg are their defaults. What it does is counted in counts,
// which may be nil.
func NewLimiter(cfg Limit, counts *Counts) *Limiter {
	cfg.Delay, cfg.Wait, cfg.Least = cmp.Or(cfg.Delay, defaultLimit.Delay), cmp.Or(cfg.Wait, defaultLimit.Wait), cmp.Or(cfg.Least, defaultLimit.Least)
	if counts == nil {
		counts = new(Counts)
	}
	return &Limiter{cfg: cfg, counts: counts, began: time.Now()}
}

// Ticket is the place of one call. It must not be copied while the call runs or waits; it may be used again after.
type Ticket struct {
	start      int64 // when it was let in or, in the queue, came
	priority   Priority
	resume     Resumer
	prev, next *Ticket
}

// Resumer is told what becomes of a call that has waited for its turn: nil lets it run, else it is shed for the reason. It is called once,
// on any goroutine, and must not block.
type Resumer interface{ Resume(shed Reason) }

// Turn is the answer to a call that comes.
type Turn int8

const (
	RunsNow Turn = iota // it may run, and is released when it has ended
	Waits               // its Resumer hears
	IsShed              // it may not run
)

// Why a limiter sheds calls.
const (
	ShedQueue Reason = "shed-queue-full" // too many calls waited, and this one was the oldest of the least priority, or the newest of less
	ShedWait  Reason = "shed-waited"     // it has waited for longer than Limit.Wait
)

// unlimited is a limit that was not set.
const unlimited = 0

func (l *Limiter) now() int64 { return l.at(time.Now()) }

func (l *Limiter) at(now time.Time) int64 { return int64(now.Sub(l.began)) }

// share is how much of a limit calls of a priority may use up.
func (l *Limiter) share(limit int64, p Priority) int64 {
	switch {
	case l.equal.Load():
		return limit
	case p > Normal:
		return 2 * limit
	case p < Normal:
		return max(limit*3/4, 1)
	}
	return limit
}

// Take asks for a call's turn, now. It does not block. When it says RunsNow, or Waits and r hears nil, [Limiter.Release] must follow. why is
// set when the call is shed.
func (l *Limiter) Take(now time.Time, t *Ticket, p Priority, r Resumer) (turn Turn, why Reason) {
	if l.TryTake(now, t, p) {
		return RunsNow, ""
	}
	return l.line(l.at(now), t, p, r)
}

// TryTake is Take for a call that does not want to wait, or not yet: it reports whether the call may run now.
func (l *Limiter) TryTake(now time.Time, t *Ticket, p Priority) bool {
	n := l.running.Add(1)
	if limit := l.limit.Load(); limit == unlimited || n <= l.share(limit, p) && l.waiting.Load() == 0 {
		t.start = l.at(now)
		return true
	}
	l.running.Add(-1)
	return false
}

// Release gives the turn back, now. told says that the latency of the call means something.
func (l *Limiter) Release(now time.Time, t *Ticket, told bool) {
	is := l.at(now)
	if told {
		l.sum.Add(is - t.start)
		l.count.Add(1)
	} else {
		l.other.Add(1)
	}
	l.running.Add(-1)
	if l.waiting.Load() > 0 {
		l.advance()
	}
	if is >= l.due.Load() {
		l.look()
	}
}

// LimiterState is a snapshot of a limiter.
type LimiterState struct {
	State   string        `json:"state"`           // "at ease", "trying" or "limiting"
	Limit   int           `json:"limit,omitempty"` // of calls that run; 0: none
	Running int           `json:"running"`
	Waiting int           `json:"waiting"`
	Ease    time.Duration `json:"ease_ns"`    // what calls take at ease
	Latency time.Duration `json:"latency_ns"` // what they took at the last look
	Done    uint64        `json:"done"`       // calls whose latency counted
}

// State returns a snapshot.
func (l *Limiter) State() LimiterState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return LimiterState{
		State: l.judge.phase.String(), Limit: int(l.limit.Load()), Running: int(l.running.Load()), Waiting: int(l.waiting.Load()),
		Ease: l.judge.ease, Latency: l.judge.latency, Done: l.total + uint64(l.count.Load()),
	}
}

// Close lets all run, those that wait and those that come: for a limit that was switched off.
func (l *Limiter) Close() {
	var out verdicts
	l.mu.Lock()
	l.closed = true
	l.judge.phase = atEase
	l.limit.Store(unlimited)
	l.advanceLocked(&out)
	l.mu.Unlock()
	out.tell()
}
