package memnet

import (
	"context"
	"net"
	"os"
	"syscall"
)

// maxBacklog is how many connections wait to be accepted; a dial that comes on top waits itself.
const maxBacklog = 128

type listener struct {
	host    Host
	addr    Addr
	backlog chan *conn

	closed chan struct{}
}

// offer hands a connection to Accept.
func (l *listener) offer(ctx context.Context, c *conn) error {
	select {
	case <-l.closed:
		return os.NewSyscallError("connect", syscall.ECONNREFUSED)
	case <-ctx.Done():
		return ctx.Err()
	case l.backlog <- c:
	}
	select {
	case <-l.closed: // perhaps after Close looked at the backlog
		l.refuseAll()
	default:
	}
	return nil
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.closed:
	default:
		select {
		case c := <-l.backlog:
			return c, nil
		case <-l.closed:
		}
	}
	return nil, &net.OpError{Op: "accept", Net: "mem", Addr: l.addr, Err: net.ErrClosed}
}

func (l *listener) Addr() net.Addr { return l.addr }

// Close gives the port back. Connections that were not accepted are reset.
func (l *listener) Close() error {
	n := l.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	select {
	case <-l.closed:
		return &net.OpError{Op: "close", Net: "mem", Addr: l.addr, Err: net.ErrClosed}
	default:
	}
	close(l.closed)
	delete(n.listeners, l.addr.String())
	l.refuseAll()
	return nil
}

// refuseAll resets what nobody will accept.
func (l *listener) refuseAll() {
	for {
		select {
		case c := <-l.backlog:
			c.abort()
		default:
			return
		}
	}
}
