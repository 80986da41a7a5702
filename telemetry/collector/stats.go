package collector

import (
	"sync"
	"time"
)

// rateOver is over how many seconds a rate is taken.
const rateOver = 10

// counter counts what comes, with its rate. It is safe for concurrent use.
type counter struct {
	mu      sync.Mutex
	all     int64
	seconds [rateOver + 1]int64
	at      int64 // second of the newest
}

func (c *counter) add(n int, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all += int64(n)
	c.turn(now.Unix())
	c.seconds[c.at%int64(len(c.seconds))] += int64(n)
}

// turn empties the seconds that have passed.
func (c *counter) turn(now int64) {
	size := int64(len(c.seconds))
	for at := max(c.at+1, now-size+1); at <= now; at++ {
		c.seconds[at%size] = 0
	}
	c.at = max(c.at, now)
}

// read returns how many came, and how many a second in the last ten whole ones.
func (c *counter) read(now time.Time) (all int64, rate float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn(now.Unix())
	for at, n := range c.seconds {
		if int64(at) != c.at%int64(len(c.seconds)) {
			rate += float64(n)
		}
	}
	return c.all, rate / rateOver
}

// Stats returns the collector's own state.
func (c *Collector) Stats() Stats {
	p := c.of()
	now := time.Now()
	st := Stats{Started: p.started, Dropped: p.drops.snapshot()}
	for i, out := range []*SignalStats{&st.Spans, &st.Logs, &st.Points} {
		out.Received, out.Rate = p.counts[i].read(now)
	}
	st.Series, st.Points.Kept = p.numbers.size()
	st.MaxSeries = mostSeries
	s := p.store
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Spans.Kept, st.Logs.Kept = s.kept[spans], s.kept[logs]
	for _, b := range s.memory {
		if b.signal == spans {
			st.Spans.Kept += int64(b.count - b.saved)
		} else {
			st.Logs.Kept += int64(b.count - b.saved)
		}
	}
	st.MaxBytes, st.MaxAge = s.maxBytes, s.maxAge
	for _, seg := range s.segments {
		st.Bytes += seg.bytes
	}
	st.Segments, st.Waiting, st.Unindexed = len(s.segments), s.waiting, max(s.pending, 0)
	st.Damaged = append(st.Damaged, s.damaged...)
	for i := range s.blocks {
		if at := time.Unix(0, s.blocks[i].first); st.Oldest.IsZero() || at.Before(st.Oldest) {
			st.Oldest = at.UTC()
		}
	}
	return st
}

func (s *store) isOpen() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}
