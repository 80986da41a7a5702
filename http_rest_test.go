package hanse_test

import (
	"context"
	"strings"
	"testing"

	"github.com/hanse-go/hanse"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	_ "google.golang.org/protobuf/types/known/emptypb"
)

// annotated is a service with a contract of its own whose one method is GET of a path.
func annotated(t *testing.T, name, path string) *hanse.Service {
	t.Helper()
	options := new(descriptorpb.MethodOptions)
	proto.SetExtension(options, annotations.E_Http, &annotations.HttpRule{Pattern: &annotations.HttpRule_Get{Get: path}})
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("hanse/test/" + name + ".proto"), Package: proto.String("hanse.test." + name), Syntax: proto.String("proto3"),
		Dependency: []string{"google/protobuf/empty.proto"},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("Pages"), Method: []*descriptorpb.MethodDescriptorProto{{
			Name: proto.String("Get"), InputType: proto.String(".google.protobuf.Empty"), OutputType: proto.String(".google.protobuf.Empty"), Options: options}}}},
	}, protoregistry.GlobalFiles)
	if _, missing := protoregistry.GlobalFiles.FindFileByPath(file.Path()); err == nil && missing != nil { // else by an earlier run of the test
		err = protoregistry.GlobalFiles.RegisterFile(file)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &hanse.Service{Name: name, Setup: func(_ context.Context, s *hanse.Service) error {
		s.RegisterService(&grpc.ServiceDesc{ServiceName: "hanse.test." + name + ".Pages", HandlerType: (*any)(nil)}, struct{}{})
		return nil
	}}
}

// TestSameRoute holds that two services with one HTTP route do not start, unless nobody can take one for the other.
func TestSameRoute(t *testing.T) {
	again := func(s *hanse.Service) *hanse.Service { return &hanse.Service{Name: s.Name, Setup: s.Setup} }
	a, b, bad := annotated(t, "apples", "/v1/fruit"), annotated(t, "berries", "/v1/fruit"), annotated(t, "cherries", "v1/fruit")
	err := (&hanse.App{Addr: "127.0.0.1:0"}).Run(t.Context(), again(a), again(b))
	if want := "hanse.test.apples.Pages.Get and hanse.test.berries.Pages.Get have the same route: GET /v1/fruit"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v\nwant\n%s", err, want)
	}
	err = (&hanse.App{Addr: "127.0.0.1:0"}).Run(t.Context(), again(bad))
	if want := `hanse.test.cherries.Pages.Get: google.api.http: path template "v1/fruit": it does not begin with a slash`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v\nwant\n%s", err, want)
	}
	run(t, &hanse.App{Addrs: map[string]string{"berries": "127.0.0.1:0"}}, again(a), again(b))
	run(t, &hanse.App{NoGateway: true}, again(a), again(b), again(bad))
}
