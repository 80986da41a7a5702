package resilience

import "time"

// queue holds the calls that wait, by priority, each list from its oldest.
type queue struct{ lists [3]ticketList }

type ticketList struct{ first, last *Ticket }

func (q *queue) of(p Priority) *ticketList {
	return &q.lists[min(max(p, Sheddable), Critical)-Sheddable]
}

func (q *queue) push(t *Ticket) {
	l := q.of(t.priority)
	t.prev, t.next = l.last, nil
	if l.last == nil {
		l.first = t
	} else {
		l.last.next = t
	}
	l.last = t
}

func (q *queue) remove(t *Ticket) {
	l := q.of(t.priority)
	if t.prev == nil {
		l.first = t.next
	} else {
		t.prev.next = t.next
	}
	if t.next == nil {
		l.last = t.prev
	} else {
		t.next.prev = t.prev
	}
	t.prev, t.next = nil, nil
}

// oldest returns the oldest call of the least priority, which is at most p; nil: there is none.
func (q *queue) oldest(p Priority) *Ticket {
	for least := Sheddable; least <= p; least++ {
		if t := q.of(least).first; t != nil {
			return t
		}
	}
	return nil
}

// next returns the call whose turn it is, of the highest priority.
func (q *queue) next(latestFirst bool) *Ticket {
	for p := Critical; p >= Sheddable; p-- {
		l := q.of(p)
		switch {
		case l.first == nil:
		case latestFirst:
			return l.last
		default:
			return l.first
		}
	}
	return nil
}

// verdicts are what calls are told when the lock is free again.
type verdicts struct {
	first [8]verdict // most are few
	n     int
	more  []verdict
}

type verdict struct {
	resume Resumer
	shed   Reason
}

func (v *verdicts) add(r Resumer, shed Reason) {
	if v.n < len(v.first) {
		v.first[v.n] = verdict{r, shed}
		v.n++
		return
	}
	v.more = append(v.more, verdict{r, shed})
}

func (v *verdicts) tell() {
	for i := range v.n {
		v.first[i].resume.Resume(v.first[i].shed)
	}
	for _, d := range v.more {
		d.resume.Resume(d.shed)
	}
}

const (
	tickEvery = 20 * time.Millisecond // how often the limiter looks at calls that wait when no call ends

	leastQueue = 1024 // calls, that may wait always; else four times the limit
)

// line puts a call in the queue, or sheds it.
func (l *Limiter) line(now int64, t *Ticket, p Priority, r Resumer) (Turn, Reason) {
	var out verdicts
	l.mu.Lock()
	if l.limit.Load() == unlimited { // since this moment
		l.running.Add(1)
		t.start = now
		l.mu.Unlock()
		return RunsNow, ""
	}
	t.start, t.priority, t.resume = now, p, r
	if l.waiting.Load() >= max(leastQueue, 4*l.limit.Load()) {
		victim := l.queue.oldest(p)
		if victim == nil {
			l.mu.Unlock()
			l.counts.Add(ShedQueue)
			return IsShed, ShedQueue
		}
		l.shed(victim, ShedQueue, &out)
	}
	l.queue.push(t)
	l.waiting.Add(1) // before advance looks at what runs, as Release looks at it after it has changed that
	if l.tick == nil {
		l.tick = time.AfterFunc(tickEvery, l.onTick)
	}
	l.advanceLocked(&out)
	l.mu.Unlock()
	out.tell()
	return Waits, ""
}

// shed takes a call off the queue for good. l.mu is held.
func (l *Limiter) shed(t *Ticket, why Reason, out *verdicts) {
	l.queue.remove(t)
	l.waiting.Add(-1)
	l.counts.Add(why)
	out.add(t.resume, why)
}

// advance lets those run whose turn it is.
func (l *Limiter) advance() {
	var out verdicts
	l.mu.Lock()
	l.advanceLocked(&out)
	l.mu.Unlock()
	out.tell()
}

func (l *Limiter) advanceLocked(out *verdicts) {
	now := l.now()
	l.expire(now, out)
	for limit := l.limit.Load(); ; {
		t := l.queue.next(now < l.lifo)
		if t == nil {
			return
		}
		if limit != unlimited && l.running.Load() >= l.share(limit, t.priority) {
			return
		}
		l.queue.remove(t)
		l.waiting.Add(-1)
		l.running.Add(1)
		t.start = now
		out.add(t.resume, "")
	}
}

// expire sheds those that have waited for too long, once it is proved that the server is overloaded. l.mu is held.
func (l *Limiter) expire(now int64, out *verdicts) {
	if l.judge.phase != limiting || !l.judge.proved {
		return
	}
	for i := range l.queue.lists {
		for t := l.queue.lists[i].first; t != nil && now-t.start > int64(l.cfg.Wait); t = l.queue.lists[i].first {
			l.shed(t, ShedWait, out)
			l.lifo = now + int64(time.Second)
		}
	}
}

// onTick looks after calls that wait while no call ends.
func (l *Limiter) onTick() {
	l.look()
	var out verdicts
	l.mu.Lock()
	l.advanceLocked(&out)
	if l.waiting.Load() > 0 {
		l.tick.Reset(tickEvery)
	} else {
		l.tick = nil
	}
	l.mu.Unlock()
	out.tell()
}
