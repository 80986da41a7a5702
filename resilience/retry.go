package resilience

import (
	"errors"
	"math/rand/v2"
	"time"
)

// Retry says how calls are repeated that failed. A call is repeated only when that can do no harm:
//
//   - no instance has processed it, because it was not reached or is about to leave. The call goes to another one at once, and this is
//     no repetition: neither Attempts nor the budget count it;
//   - or an instance refused it unprocessed, for it has too much to do (ResourceExhausted, from a server of Hanse's);
//   - or it failed with Unavailable or Internal, or its connection broke, and its method is marked NO_SIDE_EFFECTS or IDEMPOTENT in the
//     .proto file, or the call carries an idempotency-key in its metadata.
//
// A server that sends grpc-retry-pushback-ms decides itself: a number of milliseconds is waited instead of the pause, and a negative one
// means no.
type Retry struct {
	Attempts   int           // how often a call is made at most, the first time included. Default: 3. -1: once
	Backoff    time.Duration // the longest pause before the second attempt, doubled before each further one; the pause is drawn from 0 to that. Default: 50 ms. -1: no pause
	MaxBackoff time.Duration // the longest pause of all. Default: 1 s

	// Budget is how many attempts beyond the first there may be, in percent of the calls of the last ten seconds to the service. It
	// keeps repetitions from multiplying an outage: at 20, a service that fails gets at most 1.2 times its load. Ten in ten seconds are
	// always allowed. Default: 20. -1: no limit.
	Budget int
}

// IdempotencyKey is the metadata key of calls that may be repeated though their method is not marked: the server gives the reply of the
// first again.
const IdempotencyKey = "idempotency-key"

var defaultRetry = Retry{Attempts: 3, Backoff: 50 * time.Millisecond, MaxBackoff: time.Second, Budget: 20}

func (r Retry) check() error {
	return errors.Join(
		notBelow("Retry.Attempts", r.Attempts), notBelow("Retry.Backoff", r.Backoff),
		notBelow("Retry.MaxBackoff", r.MaxBackoff), percent("Retry.Budget", r.Budget))
}

// Pause returns how long to wait before a repetition: the first is 1. It is drawn evenly from 0 to Backoff, which doubles with each
// repetition up to MaxBackoff ("full jitter"), so that many callers that failed together do not come back together.
func (r Retry) Pause(repetition int) time.Duration {
	r = under(r, defaultRetry)
	if r.Backoff < 0 {
		return 0
	}
	longest := r.Backoff
	for n := 1; n < repetition && longest < r.MaxBackoff; n++ {
		longest *= 2
	}
	if r.MaxBackoff > 0 {
		longest = min(longest, r.MaxBackoff)
	}
	return rand.N(longest + 1)
}
