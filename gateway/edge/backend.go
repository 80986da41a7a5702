package edge

import (
	"strings"

	"github.com/hanse-go/hanse/gateway"
	"github.com/hanse-go/hanse/telemetry"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
)

// forward passes a call on to the service that has its method. It is a grpc.StreamHandler, which is given messages without their types.
func (s *system) forward(srv any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	t := s.now().methods[method]
	if t == nil {
		return status.Errorf(codes.Unimplemented, "no service here has %s", strings.TrimPrefix(method, "/"))
	}
	return t.forward(srv, stream)
}

// isUnary reports whether a method of the system is, or there is none.
func (s *system) isUnary(method string) bool {
	t := s.now().methods[method]
	return t == nil || t.isUnary()
}

func (t *target) isUnary() bool {
	return !t.method.IsStreamingClient() && !t.method.IsStreamingServer()
}

// forward passes a call of the method on.
func (t *target) forward(srv any, stream grpc.ServerStream) error {
	if t.isUnary() {
		return t.service.forwarder.Unary(srv, stream)
	}
	return t.service.forwarder.Stream(srv, stream)
}

// backend is what package gateway calls: it enters where the calls by gRPC do.
type backend struct {
	g    *Gateway
	body int
}

// Contracts implements [gateway.Backend].
func (b backend) Contracts() []protoreflect.ServiceDescriptor { return b.g.system.now().contracts }

// Generation implements what [gateway.Backend] says of contracts that change.
func (b backend) Generation() uint64 { return b.g.system.now().generation }

// MaxRecvMsgSize implements what [gateway.Limits] says.
func (b backend) MaxRecvMsgSize() int { return b.body }

// TelemetryOf implements what [gateway.Backend] says of who is told.
func (b backend) TelemetryOf(string) *telemetry.Service { return b.g.Telemetry }

// Call implements [gateway.Backend].
func (b backend) Call(method string, stream grpc.ServerStream) error {
	t := b.g.system.now().methods[method]
	if t == nil {
		return status.Errorf(codes.Unimplemented, "no service here has %s any more", strings.TrimPrefix(method, "/"))
	}
	if host := metadata.ValueFromIncomingContext(stream.Context(), ":authority"); b.g.rules.Load().of(method).auth == "local" && len(host) == 1 && !gateway.LocalName(host[0]) {
		// It may be a page of another site that has given its own name the address of this machine (DNS rebinding).
		return status.Errorf(codes.PermissionDenied, "without a rule for it, %s is for programs on this machine: call localhost, and not %s", strings.TrimPrefix(method, "/"), host[0])
	}
	return b.g.port.Call(method, &typed{ServerStream: stream, method: t.method})
}

// typed is a stream of messages of a method's types, for who takes and gives their bytes in messages of no fields.
type typed struct {
	grpc.ServerStream
	method protoreflect.MethodDescriptor
}

func (t *typed) RecvMsg(m any) error {
	msg := dynamicpb.NewMessage(t.method.Input())
	if err := t.ServerStream.RecvMsg(msg); err != nil {
		return err
	}
	return recode(m.(proto.Message), msg)
}

func (t *typed) SendMsg(m any) error {
	msg := dynamicpb.NewMessage(t.method.Output())
	if err := recode(msg, m.(proto.Message)); err != nil {
		return err
	}
	return t.ServerStream.SendMsg(msg)
}

// recode makes dst the message that has the bytes of src.
func recode(dst, src proto.Message) error {
	data, err := proto.Marshal(src)
	if err == nil {
		err = proto.Unmarshal(data, dst)
	}
	if err != nil {
		return status.Errorf(codes.Internal, "a message is none of %s: %v", dst.ProtoReflect().Descriptor().FullName(), err)
	}
	return nil
}

// The system's services know the types that messages name.

// FindMessageByName implements [protoregistry.MessageTypeResolver].
func (s *system) FindMessageByName(name protoreflect.FullName) (protoreflect.MessageType, error) {
	for _, t := range s.now().types {
		if mt, err := t.FindMessageByName(name); err == nil {
			return mt, nil
		}
	}
	return protoregistry.GlobalTypes.FindMessageByName(name)
}

// FindMessageByURL implements [protoregistry.MessageTypeResolver].
func (s *system) FindMessageByURL(url string) (protoreflect.MessageType, error) {
	for _, t := range s.now().types {
		if mt, err := t.FindMessageByURL(url); err == nil {
			return mt, nil
		}
	}
	return protoregistry.GlobalTypes.FindMessageByURL(url)
}

// FindExtensionByName implements [protoregistry.ExtensionTypeResolver].
func (s *system) FindExtensionByName(name protoreflect.FullName) (protoreflect.ExtensionType, error) {
	for _, t := range s.now().types {
		if xt, err := t.FindExtensionByName(name); err == nil {
			return xt, nil
		}
	}
	return protoregistry.GlobalTypes.FindExtensionByName(name)
}

// FindExtensionByNumber implements [protoregistry.ExtensionTypeResolver].
func (s *system) FindExtensionByNumber(message protoreflect.FullName, number protoreflect.FieldNumber) (protoreflect.ExtensionType, error) {
	for _, t := range s.now().types {
		if xt, err := t.FindExtensionByNumber(message, number); err == nil {
			return xt, nil
		}
	}
	return protoregistry.GlobalTypes.FindExtensionByNumber(message, number)
}
