package balancer

import (
	"context"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Policy says how the instances of one service are chosen. Its zero value is the default: of all instances the nearest, and of those by
// [P2C]. It must not be changed while it is in use.
type Policy struct {
	// Picker makes a picker. Each connection has one for each set of instances that it chooses from: of each tier of nearness, and of
	// each version while a split rules. Default, also when it returns nil: [P2C].
	Picker func() Picker

	// Filter says which instances may be called at all. Default: all.
	Filter Filter

	// WarmUp is how long a new instance gets less than its share of the calls: a tenth at first, and more as time passes. It counts
	// from when the caller saw it become ready or, for one that was there before the caller, from when it was started. Default and -1:
	// none; [P2C] gives a new instance its share and sees at once when it is slow.
	WarmUp time.Duration

	// NoLocality makes instances that are far away as good as near ones. Default: those on the caller's host come first, then those in
	// its zone. [ConsistentHash] never looks at where instances are, for all callers must agree.
	NoLocality bool
}

// Policies are those of several services by their names; that of the empty name counts for all services without one of their own.
type Policies map[string]Policy

// For returns the policy for a service.
func (p Policies) For(service string) Policy {
	if own, ok := p[service]; ok {
		return own
	}
	return p[""]
}

// Chooser chooses for the calls of one connection, as a [Policy] says. It is safe for concurrent use.
type Chooser struct {
	newPicker  func() Picker
	warmUp     time.Duration
	everywhere bool

	pickers   pickers                             // of calls to any version
	mu        sync.Mutex                          // of those who add to byVersion
	byVersion atomic.Pointer[map[string]*pickers] // replaced, never changed
}

// pickers are one for each tier.
type pickers [tiers]Picker

// NewChooser returns a chooser with pickers of its own.
func (p Policy) NewChooser() *Chooser {
	c := &Chooser{newPicker: p.Picker, warmUp: p.WarmUp, everywhere: p.NoLocality}
	if c.newPicker == nil {
		c.newPicker = func() Picker { return new(P2C) }
	}
	c.pickers = c.newPickers()
	if _, ok := c.pickers[elsewhere].(*ConsistentHash); ok {
		c.everywhere, c.warmUp = true, 0
	}
	return c
}

func (c *Chooser) newPickers() (p pickers) {
	for level := range p {
		if p[level] = c.newPicker(); p[level] == nil {
			p[level] = new(P2C)
		}
	}
	return p
}

// maxVersions bounds the versions whose pickers are kept: those of old ones are not asked for any more.
const maxVersions = 64

// of returns the pickers for the candidates of a version.
func (c *Chooser) of(version string) *pickers {
	if version == "" {
		return &c.pickers
	}
	if known := c.byVersion.Load(); known != nil && (*known)[version] != nil {
		return (*known)[version]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	more := make(map[string]*pickers)
	if known := c.byVersion.Load(); known != nil && len(*known) < maxVersions {
		maps.Copy(more, *known)
	}
	if more[version] == nil {
		p := c.newPickers()
		more[version] = &p
		c.byVersion.Store(&more)
	}
	return more[version]
}

// coldest is the share of its calls that a new instance gets at first.
const coldest = 0.1

// Choose returns the candidate for a call: ctx carries its outgoing metadata, and method is its full name. All candidates are of the
// version, unless that is empty. It returns nil when there are none, or when the picker does.
func (c *Chooser) Choose(ctx context.Context, method, version string, from *Tiers) *Candidate {
	if len(from.all) == 0 {
		return nil
	}
	pickers := c.of(version)
	chosen := c.pick(ctx, method, pickers, from)
	if c.warmUp <= 0 {
		return chosen
	}
	for range 3 { // who is cold is passed over; when all are, one of them must do
		if chosen == nil || !chosen.declines(c.warmUp) {
			break
		}
		chosen = c.pick(ctx, method, pickers, from)
	}
	return chosen
}

func (c *Chooser) pick(ctx context.Context, method string, pickers *pickers, from *Tiers) *Candidate {
	if c.everywhere {
		return Pick(ctx, method, pickers[elsewhere], from.all)
	}
	return from.pick(ctx, method, pickers)
}

// declines reports, at random, whether a candidate that warms up leaves a call to others.
func (c *Candidate) declines(warmUp time.Duration) bool {
	if c.Born.IsZero() {
		return false
	}
	age := time.Since(c.Born)
	return age < warmUp && rand.Float64() > max(coldest, float64(age)/float64(warmUp))
}
