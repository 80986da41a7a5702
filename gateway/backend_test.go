package gateway_test

import (
	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// contracts is a backend's half that serves the contract of the tests.
type contracts struct{}

func (contracts) Contracts() []protoreflect.ServiceDescriptor {
	return []protoreflect.ServiceDescriptor{testpb.File_grpc_testing_test_proto.Services().ByName("TestService")}
}

type panicking struct{ contracts }

func (panicking) Call(string, grpc.ServerStream) error { panic("secret") }
