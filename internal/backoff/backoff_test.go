package backoff_test

import (
	"testing"
	"time"

	"github.com/hanse-go/hanse/internal/backoff"
)

func TestDelay(t *testing.T) {
	p := backoff.Policy{Min: 100 * time.Millisecond, Max: time.Second}
	for _, c := range []struct {
		policy   backoff.Policy
		failures int
		most     time.Duration
	}{
		{p, 0, 100 * time.Millisecond},
		{p, 1, 100 * time.Millisecond},
		{p, 2, 200 * time.Millisecond},
		{p, 4, 800 * time.Millisecond},
		{p, 5, time.Second},
		{p, 1 << 30, time.Second},
		{backoff.Policy{}, 1, time.Second},
		{backoff.Policy{}, 100, time.Minute},
		{backoff.Policy{Min: time.Hour}, 3, time.Hour},
	} {
		different := make(map[time.Duration]bool)
		for range 100 {
			d := c.policy.Delay(c.failures)
			if d < c.most/2 || d > c.most {
				t.Errorf("%+v after %d failures: %v, want %v to %v", c.policy, c.failures, d, c.most/2, c.most)
			}
			different[d] = true
		}
		if len(different) < 50 {
			t.Errorf("%+v after %d failures: no jitter", c.policy, c.failures)
		}
	}
}
