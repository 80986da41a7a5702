package rpc

import (
	"context"
	"errors"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// handlerStatus is the status of a call whose handler returned err: a context's error keeps its meaning, others are Unknown.
func handlerStatus(err error) *status.Status {
	if st, ok := status.FromError(err); ok {
		return st
	}
	return status.FromContextError(err)
}

// overTheWire returns the error that a caller gets from a status: a copy that shares nothing with the handler's error, with its message
// as the wire would spell it.
func overTheWire(st *status.Status) error {
	p := st.Proto()
	if p.GetCode() == int32(codes.OK) {
		return nil
	}
	if !utf8.ValidString(p.Message) {
		p.Message = string([]rune(p.Message)) // each invalid byte becomes U+FFFD
	}
	return status.ErrorProto(p)
}

// contextStatus is the error of a call that its own context ended.
func contextStatus(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return status.Error(codes.DeadlineExceeded, context.DeadlineExceeded.Error())
	}
	return status.Error(codes.Canceled, context.Canceled.Error())
}

// What the specification of gRPC says about the wrong number of messages; grpc-go says Internal.
var (
	errNoRequest    = status.Error(codes.Unimplemented, "cardinality violation: received no request message from non-client-streaming RPC")
	errManyRequests = status.Error(codes.Unimplemented, "cardinality violation: received multiple request messages for non-client-streaming RPC")
	errNoReply      = status.Error(codes.Unimplemented, "cardinality violation: received no response message from non-server-streaming RPC")
	errManyReplies  = status.Error(codes.Unimplemented, "cardinality violation: expected <EOF> for non server-streaming RPCs, but received another message")
)
