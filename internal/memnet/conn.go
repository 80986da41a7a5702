package memnet

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// conn is one end of a connection.
type conn struct {
	link          *link
	local, remote Addr
	in, out       *pipe // out is the other end's in
	closeOnce     sync.Once
}

// pair returns the two ends of a new connection.
func pair(k *link, a, b Addr) (near, far *conn) {
	there, back := newPipe(k), newPipe(k)
	near = &conn{link: k, local: a, remote: b, in: back, out: there}
	far = &conn{link: k, local: b, remote: a, in: there, out: back}
	k.mu.Lock()
	k.conns[near], k.conns[far] = true, true
	k.mu.Unlock()
	return near, far
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.in.read(p)
	if err != nil && err != io.EOF {
		err = &net.OpError{Op: "read", Net: "mem", Source: c.local, Addr: c.remote, Err: err}
	}
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	n, err := c.out.write(p)
	if err != nil {
		err = &net.OpError{Op: "write", Net: "mem", Source: c.local, Addr: c.remote, Err: err}
	}
	return n, err
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// Close ends both directions. The other end reads what was sent before, and then EOF; what it writes fails.
func (c *conn) Close() error {
	err := net.ErrClosed
	c.closeOnce.Do(func() {
		err = nil
		c.out.closeWrite(net.ErrClosed)
		c.in.closeRead()
		c.forget()
	})
	if err != nil {
		return &net.OpError{Op: "close", Net: "mem", Source: c.local, Addr: c.remote, Err: err}
	}
	return nil
}

// CloseWrite ends what this end sends; it can still receive.
func (c *conn) CloseWrite() error {
	c.out.closeWrite(syscall.EPIPE)
	return nil
}

// abort resets the connection: both ends fail at once.
func (c *conn) abort() {
	c.in.reset()
	c.out.reset()
	c.forget()
}

func (c *conn) forget() {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	delete(c.link.conns, c)
}

// wake lets readers look again whether the link is cut.
func (c *conn) wake() { c.in.wake() }

func (c *conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

func (c *conn) SetReadDeadline(t time.Time) error {
	return c.deadlineError(c.in.setDeadline(&c.in.readBy, t))
}
func (c *conn) SetWriteDeadline(t time.Time) error {
	return c.deadlineError(c.out.setDeadline(&c.out.writeBy, t))
}

func (c *conn) deadlineError(err error) error {
	if err != nil {
		return &net.OpError{Op: "set", Net: "mem", Source: c.local, Addr: c.remote, Err: err}
	}
	return nil
}

// deadline is when an operation gives up. Its timer wakes who waits.
type deadline struct {
	at    time.Time // zero: never
	timer *time.Timer
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

// set makes the deadline t, and calls wake when it comes.
func (d *deadline) set(t time.Time, wake func()) {
	d.stop()
	d.at = t
	if !t.IsZero() {
		if wait := time.Until(t); wait > 0 {
			d.timer = time.AfterFunc(wait, wake)
		}
	}
}

var errTimeout = os.ErrDeadlineExceeded
