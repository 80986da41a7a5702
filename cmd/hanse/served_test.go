package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/bufbuild/protocompile"
	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/internal/systems"
	"github.com/hanse-go/hanse/telemetry"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
)

// served is the program that sessions call: `served NAME[@VERSION]…` runs services of these names that all have the contract in servedProto, in
// the registry that programs of the current folder's module use.
func served() {
	if err := serve(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "served:", err)
		os.Exit(1)
	}
}

const servedProto = `syntax = "proto3";
package shelf.v1;

service Shelf {
  rpc Get(Item) returns (Item);
  rpc List(Item) returns (stream Item);
  rpc Add(stream Item) returns (Item);
  rpc Chat(stream Item) returns (stream Item);
}
message Item {
  string name = 1;
  int32 count = 2;
  repeated string tags = 3;
  Size size = 4;
}
enum Size { SIZE_UNSPECIFIED = 0; SIZE_SMALL = 1; SIZE_LARGE = 2; }
`

func serve(names []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	compiler := protocompile.Compiler{Resolver: &protocompile.SourceResolver{
		Accessor: protocompile.SourceAccessorFromMap(map[string]string{"shelf/v1/shelf.proto": servedProto})}}
	files, err := compiler.Compile(ctx, "shelf/v1/shelf.proto")
	if err != nil {
		return err
	}
	if err := protoregistry.GlobalFiles.RegisterFile(files[0]); err != nil {
		return err
	}
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	tells, err := telemetry.FromEnv(os.LookupEnv)
	if err != nil {
		return err
	}
	app := &hanse.App{Registry: &discovery.Local{System: systems.OfFolder(dir)}, AdminAddr: os.Getenv("HANSE_ADMIN_ADDR"), Logger: quiet, Telemetry: tells}
	var services []*hanse.Service
	for _, name := range names {
		name, version, _ := strings.Cut(name, "@")
		svc := &hanse.Service{Name: name, Version: version}
		svc.RegisterService(shelfDesc(files[0].Services().ByName("Shelf")), struct{}{})
		services = append(services, svc)
	}
	return app.Run(ctx, services...)
}

// shelfDesc describes the contract to gRPC as generated code would, with dynamic messages.
func shelfDesc(sd protoreflect.ServiceDescriptor) *grpc.ServiceDesc {
	desc := &grpc.ServiceDesc{ServiceName: string(sd.FullName()), HandlerType: (*any)(nil), Metadata: sd.ParentFile().Path()}
	for i := range sd.Methods().Len() {
		md := sd.Methods().Get(i)
		if !md.IsStreamingClient() && !md.IsStreamingServer() {
			desc.Methods = append(desc.Methods, grpc.MethodDesc{MethodName: string(md.Name()),
				Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
					in := dynamicpb.NewMessage(md.Input())
					if err := decode(in); err != nil {
						return nil, err
					}
					return getItem(ctx, in)
				}})
			continue
		}
		desc.Streams = append(desc.Streams, grpc.StreamDesc{StreamName: string(md.Name()), ClientStreams: md.IsStreamingClient(), ServerStreams: md.IsStreamingServer(),
			Handler: func(_ any, stream grpc.ServerStream) error { return streamItems(md, stream) }})
	}
	return desc
}

// getItem answers with what it got, with an error for the name "nothing", and with the header "who" and the claims of a user as tags.
func getItem(ctx context.Context, in *dynamicpb.Message) (any, error) {
	fields := in.Descriptor().Fields()
	name := in.Get(fields.ByName("name")).String()
	switch name {
	case "nothing":
		st, err := status.New(codes.NotFound, "there is no nothing").WithDetails(&errdetails.ErrorInfo{Reason: "NO_SUCH_ITEM", Domain: "shelf"})
		if err != nil {
			return nil, err
		}
		return nil, st.Err()
	case "wait":
		<-ctx.Done()
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	md, _ := metadata.FromIncomingContext(ctx)
	for _, key := range []string{"who", "hanse-claim-sub", "hanse-claim-tenant"} {
		for _, value := range md.Get(key) {
			in.Mutable(fields.ByName("tags")).List().Append(protoreflect.ValueOfString(value))
		}
	}
	return in, grpc.SetHeader(ctx, metadata.Pairs("from", "shelf"))
}

// streamItems: List answers twice, Add counts, Chat answers each.
func streamItems(md protoreflect.MethodDescriptor, stream grpc.ServerStream) error {
	count := md.Input().Fields().ByName("count")
	for n := int32(0); ; n++ {
		in := dynamicpb.NewMessage(md.Input())
		switch err := stream.RecvMsg(in); {
		case errors.Is(err, io.EOF) && md.Name() == "Add":
			in.Set(count, protoreflect.ValueOfInt32(n))
			return stream.SendMsg(in)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case md.Name() == "List":
			return errors.Join(stream.SendMsg(in), stream.SendMsg(in))
		case md.Name() == "Chat":
			in.Set(md.Input().Fields().ByName("name"), protoreflect.ValueOfString(strings.ToUpper(in.Get(md.Input().Fields().ByName("name")).String())))
			if err := stream.SendMsg(in); err != nil {
				return err
			}
		}
	}
}
