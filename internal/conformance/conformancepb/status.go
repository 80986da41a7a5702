package conformancepb

import (
	"slices"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// StatusOf returns e as the error of a handler, with more details after its own.
func StatusOf(e *Error, more ...proto.Message) error {
	details := slices.Clone(e.GetDetails())
	for _, m := range more {
		detail, err := anypb.New(m)
		if err != nil {
			return err
		}
		details = append(details, detail)
	}
	return status.ErrorProto(&statuspb.Status{Code: int32(e.GetCode()), Message: e.GetMessage(), Details: details})
}

// ErrorOf returns the error of a call as the contract has it; nil is nil.
func ErrorOf(err error) *Error {
	if err == nil {
		return nil
	}
	st := status.Convert(err)
	return &Error{Code: Code(st.Code()), Message: proto.String(st.Message()), Details: st.Proto().GetDetails()}
}
