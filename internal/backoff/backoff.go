// Package backoff tells how long to wait before the next attempt.
package backoff

import (
	"math/rand/v2"
	"time"
)

// Policy doubles the wait at each failure, with jitter, so that many who fail together do not try again together. The zero value waits
// from 1 s to 1 min.
type Policy struct {
	Min time.Duration // before the first repetition; 0 is 1 s
	Max time.Duration // at most; 0 is 1 min
}

// Delay returns the wait after the given number of failures in a row, counted from 1: between a half and the whole of Ceiling.
func (p Policy) Delay(failures int) time.Duration {
	delay := p.Ceiling(failures)
	return delay/2 + rand.N(delay/2+1)
}

// Ceiling returns the longest wait after the given number of failures in a row, counted from 1: what is doubled each time.
func (p Policy) Ceiling(failures int) time.Duration {
	least, most := p.Min, p.Max
	if least <= 0 {
		least = time.Second
	}
	if most <= 0 {
		most = time.Minute
	}
	most = max(most, least)
	ceiling := least
	for n := 1; n < failures && ceiling < most; n++ {
		ceiling *= 2
	}
	return min(ceiling, most)
}
