package telemetry

import (
	"sync/atomic"
	"time"
)

// clock tells the time of spans by one look at the monotonic clock, where [time.Now] takes two.
type clock struct {
	base  time.Time    // what is counted from
	wall  atomic.Int64 // the Unix time at base in nanoseconds, as the system has it now
	asked atomic.Int64 // when it was
}

// askAfter is how old what is known of the system's time may be, which may be set meanwhile.
const askAfter = time.Second

func (c *clock) init() {
	c.base = time.Now()
	c.wall.Store(c.base.UnixNano())
}

// now is the time since base in nanoseconds. It never goes back.
func (c *clock) now() int64 {
	at := int64(time.Since(c.base))
	c.ask(at)
	return at
}

// at is what now would have returned at a moment, which is one of these: who has looked at the time for something else need not do it again.
// At zero it is now.
func (c *clock) at(moment time.Time) int64 {
	if moment.IsZero() {
		return c.now()
	}
	at := int64(moment.Sub(c.base))
	c.ask(at)
	return at
}

// ask asks for the system's time, if what is known of it is old.
func (c *clock) ask(at int64) {
	if uint64(at-c.asked.Load()) >= uint64(askAfter) {
		now := time.Now()
		c.wall.Store(now.UnixNano() - int64(now.Sub(c.base)))
		c.asked.Store(at)
	}
}

// unix is the Unix time, in nanoseconds, of what now returned.
func (c *clock) unix(at int64) int64 { return c.wall.Load() + at }
