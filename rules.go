package hanse

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Rules are demands on messages beyond their types. [github.com/hanse-go/hanse/rpc/protovalidate.Validator] holds those that .proto files
// make by buf.validate. The methods are called concurrently.
type Rules interface {
	// UnaryInterceptor is a [grpc.UnaryServerInterceptor] that lets valid requests pass.
	UnaryInterceptor(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error)
	// StreamInterceptor is a [grpc.StreamServerInterceptor] that lets a handler receive valid messages only.
	StreamInterceptor(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error
	// Constraints tells what is demanded of a field in the keywords of JSON Schema: see [github.com/hanse-go/hanse/gateway.Constraints].
	Constraints(field protoreflect.FieldDescriptor) map[string]any
}
