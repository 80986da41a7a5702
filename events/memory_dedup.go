package events

import (
	"hash/maphash"
	"time"
)

// dedup remembers which messages came lately, in two generations, so that forgetting costs nothing.
type dedup struct {
	window   time.Duration // 0: nothing is remembered
	seed     maphash.Seed
	now, old generation
	first    time.Time // what the times of generations count from; zero before the first message
	began    time.Time // of the younger generation
}

// dedupMin is how many messages a generation has before it may be forgotten for their number.
const dedupMin = 1 << 14

// identity returns a hash of what tells the message from others; never 0.
func (d *dedup) identity(m *Message) uint64 {
	if d.window == 0 {
		return 1
	}
	if d.first.IsZero() {
		d.seed = maphash.MakeSeed()
	}
	h := maphash.String(d.seed, m.ID) ^ maphash.String(d.seed, m.Source)*3
	if again := m.Metadata[redeliveryHeader]; again != "" {
		h ^= maphash.String(d.seed, again) * 5
	}
	return max(h, 1)
}

// has reports whether the message of that identity came within the window.
func (d *dedup) has(identity uint64, now time.Time) bool {
	since := now.Sub(d.first) - d.window
	return d.now.has(identity, since) || d.old.has(identity, since)
}

// add remembers the message.
func (d *dedup) add(identity uint64, now time.Time) {
	if d.window == 0 {
		return
	}
	if d.first.IsZero() {
		d.first, d.began = now, now
	}
	if d.now.count >= dedupMin || now.Sub(d.began) >= d.window {
		d.old.clear()
		d.now, d.old, d.began = d.old, d.now, now
	}
	d.now.add(identity, now.Sub(d.first))
}

// generation is messages that came one after the other: a table by their identity, of which at most half is used.
type generation struct {
	seen  []sighting // as many as a power of two
	count int
}

// sighting has no pointer, so that garbage collection need not look at it.
type sighting struct {
	identity uint64 // 0: none
	at       time.Duration
}

// slot returns the place of an identity, or the free one that it would have. The table is not empty.
func (g *generation) slot(identity uint64) *sighting {
	mask := uint64(len(g.seen) - 1)
	for i := identity; ; i++ {
		if s := &g.seen[i&mask]; s.identity == identity || s.identity == 0 {
			return s
		}
	}
}

// has reports whether the identity was seen after a time.
func (g *generation) has(identity uint64, since time.Duration) bool {
	if g.count == 0 {
		return false
	}
	s := g.slot(identity)
	return s.identity == identity && s.at > since
}

func (g *generation) add(identity uint64, at time.Duration) {
	if 2*g.count >= len(g.seen) {
		was := g.seen
		g.seen = make([]sighting, max(64, 2*len(was)))
		for _, s := range was {
			if s.identity != 0 {
				*g.slot(s.identity) = s
			}
		}
	}
	s := g.slot(identity)
	if s.identity == 0 {
		g.count++
	}
	*s = sighting{identity, at}
}

func (g *generation) clear() {
	clear(g.seen)
	g.count = 0
}
