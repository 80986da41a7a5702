package http2

import "sync/atomic"

// table finds the open streams of a connection by their IDs: a ring in which a stream has the place of its number, and a map for those
// whose place is taken by a stream that lasts. The connection's reader looks up and streams are removed without a lock; put is called
// with the connection's lock held.
type table struct {
	ring     atomic.Pointer[[]atomic.Pointer[Stream]]
	overflow atomic.Pointer[map[uint32]*Stream] // copied on every change; nil when empty
}

const (
	minRing = 16
	maxRing = 1 << 16
)

func (t *table) get(id uint32) *Stream {
	if ring := t.ring.Load(); ring != nil {
		if s := (*ring)[int(id>>1)&(len(*ring)-1)].Load(); s != nil && s.id == id {
			return s
		}
	}
	if more := t.overflow.Load(); more != nil {
		return (*more)[id]
	}
	return nil
}

// put adds a stream to about as many as are open.
func (t *table) put(s *Stream, open int) {
	ring := t.ring.Load()
	if ring == nil {
		first := make([]atomic.Pointer[Stream], minRing)
		ring = &first
		t.ring.Store(ring)
	}
	for {
		size := len(*ring)
		if (*ring)[int(s.id>>1)&(size-1)].CompareAndSwap(nil, s) {
			return
		}
		// The place is taken by a stream that is len(ring) older. A larger ring helps while most places are taken.
		if size >= maxRing || open < size/4 {
			t.changeOverflow(func(m map[uint32]*Stream) { m[s.id] = s })
			return
		}
		ring = t.grow(*ring)
	}
}

func (t *table) grow(old []atomic.Pointer[Stream]) *[]atomic.Pointer[Stream] {
	ring := make([]atomic.Pointer[Stream], 2*len(old))
	for i := range old {
		if s := old[i].Load(); s != nil {
			ring[int(s.id>>1)&(len(ring)-1)].Store(s)
		}
	}
	t.ring.Store(&ring)
	// A stream that was removed meanwhile was removed from the old ring only.
	for i := range ring {
		if s := ring[i].Load(); s != nil && old[i&(len(old)-1)].Load() != s {
			ring[i].CompareAndSwap(s, nil)
		}
	}
	return &ring
}

// remove is called once for each stream that was put.
func (t *table) remove(s *Stream) {
	for {
		ring := t.ring.Load()
		found := (*ring)[int(s.id>>1)&(len(*ring)-1)].CompareAndSwap(s, nil)
		if t.ring.Load() != ring {
			continue
		}
		if !found {
			t.changeOverflow(func(m map[uint32]*Stream) { delete(m, s.id) })
		}
		return
	}
}

func (t *table) changeOverflow(change func(map[uint32]*Stream)) {
	for {
		old := t.overflow.Load()
		m := make(map[uint32]*Stream)
		if old != nil {
			for id, s := range *old {
				m[id] = s
			}
		}
		change(m)
		next := &m
		if len(m) == 0 {
			next = nil
		}
		if t.overflow.CompareAndSwap(old, next) {
			return
		}
	}
}

// empty reports whether there is none.
func (t *table) empty() bool { return len(t.all()) == 0 }

// all returns the streams in the table.
func (t *table) all() []*Stream {
	var list []*Stream
	if ring := t.ring.Load(); ring != nil {
		for i := range *ring {
			if s := (*ring)[i].Load(); s != nil {
				list = append(list, s)
			}
		}
	}
	if more := t.overflow.Load(); more != nil {
		for _, s := range *more {
			list = append(list, s)
		}
	}
	return list
}
