package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/bufbuild/protocompile"
	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/internal/systems"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
)

// served is the program that sessions call: `served NAME[@VERSION]…` runs services of these names that all have the contract in servedProto, as
// the environment says, or else in the registry that programs of the current folder's module use.
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
  rpc List(Item) returns (stream Item) { option idempotency_level = NO_SIDE_EFFECTS; }
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
	if os.Getenv("HANSE_REGISTRY")+os.Getenv("HANSE_BACKPLANE") == "" {
		os.Setenv("HANSE_REGISTRY", "local:"+systems.OfFolder(dir))
	}
	app, err := hanse.FromEnv()
	if err != nil {
		return err
	}
	app.Logger = slog.New(slog.NewTextHandler(io.Discard, nil)) // what is sent elsewhere is made all the same
	var services []*hanse.Service
	for _, name := range names {
		name, version, _ := strings.Cut(name, "@")
		svc := &hanse.Service{Name: name, Version: version}
		svc.RegisterService(shelfDesc(svc, files[0].Services().ByName("Shelf")), struct{}{})
		services = append(services, svc)
	}
	return app.Run(ctx, services...)
}

// shelfDesc describes the contract to gRPC as generated code would, with dynamic messages.
func shelfDesc(svc *hanse.Service, sd protoreflect.ServiceDescriptor) *grpc.ServiceDesc {
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
					return getItem(ctx, svc, in)
				}})
			continue
		}
		desc.Streams = append(desc.Streams, grpc.StreamDesc{StreamName: string(md.Name()), ClientStreams: md.IsStreamingClient(), ServerStreams: md.IsStreamingServer(),
			Handler: func(_ any, stream grpc.ServerStream) error { return streamItems(md, stream) }})
	}
	return desc
}

// askOthers calls a service once or, one after the other, as often as count says.
func askOthers(ctx context.Context, svc *hanse.Service, in *dynamicpb.Message, service string) error {
	fields := in.Descriptor().Fields()
	ask, answer := dynamicpb.NewMessage(in.Descriptor()), dynamicpb.NewMessage(in.Descriptor())
	for range max(1, in.Get(fields.ByName("count")).Int()) {
		if err := svc.Conn(service).Invoke(ctx, "/shelf.v1.Shelf/Get", ask, answer); err != nil {
			return err
		}
	}
	return nil
}

// getItem answers with what it got, for a name such as "of stock" when it has asked that service, with an error and a line in the log for the name "nothing", and with the header "who" and the claims of a user as tags.
func getItem(ctx context.Context, svc *hanse.Service, in *dynamicpb.Message) (any, error) {
	fields := in.Descriptor().Fields()
	name := in.Get(fields.ByName("name")).String()
	if service, ok := strings.CutPrefix(name, "of "); ok {
		return in, askOthers(ctx, svc, in, service)
	}
	switch name {
	case "nothing":
		svc.Logger().WarnContext(ctx, "somebody wants nothing", "size", 0)
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
