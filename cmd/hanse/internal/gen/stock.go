package gen

import (
	"context"
	"flag"

	"google.golang.org/protobuf/cmd/protoc-gen-go/internal_gengo"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/gofeaturespb"
	"google.golang.org/protobuf/types/pluginpb"
)

// runGo is protoc-gen-go, whose generator can be linked, and adds the comments that it drops.
func runGo(_ context.Context, _ *workshop, req *pluginpb.CodeGeneratorRequest) (*pluginpb.CodeGeneratorResponse, error) {
	var flags flag.FlagSet
	gen, err := protogen.Options{ParamFunc: flags.Set}.New(req)
	if err != nil {
		return nil, err
	}
	for _, f := range gen.Files {
		if f.Generate {
			internal_gengo.GenerateFile(gen, f)
			if err := generateComments(gen, f); err != nil {
				return nil, err
			}
		}
	}
	gen.SupportedFeatures = internal_gengo.SupportedFeatures
	gen.SupportedEditionsMinimum = internal_gengo.SupportedEditionsMinimum
	gen.SupportedEditionsMaximum = internal_gengo.SupportedEditionsMaximum
	return gen.Response(), nil
}

// runGRPC is protoc-gen-go-grpc, whose generator is a main package: it is built once.
func runGRPC(ctx context.Context, w *workshop, req *pluginpb.CodeGeneratorRequest) (*pluginpb.CodeGeneratorResponse, error) {
	file, err := w.tool(ctx, grpcPackage, GRPCVersion)
	if err != nil {
		return nil, err
	}
	return w.exec(ctx, "", []string{file}, req)
}

// onlyGoFeatures resolves the one extension that protoc-gen-go links.
type onlyGoFeatures struct{}

func (onlyGoFeatures) FindExtensionByName(name protoreflect.FullName) (protoreflect.ExtensionType, error) {
	if name == gofeaturespb.E_Go.TypeDescriptor().FullName() {
		return gofeaturespb.E_Go, nil
	}
	return nil, protoregistry.NotFound
}

func (onlyGoFeatures) FindExtensionByNumber(message protoreflect.FullName, field protoreflect.FieldNumber) (protoreflect.ExtensionType, error) {
	d := gofeaturespb.E_Go.TypeDescriptor()
	if message == d.ContainingMessage().FullName() && field == d.Number() {
		return gofeaturespb.E_Go, nil
	}
	return nil, protoregistry.NotFound
}
