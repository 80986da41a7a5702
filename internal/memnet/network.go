// Package memnet is a network in memory: hosts that listen and dial, with the faults of a real network on demand.
//
// A connection behaves as one over TCP does. It is buffered, so that a writer does not wait for its reader, and has deadlines, half close
// and addresses. No goroutine and no system call is behind it, and waiting is what testing/synctest calls durably blocked: inside a
// bubble, time passes when all wait.
//
//	var n memnet.Network
//	lis, err := n.Host("cart").Listen("443")
//	conn, err := n.Host("shop").Dial(ctx, "cart:443")
package memnet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Network connects hosts. Its zero value is a network without faults. The methods may be called concurrently.
type Network struct {
	mu        sync.Mutex
	listeners map[string]*listener // by host:port
	links     map[[2]string]*link
	isolated  map[string]bool
	dead      map[string]bool
	cut       map[[2]string]bool
	latency   time.Duration
	lastPort  int
	changed   chan struct{} // closed, and made anew, when a cut is healed; nil: nobody waits
}

// link is what two hosts (or one with itself) have in common.
type link struct {
	cut     atomic.Bool
	latency atomic.Int64 // nanoseconds, one way

	mu    sync.Mutex
	conns map[*conn]bool
}

// Host is a host of the network: where listeners and connections belong to. It needs no closing.
type Host struct {
	net  *Network
	name string
}

// Host returns the host of that name. All values of one name are the same host.
func (n *Network) Host(name string) Host { return Host{n, name} }

// Addr is an address of the network: host:port.
type Addr string

// Network returns "mem".
func (Addr) Network() string { return "mem" }

// String returns host:port.
func (a Addr) String() string { return string(a) }

// Listen opens a port of the host. The port "" or "0" is a free one.
func (h Host) Listen(port string) (net.Listener, error) {
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.dead[h.name] {
		return nil, &net.OpError{Op: "listen", Net: "mem", Addr: Addr(net.JoinHostPort(h.name, port)), Err: errDead}
	}
	if port == "" || port == "0" {
		port = n.port()
	}
	addr := net.JoinHostPort(h.name, port)
	if n.listeners[addr] != nil {
		return nil, &net.OpError{Op: "listen", Net: "mem", Addr: Addr(addr), Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}
	}
	l := &listener{host: h, addr: Addr(addr), backlog: make(chan *conn, maxBacklog), closed: make(chan struct{})}
	if n.listeners == nil {
		n.listeners = map[string]*listener{}
	}
	n.listeners[addr] = l
	return l, nil
}

// port returns a port that nobody had before. n.mu must be held.
func (n *Network) port() string {
	n.lastPort++
	return strconv.Itoa(49151 + n.lastPort)
}

// Dial connects the host to host:port. Towards a host that is cut off it waits until ctx ends, as for an answer that never comes.
func (h Host) Dial(ctx context.Context, address string) (net.Conn, error) {
	c, err := h.dial(ctx, address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "mem", Addr: Addr(address), Err: err}
	}
	return c, nil
}

func (h Host) dial(ctx context.Context, address string) (net.Conn, error) {
	name, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("want host:port: %w", err)
	}
	n := h.net
	k := n.link(h.name, name)
	if d := time.Duration(k.latency.Load()); d > 0 {
		timer := time.NewTimer(2 * d)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-timer.C:
		}
	}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n.mu.Lock()
		if k.cut.Load() {
			if n.changed == nil {
				n.changed = make(chan struct{})
			}
			changed := n.changed
			n.mu.Unlock()
			select {
			case <-ctx.Done():
			case <-changed:
			}
			continue
		}
		l := n.listeners[address]
		if l == nil || n.dead[h.name] {
			dead := n.dead[h.name]
			n.mu.Unlock()
			if dead {
				return nil, errDead
			}
			return nil, os.NewSyscallError("connect", syscall.ECONNREFUSED)
		}
		near, far := pair(k, Addr(net.JoinHostPort(h.name, n.port())), l.addr) // under the lock, so that Kill sees it
		n.mu.Unlock()
		if err := l.offer(ctx, far); err != nil {
			near.abort()
			far.abort()
			return nil, err
		}
		return near, nil
	}
}

// link returns what a and b have in common.
func (n *Network) link(a, b string) *link {
	n.mu.Lock()
	defer n.mu.Unlock()
	key := pairOf(a, b)
	k := n.links[key]
	if k == nil {
		k = &link{conns: map[*conn]bool{}}
		k.cut.Store(n.isCut(key))
		k.latency.Store(int64(n.latency))
		if n.links == nil {
			n.links = map[[2]string]*link{}
		}
		n.links[key] = k
	}
	return k
}

func pairOf(a, b string) [2]string {
	if a > b {
		a, b = b, a
	}
	return [2]string{a, b}
}

// isCut reports whether two hosts cannot reach each other. n.mu must be held.
func (n *Network) isCut(key [2]string) bool {
	return key[0] != key[1] && (n.cut[key] || n.isolated[key[0]] || n.isolated[key[1]])
}

// SetLatency makes everything that is sent from now on take d to arrive, between all hosts. A dial takes twice as long. The order of
// what is sent stays.
func (n *Network) SetLatency(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.latency = d
	for _, k := range n.links {
		k.latency.Store(int64(d))
	}
}

// Partition cuts the hosts a and b off from each other: what they send is held back, silently, until [Network.Heal].
func (n *Network) Partition(a, b string) {
	n.update(func() {
		if n.cut == nil {
			n.cut = map[[2]string]bool{}
		}
		n.cut[pairOf(a, b)] = true
	})
}

// Isolate cuts a host off from all others until [Network.Heal].
func (n *Network) Isolate(host string) {
	n.update(func() {
		if n.isolated == nil {
			n.isolated = map[string]bool{}
		}
		n.isolated[host] = true
	})
}

// Heal ends all partitions. What was held back arrives.
func (n *Network) Heal() { n.update(func() { clear(n.cut); clear(n.isolated) }) }

// update changes who is cut off and tells the connections.
func (n *Network) update(change func()) {
	n.mu.Lock()
	change()
	for key, k := range n.links {
		k.cut.Store(n.isCut(key))
	}
	if n.changed != nil {
		close(n.changed)
		n.changed = nil
	}
	links := maps.Clone(n.links)
	n.mu.Unlock()
	for _, k := range links {
		k.each((*conn).wake)
	}
}

var errDead = errors.New("the host was killed")

// Kill ends a host for good, as a crash of what runs there does: its listeners are gone, so that others are refused, its connections
// are reset, and it makes no new ones.
func (n *Network) Kill(host string) {
	n.mu.Lock()
	if n.dead == nil {
		n.dead = map[string]bool{}
	}
	n.dead[host] = true
	var links []*link
	for key, k := range n.links {
		if key[0] == host || key[1] == host {
			links = append(links, k)
		}
	}
	var listeners []*listener
	for _, l := range n.listeners {
		if l.host.name == host {
			listeners = append(listeners, l)
		}
	}
	n.mu.Unlock()
	for _, l := range listeners {
		l.Close()
	}
	for _, k := range links {
		k.each((*conn).abort)
	}
}

// each calls f for every connection of the link.
func (k *link) each(f func(*conn)) {
	k.mu.Lock()
	conns := maps.Clone(k.conns)
	k.mu.Unlock()
	for c := range conns {
		f(c)
	}
}
