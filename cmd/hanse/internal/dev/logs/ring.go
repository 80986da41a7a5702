package logs

import (
	"context"
	"slices"
	"sync"
)

// Ring keeps the last lines of a system. Writers never wait for readers: a reader that is too slow misses lines, and can tell by
// their numbers. It is safe for concurrent use.
type Ring struct {
	mu      sync.Mutex
	lines   []Line // in order of Seq, the oldest at start
	start   int
	max     int
	next    uint64 // Seq of the next line
	changed chan struct{}
	closed  bool
}

// NewRing returns a Ring that keeps max lines.
func NewRing(max int) *Ring {
	return &Ring{max: max, next: 1, changed: make(chan struct{})}
}

// Add appends a line and gives it its number.
func (r *Ring) Add(l Line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l.Seq = r.next
	r.next++
	if len(r.lines) < r.max {
		r.lines = append(r.lines, l)
	} else {
		r.lines[r.start] = l
		r.start = (r.start + 1) % r.max
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

// Close tells readers that no line will follow.
func (r *Ring) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	close(r.changed)
	r.changed = make(chan struct{})
}

// Last returns the last n lines that keep wants (nil: all), oldest first, and the number to go on from with [Ring.After].
func (r *Ring) Last(n int, keep func(Line) bool) (lines []Line, seq uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := len(r.lines) - 1; i >= 0 && len(lines) < n; i-- {
		if l := r.lines[(r.start+i)%len(r.lines)]; keep == nil || keep(l) {
			lines = append(lines, l)
		}
	}
	slices.Reverse(lines)
	return lines, r.next - 1
}

// After waits for lines with numbers above seq and returns those that there are; none when ctx ended or the Ring was closed and
// everything was read.
func (r *Ring) After(ctx context.Context, seq uint64) []Line {
	for {
		r.mu.Lock()
		var lines []Line
		if r.next > seq+1 {
			first := max(0, len(r.lines)-int(min(r.next-1-seq, uint64(len(r.lines)))))
			for i := first; i < len(r.lines); i++ {
				lines = append(lines, r.lines[(r.start+i)%len(r.lines)])
			}
		}
		changed, closed := r.changed, r.closed
		r.mu.Unlock()
		if len(lines) > 0 || closed {
			return lines
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}
