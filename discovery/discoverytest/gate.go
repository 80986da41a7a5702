package discoverytest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Gate is a TCP proxy that can be shut, or hold what it is given.
type Gate struct {
	Address string // where it listens

	lis    net.Listener
	target string
	mu     sync.Mutex
	shut   bool
	held   chan struct{} // closed when what is held may go on; nil: nothing is held
	conns  map[net.Conn]struct{}
	wg     sync.WaitGroup
}

// NewGate returns an open gate to an address, until the test ends.
func NewGate(t testing.TB, target string) *Gate {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &Gate{Address: lis.Addr().String(), lis: lis, target: target, conns: make(map[net.Conn]struct{})}
	g.wg.Go(g.accept)
	t.Cleanup(func() {
		lis.Close()
		g.Shut()
		g.wg.Wait()
	})
	return g
}

func (g *Gate) accept() {
	for {
		in, err := g.lis.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", g.target)
		if err != nil || !g.add(in, out) {
			in.Close()
			if out != nil {
				out.Close()
			}
			continue
		}
		for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
			g.wg.Go(func() {
				_, _ = io.Copy(pair[0], &passing{pair[1], g})
				in.Close()
				out.Close()
			})
		}
	}
}

func (g *Gate) add(conns ...net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range conns {
		g.conns[c] = struct{}{}
	}
	return !g.shut
}

// passing reads what may go through the gate.
type passing struct {
	io.Reader
	gate *Gate
}

func (p *passing) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	p.gate.mu.Lock()
	held := p.gate.held
	p.gate.mu.Unlock()
	if held != nil {
		<-held
	}
	return n, err
}

// Hold has nothing go through the gate, and no connection break: who waits hears nothing, until Shut or Open.
func (g *Gate) Hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held == nil {
		g.held = make(chan struct{})
	}
}

func (g *Gate) releaseLocked() {
	if g.held != nil {
		close(g.held)
		g.held = nil
	}
}

// Shut breaks what goes through the gate, and lets nothing through.
func (g *Gate) Shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = true
	g.releaseLocked()
	for c := range g.conns {
		c.Close()
	}
	clear(g.conns)
}

// Open opens the gate. What was held goes on.
func (g *Gate) Open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = false
	g.releaseLocked()
}
