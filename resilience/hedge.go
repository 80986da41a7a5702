package resilience

import (
	"errors"
	"fmt"
	"time"
)

// Hedge sends a call to a second instance when the first takes longer than most calls do; the first answer counts, and the other call
// is cancelled. It is off by default, and for methods only that are marked NO_SIDE_EFFECTS in the .proto file, because both
// instances may process the call. The budget of [Retry] bounds it.
type Hedge struct {
	// Percentile of the method's own latency, as measured on the last calls, after which the second call goes out: 95 hedges about one
	// call in twenty. Nothing is hedged before 100 calls were measured. 0 and -1: off, unless After is set.
	Percentile float64

	// After is a fixed delay, or, beside Percentile, the shortest.
	After time.Duration
}

// On reports whether calls are hedged.
func (h Hedge) On() bool { return h.Percentile > 0 || h.After > 0 }

func (h Hedge) check() error {
	var err error
	if h.Percentile >= 100 || h.Percentile < 0 && h.Percentile != -1 {
		err = fmt.Errorf("Hedge.Percentile is %v: it lies between 0 and 100, or is -1 for off", h.Percentile)
	}
	return errors.Join(err, notBelow("Hedge.After", h.After))
}
