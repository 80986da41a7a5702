package wire

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// histogram counts durations in buckets that are 1.6 % wide.
type histogram map[int]uint32

// counts is a histogram that many goroutines fill and that allocates nothing while they do.
type counts [(64 - fine + 1) << fine]atomic.Uint32

func (c *counts) add(d time.Duration) { c[bucket(d)].Add(1) }

func (c *counts) histogram() histogram {
	h := histogram{}
	for b := range c {
		if n := c[b].Load(); n > 0 {
			h[b] = n
		}
	}
	return h
}

const fine = 6 // bits of a duration that are kept below its highest

func bucket(d time.Duration) int {
	v := uint64(max(d, 0))
	shift := max(bits.Len64(v)-fine-1, 0)
	return shift<<fine + int(v>>shift)
}

// lowest returns the least duration of a bucket.
func lowest(bucket int) time.Duration {
	shift := max(bucket>>fine-1, 0)
	return time.Duration(bucket-shift<<fine) << shift
}

func (h histogram) merge(other histogram) {
	for b, n := range other {
		h[b] += n
	}
}

// percentile returns a duration that the share p of all does not exceed.
func (h histogram) percentile(p float64) time.Duration {
	var total, last int
	for b, n := range h {
		total += int(n)
		last = max(last, b)
	}
	want := int(p * float64(total))
	seen := 0
	for b := range last + 1 {
		if seen += int(h[b]); seen > want {
			return lowest(b)
		}
	}
	return lowest(last)
}
