package http2

import "sync/atomic"

// Budget bounds the bytes that the connections of a server hold together, queued to be sent ([Config.Budget]) or for messages of which
// a part has come (its user's affair, by Take and Give). A connection is allowed a small share even when others have used all of it,
// so that one peer cannot starve the rest. The zero value allows nothing. It is safe for concurrent use.
type Budget struct {
	limit, used atomic.Int64
}

// NewBudget returns a budget of limit bytes.
func NewBudget(limit int64) *Budget {
	b := new(Budget)
	b.limit.Store(limit)
	return b
}

// Take takes n bytes, or reports that there are not as many.
func (b *Budget) Take(n int) bool {
	if b.used.Add(int64(n)) > b.limit.Load() {
		b.used.Add(int64(-n))
		return false
	}
	return true
}

// Give gives n bytes back that were taken.
func (b *Budget) Give(n int) { b.used.Add(int64(-n)) }

// Used is how many bytes are taken now.
func (b *Budget) Used() int64 { return b.used.Load() }

// has reports whether n bytes could be taken.
func (b *Budget) has(n int) bool { return b.used.Load()+int64(n) <= b.limit.Load() }

// force takes n bytes whether there are as many or not.
func (b *Budget) force(n int) { b.used.Add(int64(n)) }
