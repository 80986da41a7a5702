package events

import (
	"context"
	"time"

	"github.com/hanse-go/hanse/internal/backoff"
)

// fetch takes events from the broker until ctx ends. When the source fails the group is joined again.
func (s *Subscription) fetch(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; {
		err := s.join(ctx)
		if err == nil {
			var some bool
			if some, err = s.receive(ctx); some {
				failures = 0
			}
			if ctx.Err() != nil {
				return
			}
			s.forsake(ctx)
		}
		if ctx.Err() != nil {
			return
		}
		failures++
		wait := backoff.Policy{}.Delay(failures)
		s.log.Error("events: no events are received", "error", err, "again in", wait)
		s.mu.Lock()
		s.stats.LastError = err.Error()
		s.mu.Unlock()
		sleep(ctx, wait)
	}
}

// forsake leaves a source that failed.
func (s *Subscription) forsake(ctx context.Context) {
	s.mu.Lock()
	source := s.source
	s.source = nil
	s.mu.Unlock()
	if err := source.Close(ctx); err != nil {
		s.log.Debug("events: cannot close what failed", "error", err)
	}
}

// How long what is fetched ahead should last: with less, more is fetched, with more, less.
const (
	littleAhead = 20 * time.Millisecond
	muchAhead   = 200 * time.Millisecond
)

// receive takes events from the source until that or ctx ends, and reports whether there were any.
func (s *Subscription) receive(ctx context.Context) (some bool, err error) {
	s.mu.Lock()
	source := s.source
	s.mu.Unlock()
	var at time.Time
	var p pace
	full := false
	for {
		fetching, n, err := s.room(ctx)
		if err != nil {
			return some, err
		}
		now := time.Now()
		s.adapt(&p, now, full && now.Sub(at) > muchAhead)
		deliveries, err := source.Next(fetching, n)
		at, full = time.Now(), len(deliveries) >= n
		if len(deliveries) > 0 {
			some = true
			s.takeIn(deliveries, at)
		}
		switch {
		case err == nil || ctx.Err() == nil && fetching.Err() != nil: // the latter is a pause
		default:
			return some, err
		}
	}
}

// room waits until events may be fetched, and returns how many, and the context for it.
func (s *Subscription) room(ctx context.Context) (context.Context, int, error) {
	for {
		s.mu.Lock()
		n, fetching := s.free(), s.fetching
		s.hungry = n == 0
		s.mu.Unlock()
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		if n > 0 {
			return fetching, n, nil
		}
		select {
		case <-s.roomy:
		case <-ctx.Done():
		}
	}
}

// free returns how many events may be fetched now: none while some wait to be begun and more than half of what is fetched ahead is there. The
// caller holds s.mu.
func (s *Subscription) free() int {
	busy := s.lanes.ready.n + s.running
	if s.paused || s.draining || s.lanes.ready.n > 0 && busy > s.window/2 {
		return 0
	}
	return max(0, min(s.window-busy, s.maxInFlight-s.held.n))
}

// invite tells who waits for room that there is some. The caller holds s.mu.
func (s *Subscription) invite() {
	if !s.hungry || s.free() == 0 {
		return
	}
	s.hungry = false
	select {
	case s.roomy <- struct{}{}:
	default:
	}
}

// pace is from where on is counted how fast events are done with.
type pace struct {
	since time.Time
	done  uint64
}

// mostWider is how many times as much is fetched ahead at most after a look at the pace.
const mostWider = 8

// adapt changes how much is fetched ahead: less when what was fetched lasted for long, else what is done with in littleAhead, as soon as it is seen to be
// more than now.
func (s *Subscription) adapt(p *pace, now time.Time, long bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	done := s.stats.Received - uint64(s.held.n)
	n, took := int(done-p.done), max(now.Sub(p.since), time.Microsecond)
	switch {
	case long:
		s.window = max(s.window/2, s.concurrency)
	case took >= littleAhead: // too long ago to say something of now
	case n < s.window:
		return
	default:
		s.window = min(int(time.Duration(n)*littleAhead/took), mostWider*s.window, s.maxInFlight)
	}
	*p = pace{now, done}
}

// takeIn takes over deliveries.
func (s *Subscription) takeIn(deliveries []Delivery, now time.Time) {
	items := make([]item, len(deliveries))
	for i, d := range deliveries {
		it := &items[i]
		it.delivery, it.message, it.attempt = d, d.Message(), max(1, d.Attempt())
		if unpacked, err := it.message.Unpack(); err == nil { // else decode says it
			it.message = unpacked
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Received += uint64(len(deliveries))
	for i := range items {
		it := &items[i]
		it.lease = s.hold(it.delivery.Lost())
		s.held.add(it, now)
		s.lanes.add(it)
	}
	s.feed()
}

// sleep returns after d, or when ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
