package events

import (
	"errors"
	"fmt"
	"time"
)

// JobOption is an option of [Every]: the result of [StartWithin], [Timeout] or [AckWait], or a [Retry].
type JobOption interface{ applyJob(*settings) error }

// HandlerOption is an option of [Topic.Subscribe] and of [Every].
type HandlerOption interface {
	SubscribeOption
	JobOption
}

type handlerOption func(*settings) error

func (o handlerOption) applySubscribe(s *settings) error { return o(s) }
func (o handlerOption) applyJob(s *settings) error       { return o(s) }

type jobOption func(*settings) error

func (o jobOption) applyJob(s *settings) error { return o(s) }

// StartWithin is how long after its time a firing may begin. One that nobody could begin in that time, because all instances were down or the one
// before took too long, is left out. Default: however late it is, for work that is late is mostly better than work that is not done.
func StartWithin(d time.Duration) JobOption {
	return jobOption(func(s *settings) error {
		if d < shortest {
			return fmt.Errorf("StartWithin(%v): at least %v is needed", d, shortest)
		}
		s.startWithin = d
		return nil
	})
}

// configure applies the options.
func (j *Job) configure(opts []JobOption) error {
	var errs []error
	for _, opt := range opts {
		if opt == nil {
			errs = append(errs, errors.New("an option is nil"))
			continue
		}
		errs = append(errs, opt.applyJob(&j.settings))
	}
	if j.ackWait == 0 {
		j.ackWait = defaultAckWait
	}
	return errors.Join(errs...)
}
