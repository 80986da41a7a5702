package hansetest

import (
	"context"
	"time"

	"github.com/hanse-go/hanse/discovery"
)

// deadLease is how long a registry takes to notice that an instance is dead.
const deadLease = time.Second

// Instance is one running copy of a service.
type Instance struct {
	Service string // name of the service
	ID      string // as in the registry
	Host    string // its name in the network: cart-1, cart-2, …

	node *node
}

// Instances lists the instances of a service that run, in the order in which they were started.
func (s *System) Instances(service string) []*Instance {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*Instance
	for _, n := range s.nodes {
		n.mu.Lock()
		for _, l := range n.leases {
			select {
			case <-n.ended:
			default:
				if l.inst.Service == service && !n.killed {
					list = append(list, &Instance{service, l.inst.ID, n.host, n})
				}
			}
		}
		n.mu.Unlock()
	}
	return list
}

// Kill ends the instance as a crash of its process does: its connections are reset, its port is closed, and the registry notices a second
// later. Its goroutines end, too, but nobody hears of them. It needs the path [Memory].
func (i *Instance) Kill() {
	n, s := i.node, i.node.sys
	s.t.Helper()
	s.needMemory("to kill an instance")
	n.mu.Lock()
	if n.killed {
		n.mu.Unlock()
		return
	}
	n.killed = true
	n.waiting = time.AfterFunc(deadLease, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.bury()
	})
	n.mu.Unlock()
	s.network.Kill(n.host)
	n.stop()
}

// Stop stops the instance as SIGTERM does, and returns when it has drained. An error of it fails the test.
func (i *Instance) Stop() {
	s := i.node.sys
	s.t.Helper()
	i.node.stop()
	if err := i.node.wait(); err != nil {
		s.t.Errorf("stopping %s: %v", i.Host, err)
	}
}

// Isolate cuts the instance off from all others until [System.Heal]. It needs the path [Memory].
func (i *Instance) Isolate() {
	s := i.node.sys
	s.t.Helper()
	s.needMemory("isolation")
	s.network.Isolate(i.Host)
}

// registrar is the registry as one node has it.
type registrar struct {
	*discovery.Memory
	node *node
}

func (r registrar) Register(ctx context.Context, inst discovery.Instance) (discovery.Lease, error) {
	inner, err := r.Memory.Register(ctx, inst)
	if err != nil {
		return nil, err
	}
	l := &lease{Lease: inner, node: r.node, inst: inst}
	r.node.mu.Lock()
	defer r.node.mu.Unlock()
	r.node.leases = append(r.node.leases, l)
	return l, nil
}

// lease tells its node when the instance is ready, and stays as it is when the node was killed.
type lease struct {
	discovery.Lease
	node  *node
	inst  discovery.Instance
	ready bool
}

func (l *lease) Update(ctx context.Context, inst discovery.Instance) error {
	n := l.node
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.killed {
		return nil
	}
	err := l.Lease.Update(ctx, inst)
	if err == nil && inst.State == discovery.Ready && !l.ready {
		l.ready = true
		if n.left--; n.left == 0 {
			close(n.ready)
		}
	}
	return err
}

func (l *lease) Close() error {
	l.node.mu.Lock()
	defer l.node.mu.Unlock()
	if l.node.killed {
		return nil
	}
	return l.Lease.Close()
}

// bury withdraws the instances of a node that was killed. n.mu must be held.
func (n *node) bury() {
	if !n.killed {
		return
	}
	n.waiting.Stop()
	for _, l := range n.leases {
		l.Lease.Close() // of memory: it cannot fail
	}
}
