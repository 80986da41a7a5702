package call

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/hanse-go/hanse/internal/reflection"
	_ "google.golang.org/genproto/googleapis/rpc/errdetails" // the usual details
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// StatusError is a status other than OK that a call ended with.
type StatusError struct {
	What   string // what was called, or what was tried
	Status *status.Status
	types  *reflection.Types
}

// NewStatusError returns a StatusError for what was tried.
func NewStatusError(what string, err error) *StatusError {
	return &StatusError{What: what, Status: statusOf(err)}
}

// statusOf returns the status of an error, also of a bare context's.
func statusOf(err error) *status.Status {
	if s, ok := status.FromError(err); ok {
		return s
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return status.FromContextError(err)
	}
	return status.New(codes.Unknown, err.Error())
}

// Error returns "Greeter/Hello: InvalidArgument: name is empty", and below it one line for each detail.
func (e *StatusError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s: %s", e.What, e.Status.Code(), e.Status.Message())
	for _, d := range e.details() {
		fmt.Fprintf(&b, "\n  %s %s", d.Type, d.Value)
	}
	return b.String()
}

// GRPCStatus returns the status.
func (e *StatusError) GRPCStatus() *status.Status { return e.Status }

// MarshalJSON returns an object with code, message and details.
func (e *StatusError) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Code    string   `json:"code"`
		Message string   `json:"message"`
		Details []detail `json:"details,omitempty"`
	}{e.Status.Code().String(), e.Status.Message(), e.details()})
}

type detail struct {
	Type  string          `json:"type"`
	Value json.RawMessage `json:"value"`
}

// details returns the details in JSON; of those whose type nobody knows, the bytes.
func (e *StatusError) details() []detail {
	var list []detail
	for _, a := range e.Status.Proto().GetDetails() {
		list = append(list, detail{string(a.MessageName()), e.detailJSON(a)})
	}
	return list
}

func (e *StatusError) detailJSON(a *anypb.Any) json.RawMessage {
	if m := e.unpack(a); m != nil {
		if data, err := reflection.FormatJSON(m, e.types, false); err == nil {
			return data
		}
	}
	data, err := json.Marshal(a.GetValue())
	if err != nil { // bytes can always be marshalled
		panic(err)
	}
	return data
}

// unpack reads the detail by the server's types, else by those that this program knows.
func (e *StatusError) unpack(a *anypb.Any) proto.Message {
	mt, err := e.types.FindMessageByURL(a.GetTypeUrl())
	if err != nil {
		return nil
	}
	m := mt.New().Interface()
	if proto.Unmarshal(a.GetValue(), m) != nil {
		return nil
	}
	return m
}
