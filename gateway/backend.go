package gateway

import (
	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Backend is what a [Handler] leads calls to. [github.com/hanse-go/hanse/rpc.Port] is one. Its methods are called concurrently.
//
// A Backend whose contracts come and go has a method Generation() uint64, which is cheap and returns another number whenever Contracts
// may return something else. Without it Contracts is called once. One with a method TelemetryOf(method string) *telemetry.Service has requests
// that are no calls, such as those by annotations, told to the service of the method; "" is for requests of several. It tells of the calls itself: a request
// that became calls is marked (webtrace.CallsKey), and counts once with them.
type Backend interface {
	// Contracts returns the descriptors of what is served now. Two with the same name are one, the first.
	Contracts() []protoreflect.ServiceDescriptor

	// Call runs a call of the full method ("/package.Service/Method") and returns when it has ended. Its error is the call's status.
	//
	// The context of the stream has the metadata of the call, with ":authority" in it, its deadline and its peer. RecvMsg is given the
	// message to fill, which is a proto.Message of the method's input; SendMsg takes one of its output.
	Call(method string, stream grpc.ServerStream) error
}
