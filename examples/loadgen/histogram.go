package main

import (
	"math/bits"
	"time"
)

// histogram counts durations in buckets that are at most 1/32 of their value wide: a few kilobytes, however many are added. The zero
// value is empty.
type histogram struct {
	buckets [64 * 32]uint32
	n       int
	most    time.Duration
}

func (h *histogram) add(d time.Duration) {
	h.buckets[bucket(d)]++
	h.n++
	h.most = max(h.most, d)
}

// quantile returns a duration that so many of all are not above, 0 when there are none.
func (h *histogram) quantile(q float64) time.Duration {
	rank := int(q*float64(h.n-1)) + 1
	for i, n := range h.buckets {
		if rank -= int(n); h.n > 0 && rank <= 0 {
			return min(upper(i), h.most)
		}
	}
	return 0
}

// bucket returns where a duration is counted: microseconds below 32 each have their own bucket, and then each doubling has 32.
func bucket(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 0))
	if us < 32 {
		return int(us)
	}
	shift := bits.Len64(us) - 6
	return (shift+1)*32 + int(us>>shift) - 32
}

// upper returns the longest duration of a bucket.
func upper(i int) time.Duration {
	if i < 32 {
		return time.Duration(i) * time.Microsecond
	}
	shift := i/32 - 1
	return time.Duration((uint64(i%32)+33)<<shift-1) * time.Microsecond
}
