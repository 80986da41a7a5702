package resilience

import (
	"errors"
	"fmt"
	"time"
)

// Outlier says when an instance is ejected: left out for a time because it is worse than the others of its service. What all
// instances do alike ejects none of them. The reasons:
//
//   - consecutive: it failed Consecutive calls in a row;
//   - errors: it failed ErrorRate percent of its latest calls, with at least 5 failures in ten seconds, and three times as many as its peers;
//   - slow: half of its calls, of at least 5, took more than Slow times as long as those of its peers, and 20 ms longer;
//   - stalled: it was given at least two calls, and nothing came back for Stall, nor for Slow times as long as its peers take, while
//     peers answered.
//
// Failures must not look like chance: they are compared with those of the peers in the same time, and an instance whose peers do not
// fail may fail a tenth of ErrorRate all the time.
//
// A failure is Unavailable, Internal or a broken connection. A call that its caller gave up counts only as having taken at least as
// long as it did. What an overloaded server refused counts as nothing.
//
// Ejection lasts Eject the first time and longer each time that follows soon, up to MaxEject. Then the instance gets one call at a
// time; when three have gone well its share of the calls grows over Return to that of its peers.
type Outlier struct {
	Consecutive int           // Default: 5. -1: off
	ErrorRate   int           // percent. Default: 20. -1: off
	Slow        float64       // Default: 5. -1: off
	Stall       time.Duration // Default: 1 s. -1: off

	Eject    time.Duration // Default: 5 s
	MaxEject time.Duration // Default: 1 min
	Return   time.Duration // Default: 10 s

	// MaxEjected is the panic threshold: how many instances may be ejected at the same time, in percent, rounded down. The others stay in
	// use however bad they are, and an instance that is the only one is never ejected. Default: 50. -1: nothing is ever ejected.
	MaxEjected int
}

var defaultOutlier = Outlier{
	Consecutive: 5, ErrorRate: 20, Slow: 5, Stall: time.Second,
	Eject: 5 * time.Second, MaxEject: time.Minute, Return: 10 * time.Second,
	MaxEjected: 50,
}

func (o Outlier) check() error {
	var slow error
	if o.Slow != 0 && o.Slow != -1 && o.Slow < 2 {
		slow = fmt.Errorf("Outlier.Slow is %v: it is 0 for the default, -1 for off, or at least 2", o.Slow)
	}
	return errors.Join(notBelow("Outlier.Consecutive", o.Consecutive), percent("Outlier.ErrorRate", o.ErrorRate), slow,
		notBelow("Outlier.Stall", o.Stall), positive("Outlier.Eject", o.Eject), positive("Outlier.MaxEject", o.MaxEject),
		positive("Outlier.Return", o.Return), percent("Outlier.MaxEjected", o.MaxEjected))
}
