package balancer

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/internal/outmeta"
)

// Split decides which version of a service gets a call, as a [discovery.Split] says. It is safe for concurrent use.
type Split struct {
	rules  discovery.Split
	hashes []uint64 // of the versions of rules.Shares
}

// NewSplit returns what decides by the rules; nil when there are none.
func NewSplit(rules discovery.Split) *Split {
	if rules.Off() {
		return nil
	}
	s := &Split{rules: rules}
	for _, share := range rules.Shares {
		s.hashes = append(s.hashes, hashString(share.Version))
	}
	return s
}

// Strict reports whether calls to a version without instances fail.
func (s *Split) Strict() bool { return s.rules.Strict }

// Shares reports whether the version has a share of the calls that nothing matches.
func (s *Split) Shares(version string) bool {
	return slices.ContainsFunc(s.rules.Shares, func(share discovery.SplitShare) bool {
		return share.Version == version && share.Percent > 0
	})
}

// Version returns the version that a call goes to; empty: to any. ctx carries the call's outgoing metadata. has tells which versions have
// an instance that can take the call: others are passed over, unless the rules are strict. A match also counts when its version comes: when
// it will have one in a moment. It reports false when there are shares, and
// no version that has one is left.
func (s *Split) Version(ctx context.Context, has, comes func(version string) bool) (version string, ok bool) {
	for i := range s.rules.Match {
		m := &s.rules.Match[i]
		value, ok := outmeta.Value(ctx, m.Header)
		if !ok || m.Value != "" && value != m.Value {
			continue
		}
		if s.rules.Strict || has(m.Version) || comes(m.Version) {
			return m.Version, true
		}
		break // what was meant for it goes to the others
	}
	if len(s.rules.Shares) == 0 {
		return "", true
	}
	if s.rules.Sticky != "" {
		if key, ok := outmeta.Value(ctx, s.rules.Sticky); ok {
			version = s.sticky(hashString(key), has)
			return version, version != ""
		}
	}
	version = s.drawn(has)
	return version, version != ""
}

// drawn draws a version in proportion to the shares.
func (s *Split) drawn(has func(version string) bool) string {
	sum := 0.0
	for i := range s.rules.Shares {
		sum += s.share(i, has)
	}
	at := rand.Float64() * sum
	last := ""
	for i := range s.rules.Shares {
		share := s.share(i, has)
		if share == 0 {
			continue
		}
		last = s.rules.Shares[i].Version
		if at -= share; at < 0 {
			break
		}
	}
	return last
}

// sticky returns the version that belongs to the hash of a key. When shares change, only as many keys move as it takes.
func (s *Split) sticky(key uint64, has func(version string) bool) string {
	best, least := "", math.Inf(1)
	for i := range s.rules.Shares {
		if share := s.share(i, has); share > 0 {
			if cost := exponential(mix(key^s.hashes[i])) / share; cost < least {
				best, least = s.rules.Shares[i].Version, cost
			}
		}
	}
	return best
}

// share returns the share of a version, 0 for one that is passed over.
func (s *Split) share(i int, has func(version string) bool) float64 {
	share := &s.rules.Shares[i]
	if share.Percent == 0 || !s.rules.Strict && !has(share.Version) {
		return 0
	}
	return share.Percent
}
