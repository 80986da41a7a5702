package collector

import (
	"context"
	"slices"
	"sync"
	"time"
)

// noticeEvery is how often those that wait for changes are told of them.
const noticeEvery = 250 * time.Millisecond

// notices tells that something came. It is safe for concurrent use.
type notices struct {
	mu      sync.Mutex
	sum     Change
	dropped int64 // as it was told last
	readers []chan Change
	over    bool
}

func (n *notices) add(c Change) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sum.Spans += c.Spans
	n.sum.Logs += c.Logs
	n.sum.Points += c.Points
}

// run tells readers until ctx ends, and then that there will be no more.
func (n *notices) run(ctx context.Context, p *parts) {
	tick := time.NewTicker(noticeEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			n.tell(p)
		case <-ctx.Done():
			n.mu.Lock()
			defer n.mu.Unlock()
			n.over = true
			for _, ch := range n.readers {
				close(ch)
			}
			n.readers = nil
			return
		}
	}
}

func (n *notices) tell(p *parts) {
	dropped, fresh := p.drops.total(), p.origins.takeFresh()
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.sum
	c.Services = fresh
	c.Dropped = int(dropped - n.dropped)
	n.sum, n.dropped = Change{}, dropped
	if c.Spans+c.Logs+c.Points+c.Dropped+len(fresh) == 0 {
		return
	}
	c.Time = time.Now()
	for _, ch := range n.readers {
		select {
		case ch <- c:
		default: // it has one that it did not take: that becomes this one, too
			select {
			case old := <-ch:
				both := c
				both.Spans, both.Logs, both.Points, both.Dropped = c.Spans+old.Spans, c.Logs+old.Logs, c.Points+old.Points, c.Dropped+old.Dropped
				both.Services = slices.Concat(old.Services, c.Services)
				ch <- both
			default:
				ch <- c
			}
		}
	}
}

// Changes returns a channel of notices, at most four a second, that is closed when ctx or Run ends.
func (c *Collector) Changes(ctx context.Context) <-chan Change {
	n := &c.of().notices
	ch := make(chan Change, 1)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.over || ctx.Err() != nil {
		close(ch)
		return ch
	}
	n.readers = append(n.readers, ch)
	context.AfterFunc(ctx, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if i := slices.Index(n.readers, ch); i >= 0 {
			n.readers = slices.Delete(n.readers, i, i+1)
			close(ch)
		}
	})
	return ch
}
