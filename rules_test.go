package hanse_test

import (
	"context"
	"strings"
	"testing"

	"github.com/hanse-go/hanse"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// polite are rules that want requests which are not empty.
type polite struct{}

func (polite) check(m any) error {
	if body, ok := m.(interface{ GetPayload() *testpb.Payload }); ok && len(body.GetPayload().GetBody()) == 0 {
		return status.Error(codes.InvalidArgument, "say something")
	}
	return nil
}

func (p polite) UnaryInterceptor(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if err := p.check(req); err != nil {
		return nil, err
	}
	return handler(ctx, req)
}

func (p polite) StreamInterceptor(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return handler(srv, politeStream{stream, p})
}

type politeStream struct {
	grpc.ServerStream
	rules polite
}

func (s politeStream) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	return s.rules.check(m)
}

func (polite) Constraints(field protoreflect.FieldDescriptor) map[string]any {
	if field.Name() == "username" {
		return map[string]any{"maxLength": 7}
	}
	return nil
}

// TestRules holds that the rules of an app are held by the requests to all its services, behind the interceptors, and are shown.
func TestRules(t *testing.T) {
	strict, lax, completed := greeterNamed("strict"), greeterNamed("lax"), greeterNamed("completed")
	lax.NoValidation = true
	completed.UnaryInterceptors = []grpc.UnaryServerInterceptor{func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		req.(*testpb.SimpleRequest).Payload = &testpb.Payload{Body: []byte("you")}
		return handler(ctx, req)
	}}
	r := run(t, &hanse.App{Docs: true, Rules: polite{}}, strict, lax, completed)
	for _, tt := range []struct{ service, name, want string }{
		{"strict", "Ada", "Hello, Ada!"},
		{"strict", "", "rpc error: code = InvalidArgument desc = say something"},
		{"lax", "", "Hello, !"},
		{"completed", "", "Hello, you!"},
	} {
		if got := hello(r.Conn(tt.service), tt.name); got != tt.want {
			t.Errorf("%s greets %q with %q, want %q", tt.service, tt.name, got, tt.want)
		}
	}
	stream, err := testpb.NewTestServiceClient(r.Conn("strict")).StreamingOutputCall(t.Context(), &testpb.StreamingOutputCallRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("a stream: %v", err)
	}
	if doc := fetch(t, r.addr("strict"), "/openapi.json"); !strings.Contains(doc, `"maxLength": 7`) {
		t.Errorf("the rules are not shown: %.500s", doc)
	}
}
