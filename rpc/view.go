package rpc

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/balancer"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/internal/everywhere"
	"github.com/hanse-go/hanse/rpc/internal/wire"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// view is the state of a [pool] at one moment. It does not change.
type view struct {
	from    balancer.Locality
	changed chan struct{}   // closed when there is a newer one
	err     error           // all calls fail with it
	seats   []seat          // of the instances that are ready, whether they can be reached or not
	split   *balancer.Split // rules over their versions; nil: none

	byContract sync.Map // contract that one of them implements → *choices

	filter   *balancer.Filter // that all seats have passed; nil: none
	others   int              // that did not pass
	filtered sync.Map         // *balancer.Filter → *view: the same with the seats that pass
}

// seat is a member as it was when the view was made.
type seat struct {
	member    *member
	inst      *discovery.Instance
	candidate *balancer.Candidate
	state     wire.State
	err       error
	ejected   bool
	first     bool // it was never connected
}

// newView is called with the pool's lock held.
func newView(from balancer.Locality, members []*member, split *balancer.Split, err error) *view {
	v := &view{from: from, split: split, changed: make(chan struct{}), err: err, seats: make([]seat, len(members))}
	for i, m := range members {
		v.seats[i] = seat{m, m.inst, m.candidate, m.state, m.err, m.watched.Ejected(), m.lost.IsZero()}
	}
	return v
}

// narrow returns the view with the instances that the filter admits, or v itself when there is no filter.
func (v *view) narrow(filter *balancer.Filter) *view {
	if filter == nil {
		return v
	}
	if narrow, ok := v.filtered.Load(filter); ok {
		return narrow.(*view)
	}
	narrow := &view{from: v.from, changed: v.changed, err: v.err, filter: filter}
	for _, s := range v.seats {
		if filter.Admits(s.inst) {
			narrow.seats = append(narrow.seats, s)
		} else {
			narrow.others++
		}
	}
	if filter.Version == "" { // who asks for a version has chosen
		narrow.split = v.split
	}
	v.filtered.Store(filter, narrow)
	return narrow
}

// unknown says what is not there, for the error of a call that waited for it.
func (v *view) unknown() string {
	if v.filter == nil {
		return "is known"
	}
	return fmt.Sprintf("is known that has %s (%d others are)", v.filter, v.others)
}

// choices are the instances that implement one contract.
type choices struct {
	of    *view
	seats []seat
	from  balancer.Locality
	split *balancer.Split
	open  open
}

// open are those that are connected.
type open struct {
	tiers    *balancer.Tiers
	versions map[string]*balancer.Tiers // while rules split them
}

func newOpen(from balancer.Locality, split *balancer.Split, connected []*balancer.Candidate) open {
	o := open{tiers: from.Tiers(connected)}
	if split == nil {
		return o
	}
	versions := make(map[string][]*balancer.Candidate)
	for _, x := range connected {
		versions[x.Instance.Version] = append(versions[x.Instance.Version], x)
	}
	o.versions = make(map[string]*balancer.Tiers, len(versions))
	for v, list := range versions {
		o.versions[v] = from.Tiers(list)
	}
	return o
}

// choices returns what a call of the contract can choose from.
func (v *view) choices(contract string) *choices {
	if c, ok := v.byContract.Load(contract); ok {
		return c.(*choices)
	}
	c := &choices{of: v, from: v.from, split: v.split}
	for _, s := range v.seats {
		if contract == anyContract || s.inst.Implements(contract) || everywhere.Has(contract) {
			c.seats = append(c.seats, s)
		}
	}
	c.open = newOpen(v.from, v.split, c.connected())
	if len(c.seats) > 0 { // so that calls of contracts that do not exist fill no memory
		v.byContract.Store(contract, c)
	}
	return c
}

// connected returns those that are connected and not ejected. One that is worse than others is better than none: ejected ones are among
// them when there is no other one that could take their calls.
func (c *choices) connected() (list []*balancer.Candidate) {
	good := make(map[string]bool) // versions
	for _, s := range c.seats {
		if s.state == wire.Ready && !s.ejected {
			list = append(list, s.candidate)
			good[s.inst.Version] = true
		}
	}
	strict := c.split != nil && c.split.Strict()
	for _, s := range c.seats {
		if s.state == wire.Ready && s.ejected && (len(good) == 0 || strict && !good[s.inst.Version]) {
			list = append(list, s.candidate)
		}
	}
	return list
}

// pick chooses among those that were not tried. It returns nil when there is none that is connected.
func (c *choices) pick(n *need) (*member, *balancer.Candidate) {
	from := c.open
	if len(n.tried) > 0 {
		from = newOpen(c.from, c.split, slices.DeleteFunc(slices.Clone(from.tiers.All()), func(x *balancer.Candidate) bool {
			return slices.Contains(n.tried, c.member(x))
		}))
	}
	version, tiers := "", from.tiers
	if c.split != nil {
		var ok bool
		version, ok = c.split.Version(n.ctx,
			func(v string) bool { return from.versions[v] != nil },
			func(v string) bool { return c.comes(v) })
		switch {
		case version != "":
			tiers = from.versions[version]
		case !ok && c.soon(n.tried):
			return nil, nil // others must not take the call because a connection takes a moment
		}
	}
	if n.version = version; tiers == nil || tiers.Len() == 0 {
		return nil, nil
	}
	candidate := n.binding.chooser.Choose(n.ctx, n.method.name, version, tiers)
	m := c.member(candidate)
	if m == nil { // a picker must not answer with what it was not asked about
		candidate = tiers.All()[0]
		m = c.member(candidate)
	}
	return m, candidate
}

// admitted is pick, but an instance that was ejected lately gets only as many calls as it should, if another can take the others.
func (c *choices) admitted(n *need, now time.Time) (*member, *balancer.Candidate) {
	m, candidate := c.pick(n)
	if m == nil || m.watched.Admit(now) {
		return m, candidate
	}
	others := *n
	others.tried = append(slices.Clone(n.tried), m)
	if other, its := c.pick(&others); other != nil {
		return other, its
	}
	return m, candidate
}

func (c *choices) member(candidate *balancer.Candidate) *member {
	for i := range c.seats {
		if c.seats[i].candidate == candidate {
			return c.seats[i].member
		}
	}
	return nil
}

// soon reports whether one that was not tried, of a version that has a share, is being connected.
func (c *choices) soon(tried []*member) bool {
	return slices.ContainsFunc(c.seats, func(s seat) bool {
		return s.state == wire.Connecting && c.split.Shares(s.inst.Version) && !slices.Contains(tried, s.member)
	})
}

// comes reports whether an instance of the version is being connected for the first time.
func (c *choices) comes(version string) bool {
	return slices.ContainsFunc(c.seats, func(s seat) bool { return s.state == wire.Connecting && s.first && s.inst.Version == version })
}

// strictly returns the choices of a call that goes to this version or nowhere.
func (c *choices) strictly(version string) *choices {
	if version == "" || !c.split.Strict() {
		return c
	}
	return &choices{seats: slices.DeleteFunc(slices.Clone(c.seats), func(s seat) bool { return s.inst.Version != version })}
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

// unreachableVersion is the error of a call that goes to this version or nowhere.
func (c *choices) unreachableVersion(service, version string) error {
	if len(c.seats) == 0 {
		return status.Errorf(codes.Unavailable, "the split rules of %q send this call to version %s, which no instance has (hanse split %s --off takes the rules away)", service, version, service)
	}
	return status.Errorf(codes.Unavailable, "the split rules of %q send this call to version %s: %s", service, version, status.Convert(c.unreachable(service)).Message())
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
