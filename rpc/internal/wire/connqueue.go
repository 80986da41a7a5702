package wire

import (
	"net"
	"sync"
)

// ConnQueue is a listener whose connections were accepted elsewhere. It is made by NewConnQueue.
type ConnQueue struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// NewConnQueue returns an empty queue.
func NewConnQueue() *ConnQueue {
	return &ConnQueue{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Put hands a connection to Accept and returns true, or closes it when nobody will accept it.
func (q *ConnQueue) Put(conn net.Conn) bool {
	select {
	case q.conns <- conn:
		return true
	case <-q.closed:
		conn.Close()
		return false
	}
}

// Accept waits for the next connection, until Close.
func (q *ConnQueue) Accept() (net.Conn, error) {
	select {
	case conn := <-q.conns:
		return conn, nil
	case <-q.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept. The connections that were accepted go on.
func (q *ConnQueue) Close() error {
	q.once.Do(func() { close(q.closed) })
	return nil
}

// Addr returns an address that says nothing.
func (q *ConnQueue) Addr() net.Addr { return queueAddr{} }

type queueAddr struct{}

func (queueAddr) Network() string { return "port" }
func (queueAddr) String() string  { return "port" }
