package hanse

import (
	"testing"

	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

func TestContractHash(t *testing.T) {
	const service = "grpc.testing.TestService"
	if protodesc.ToFileDescriptorProto(testpb.File_grpc_testing_test_proto).GetPackage() != "grpc.testing" {
		t.Fatal("not the contract that was meant")
	}
	original := contractHash(protoregistry.GlobalFiles, service)
	if len(original) != 32 {
		t.Fatalf("hash %q", original)
	}

	// edited hashes the contract after a change to one of its files.
	edited := func(path string, edit func(*descriptorpb.FileDescriptorProto)) string {
		set := &descriptorpb.FileDescriptorSet{}
		for _, file := range []string{"grpc/testing/empty.proto", "grpc/testing/messages.proto", "grpc/testing/test.proto"} {
			d, err := protoregistry.GlobalFiles.FindFileByPath(file)
			if err != nil {
				t.Fatal(err)
			}
			p := proto.CloneOf(protodesc.ToFileDescriptorProto(d))
			if file == path {
				edit(p)
			}
			set.File = append(set.File, p)
		}
		files, err := protodesc.NewFiles(set)
		if err != nil {
			t.Fatal(err)
		}
		return contractHash(files, service)
	}
	for _, tt := range []struct {
		name, path string
		edit       func(*descriptorpb.FileDescriptorProto)
		same       bool
	}{
		{"nothing", "", nil, true},
		{"comments", "grpc/testing/test.proto", func(f *descriptorpb.FileDescriptorProto) {
			f.SourceCodeInfo = &descriptorpb.SourceCodeInfo{Location: []*descriptorpb.SourceCodeInfo_Location{{Span: []int32{0, 0, 1}, LeadingComments: proto.String("hello")}}}
		}, true},
		{"go_package", "grpc/testing/messages.proto", func(f *descriptorpb.FileDescriptorProto) {
			f.Options = &descriptorpb.FileOptions{GoPackage: proto.String("example.com/other")}
		}, true},
		{"a method", "grpc/testing/test.proto", func(f *descriptorpb.FileDescriptorProto) {
			f.Service[0].Method = f.Service[0].Method[1:]
		}, false},
		{"a method's option", "grpc/testing/test.proto", func(f *descriptorpb.FileDescriptorProto) {
			f.Service[0].Method[0].Options = &descriptorpb.MethodOptions{IdempotencyLevel: descriptorpb.MethodOptions_IDEMPOTENT.Enum()}
		}, false},
		{"a field of an imported file", "grpc/testing/messages.proto", func(f *descriptorpb.FileDescriptorProto) {
			f.MessageType[0].Field[0].Number = proto.Int32(99)
		}, false},
	} {
		if got := edited(tt.path, tt.edit); (got == original) != tt.same {
			t.Errorf("change of %s: hash %s, original %s, want equal: %v", tt.name, got, original, tt.same)
		}
	}
	if got := contractHash(protoregistry.GlobalFiles, "no.such.Service"); got != "" {
		t.Errorf("hash of a service without descriptor: %q", got)
	}
}
