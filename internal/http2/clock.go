package http2

import (
	"math/rand/v2"
	"time"
)

// The connection's one timer. It looks at the times that the other goroutines note, so that they need no timers of their own.

// drainWait is how long the answer to the PING of a drain may take before the last GOAWAY is sent all the same.
const drainWait = 5 * time.Second

// clock is what tick remembers.
type clock struct {
	pinged     int64  // when a keepalive PING was sent; 0: nothing is waited for
	drainSince int64  // when the first GOAWAY was sent
	idleSince  int64  // since when no stream has been open, as far as tick knows; 0: one is
	idleID     uint32 // the highest stream that had been opened then
	age        time.Duration
	aged       int64 // when that was reached
}

// arm sets the timer for the first time that something may be due. The lock is held.
func (c *Conn) arm() {
	if c.broken {
		return
	}
	poll := min(c.cfg.HeaderTimeout, c.cfg.StallTimeout, c.cfg.HandshakeTimeout) / 2
	wait := min(poll, c.cfg.IdleTimeout/2)
	now := c.now()
	until := func(since int64, limit time.Duration) {
		wait = min(wait, max(limit-time.Duration(now-since), 0))
	}
	if c.clock.pinged != 0 {
		until(c.clock.pinged, c.cfg.KeepaliveTimeout)
	} else if c.cfg.KeepaliveTime < noLimit {
		until(c.lastRead.Load(), c.cfg.KeepaliveTime)
	}
	switch c.draining {
	case drainNot:
		until(0, c.clock.age)
	case drainTold:
		until(c.clock.drainSince, drainWait)
	}
	if c.clock.aged != 0 {
		until(c.clock.aged, c.cfg.MaxAgeGrace)
	}
	c.timer.Reset(max(wait, minTick))
}

// minTick keeps the timer from spinning when what is due waits for another goroutine.
const minTick = time.Millisecond

// jitter spreads d by a tenth, so that connections made together do not end together.
func jitter(d time.Duration) time.Duration {
	if d >= noLimit {
		return d
	}
	return d - d/10 + rand.N(d/5+1)
}

// tick is what the timer calls.
func (c *Conn) tick() {
	c.mu.Lock()
	if c.broken {
		c.mu.Unlock()
		return
	}
	err := c.overdue()
	if err == nil {
		c.arm()
	}
	c.mu.Unlock()
	if err != nil {
		c.fail(err)
	}
}

// overdue does what is due, and says what is overdue.
func (c *Conn) overdue() *ConnError {
	now := c.now()
	over := func(since int64, limit time.Duration) bool { return time.Duration(now-since) >= limit }
	late := func(format string, limit time.Duration) *ConnError { return connError(EnhanceYourCalm, format, limit) }

	if !c.settled.Load() && over(0, c.cfg.HandshakeTimeout) {
		err := late("no HTTP/2 preface and SETTINGS within %v", c.cfg.HandshakeTimeout)
		err.Code = SettingsTimeout
		return err
	}
	if since := c.partial.Load(); since != 0 && over(since, c.cfg.HeaderTimeout) {
		return late("the rest of a frame or header block did not come within %v", c.cfg.HeaderTimeout)
	}
	if since := c.writeSince.Load(); since != 0 && over(since, c.cfg.StallTimeout) {
		return late("the peer did not read for %v", c.cfg.StallTimeout)
	}
	if c.stalled(now) {
		return late("the peer took nothing for %v of what waits for it", c.cfg.StallTimeout)
	}
	c.dropStalled(now)

	read := c.lastRead.Load()
	switch k := &c.clock; {
	case k.pinged != 0 && read >= k.pinged:
		k.pinged = 0
	case k.pinged != 0 && over(k.pinged, c.cfg.KeepaliveTimeout):
		return &ConnError{Local: true, Code: InternalError, Reason: "keepalive: nothing came from the peer within " + c.cfg.KeepaliveTimeout.String() + " after a PING"}
	case k.pinged == 0 && over(read, c.cfg.KeepaliveTime) && (!c.client || c.cfg.KeepaliveIdle || !c.table.empty()):
		k.pinged = now
		c.out.buf = appendPing(c.out.buf, 0, [8]byte{})
		c.signal()
	case k.pinged == 0 && over(read, c.cfg.KeepaliveTime):
		c.lastRead.CompareAndSwap(read, now) // an idle client looks again later
	}

	switch c.draining {
	case drainNot:
		if over(0, c.clock.age) {
			c.clock.aged = now
			c.drain("max_age")
		} else if c.idleFor(now) >= c.cfg.IdleTimeout {
			c.drainIdle()
		}
	case drainTold:
		if over(c.clock.drainSince, drainWait) {
			c.lastGoAway()
		}
	}
	if c.clock.aged != 0 && over(c.clock.aged, c.cfg.MaxAgeGrace) {
		return &ConnError{Local: true, Reason: "streams were still open when the grace after the connection's age ended"}
	}
	return nil
}

// idleFor says how long no stream has been open.
func (c *Conn) idleFor(now int64) time.Duration {
	k := &c.clock
	last := c.reader.lastID.Load()
	if c.client {
		last = c.nextID
	}
	if c.open.Load() > 0 || last != k.idleID || k.idleSince == 0 {
		k.idleID, k.idleSince = last, 0
		if c.open.Load() == 0 {
			k.idleSince = now
		}
		return 0
	}
	return time.Duration(now - k.idleSince)
}

// dropStalled resets streams whose handlers have ended, or are those of plain HTTP, and whose peer takes nothing of what they sent.
func (c *Conn) dropStalled(now int64) {
	if c.client || c.queued.Load() == 0 {
		return
	}
	for _, s := range c.table.all() {
		if h := s.held; h != nil && (s.web || s.state.Load()&finished != 0) && time.Duration(now-h.since) >= c.cfg.StallTimeout {
			s.resetLocked(Cancel, "the peer took nothing of the answer for "+c.cfg.StallTimeout.String())
		}
	}
}
