package consuldiscovery

import (
	"context"
	"time"

	"github.com/hanse-go/hanse/discovery/driver"
)

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
	driver.Sleep(ctx, p.next.Sub(now))
}
