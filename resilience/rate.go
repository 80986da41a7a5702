package resilience

import (
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"
)

// Rate says how many calls of a method a server takes in a time, as a bucket of tokens: for quotas, and for what costs money. To protect a
// server from overload [Limit] is better, for it needs no number.
type Rate struct {
	PerSecond float64 // calls a second; may be a fraction. Default: no limit. -1: no limit
	Burst     int     // calls at once after a pause. Default: those of one second, at least 1
}

func (r Rate) check() error {
	var err error
	if math.IsNaN(r.PerSecond) || math.IsInf(r.PerSecond, 0) || r.PerSecond < 0 && r.PerSecond != -1 || r.PerSecond > 1e9 {
		err = fmt.Errorf("Rate.PerSecond is %v: it is 0 or -1 for no limit, or more, up to 1e9", r.PerSecond)
	}
	return errors.Join(err, positive("Rate.Burst", r.Burst))
}

// RateLimiter is a bucket of tokens. Use [NewRateLimiter]. It holds no lock; its methods are safe for concurrent use.
type RateLimiter struct {
	began    time.Time
	interval int64        // ns that one token takes to come
	room     int64        // ns that a full bucket is worth
	full     atomic.Int64 // when the bucket will be full again
}

// NewRateLimiter returns a full bucket, or nil, which allows everything, when r sets no limit.
func NewRateLimiter(r Rate) *RateLimiter {
	if r.PerSecond <= 0 {
		return nil
	}
	burst := float64(r.Burst)
	if r.Burst <= 0 {
		burst = max(math.Floor(r.PerSecond), 1)
	}
	interval := max(float64(time.Second)/r.PerSecond, 1)
	return &RateLimiter{began: time.Now(), interval: int64(min(interval, 1<<61)), room: int64(min(interval*burst, 1<<61))}
}

// Allow takes a token. When there is none, ok is false and after says how long it takes until there is.
func (l *RateLimiter) Allow() (after time.Duration, ok bool) {
	if l == nil {
		return 0, true
	}
	now := int64(time.Since(l.began))
	for {
		full := l.full.Load()
		next := max(full, now) + l.interval
		if late := next - now - l.room; late > 0 {
			return time.Duration(late), false
		}
		if l.full.CompareAndSwap(full, next) {
			return 0, true
		}
	}
}

// RateState is a snapshot of a bucket.
type RateState struct {
	PerSecond float64 `json:"per_second"`
	Burst     int     `json:"burst"`
	Tokens    int     `json:"tokens"` // that are in it now
}

// State returns a snapshot; of a nil limiter it is nil.
func (l *RateLimiter) State() *RateState {
	if l == nil {
		return nil
	}
	left := l.room - max(l.full.Load()-int64(time.Since(l.began)), 0)
	return &RateState{
		PerSecond: math.Round(1e3*float64(time.Second)/float64(l.interval)) / 1e3,
		Burst:     int(l.room / l.interval), Tokens: int(max(left, 0) / l.interval),
	}
}
