package events

import "errors"

var (
	// ErrFull says that a topic has reached one of its limits. The event was not stored.
	ErrFull = errors.New("the topic is full")

	// ErrTooLarge says that an event is larger than its topic takes. It was not stored.
	ErrTooLarge = errors.New("the event is too large")

	// ErrDrift says that a topic or a group is there with other settings, which cannot be changed without a loss.
	ErrDrift = errors.New("declared differently")

	// ErrUnsupported says that a broker cannot do what was asked.
	ErrUnsupported = errors.New("not supported by the broker")
)
