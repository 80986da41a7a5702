package consuldiscovery

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

// pace lets a few pass at once, and then one in each interval.
type pace struct {
	interval time.Duration
	burst    int
	next     time.Time
}

// wait returns when one may pass, or when ctx ends.
func (p *pace) wait(ctx context.Context) {
	now := time.Now()
	if floor := now.Add(-time.Duration(p.burst) * p.interval); p.next.Before(floor) {
		p.next = floor
	}
	p.next = p.next.Add(p.interval)
	sleep(ctx, p.next.Sub(now))
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
