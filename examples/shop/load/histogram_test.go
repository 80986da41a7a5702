package load

import (
	"testing"
	"time"
)

func TestHistogram(t *testing.T) {
	var h histogram
	if h.quantile(.5) != 0 || h.quantile(1) != 0 {
		t.Error("an empty histogram has quantiles")
	}
	for i := range 10_000 {
		h.add(time.Duration(i+1) * 100 * time.Microsecond) // to 1 s
	}
	for _, q := range []float64{.001, .01, .5, .9, .99, .999} {
		want := time.Duration(q * float64(time.Second))
		if got := h.quantile(q); got < want*98/100 || got > want*102/100 {
			t.Errorf("quantile %v is %v, not %v", q, got, want)
		}
	}
	if got := h.quantile(1); got != time.Second {
		t.Errorf("the most is %v", got)
	}
	h.add(-time.Second)
	h.add(1000 * time.Hour)
	if h.total != 10_002 || h.most != 1000*time.Hour {
		t.Errorf("%d durations, the longest %v", h.total, h.most)
	}
	for n := uint64(0); n < 1<<20; n++ {
		if i := slot(n); upper(i) < n || i > 0 && upper(i-1) >= n {
			t.Fatalf("%d is counted in slot %d, up to %d", n, i, upper(i))
		}
	}
}
