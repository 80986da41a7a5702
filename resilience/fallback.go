package resilience

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Fallback returns a client interceptor that answers in place of a service that cannot: when a call ends with Unavailable,
// ResourceExhausted, DeadlineExceeded or Internal, f may fill the reply and return nil, or return the error that the caller gets, err
// itself for instance. Other errors are answers of the service, and a call that was cancelled needs none; f does not see them.
//
//	conn := svc.Conn("recommendations", rpc.WithUnaryInterceptors(resilience.Fallback(
//		func(ctx context.Context, method string, req, reply any, err error) error {
//			if reply, ok := reply.(*recommendv1.ListReply); ok {
//				reply.Items = bestsellers()
//				return nil
//			}
//			return err
//		})))
//
// f must be quick: its context has no deadline, because that of the call may be over.
func Fallback(f func(ctx context.Context, method string, req, reply any, err error) error) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		err := invoke(ctx, method, req, reply, cc, opts...)
		switch status.Code(err) {
		case codes.Unavailable, codes.ResourceExhausted, codes.DeadlineExceeded, codes.Internal:
			if ctx.Err() != context.Canceled {
				return f(context.WithoutCancel(ctx), method, req, reply, err)
			}
		}
		return err
	}
}
