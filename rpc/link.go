package rpc

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// link is one way to one instance. A call that never reached the instance's handler fails with an error for which notProcessed is
// true. Nothing calls o.finish but the stream that newStream returned without an error, and that one calls it once.
type link interface {
	invoke(ctx context.Context, method string, args, reply any, o *callOptions) error
	newStream(ctx context.Context, desc *grpc.StreamDesc, method string, o *callOptions) (grpc.ClientStream, error)
}

// notProcessedError is the status of a call that no handler has seen: it may be sent elsewhere whatever its method does.
type notProcessedError struct{ status *status.Status }

func errNotProcessed(format string, args ...any) error {
	return &notProcessedError{status.Newf(codes.Unavailable, format, args...)}
}

func (e *notProcessedError) Error() string              { return e.status.Err().Error() }
func (e *notProcessedError) GRPCStatus() *status.Status { return e.status }

func notProcessed(err error) bool {
	var e *notProcessedError
	return errors.As(err, &e)
}
