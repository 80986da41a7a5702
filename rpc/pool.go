package rpc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/balancer"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/rpc/internal/wire"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// pool holds the instances of one service, with a link to each: what all Conns of a [Client] to that service share. It follows the
// registry, connects to an instance before it takes calls, and drops the link of one that left when its last call has ended.
type pool struct {
	client  *Client
	service string
	conns   int // guarded by client.mu: the Conns that are bound to it

	cancel  context.CancelFunc
	running sync.WaitGroup // the watch, and links that close
	clock   stopwatch
	view    atomic.Pointer[view]
	waiting atomic.Int64 // calls that wait because no instance is ready
	guard   guard

	mu      sync.Mutex
	members map[string]*member // by key: those that are ready, and those that drain
	ordered []*member          // in the registry's order: those that are ready
	live    map[*member]bool   // all whose link is not closed
	err     error              // no instance will be found any more
	synced  bool               // the registry has spoken
	split   *balancer.Split    // rules over versions; nil: none
	ruled   bool               // split is what the registry says, or it holds no rules
}

// newPool begins to watch the service. c.mu is held.
func newPool(c *Client, service string) *pool {
	p := &pool{client: c, service: service, clock: newStopwatch(), members: make(map[string]*member), live: make(map[*member]bool)}
	p.guard.init()
	p.guard.follow(c.policy(service))
	splitter, holdsRules := c.Registry.(discovery.Splitter)
	p.ruled = !holdsRules
	p.view.Store(&view{changed: make(chan struct{})})
	var ctx context.Context
	ctx, p.cancel = context.WithCancel(context.Background())
	p.running.Go(func() {
		err := c.Registry.Watch(ctx, service, p.sync)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = fmt.Errorf("the registry's watch ended")
		}
		c.logger().Error("instances of a service cannot be found any more", "service", service, "error", err)
		p.fail(status.Errorf(codes.Unavailable, "looking for instances of %q: %v", service, err))
	})
	if holdsRules {
		p.running.Go(func() { p.followSplit(ctx, splitter) })
	}
	if c.Identity != nil {
		p.running.Go(func() { p.followIdentity(ctx.Done()) })
	}
	return p
}

// followSplit takes the service's split rules from the registry. Without them no instance takes calls, for it might be one that must not.
func (p *pool) followSplit(ctx context.Context, splitter discovery.Splitter) {
	last := ""
	rule := func(split *balancer.Split) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.split, p.ruled = split, true
		p.publish()
	}
	err := splitter.WatchSplits(ctx, p.service, func(list []discovery.Split) {
		var rules discovery.Split
		if len(list) > 0 {
			rules = list[0]
		}
		if now := rules.String(); now != last {
			p.client.logger().Info("the split rules of a service changed", "service", p.service, "rules", cmp.Or(now, "none"))
			last = now
		}
		rule(balancer.NewSplit(rules))
	})
	if ctx.Err() != nil {
		return
	}
	p.client.logger().Error("split rules of a service cannot be found any more; those that are known stay", "service", p.service, "error", err)
	p.mu.Lock()
	split := p.split
	p.mu.Unlock()
	rule(split)
}

// sync takes a snapshot of the registry.
func (p *pool) sync(instances []discovery.Instance) {
	p.mu.Lock()
	if p.err != nil {
		p.mu.Unlock()
		return
	}
	var gone []*member
	seen := make(map[string]bool, len(instances))
	p.ordered = p.ordered[:0:0]
	for _, inst := range instances {
		key := inst.Key()
		if seen[key] || inst.State == discovery.Starting {
			continue
		}
		seen[key] = true
		m := p.members[key]
		if inst.State == discovery.Draining {
			if m != nil {
				m.retire()
			}
			continue
		}
		if m != nil && !m.update(inst) {
			gone = append(gone, m)
			m = nil
		}
		if m == nil {
			m = newMember(p, inst)
			p.members[key] = m
			p.live[m] = true
		}
		p.ordered = append(p.ordered, m)
	}
	for key, m := range p.members {
		if !seen[key] {
			gone = append(gone, m)
			delete(p.members, key)
		}
	}
	for _, m := range gone {
		m.retire()
	}
	p.synced = true
	p.publish()
	p.mu.Unlock()
	for _, m := range gone {
		m.release()
	}
}

// born tells when an instance that is new to the pool became ready: now or, when it was there before the pool, when it was started. The
// caller holds p.mu.
func (p *pool) born(inst discovery.Instance) time.Time {
	now := time.Now()
	if !p.synced && inst.Started.Before(now) { // clocks differ: what will be started is new
		return inst.Started
	}
	return now
}

// afterLoss is how long calls wait for an instance whose connection broke, or for another one, before it counts as unreachable. It is
// what a registry may need to tell that an instance is gone or that another has come.
const afterLoss = time.Second

// onState is told by the member's link.
func (p *pool) onState(m *member, state wire.State, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m.state == wire.Ready && state != wire.Ready {
		m.lost = time.Now()
	}
	switch state {
	case wire.Ready:
		m.lost = time.Time{}
	case wire.Connecting:
		if m.state == wire.Unreachable {
			return // it stays unreachable until an attempt succeeds
		}
	case wire.Unreachable:
		if left := afterLoss - time.Since(m.lost); left > 0 {
			if m.giveUp == nil && !m.left {
				m.giveUp = time.AfterFunc(left, func() { p.giveUp(m) })
			}
			state = wire.Connecting
		}
	}
	if m.state != state {
		p.logState(m, state, err)
	}
	m.state, m.err = state, err
	if !m.left {
		p.publish()
	}
}

// logState tells of a change that explains where calls go. The caller holds p.mu.
func (p *pool) logState(m *member, state wire.State, err error) {
	log := p.client.logger().With("service", p.service, "instance", m.inst.ID, "endpoints", m.inst.Endpoints)
	switch {
	case state == wire.Ready:
		log.Debug("connected to an instance")
	case state == wire.Unreachable && !m.left:
		log.Warn("an instance cannot be reached", "error", err)
	case m.state == wire.Ready:
		log.Debug("the connection to an instance ended")
	}
}

// giveUp lets a member that was lost count as unreachable, unless it has come back.
func (p *pool) giveUp(m *member) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m.giveUp = nil
	if m.state != wire.Connecting || m.left {
		return
	}
	if left := afterLoss - time.Since(m.lost); left > 0 { // it came back, and was lost again
		m.giveUp = time.AfterFunc(left, func() { p.giveUp(m) })
		return
	}
	if m.err == nil {
		m.err = errors.New("the connection broke, and there is no new one yet")
	}
	p.logState(m, wire.Unreachable, m.err)
	m.state = wire.Unreachable
	p.publish()
}

// publish makes a new view. The caller holds p.mu.
func (p *pool) publish() {
	members := p.ordered
	if !p.ruled {
		members = nil
	}
	old := p.view.Swap(newView(balancer.Locality{Host: p.client.Host, Zone: p.client.Zone}, members, p.split, p.err))
	close(old.changed)
}

// fail ends the pool: calls fail with err from now on.
func (p *pool) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
		p.publish()
	}
}

// closeLater closes a link that nobody holds any more. It does not block, for the last who held it may be the link's own goroutine.
func (p *pool) closeLater(m *member) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.live[m] {
		return
	}
	delete(p.live, m)
	if m.web != nil {
		m.web.CloseIdleConnections()
	}
	if m.link != nil {
		p.running.Go(m.link.Close)
	}
}

// cut ends the unary calls of a Conn that is closed, as far as their contexts do not.
func (p *pool) cut(c *Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for m := range p.live {
		if m.direct != nil {
			m.direct.calls.leave(c)
		}
	}
}

// close ends what is in flight and waits for the pool's goroutines.
func (p *pool) close() {
	p.fail(errClosed)
	p.cancel()
	p.mu.Lock()
	live := p.live
	p.live = nil
	for m := range live {
		m.retire()
		if m.link != nil {
			p.running.Go(m.link.Close)
		}
	}
	p.mu.Unlock()
	p.running.Wait()
}

// need says what a call wants of an instance.
type need struct {
	binding *binding
	ctx     context.Context // of the call
	method  *methodInfo
	wait    bool      // for an instance that can be reached, until the context ends
	tried   []*member // not these
	version string    // set by pick: that the split rules want
}

// acquire chooses an instance for a call and holds it. It waits while no instance is known to be ready, and while those that could take
// the call are being connected for the first time.
func (p *pool) acquire(n *need) (*member, *balancer.Candidate, error) {
	for {
		v := p.view.Load().narrow(n.binding.filter)
		if v.err != nil {
			return nil, nil, v.err
		}
		c := v.choices(n.method.contract)
		if m, candidate := c.admitted(n, time.Now()); m != nil {
			if m.hold() {
				return m, candidate, nil
			}
			// It has left this moment: a newer view is due.
		} else if strict := c.strictly(n.version); len(strict.seats) < len(c.seats) && !n.wait && !strict.connecting(n.tried) {
			return nil, nil, strict.unreachableVersion(p.service, n.version)
		} else if len(v.seats) > 0 && len(c.seats) == 0 {
			return nil, nil, status.Errorf(codes.Unimplemented, "no instance of %q serves %s: %s", p.service, n.method.contract, v.contracts())
		} else if len(v.seats) > 0 && !n.wait && !c.connecting(n.tried) {
			return nil, nil, c.unreachable(p.service)
		}
		if err := p.await(n.ctx, v); err != nil {
			return nil, nil, err
		}
	}
}

// now is acquire without waiting: it returns nil when no instance can take the call at once.
func (p *pool) now(n *need, called *calledMethod, now time.Time) (*member, *balancer.Candidate) {
	v := p.view.Load().narrow(n.binding.filter)
	if v.err != nil {
		return nil, nil
	}
	m, candidate := called.among(v).admitted(n, now)
	if m == nil || !m.hold() {
		return nil, nil
	}
	return m, candidate
}

// await returns when there is a newer view than v, or with an error when ctx has ended.
func (p *pool) await(ctx context.Context, v *view) error {
	if len(v.seats) == 0 {
		p.waiting.Add(1)
		defer p.waiting.Add(-1)
	}
	select {
	case <-v.changed:
		return nil
	case <-ctx.Done():
	}
	err := status.FromContextError(ctx.Err())
	if len(v.seats) == 0 {
		return status.Errorf(err.Code(), "no ready instance of %q %s: %s", p.service, v.unknown(), err.Message())
	}
	return status.Errorf(err.Code(), "no instance of %q could be reached in time: %s", p.service, err.Message())
}
