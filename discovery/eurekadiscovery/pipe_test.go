package eurekadiscovery_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
)

// pipeNet is a network between a server and its clients in memory, so that tests run in virtual time. It can be cut.
type pipeNet struct {
	accept chan net.Conn
	closed chan struct{}

	mu    sync.Mutex
	down  bool
	conns []net.Conn
}

// serve serves the handler until the test ends and returns the network and a client's way in.
func serve(t *testing.T, h http.Handler) (*pipeNet, *http.Client) {
	n := &pipeNet{accept: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(n) }()
	client := &http.Client{Transport: &http.Transport{DialContext: n.dial}}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		n.cut()
		_ = server.Close()
		<-done
	})
	return n, client
}

var errRefused = errors.New("connection refused")

func (n *pipeNet) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	n.mu.Lock()
	if n.down {
		n.mu.Unlock()
		return nil, errRefused
	}
	here, there := net.Pipe()
	n.conns = append(n.conns, here, there)
	n.mu.Unlock()
	select {
	case n.accept <- there:
		return here, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-n.closed:
		return nil, errRefused
	}
}

// cut breaks all connections and refuses new ones.
func (n *pipeNet) cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = true
	for _, c := range n.conns {
		c.Close()
	}
	n.conns = nil
}

// mend lets clients connect again.
func (n *pipeNet) mend() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = false
}

func (n *pipeNet) Accept() (net.Conn, error) {
	select {
	case c := <-n.accept:
		return c, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

func (n *pipeNet) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	select {
	case <-n.closed:
	default:
		close(n.closed)
	}
	return nil
}

func (n *pipeNet) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }
