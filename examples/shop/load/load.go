// Package load visits the shop: a steady stream of requests, as people would make them, each sent when it is due and not when the shop
// is ready for it.
//
//	l := &load.Load{App: app, Rate: 200, Duration: time.Minute}
//	report, err := l.Run(ctx)
//
// Visitors browse, search, look at products, fill carts, buy with a test card and follow their orders. The stream is an open loop: a
// shop that slows down meets as many requests as before, and the time that a request waited to be sent counts as latency.
package load

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hanse-go/hanse"
)

const (
	defaultRate    = 50
	defaultTimeout = 5 * time.Second
	defaultLimit   = 2000
)

// Load is a stream of requests. Its fields must not change while it runs; it may run more than once.
type Load struct {
	// App knows where the shop is. It must be set.
	App *hanse.App

	// Rate is the number of requests that are due in a second. Default: 50.
	Rate float64

	// Duration is how long requests come due; Run then waits for the last answers. Default: until the context ends.
	Duration time.Duration

	// Timeout bounds each request from when it is sent to its answer. An order is watched beyond its first answer. Default: 5 s.
	Timeout time.Duration

	// Limit is how many requests may wait for an answer at once. One that is due while there are so many is not sent and has failed.
	// Default: 2000.
	Limit int

	// Seed chooses the visits: two runs with one seed have the same visitors. Default: 0, which is as good as any.
	Seed uint64

	// Progress, when it is set, is called every second, from one goroutine.
	Progress func(Progress)
}

// Run sends requests until the duration is over or ctx ends, waits for their answers and reports what became of them. That requests
// failed is no error: the report says so. A shop whose catalog does not answer at the start is one.
func (l *Load) Run(ctx context.Context) (*Report, error) {
	rate, timeout, limit := cmp.Or(l.Rate, defaultRate), cmp.Or(l.Timeout, defaultTimeout), cmp.Or(l.Limit, defaultLimit)
	switch {
	case l.App == nil:
		return nil, errors.New("load: App is not set")
	case !(rate > 0 && rate <= 100_000):
		return nil, fmt.Errorf("load: the rate is %v requests a second, must be more than 0 and at most 100000", rate)
	case l.Duration < 0 || timeout < 0 || limit < 0:
		return nil, fmt.Errorf("load: duration (%v), timeout (%v) and limit (%d) must not be negative", l.Duration, timeout, limit)
	}
	shop := open(l.App)
	defer shop.close()
	if err := shop.look(ctx); err != nil {
		return nil, err
	}
	r := &run{
		crowd:   newCrowd(shop, int(rate), l.Seed),
		tally:   newTally(shop, rate),
		waiting: make(chan struct{}, limit),
		timeout: timeout,
	}
	ticking, stop := context.WithCancel(context.Background())
	var ticker sync.WaitGroup
	if l.Progress != nil {
		ticker.Go(func() { r.tally.tick(ticking, l.Progress) })
	}
	r.send(ctx, rate, l.Duration)
	r.requests.Wait()
	stop()
	ticker.Wait()
	return r.tally.report(), nil
}

// run is one run of a Load.
type run struct {
	crowd    *crowd
	tally    *tally
	waiting  chan struct{} // holds one for each request that waits for its answer
	timeout  time.Duration
	requests sync.WaitGroup
}

// send sends requests when they are due. When it was held up, it sends all that are due by then at once.
func (r *run) send(ctx context.Context, rate float64, duration time.Duration) {
	start := time.Now()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for n := 0; ; n++ {
		after := time.Duration(float64(n) / rate * float64(time.Second))
		if duration > 0 && after >= duration {
			return
		}
		due := start.Add(after)
		if wait := time.Until(due); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			return
		}
		v := r.crowd.next()
		select {
		case r.waiting <- struct{}{}:
			// What was sent is waited for, also when ctx ends.
			r.requests.Go(func() { r.request(context.WithoutCancel(ctx), v, due) })
		default:
			r.tally.notSent(v.next())
			r.crowd.left()
		}
	}
}

// request makes the next request of a visitor.
func (r *run) request(ctx context.Context, v *visitor, due time.Time) {
	s := v.next()
	c := &call{due: due, done: func() { <-r.waiting }}
	r.tally.sent(s)
	err := c.do(ctx, r.timeout, v, s)
	r.tally.ended(s, c, err)
	if err != nil {
		r.crowd.left() // had enough
		return
	}
	r.crowd.back(v)
}
