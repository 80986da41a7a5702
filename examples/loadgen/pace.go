package main

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// maxWaiting is how many requests may be unanswered at a time. One more counts as failed: the shop has stopped.
const maxWaiting = 5000

// customer is one session. Its steps come one after the other.
type customer interface {
	// next returns what the customer does now, nil when the customer leaves.
	next() *step
}

// step is one request.
type step struct {
	method string // "catalog/GetProduct" or "GET /products/…"
	safe   bool   // may be sent twice: marked NO_SIDE_EFFECTS or IDEMPOTENT, or a GET
	do     func(ctx context.Context) (attempts int, err error)
}

// pacer starts requests by the clock.
type pacer struct {
	rate        float64
	duration    time.Duration
	requests    int // 0: as many as fit into the duration
	sessions    int
	timeout     time.Duration
	newCustomer func(n uint64) customer
	rec         *recorder
}

// run starts the requests, waits for the last answer and returns how long the stream was.
//
// The customers in the shop take turns: with 50 of them at 200 requests a second each acts every quarter of a second. One who still
// waits for an answer is passed over, and when all wait another comes in, so the stream never slows down with the shop.
func (p *pacer) run(ctx context.Context) time.Duration {
	n := p.requests
	if n == 0 {
		n = int(p.rate * p.duration.Seconds())
	}
	var (
		mu      sync.Mutex
		idle    []customer // first in, first out
		born    uint64
		waiting int
		wg      sync.WaitGroup
	)
	// act returns a customer and what they do; those who have nothing left to do are replaced.
	act := func() (customer, *step) {
		mu.Lock()
		defer mu.Unlock()
		for {
			var c customer
			if born < uint64(p.sessions) || len(idle) == 0 {
				c = p.newCustomer(born)
				born++
			} else {
				c, idle = idle[0], idle[1:]
			}
			if s := c.next(); s != nil {
				waiting++
				return c, s
			}
			idle = append(idle, p.newCustomer(born))
			born++
		}
	}

	start := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for i := range n {
		due := start.Add(time.Duration(float64(i) / p.rate * float64(time.Second)))
		if wait := time.Until(due); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			break
		}
		c, s := act()
		mu.Lock()
		full := waiting > maxWaiting
		mu.Unlock()
		p.rec.sent(s)
		wg.Go(func() {
			attempts, err := 0, status.Error(codes.ResourceExhausted, "too many requests are unanswered")
			if !full {
				call, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.timeout)
				attempts, err = s.do(call)
				cancel()
			}
			p.rec.done(s, time.Since(due), attempts, err)
			mu.Lock()
			waiting--
			if err == nil { // one whose request failed does not know what to do next
				idle = append(idle, c)
			}
			mu.Unlock()
		})
	}
	took := time.Since(start)
	wg.Wait()
	return took
}
