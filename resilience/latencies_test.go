package resilience_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hanse-go/hanse/resilience"
)

func TestLatencies(t *testing.T) {
	var l resilience.Latencies
	for i := range 99 {
		l.Add(time.Duration(i) * time.Millisecond)
	}
	if d, ok := l.Percentile(50); ok {
		t.Errorf("known too soon: %v", d)
	}
	l = resilience.Latencies{}
	chance := rand.New(rand.NewPCG(1, 2)) // always the same, for what is kept is a sample
	for range 10_000 {
		l.Add(time.Duration(chance.Int64N(int64(time.Second))))
	}
	for _, p := range []float64{1, 10, 50, 90, 95, 99} {
		d, ok := l.Percentile(p)
		want := time.Duration(p / 100 * float64(time.Second))
		if !ok || d < want*8/10 || d > want*13/10+10*time.Millisecond {
			t.Errorf("of an even spread up to a second, percentile %v is %v", p, d)
		}
	}
	// What was long ago is forgotten.
	for range 20_000 {
		l.Add(time.Millisecond)
	}
	if d, _ := l.Percentile(99); d > 1200*time.Microsecond || d < time.Millisecond {
		t.Errorf("percentile 99 is %v, want 1 ms", d)
	}
	for _, d := range []time.Duration{-1, 0, 1, time.Hour, 1 << 62} {
		l.Add(d)
	}
}
