package problem_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/hanse-go/hanse/examples/shop/problem"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestDetails(t *testing.T) {
	err := problem.Invalid(problem.Field{Name: "a", Problem: "is missing"}, problem.Field{Name: "b", Problem: "is wrong"})
	if got := problem.Fields(err); status.Code(err) != codes.InvalidArgument || len(got) != 2 || got[1] != (problem.Field{Name: "b", Problem: "is wrong"}) {
		t.Errorf("%v with fields %v", err, got)
	}
	if want := "a is missing (and 1 more)"; status.Convert(err).Message() != want {
		t.Errorf("message %q, want %q", status.Convert(err).Message(), want)
	}
	err = problem.Precondition("CART_FULL", "the cart is full")
	if problem.Reason(err) != "CART_FULL" || status.Code(err) != codes.FailedPrecondition || len(problem.Fields(err)) != 0 {
		t.Errorf("%v with reason %q", err, problem.Reason(err))
	}
	if err := problem.NotFound("order", "1"); status.Code(err) != codes.NotFound || problem.Reason(err) != "" {
		t.Errorf("%v with reason %q", err, problem.Reason(err))
	}
	for _, err := range []error{nil, errors.New("plain"), fmt.Errorf("wrapped: %w", status.Error(codes.NotFound, "x"))} {
		if problem.Reason(err) != "" || problem.Fields(err) != nil {
			t.Errorf("%v has details", err)
		}
	}
}

func TestUncertain(t *testing.T) {
	for code, want := range map[codes.Code]bool{
		codes.OK: false, codes.InvalidArgument: false, codes.NotFound: false, codes.FailedPrecondition: false, codes.AlreadyExists: false,
		codes.PermissionDenied: false, codes.Unauthenticated: false, codes.Unimplemented: false, codes.OutOfRange: false,
		codes.Unavailable: true, codes.DeadlineExceeded: true, codes.Canceled: true, codes.Internal: true, codes.Unknown: true,
	} {
		if got := problem.Uncertain(status.Error(code, "")); got != want {
			t.Errorf("%v is uncertain: %v", code, got)
		}
	}
}
