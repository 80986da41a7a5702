package wire

import (
	"math"
	"testing"
	"time"
)

func TestHistogram(t *testing.T) {
	for _, d := range []time.Duration{0, 1, 63, 64, 127, 128, 129, 1000, time.Millisecond, 3 * time.Second, math.MaxInt64} {
		if b := lowest(bucket(d)); b > d || float64(d-b) > 0.016*float64(d) {
			t.Errorf("%d ns went to the bucket of %d ns", d, b)
		}
		if d > 0 && bucket(d) < bucket(d-1) {
			t.Errorf("the bucket of %d is below that of %d", d, d-1)
		}
	}
	c := new(counts)
	c.add(math.MaxInt64) // has a bucket too
	c = new(counts)
	for i := range 100 {
		c.add(time.Duration(i+1) * time.Millisecond)
	}
	h := c.histogram()
	h.merge(histogram{bucket(time.Second): 2})
	for p, want := range map[float64]time.Duration{0: time.Millisecond, 0.5: 52 * time.Millisecond, 0.99: time.Second, 1: time.Second} {
		if got := h.percentile(p); got > want || float64(want-got) > 0.016*float64(want) {
			t.Errorf("percentile %v is %v, want %v", p, got, want)
		}
	}
	if got := (histogram{}).percentile(0.5); got != 0 {
		t.Errorf("percentile of nothing is %v", got)
	}
}
