package driver

import (
	"time"

	"github.com/hanse-go/hanse/internal/backoff"
)

// RetryDelay returns how long to wait for an engine after so many failures in a row, counted from 1: from 100 ms, doubled from failure to
// failure, up to 2 s, with jitter.
func RetryDelay(failures int) time.Duration {
	return backoff.Policy{Min: 100 * time.Millisecond, Max: 2 * time.Second}.Delay(failures)
}
