package driver

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/hanse-go/hanse/internal/backoff"
)

// Backoff returns how long to wait after so many failures in a row, counted from 1: from 100 ms, doubled from failure to failure, up to most,
// with jitter.
func Backoff(failures int, most time.Duration) time.Duration {
	return backoff.Policy{Min: min(100*time.Millisecond, most), Max: most}.Delay(failures)
}

// Jitter returns a random duration from half of d to d, so that many programs do not act at the same time.
func Jitter(d time.Duration) time.Duration { return backoff.Policy{Min: d, Max: d}.Delay(1) }

// Pace returns a random duration from seven eighths of d to d, for what is done again and again, so that many programs do not meet.
func Pace(d time.Duration) time.Duration { return d - rand.N(d/8+1) }

// Sleep returns after d, or when ctx ends.
func Sleep(ctx context.Context, d time.Duration) {
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
