package events

import (
	"errors"
	"fmt"
	"time"
)

// SubscribeOption is an option of [Topic.Subscribe]: the result of [Concurrency], [MaxInFlight], [AckWait], [Timeout] or [Unordered], a [Retry]
// or a [Start].
type SubscribeOption interface{ applySubscribe(*settings) error }

// settings are what options of a subscription set.
type settings struct {
	concurrency int
	maxInFlight int
	ackWait     time.Duration
	timeout     time.Duration
	retry       Retry
	from        Start
	unordered   bool
	startWithin time.Duration // of a job; 0: however late
}

const (
	defaultConcurrency = 16
	defaultMaxInFlight = 1024
	defaultAckWait     = 30 * time.Second
)

type subscribeOption func(*settings) error

func (o subscribeOption) applySubscribe(s *settings) error { return o(s) }

// Concurrency is how many events one instance handles at the same time. Default: 16.
func Concurrency(n int) SubscribeOption {
	return subscribeOption(func(s *settings) error {
		if n < 1 {
			return fmt.Errorf("Concurrency(%d): at least 1 is needed", n)
		}
		s.concurrency = n
		return nil
	})
}

// MaxInFlight is the most events that one instance holds: those that are being handled, those fetched ahead, and of an ordered topic those that
// failed and wait with what is behind them. Fetching ahead begins with as many as are handled at the same time, and grows while handlers are quick.
// Default: 1024, and not less than Concurrency.
func MaxInFlight(n int) SubscribeOption {
	return subscribeOption(func(s *settings) error {
		if n < 1 {
			return fmt.Errorf("MaxInFlight(%d): at least 1 is needed", n)
		}
		s.maxInFlight = n
		return nil
	})
}

// AckWait is how long after an instance was last heard of its events, or a firing of a job, go to others. While a handler runs this is extended, however
// long it takes. Default: 30 s; at least 1 s.
func AckWait(d time.Duration) HandlerOption {
	return handlerOption(func(s *settings) error {
		if d < time.Second {
			return fmt.Errorf("AckWait(%v): at least 1s is needed", d)
		}
		s.ackWait = d
		return nil
	})
}

// Timeout is how long a handler may take for one event, or one firing of a job, until its context ends. Default: as long as it needs.
func Timeout(d time.Duration) HandlerOption {
	return handlerOption(func(s *settings) error {
		if d <= 0 {
			return fmt.Errorf("Timeout(%v): it must be positive", d)
		}
		s.timeout = d
		return nil
	})
}

// Unordered has events of a topic with a [Key] handled in any order, at the same time too.
func Unordered() SubscribeOption {
	return subscribeOption(func(s *settings) error {
		s.unordered = true
		return nil
	})
}

func (start Start) applySubscribe(s *settings) error {
	n := 0
	for _, set := range []bool{start.All, !start.Time.IsZero(), start.Sequence != 0} {
		if set {
			n++
		}
	}
	if n > 1 {
		return errors.New("Start has several fields: give it one")
	}
	s.from = start
	return nil
}

// configure applies the options.
func (s *Subscription) configure(opts []SubscribeOption) error {
	var errs []error
	for _, opt := range opts {
		if opt == nil {
			errs = append(errs, errors.New("an option is nil"))
			continue
		}
		errs = append(errs, opt.applySubscribe(&s.settings))
	}
	if s.group == "" && s.from != (Start{}) {
		errs = append(errs, errors.New("Start is for groups: SubscribeEach begins with what is published from now on"))
	}
	if s.concurrency == 0 {
		s.concurrency = defaultConcurrency
		if s.maxInFlight != 0 {
			s.concurrency = min(s.concurrency, s.maxInFlight)
		}
	}
	if s.maxInFlight == 0 {
		s.maxInFlight = max(defaultMaxInFlight, s.concurrency)
	}
	if s.maxInFlight < s.concurrency {
		errs = append(errs, fmt.Errorf("MaxInFlight(%d) is less than Concurrency(%d)", s.maxInFlight, s.concurrency))
	}
	if s.ackWait == 0 {
		s.ackWait = defaultAckWait
	}
	return errors.Join(errs...)
}
