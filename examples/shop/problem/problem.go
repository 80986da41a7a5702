// Package problem makes the statuses that the shop's services fail with, with details that a program can read, and reads them again.
package problem

import (
	"fmt"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
)

// Domain is the domain of every ErrorInfo detail.
const Domain = "kontor.example"

// Field is one field of a request that is wrong.
type Field struct {
	Name    string // such as "card.number"
	Problem string // completes a sentence that begins with the name: "is not a card number"
}

// Invalid is InvalidArgument with a BadRequest detail for each field. At least one field must be given.
func Invalid(fields ...Field) error {
	detail := &errdetails.BadRequest{}
	for _, f := range fields {
		detail.FieldViolations = append(detail.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: f.Name, Description: f.Problem})
	}
	message := fmt.Sprintf("%s %s", fields[0].Name, fields[0].Problem)
	if n := len(fields) - 1; n > 0 {
		message += fmt.Sprintf(" (and %d more)", n)
	}
	return with(codes.InvalidArgument, message, detail)
}

// NotFound is NotFound with a ResourceInfo detail.
func NotFound(kind, name string) error {
	return with(codes.NotFound, fmt.Sprintf("no %s %q", kind, name), &errdetails.ResourceInfo{ResourceType: kind, ResourceName: name})
}

// Precondition is FailedPrecondition with an ErrorInfo detail, whose reason is in capitals: "CARD_DECLINED".
func Precondition(reason, message string) error {
	return with(codes.FailedPrecondition, message, &errdetails.ErrorInfo{Reason: reason, Domain: Domain})
}

func with(code codes.Code, message string, detail protoadapt.MessageV1) error {
	st, err := status.New(code, message).WithDetails(detail)
	if err != nil {
		return status.Error(code, message)
	}
	return st.Err()
}

// Reason returns the reason that an error carries, "" when it carries none.
func Reason(err error) string {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetDomain() == Domain {
			return info.GetReason()
		}
	}
	return ""
}

// Fields returns the fields that an error names.
func Fields(err error) []Field {
	var fields []Field
	for _, d := range status.Convert(err).Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				fields = append(fields, Field{v.GetField(), v.GetDescription()})
			}
		}
	}
	return fields
}

// Uncertain tells whether a call that failed may have taken effect all the same: the answer was lost, or never came.
func Uncertain(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Internal, codes.Unknown, codes.Aborted, codes.ResourceExhausted:
		return true
	}
	return false
}
