package rpc

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/hanse-go/hanse/balancer"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/rpc/internal/wire"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// view is the state of a [pool] at one moment. It does not change.
type view struct {
	from    balancer.Locality
	changed chan struct{} // closed when there is a newer one
	err     error         // all calls fail with it
	seats   []seat        // of the instances that are ready, whether they can be reached or not

	byContract sync.Map // contract that one of them implements → *choices
}

// seat is a member as it was when the view was made.
type seat struct {
	member    *member
	inst      *discovery.Instance
	candidate *balancer.Candidate
	state     wire.State
	err       error
}

// newView is called with the pool's lock held.
func newView(from balancer.Locality, members []*member, err error) *view {
	v := &view{from: from, changed: make(chan struct{}), err: err, seats: make([]seat, len(members))}
	for i, m := range members {
		v.seats[i] = seat{m, m.inst, m.candidate, m.state, m.err}
	}
	return v
}

// choices are the instances that implement one contract.
type choices struct {
	seats []seat
	near  []*balancer.Candidate // connected and nearest to the caller
	all   []*balancer.Candidate // connected
}

// choices returns what a call of the contract can choose from.
func (v *view) choices(contract string) *choices {
	if c, ok := v.byContract.Load(contract); ok {
		return c.(*choices)
	}
	c := &choices{}
	for _, s := range v.seats {
		if !s.inst.Implements(contract) && !everywhere(contract) {
			continue
		}
		c.seats = append(c.seats, s)
		if s.state == wire.Ready {
			c.all = append(c.all, s.candidate)
		}
	}
	c.near = v.from.Nearest(c.all)
	if len(c.seats) > 0 { // so that calls of contracts that do not exist fill no memory
		v.byContract.Store(contract, c)
	}
	return c
}

// pick chooses among the nearest instances or, when there is none that was not tried, among all. It returns nil when all were
// tried or none is connected.
func (c *choices) pick(n *need) (*member, *balancer.Candidate) {
	for _, candidates := range [...][]*balancer.Candidate{c.near, c.all} {
		if len(n.tried) > 0 {
			candidates = slices.DeleteFunc(slices.Clone(candidates), func(x *balancer.Candidate) bool {
				return slices.Contains(n.tried, c.member(x))
			})
		}
		if len(candidates) == 0 {
			continue
		}
		candidate := balancer.Pick(n.ctx, n.method.name, n.binding.picker, candidates)
		m := c.member(candidate)
		if m == nil { // a picker must not answer with what it was not asked about
			candidate = candidates[0]
			m = c.member(candidate)
		}
		return m, candidate
	}
	return nil, nil
}

func (c *choices) member(candidate *balancer.Candidate) *member {
	for i := range c.seats {
		if c.seats[i].candidate == candidate {
			return c.seats[i].member
		}
	}
	return nil
}

// connecting reports whether one that was not tried may be connected soon.
func (c *choices) connecting(tried []*member) bool {
	return slices.ContainsFunc(c.seats, func(s seat) bool {
		return s.state != wire.Unreachable && !slices.Contains(tried, s.member)
	})
}

// unreachable is the error of a call that no instance could take.
func (c *choices) unreachable(service string) error {
	var why []string
	for _, s := range c.seats {
		if s.err != nil {
			why = append(why, fmt.Sprintf("%s: %v", s.name(), s.err))
		}
	}
	if why == nil {
		return status.Errorf(codes.Unavailable, "no other instance of %q can take the call", service)
	}
	const shown = 4
	if more := len(why) - shown; more > 0 {
		why = append(why[:shown], fmt.Sprintf("and %d more", more))
	}
	return status.Errorf(codes.Unavailable, "no instance of %q can be reached: %s", service, strings.Join(why, "; "))
}

// contracts lists what the instances serve, for an error message.
func (v *view) contracts() string {
	var names []string
	for _, s := range v.seats {
		for _, c := range s.inst.Contracts {
			names = append(names, c.Name)
		}
	}
	slices.Sort(names)
	return "it serves " + strings.Join(slices.Compact(names), ", ")
}

// name names the instance in an error message.
func (s seat) name() string {
	name := strings.Join(s.inst.Endpoints, ", ")
	if s.inst.ID != "" {
		name = s.inst.ID + " at " + name
	}
	return name
}
