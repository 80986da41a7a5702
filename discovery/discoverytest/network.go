package discoverytest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
)

// Network is a network between an HTTP server and its clients in memory, so that tests run in virtual time. It can be cut.
type Network struct {
	accept chan net.Conn
	closed chan struct{}

	mu    sync.Mutex
	down  bool
	conns []net.Conn
}

// Serve serves the handler until the test ends and returns the network and a client's way in.
func Serve(t *testing.T, h http.Handler) (*Network, *http.Client) {
	n := &Network{accept: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(pipes{n}) }()
	client := &http.Client{Transport: &http.Transport{DialContext: n.dial}}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		n.Cut()
		_ = server.Close()
		<-done
	})
	return n, client
}

// Cut breaks all connections and refuses new ones.
func (n *Network) Cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = true
	for _, c := range n.conns {
		c.Close()
	}
	n.conns = nil
}

// Mend lets clients connect again.
func (n *Network) Mend() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = false
}

var errRefused = errors.New("connection refused")

func (n *Network) dial(ctx context.Context, _, _ string) (net.Conn, error) {
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

// pipes is the network as the server's listener.
type pipes struct{ n *Network }

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.n.accept:
		return c, nil
	case <-p.n.closed:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	select {
	case <-p.n.closed:
	default:
		close(p.n.closed)
	}
	return nil
}

func (p pipes) Addr() net.Addr { return p }

func (pipes) Network() string { return "pipe" }
func (pipes) String() string  { return "pipe" }
