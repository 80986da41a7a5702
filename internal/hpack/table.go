package hpack

// A table is the dynamic table of a decoder (RFC 7541 section 2.3.2): a ring of entries, each of which has a number that no other
// entry of the connection ever has, and that stays the same while its index grows with each entry added after it.
type table struct {
	ring        []Field // entry n is at n & (len(ring)-1); the length is a power of two
	first, next uint64  // numbers of the oldest entry and of the next one
	size, max   uint64  // bytes
	changes     uint64  // how often it may have changed
}

// number translates the index of an entry, counted from 0 for the newest.
func (t *table) number(index uint64) (n uint64, ok bool) {
	return t.next - 1 - index, index < t.next-t.first
}

// entry returns the entry with number n, which is in the table.
func (t *table) entry(n uint64) *Field { return &t.ring[n&uint64(len(t.ring)-1)] }

// add adds f, evicting the oldest entries; a field larger than the table empties it (section 4.4).
func (t *table) add(f Field) {
	t.changes++
	size := f.Size()
	if size > t.max {
		t.evict(0)
		return
	}
	t.evict(t.max - size)
	if n := uint64(len(t.ring)); t.next-t.first == n {
		ring := make([]Field, max(16, 2*n))
		for i := t.first; i < t.next; i++ {
			ring[i&uint64(len(ring)-1)] = *t.entry(i)
		}
		t.ring = ring
	}
	*t.entry(t.next) = f
	t.next++
	t.size += size
}

func (t *table) setMax(n uint64) {
	t.changes++
	t.max = n
	t.evict(n)
}

// evict removes the oldest entries until the table has at most size bytes.
func (t *table) evict(size uint64) {
	for t.size > size {
		e := t.entry(t.first)
		t.size -= e.Size()
		*e = Field{}
		t.first++
	}
}
