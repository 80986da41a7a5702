package resilience

import "google.golang.org/grpc/codes"

// Outcome is what one attempt of a call says about the instance that had it.
type Outcome int

// The outcomes of an attempt.
const (
	Answered    Outcome = iota // the instance answered, be it with an error of the application
	Unavailable                // it could not serve the call, or the connection broke
	Faulty                     // it failed on the call: Internal
	TimedOut                   // the policy's Timeout ended the call
	Shed                       // it refused the call, for it has too much to do or is about to leave
	Abandoned                  // the caller gave up, by its own deadline or cancellation
)

// Failed reports whether the instance failed.
func (o Outcome) Failed() bool { return o == Unavailable || o == Faulty }

// OutcomeOf returns the outcome of an attempt that an instance answered with the code.
func OutcomeOf(code codes.Code) Outcome {
	switch code {
	case codes.Unavailable:
		return Unavailable
	case codes.Internal:
		return Faulty
	case codes.ResourceExhausted:
		return Shed
	}
	return Answered
}
