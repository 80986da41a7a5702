package wire

import (
	"net"
	"sync"
)

// Accepted is a connection that a port has accepted, as it was. Where there is TLS, it is what the TLS connection runs over.
//
// Whoever reads and writes by other means than its own methods, such as those of a [net.TCPConn], must take First before and still call
// its Close.
type Accepted struct {
	net.Conn
	First  []byte // was read before, and is what Read returns first; only the connection's reader touches it
	Closed func() // is called once, when the connection is closed; may be nil

	once sync.Once
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
	return a.Conn.Read(p)
}

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
	return a.Conn, first
}
