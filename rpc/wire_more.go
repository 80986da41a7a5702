package rpc

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// One connection to an instance is best: the more calls share a connection, the more of them share a write and a read. Only when the
// goroutine that reads it has no time left does the link make another one, as long as there are processors to read them.
const (
	mostConns = 4           // of a link
	moreIdle  = time.Minute // an additional connection without calls for that long ends
)

// moreConns are the additional connections of a link.
type moreConns struct {
	all atomic.Pointer[[]*linkConn] // nil: none

	mu      sync.Mutex
	growing bool
}

// use returns a connection for a call: the one with the fewest calls; nil if there is none.
func (l *wireLink) use() *linkConn {
	best, more := l.now.Load(), l.more.all.Load()
	if more == nil {
		return best
	}
	for _, c := range *more {
		if best == nil || c.conn.Streams() < best.conn.Streams() {
			best = c
		}
	}
	return best
}

// saturated is called when the reader of a connection can take no more.
func (l *wireLink) saturated() {
	m := &l.more
	m.mu.Lock()
	defer m.mu.Unlock()
	most := min(runtime.GOMAXPROCS(0), mostConns)
	if m.growing || m.count()+1 >= most || !l.mayDial() {
		return
	}
	m.growing = true
	l.running.Go(l.grow)
}

// grow makes an additional connection, and keeps it until it ends. When that fails, the next that is saturated tries again.
func (l *wireLink) grow() {
	config := l.config
	config.IdleTimeout = moreIdle
	c, err := l.connect(&config)
	m := &l.more
	m.mu.Lock()
	m.growing = false
	if err == nil {
		m.add(c)
	}
	m.mu.Unlock()
	if err != nil {
		return
	}
	select {
	case <-c.leave: // the peer drains it, or it was idle
		l.lost(c)
		c.conn.Drain()
	case <-c.conn.Done():
		l.lost(c)
	}
}

// count says how many there are.
func (m *moreConns) count() int {
	if all := m.all.Load(); all != nil {
		return len(*all)
	}
	return 0
}

// add takes a connection into use. m.mu is held.
func (m *moreConns) add(c *linkConn) {
	select {
	case <-c.leave: // already
		return
	default:
	}
	var next []*linkConn
	if all := m.all.Load(); all != nil {
		next = *all
	}
	next = append(slices.Clip(next), c)
	m.all.Store(&next)
}

// remove takes a connection out of use, if it is one of them.
func (m *moreConns) remove(c *linkConn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.all.Load()
	if all == nil {
		return
	}
	next := slices.DeleteFunc(slices.Clone(*all), func(other *linkConn) bool { return other == c })
	if len(next) == 0 {
		m.all.Store(nil)
		return
	}
	m.all.Store(&next)
}
