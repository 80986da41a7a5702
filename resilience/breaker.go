package resilience

import (
	"errors"
	"time"
)

// Breaker says when calls to a service are not even tried, so that neither side waits for what will fail: when most of the latest
// calls failed. A failure is a call that an instance was given and that ended with Unavailable, with a broken connection, or with the
// end of [Policy].Timeout. A call that ended with its caller's own deadline or cancellation says nothing, nor does one that an
// overloaded server refused: it must get the other calls.
//
// While the breaker is open, calls fail at once with Unavailable. After Open it lets a few calls through, as probes: when all Probes of them
// succeed it closes, and when one fails it opens again for twice the time.
type Breaker struct {
	Failures int           // it opens when so many percent of the calls failed. Default: 80. -1: never
	Calls    int           // of at least so many calls in the window. Default: 20
	Window   time.Duration // Default: 10 s
	Open     time.Duration // how long it stays open the first time. Default: 1 s
	MaxOpen  time.Duration // how long at most. Default: 2 s
	Probes   int           // Default: 3
}

var defaultBreaker = Breaker{Failures: 80, Calls: 20, Window: 10 * time.Second, Open: time.Second, MaxOpen: 2 * time.Second, Probes: 3}

func (b Breaker) check() error {
	return errors.Join(percent("Breaker.Failures", b.Failures), positive("Breaker.Calls", b.Calls), positive("Breaker.Window", b.Window),
		positive("Breaker.Open", b.Open), positive("Breaker.MaxOpen", b.MaxOpen), positive("Breaker.Probes", b.Probes))
}
