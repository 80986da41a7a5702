package rpc

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/hanse-go/hanse/resilience"
	"google.golang.org/grpc"
)

// policies are those of one service, resolved for its methods. They do not change: others take their place.
type policies struct {
	from    map[string]resilience.Policy
	service string
	whole   resilience.Policy
	single  bool     // no method has one of its own
	methods sync.Map // full method → *resilience.Policy, of the methods that the program's descriptors have
}

func newPolicies(from map[string]resilience.Policy, service string) *policies {
	return &policies{
		from: from, service: service,
		whole:  resilience.Resolve(from, service, ""),
		single: len(from[service].Methods) == 0 && len(from[""].Methods) == 0,
	}
}

// of returns the policy of a method.
func (p *policies) of(method string) *resilience.Policy {
	if p.single {
		return &p.whole
	}
	if m, ok := p.methods.Load(method); ok {
		return m.(*resilience.Policy)
	}
	m := resilience.Resolve(p.from, p.service, method)
	if _, known := methods.Load(method); known { // so that calls of methods that do not exist fill no memory
		p.methods.Store(method, &m)
	}
	return &m
}

// policySource returns the policies by service, as they are now. c.mu is held.
func (c *Client) policySource() map[string]resilience.Policy {
	if c.switched != nil {
		return c.switched
	}
	if c.Timeout == 0 {
		return c.Policies
	}
	from := maps.Clone(c.Policies)
	if from == nil {
		from = make(map[string]resilience.Policy)
	}
	if all := from[""]; all.Timeout == 0 {
		all.Timeout = c.Timeout
		from[""] = all
	}
	return from
}

// policy returns what holds for a service as a whole. c.mu is held.
func (c *Client) policy(service string) resilience.Policy {
	return resilience.Resolve(c.policySource(), service, "")
}

// checkPolicies returns what is wrong with the client's policies.
func (c *Client) checkPolicies() error {
	for name, p := range c.Policies {
		if err := p.Check(); err != nil {
			return fmt.Errorf("the policy of %q: %w", name, err)
		}
	}
	return nil
}

// Policy returns what holds for the calls of a method of a service, now, with all defaults filled in. method is "/contract/method", or
// "" for the service as a whole.
func (c *Client) Policy(service, method string) resilience.Policy {
	c.mu.Lock()
	defer c.mu.Unlock()
	return resilience.Resolve(c.policySource(), service, method)
}

// SetPolicy gives a service, or all when it is "", another policy in place of the one in Policies, at once: calls that begin from now on
// follow it. It is safe for concurrent use. A policy that is wrong changes nothing and is an error.
func (c *Client) SetPolicy(service string, p resilience.Policy) error {
	if err := p.Check(); err != nil {
		return fmt.Errorf("rpc: the policy of %q: %w", service, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	from := maps.Clone(c.policySource())
	if from == nil {
		from = make(map[string]resilience.Policy)
	}
	from[service] = p
	c.switched = from
	for conn, b := range c.conns {
		b.policies.Store(newPolicies(from, conn.name))
	}
	for name, pool := range c.pools {
		pool.guard.follow(resilience.Resolve(from, name, ""))
	}
	return nil
}

// ServicePolicy returns the policy that a service, or all when it is "", was given: by Policies or by SetPolicy. What it leaves open is
// not filled in.
func (c *Client) ServicePolicy(service string) resilience.Policy {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.policySource()[service]
}

// errPolicyTimeout is the cause of a context that ends with the policy's Timeout, and not by the caller's will.
var errPolicyTimeout = fmt.Errorf("the timeout of the policy is over: %w", context.DeadlineExceeded)

// timeout returns the time that a call gets; 0: no less than its context says.
func (b *binding) timeout(ctx context.Context, method string, opts []grpc.CallOption) time.Duration {
	for i := len(opts) - 1; i >= 0; i-- {
		if _, ok := opts[i].(grpc.StaticMethodCallOption); ok { // that of generated clients: to look for ours takes longer
			continue
		}
		if o, ok := opts[i].(resilience.CallOption); ok && o.Timeout != 0 {
			return max(o.Timeout, 0)
		}
	}
	if _, ok := ctx.Deadline(); ok {
		return 0
	}
	if b.fixedTimeout != 0 {
		return max(b.fixedTimeout, 0)
	}
	return max(b.policies.Load().of(method).Timeout, 0)
}

// policy returns what holds for one call.
func (b *binding) policy(method string, o *callOptions) *resilience.Policy {
	p := b.policies.Load().of(method)
	if o.policy == nil {
		return p
	}
	own := o.policy.Over(*p)
	return &own
}
