package rpc_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/hanse-go/hanse/discovery"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The tests' contract: strings that come back. Read has no side effects, Put is idempotent, and Add says nothing of the kind.
const (
	echoContract = "hanse.rpctest.Echo"
	readMethod   = "/" + echoContract + "/Read"
	putMethod    = "/" + echoContract + "/Put"
	addMethod    = "/" + echoContract + "/Add"
	listMethod   = "/" + echoContract + "/List"
	chatMethod   = "/" + echoContract + "/Chat"
	sumMethod    = "/" + echoContract + "/Sum"
)

func init() {
	str := proto.String(".google.protobuf.StringValue")
	method := func(name string, level descriptorpb.MethodOptions_IdempotencyLevel, client, server bool) *descriptorpb.MethodDescriptorProto {
		return &descriptorpb.MethodDescriptorProto{
			Name: &name, InputType: str, OutputType: str, ClientStreaming: &client, ServerStreaming: &server,
			Options: &descriptorpb.MethodOptions{IdempotencyLevel: &level},
		}
	}
	const unknown = descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("hanse/rpctest/echo.proto"), Package: proto.String("hanse.rpctest"), Syntax: proto.String("proto3"),
		Dependency: []string{"google/protobuf/wrappers.proto"},
		Service: []*descriptorpb.ServiceDescriptorProto{{
			Name: proto.String("Echo"),
			Method: []*descriptorpb.MethodDescriptorProto{
				method("Read", descriptorpb.MethodOptions_NO_SIDE_EFFECTS, false, false),
				method("Put", descriptorpb.MethodOptions_IDEMPOTENT, false, false),
				method("Add", unknown, false, false),
				method("List", unknown, false, true),
				method("Chat", unknown, true, true),
				method("Sum", unknown, true, false),
			},
		}},
	}, protoregistry.GlobalFiles)
	if err != nil {
		panic(err)
	}
	if err := protoregistry.GlobalFiles.RegisterFile(file); err != nil {
		panic(err)
	}
}

// echoService implements the contract. Its answers begin with its name.
type echoService struct {
	name  string
	calls atomic.Int64                                   // that reached the handler
	hook  func(ctx context.Context, method string) error // may be nil
}

func (e *echoService) begin(ctx context.Context, method string) error {
	e.calls.Add(1)
	if e.hook != nil {
		return e.hook(ctx, method)
	}
	return nil
}

func (e *echoService) reply(text string) *wrapperspb.StringValue {
	return wrapperspb.String(e.name + ":" + text)
}

func (e *echoService) desc(contract string) *grpc.ServiceDesc {
	unary := func(name string) grpc.MethodDesc {
		method := "/" + contract + "/" + name
		return grpc.MethodDesc{MethodName: name, Handler: func(srv any, ctx context.Context, dec func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
			in := new(wrapperspb.StringValue)
			if err := dec(in); err != nil {
				return nil, err
			}
			handle := func(ctx context.Context, in any) (any, error) {
				if err := srv.(*echoService).begin(ctx, name); err != nil {
					return nil, err
				}
				return srv.(*echoService).reply(in.(*wrapperspb.StringValue).Value), nil
			}
			if intercept == nil {
				return handle(ctx, in)
			}
			return intercept(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: method}, handle)
		}}
	}
	return &grpc.ServiceDesc{
		ServiceName: contract,
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{unary("Read"), unary("Put"), unary("Add")},
		Streams: []grpc.StreamDesc{
			{StreamName: "List", ServerStreams: true, Handler: func(srv any, s grpc.ServerStream) error {
				e := srv.(*echoService)
				in := new(wrapperspb.StringValue)
				if err := s.RecvMsg(in); err != nil {
					return err
				}
				if err := e.begin(s.Context(), "List"); err != nil {
					return err
				}
				for i := range 3 {
					if err := s.SendMsg(e.reply(fmt.Sprint(in.Value, i))); err != nil {
						return err
					}
				}
				return nil
			}},
			{StreamName: "Chat", ServerStreams: true, ClientStreams: true, Handler: func(srv any, s grpc.ServerStream) error {
				e := srv.(*echoService)
				if err := e.begin(s.Context(), "Chat"); err != nil {
					return err
				}
				for {
					in := new(wrapperspb.StringValue)
					if err := s.RecvMsg(in); err == io.EOF {
						return nil
					} else if err != nil {
						return err
					}
					if err := s.SendMsg(e.reply(in.Value)); err != nil {
						return err
					}
				}
			}},
			{StreamName: "Sum", ClientStreams: true, Handler: func(srv any, s grpc.ServerStream) error {
				e := srv.(*echoService)
				if err := e.begin(s.Context(), "Sum"); err != nil {
					return err
				}
				var all string
				for {
					in := new(wrapperspb.StringValue)
					if err := s.RecvMsg(in); err == io.EOF {
						return s.SendMsg(e.reply(all))
					} else if err != nil {
						return err
					}
					all += in.Value
				}
			}},
		},
	}
}

func (e *echoService) register(r grpc.ServiceRegistrar) { r.RegisterService(e.desc(echoContract), e) }

// callEcho makes a unary call.
func callEcho(ctx context.Context, cc grpc.ClientConnInterface, method, text string, opts ...grpc.CallOption) (string, error) {
	out := new(wrapperspb.StringValue)
	err := cc.Invoke(ctx, method, wrapperspb.String(text), out, opts...)
	return out.Value, err
}

// chatEcho opens a bidirectional stream.
func chatEcho(ctx context.Context, cc grpc.ClientConnInterface, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return cc.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, chatMethod, opts...)
}

// listEcho makes a server streaming call and returns all answers.
func listEcho(ctx context.Context, cc grpc.ClientConnInterface, text string, opts ...grpc.CallOption) ([]string, error) {
	s, err := cc.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, listMethod, opts...)
	if err != nil {
		return nil, err
	}
	if err := s.SendMsg(wrapperspb.String(text)); err != nil && err != io.EOF {
		return nil, err
	}
	if err := s.CloseSend(); err != nil {
		return nil, err
	}
	var all []string
	for {
		out := new(wrapperspb.StringValue)
		if err := s.RecvMsg(out); err == io.EOF {
			return all, nil
		} else if err != nil {
			return all, err
		}
		all = append(all, out.Value)
	}
}

// stockPeer is a server of grpc-go, as a program has that knows nothing of Hanse.
type stockPeer struct {
	*echoService
	server *grpc.Server
	addr   string
}

func newStock(t *testing.T, name string, opts ...grpc.ServerOption) *stockPeer {
	t.Helper()
	return newStockOn(t, loopback(t), name, opts...)
}

func newStockOn(t *testing.T, lis net.Listener, name string, opts ...grpc.ServerOption) *stockPeer {
	t.Helper()
	s := &stockPeer{echoService: &echoService{name: name}, server: grpc.NewServer(opts...), addr: lis.Addr().String()}
	s.register(s.server)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.server.Serve(lis)
	}()
	t.Cleanup(func() {
		s.server.Stop()
		<-done
	})
	return s
}

// instance is how the server looks in a registry when Hanse announced it.
func (s *stockPeer) instance() discovery.Instance {
	return discovery.Instance{Service: "echo", ID: s.name, State: discovery.Ready, Endpoints: []string{"tcp://" + s.addr}}
}

func loopback(t testing.TB) net.Listener {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return lis
}

// refusing returns an address where nobody listens.
func refusing(t *testing.T) string {
	t.Helper()
	lis := loopback(t)
	defer lis.Close()
	return lis.Addr().String()
}

// register announces an instance until the test ends or its lease is closed.
func register(t *testing.T, r discovery.Registrar, inst discovery.Instance) discovery.Lease {
	t.Helper()
	lease, err := r.Register(t.Context(), inst)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lease.Close() })
	return lease
}

func stringValue(s string) *wrapperspb.StringValue { return wrapperspb.String(s) }

func incomingValues(ctx context.Context, key string) []string {
	return metadata.ValueFromIncomingContext(ctx, key)
}
