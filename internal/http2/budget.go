package http2

import (
	"sync"
	"sync/atomic"
)

// Budget bounds the bytes that the connections of a server hold together, queued to be sent ([Config.Budget]) or for messages of which
// a part has come (its user's affair, by Take and Give). A connection is allowed a small share even when others have used all of it,
// so that one peer cannot starve the rest. The zero value allows nothing. It is safe for concurrent use.
type Budget struct {
	limit, used atomic.Int64

	mu      sync.Mutex
	waiting map[*Conn]bool // to be told when there is room
	waits   atomic.Bool    // waiting is not empty
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
func (b *Budget) Give(n int) { b.force(-n) }

// Used is how many bytes are taken now.
func (b *Budget) Used() int64 { return b.used.Load() }

// has reports whether n bytes could be taken.
func (b *Budget) has(n int) bool { return b.used.Load()+int64(n) <= b.limit.Load() }

// force takes n bytes whether there are as many or not. If n is negative it gives them back.
func (b *Budget) force(n int) {
	b.used.Add(int64(n))
	if n < 0 && b.waits.Load() && b.has(1) {
		b.tell()
	}
}

// await has c told when there is room, once. The caller looks again after it.
func (b *Budget) await(c *Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting == nil {
		b.waiting = make(map[*Conn]bool)
	}
	b.waiting[c] = true
	b.waits.Store(true)
}

// tell tells those that wait. Each has a goroutine, for the caller may hold the lock of a connection.
func (b *Budget) tell() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.waiting {
		go c.roomInBudget()
	}
	clear(b.waiting)
	b.waits.Store(false)
}
