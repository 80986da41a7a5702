package wire

import (
	"net"
	"sync"
	"time"
)

// readDeadline is the deadline of a connection's reads. The system is told of it when a read waits: net/http sets one several times for
// each request, and nothing is read between most of them.
type readDeadline struct {
	mu      sync.Mutex
	until   time.Time // the deadline
	told    time.Time // the one that the system has
	reading int       // how many goroutines read
}

// begin is called before a read of conn, and end after it.
func (d *readDeadline) begin(conn net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reading++
	d.tell(conn) // a connection that has no deadlines is read all the same
}

func (d *readDeadline) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reading--
}

func (d *readDeadline) set(conn net.Conn, t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.until = t; d.reading == 0 {
		return nil
	}
	return d.tell(conn)
}

// settle is called before others read.
func (d *readDeadline) settle(conn net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tell(conn) // an error tells that it is closed, which who reads finds out
}

// tell tells the system. The lock is held.
func (d *readDeadline) tell(conn net.Conn) error {
	if d.until.Equal(d.told) {
		return nil
	}
	err := conn.SetReadDeadline(d.until)
	if err == nil {
		d.told = d.until
	}
	return err
}
