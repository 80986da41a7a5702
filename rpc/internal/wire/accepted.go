package wire

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// Accepted is a connection that a port has accepted, as it was. Where there is TLS, it is what the TLS connection runs over.
//
// Whoever reads and writes by other means than its own methods, such as those of a [net.TCPConn], must take First before and still call
// its Close.
type Accepted struct {
	net.Conn
	First  []byte // was read before, and is what Read returns first; only the connection's reader touches it
	Closed func() // is called once, when the connection is closed; may be nil

	once  sync.Once
	reads readDeadline
	stall time.Duration // see LimitStalls; 0: none

	mu      sync.Mutex // guards what follows, which is of no use without a limit
	own     time.Time  // the deadline that was set for writes; zero: none
	until   time.Time  // when the last write that began has stalled, unless the peer takes something
	applied time.Time  // the deadline that Conn has
}

// LimitStalls makes writes fail with [os.ErrDeadlineExceeded] when the peer takes nothing for so long, or an eighth longer, while one waits
// for it. A peer that takes something, however slowly, never meets it. It must be called before the first Write. 0 is no limit.
func (a *Accepted) LimitStalls(limit time.Duration) { a.stall = limit }

// WatchesStalls tells those who write to the connection that they need not give their peer a time for each piece.
func (a *Accepted) WatchesStalls() {}

// Write writes p, waiting for the peer as LimitStalls says.
func (a *Accepted) Write(p []byte) (n int, err error) {
	if a.stall == 0 {
		return a.Conn.Write(p)
	}
	for {
		var k int
		k, err = a.writeWithin(p[n:], a.stall)
		if n += k; k == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
			// The peer may have taken some: a system says that there is room when a third of its buffer is free, but shows any when it is asked.
			k, err = a.writeWithin(p[n:], glance)
			n += k
		}
		if k == 0 || !errors.Is(err, os.ErrDeadlineExceeded) { // who set a deadline that has passed hears of it with the next write, which takes nothing
			return n, err
		}
	}
}

// glance is what a write may take that waits for nothing.
const glance = 10 * time.Millisecond

func (a *Accepted) writeWithin(p []byte, limit time.Duration) (int, error) {
	a.mu.Lock()
	now := time.Now()
	if a.until.Sub(now) < limit { // else the deadline of the write before will do
		a.until = now.Add(limit + limit/8)
		a.apply()
	}
	a.mu.Unlock()
	return a.Conn.Write(p)
}

// apply gives Conn the deadline that comes first. The lock is held.
func (a *Accepted) apply() error {
	first := a.until
	if !a.own.IsZero() && (first.IsZero() || a.own.Before(first)) {
		first = a.own
	}
	if first.Equal(a.applied) {
		return nil
	}
	a.applied = first
	return a.Conn.SetWriteDeadline(first)
}

// SetWriteDeadline sets when writes fail at the latest.
func (a *Accepted) SetWriteDeadline(t time.Time) error {
	if a.stall == 0 {
		return a.Conn.SetWriteDeadline(t)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.own = t
	return a.apply()
}

// SetDeadline sets when reads and writes fail at the latest.
func (a *Accepted) SetDeadline(t time.Time) error {
	if err := a.SetReadDeadline(t); err != nil {
		return err
	}
	return a.SetWriteDeadline(t)
}

// Read returns what is left of First, and then reads.
func (a *Accepted) Read(p []byte) (int, error) {
	if len(a.First) > 0 {
		n := copy(p, a.First)
		if a.First = a.First[n:]; len(a.First) == 0 {
			a.First = nil
		}
		return n, nil
	}
	a.reads.begin(a.Conn)
	defer a.reads.end()
	return a.Conn.Read(p)
}

// SetReadDeadline sets when reads fail at the latest.
func (a *Accepted) SetReadDeadline(t time.Time) error { return a.reads.set(a.Conn, t) }

// Close closes the connection.
func (a *Accepted) Close() error {
	if a.Closed != nil {
		a.once.Do(a.Closed)
	}
	return a.Conn.Close()
}

// CloseWrite tells the client that nothing more will come, so that it does not use a connection again that is about to be closed.
func (a *Accepted) CloseWrite() error {
	if c, ok := a.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

// Unread returns the connection that was accepted and what was read of it, for those who read and write by its own methods. Close must
// be called all the same.
func (a *Accepted) Unread() (net.Conn, []byte) {
	first := a.First
	a.First = nil
	a.reads.settle(a.Conn)
	return a.Conn, first
}
