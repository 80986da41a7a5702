package eurekadiscovery

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff tells how long to wait after failures: it doubles, with jitter.
type backoff struct{ least, most time.Duration }

func (b backoff) delay(failures int) time.Duration {
	d := b.least
	for n := 1; n < failures && d < b.most; n++ {
		d *= 2
	}
	d = min(d, b.most)
	return d/2 + rand.N(d/2+1)
}

// sleep returns after d, or when ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
