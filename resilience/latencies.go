package resilience

import (
	"math"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// Latencies remembers how long the latest calls of a method took, to about a tenth. The zero value is ready to use. Its methods are safe
// for concurrent use; Add takes no lock, as a rule.
type Latencies struct {
	n       atomic.Int64
	buckets [latencyBuckets]atomic.Uint32
	mu      sync.Mutex // held while all are halved
}

const (
	latencyParts   = 8 // buckets that a doubling is divided into
	latencyBuckets = 28 * latencyParts
	latencyKept    = 2048 // calls after which each counts half
	latencyLeast   = 100  // calls that are needed for an answer
)

// Add remembers a call.
func (l *Latencies) Add(took time.Duration) {
	l.buckets[latencyBucket(took)].Add(1)
	if l.n.Add(1) >= latencyKept {
		l.halve()
	}
}

func (l *Latencies) halve() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n.Load() < latencyKept {
		return
	}
	left := int64(0)
	for i := range l.buckets {
		n := l.buckets[i].Load() / 2
		l.buckets[i].Store(n)
		left += int64(n)
	}
	l.n.Store(left)
}

// Percentile returns how long at most so many percent of the calls took, and false while fewer than a hundred are known.
func (l *Latencies) Percentile(p float64) (time.Duration, bool) {
	if l.n.Load() < latencyLeast {
		return 0, false
	}
	var counts [latencyBuckets]uint32
	total := uint64(0)
	for i := range counts {
		counts[i] = l.buckets[i].Load()
		total += uint64(counts[i])
	}
	want := uint64(math.Ceil(float64(total) * p / 100))
	for i, n := range counts {
		if uint64(n) >= want {
			return latencyEnd(i), true
		}
		want -= uint64(n)
	}
	return latencyEnd(latencyBuckets - 1), true
}

// latencyBucket returns the bucket of a time: eight to each doubling of a microsecond.
func latencyBucket(d time.Duration) int {
	us := uint64(max(d/time.Microsecond, 0))
	if us < latencyParts {
		return int(us)
	}
	shift := bits.Len64(us) - 4 // leaves 8 to 15
	return min(shift*latencyParts+int(us>>shift), latencyBuckets-1)
}

// latencyEnd returns the end of a bucket.
func latencyEnd(i int) time.Duration {
	if i < latencyParts {
		return time.Duration(i+1) * time.Microsecond
	}
	shift := i/latencyParts - 1
	return time.Duration(uint64(i%latencyParts+latencyParts+1)<<shift) * time.Microsecond
}

// Delay returns after how long a call is hedged whose method takes so long, and false when it is not.
func (h Hedge) Delay(l *Latencies) (time.Duration, bool) {
	if h.Percentile > 0 {
		d, ok := l.Percentile(h.Percentile)
		return max(d, h.After), ok
	}
	return h.After, h.After > 0
}
