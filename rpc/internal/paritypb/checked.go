package paritypb

import (
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Validate says what is wrong with the request first, and ValidateAll all of it, as the code of protoc-gen-validate does.
func (r *CheckedRequest) Validate() error { return r.validate(false) }

func (r *CheckedRequest) ValidateAll() error { return r.validate(true) }

func (r *CheckedRequest) validate(all bool) error {
	switch r.GetRefusal() {
	case "plain":
		return errors.New("no")
	case "status":
		return fmt.Errorf("refused: %w", status.Error(codes.FailedPrecondition, "not today"))
	case "joined":
		return errors.Join(&CheckedError{field: "ShipTo", reason: "is far"}, errors.New("something else"))
	}
	if len(r.GetRefusal()) > 1000 {
		return errors.New(r.GetRefusal())
	}
	var wrong manyErrors
	if r.GetShipTo() == "" {
		wrong = append(wrong, &CheckedError{field: "ShipTo", reason: "is needed"})
	}
	for i, part := range r.GetParts() {
		if err := part.validate(all); err != nil {
			wrong = append(wrong, &CheckedError{field: fmt.Sprintf("Parts[%d]", i), reason: "is not valid", cause: err})
		}
	}
	switch {
	case len(wrong) == 0:
		return nil
	case all:
		return wrong
	}
	return wrong[0]
}

// CheckedError has the methods of protoc-gen-validate's errors.
type CheckedError struct {
	field, reason string
	cause         error
}

func (e *CheckedError) Field() string  { return e.field }
func (e *CheckedError) Reason() string { return e.reason }
func (e *CheckedError) Cause() error   { return e.cause }
func (e *CheckedError) Error() string  { return "invalid CheckedRequest." + e.field + ": " + e.reason }

type manyErrors []error

func (m manyErrors) Error() string      { return errors.Join(m...).Error() }
func (m manyErrors) AllErrors() []error { return m }
