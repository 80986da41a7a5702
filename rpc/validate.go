package rpc

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// validated is a message that can say what is wrong with itself, written by hand or by a generator.
type validated interface{ Validate() error }

// mayCheck reports whether the requests of a method may be [validated] ones. It asks the registered type of the request, and no message: so
// that calls of a method whose requests are not cost nothing. Of a method whose type is not registered each message is asked.
func mayCheck(path string) bool {
	contract, name := splitMethod(path)
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(contract + "." + name))
	if err != nil {
		return true
	}
	m, ok := d.(protoreflect.MethodDescriptor)
	if !ok {
		return true
	}
	t, err := protoregistry.GlobalTypes.FindMessageByName(m.Input().FullName())
	if err != nil {
		return true
	}
	_, ok = t.Zero().Interface().(validated)
	return ok
}

// placeChecks settles what is around each method's handler. Validation is the innermost: interceptors find out first who calls and what that
// one may do, may complete a request, and see what becomes of it. s.mu is held.
func (s *Server) placeChecks() {
	plain, checked := s.UnaryInterceptors, append(s.UnaryInterceptors[:len(s.UnaryInterceptors):len(s.UnaryInterceptors)], checkUnary)
	unary, checkedUnary := chainUnary(plain), chainUnary(checked)
	for path, m := range s.methods {
		m.inner, m.around = plain, unary
		check := !s.NoValidation && mayCheck(path)
		if check {
			m.inner, m.around = checked, checkedUnary
		}
		if m.stream != nil {
			m.handler = m.stream.Handler
			if check {
				m.handler = checkStream(m.handler)
			}
		}
	}
}

// checkUnary is an interceptor that lets valid requests pass.
func checkUnary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if err := check(req); err != nil {
		return nil, err
	}
	return handler(ctx, req)
}

// checkStream lets a handler receive valid messages only. An invalid one ends the call, whatever the handler says then: as one that cannot be
// decoded does.
func checkStream(handler grpc.StreamHandler) grpc.StreamHandler {
	return func(srv any, stream grpc.ServerStream) error {
		s := &checkedStream{ServerStream: stream}
		err := handler(srv, s)
		if s.invalid != nil {
			return s.invalid
		}
		return err
	}
}

type checkedStream struct {
	grpc.ServerStream
	invalid error // a status: the first message that was not valid
}

func (s *checkedStream) RecvMsg(m any) error {
	if s.invalid != nil {
		return s.invalid
	}
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	s.invalid = check(m)
	return s.invalid
}

// check asks a message if it is valid, and returns the status of the call if it is not: InvalidArgument with the message of Validate's error,
// and with the fields that are wrong in its details, where the error tells them. An error that is a status already stays what it is.
func check(m any) error {
	v, ok := m.(validated)
	if !ok {
		return nil
	}
	err := v.Validate()
	if err == nil {
		return nil
	}
	if st, ok := status.FromError(err); ok && st.Code() != codes.OK {
		return st.Err()
	}
	text := err.Error()
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage], "") + "…"
	}
	st := status.New(codes.InvalidArgument, text)
	if all, ok := m.(interface{ ValidateAll() error }); ok { // of protoc-gen-validate, whose Validate stops at the first field
		if more := all.ValidateAll(); more != nil {
			err = more
		}
	}
	var desc protoreflect.MessageDescriptor
	if m, ok := m.(proto.Message); ok {
		desc = m.ProtoReflect().Descriptor()
	}
	var bad errdetails.BadRequest
	addViolations(&bad, desc, "", err)
	if bad.FieldViolations != nil {
		if detailed, err := st.WithDetails(&bad); err == nil {
			st = detailed
		}
	}
	return st.Err()
}

// A status travels in a header, and a client can make an error long by nesting messages.
const (
	maxMessage    = 2 << 10 // bytes
	maxViolations = 16
	maxPath       = 128 // bytes
)

// addViolations adds the fields that an error names: one error or many in one, of messages within messages. The methods that it looks for are
// those of protoc-gen-validate's errors, and of errors.Join.
func addViolations(bad *errdetails.BadRequest, desc protoreflect.MessageDescriptor, prefix string, err error) {
	var many []error
	switch err := err.(type) {
	case interface{ AllErrors() []error }:
		many = err.AllErrors()
	case interface{ Unwrap() []error }:
		many = err.Unwrap()
	}
	for _, err := range many {
		addViolations(bad, desc, prefix, err)
	}
	var field interface {
		error
		Field() string
		Reason() string
	}
	if many != nil || !errors.As(err, &field) || len(bad.FieldViolations) == maxViolations {
		return
	}
	path, within := fieldPath(desc, field.Field())
	path = prefix + path
	inner, ok := field.(interface{ Cause() error })
	if ok && within != nil && inner.Cause() != nil && len(path) < maxPath {
		before := len(bad.FieldViolations)
		addViolations(bad, within, path+".", inner.Cause())
		if len(bad.FieldViolations) > before {
			return
		}
	}
	bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: path, Description: field.Reason()})
}

// fieldPath spells a field as the .proto file does, where a generator has named it as in Go: ShipTo[2] is ship_to[2]. It also returns the
// message that the field holds, or nil.
func fieldPath(desc protoreflect.MessageDescriptor, name string) (path string, within protoreflect.MessageDescriptor) {
	if desc == nil {
		return name, nil
	}
	plain, index := name, ""
	if i := strings.IndexByte(name, '['); i >= 0 {
		plain, index = name[:i], name[i:]
	}
	for i := range desc.Fields().Len() {
		f := desc.Fields().Get(i)
		if !strings.EqualFold(strings.ReplaceAll(string(f.Name()), "_", ""), strings.ReplaceAll(plain, "_", "")) {
			continue
		}
		within := f.Message()
		if f.IsMap() {
			within = f.MapValue().Message()
		}
		return string(f.Name()) + index, within
	}
	return name, nil
}
