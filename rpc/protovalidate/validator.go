package protovalidate

import (
	"context"
	"errors"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Validator checks the requests that a server takes. The zero value works; it must not change once calls have begun. Its methods may be
// called concurrently.
type Validator struct {
	// Rules checks messages. nil: [protovalidate.GlobalValidator], which finds the rules in the messages' descriptors.
	Rules protovalidate.Validator
}

// UnaryInterceptor is a [grpc.UnaryServerInterceptor] that lets valid requests pass.
//
// The status of others is InvalidArgument. Its details are a google.rpc.BadRequest, which clients of all kinds know, and a
// buf.validate.Violations, which has the rules' IDs: each with the first 16 violations. Rules that cannot be evaluated are the server's
// mistake: Internal.
func (v *Validator) UnaryInterceptor(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if err := v.check(req); err != nil {
		return nil, err
	}
	return handler(ctx, req)
}

// StreamInterceptor is a [grpc.StreamServerInterceptor] that lets a handler receive valid messages only. The first that is not valid ends the
// call with the status that UnaryInterceptor gives, whatever the handler returns.
func (v *Validator) StreamInterceptor(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	s := &checkedStream{ServerStream: stream, validator: v}
	err := handler(srv, s)
	if s.invalid != nil {
		return s.invalid
	}
	return err
}

// Constraints is the function [Constraints], so that a Validator is all that an app needs to hold rules and to show them.
func (v *Validator) Constraints(field protoreflect.FieldDescriptor) map[string]any {
	return Constraints(field)
}

type checkedStream struct {
	grpc.ServerStream
	validator *Validator
	invalid   error // a status: of the first message that was not valid
}

// RecvMsg implements grpc.ServerStream.
func (s *checkedStream) RecvMsg(m any) error {
	if s.invalid != nil {
		return s.invalid
	}
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	s.invalid = s.validator.check(m)
	return s.invalid
}

// A status travels in a header.
const (
	maxMessage    = 2 << 10 // bytes
	maxViolations = 16
)

func (v *Validator) check(req any) error {
	m, ok := req.(proto.Message)
	if !ok {
		return nil
	}
	rules := v.Rules
	if rules == nil {
		rules = protovalidate.GlobalValidator
	}
	err := rules.Validate(m)
	if err == nil {
		return nil
	}
	var invalid *protovalidate.ValidationError
	if !errors.As(err, &invalid) {
		return status.Errorf(codes.Internal, "the rules of %s cannot be evaluated: %v", m.ProtoReflect().Descriptor().FullName(), err)
	}
	text := err.Error()
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage], "") + "…"
	}
	st := status.New(codes.InvalidArgument, text)
	bad, all := &errdetails.BadRequest{}, &validate.Violations{}
	for _, one := range invalid.Violations[:min(len(invalid.Violations), maxViolations)] {
		text := one.Proto.GetMessage()
		if text == "" {
			text = one.Proto.GetRuleId()
		}
		bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{
			Field: protovalidate.FieldPathString(one.Proto.GetField()), Description: text,
		})
		all.Violations = append(all.Violations, one.Proto)
	}
	if detailed, err := st.WithDetails(bad, all); err == nil {
		st = detailed
	}
	return st.Err()
}
