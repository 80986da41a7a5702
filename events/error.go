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

	// ErrSchema says that a message type does not go with what its topic carries.
	ErrSchema = errors.New("the message type does not go with the topic")

	// ErrClosed says that a bus, or a source, takes nothing any more.
	ErrClosed = errors.New("closed")

	// ErrLost is the cause for which a handler's context ends when the event is not this member's any more: others get it.
	ErrLost = errors.New("the event was given to another member")
)

// Permanent marks an error of a handler that no repetition would mend: the event becomes a dead letter at once. A broker marks with it why it refused
// a message for good. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// IsPermanent reports whether err is, or wraps, one that [Permanent] marked.
func IsPermanent(err error) bool {
	var p *permanentError
	return errors.As(err, &p)
}
