package load

import (
	"math"
	"math/bits"
	"time"
)

// histogram counts durations in 64 steps for each power of two: what it tells is less than 2 % off. The zero value is empty.
type histogram struct {
	counts [64 * 32]uint64
	total  uint64
	most   time.Duration
}

// add counts a duration; resolution and minimum are a microsecond.
func (h *histogram) add(d time.Duration) {
	h.counts[min(slot(uint64(max(d, 0)/time.Microsecond)), len(h.counts)-1)]++
	h.total++
	h.most = max(h.most, d)
}

// quantile returns the duration that a share q of all stays within; 0 when there are none.
func (h *histogram) quantile(q float64) time.Duration {
	rank := uint64(math.Ceil(q * float64(h.total)))
	seen := uint64(0)
	for i, n := range h.counts {
		if seen += n; seen >= rank {
			return min(time.Duration(upper(i))*time.Microsecond, h.most)
		}
	}
	return h.most
}

// slot returns where n is counted: by its highest seven bits.
func slot(n uint64) int {
	shift := max(bits.Len64(n)-7, 0)
	return shift*64 + int(n>>shift)
}

// upper returns the largest n of a slot.
func upper(i int) uint64 {
	if i < 128 {
		return uint64(i)
	}
	shift := i/64 - 1
	return (uint64(i-shift*64)+1)<<shift - 1
}
