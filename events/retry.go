package events

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/hanse-go/hanse/internal/backoff"
)

// Retry says when an event is handled again whose handler failed. It is an option of [Topic.Subscribe], and of [Every]. The wait is drawn between nothing and a
// time that doubles from failure to failure, so that what failed together does not come back together. An event that fails for good becomes a
// dead letter: it is published to the topic whose name ends in ".dead".
type Retry struct {
	// Attempts is how often an event is handled at most. Default: 10; -1: until it succeeds, and so it is for topics of dead letters.
	Attempts int

	// Min is the longest wait after the first failure. Default: 1 s.
	Min time.Duration

	// Max is the longest wait after any. Default: 5 min.
	Max time.Duration
}

const (
	defaultAttempts = 10
	defaultRetryMin = time.Second
	defaultRetryMax = 5 * time.Minute

	// crashes is how many times Attempts an event may be delivered and not settled, for it may be what ends the process.
	crashes = 3
)

func (r Retry) applySubscribe(s *settings) error {
	if r.Attempts < -1 || r.Min < 0 || r.Max < 0 || r.Max != 0 && r.Max < r.Min {
		return errors.New("Retry: Attempts is a number or -1, and Min and Max are durations, Max the longer one")
	}
	s.retry = r
	return nil
}

func (r Retry) applyJob(s *settings) error { return r.applySubscribe(s) }

// attempts returns how often an event is handled, 0 when there is no limit.
func (r Retry) attempts() int {
	switch {
	case r.Attempts < 0:
		return 0
	case r.Attempts == 0:
		return defaultAttempts
	}
	return r.Attempts
}

// delay returns how long to wait after so many failures, counted from 1.
func (r Retry) delay(failures int) time.Duration {
	least, most := r.Min, r.Max
	if least == 0 {
		least = defaultRetryMin
	}
	if most == 0 {
		most = max(defaultRetryMax, least)
	}
	return rand.N(backoff.Policy{Min: least, Max: most}.Ceiling(failures) + 1)
}
