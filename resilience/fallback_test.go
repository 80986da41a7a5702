package resilience_test

import (
	"context"
	"testing"

	"github.com/hanse-go/hanse/resilience"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestFallback(t *testing.T) {
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	for _, tt := range []struct {
		ctx  context.Context
		code codes.Code
		want string // the reply
	}{
		{context.Background(), codes.OK, "answer"},
		{context.Background(), codes.Unavailable, "instead"},
		{context.Background(), codes.ResourceExhausted, "instead"},
		{context.Background(), codes.DeadlineExceeded, "instead"},
		{context.Background(), codes.Internal, "instead"},
		{context.Background(), codes.NotFound, ""},
		{cancelled, codes.Unavailable, ""},
	} {
		intercept := resilience.Fallback(func(ctx context.Context, method string, _, reply any, err error) error {
			if method != "/a.B/C" || ctx.Err() != nil || status.Code(err) != tt.code {
				t.Errorf("%v: asked about %s, %v, %v", tt.code, method, ctx.Err(), err)
			}
			*reply.(*string) = "instead"
			return nil
		})
		var reply string
		err := intercept(tt.ctx, "/a.B/C", nil, &reply, nil, func(_ context.Context, _ string, _, reply any, _ *grpc.ClientConn, _ ...grpc.CallOption) error {
			if tt.code == codes.OK {
				*reply.(*string) = "answer"
			}
			return status.Error(tt.code, "")
		})
		if reply != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%v: %q, %v", tt.code, reply, err)
		}
	}
}
