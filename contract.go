package hanse

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"

	"github.com/hanse-go/hanse/discovery"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// contracts describes registered services, ordered by name.
func contracts(info map[string]grpc.ServiceInfo) []discovery.Contract {
	var all []discovery.Contract
	for _, name := range slices.Sorted(maps.Keys(info)) {
		all = append(all, discovery.Contract{Name: name, Hash: contractHash(protoregistry.GlobalFiles, name)})
	}
	return all
}

// contractHash returns a hash of all files that the named service depends on, its own included. What does not change the contract
// is left out: comments, and options of files that only steer code generators. It is empty when the service has no descriptor.
func contractHash(files protodesc.Resolver, service string) string {
	d, err := files.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return ""
	}
	reached := make(map[string]protoreflect.FileDescriptor)
	reach(d.ParentFile(), reached)
	var set descriptorpb.FileDescriptorSet
	for _, path := range slices.Sorted(maps.Keys(reached)) {
		file := protodesc.ToFileDescriptorProto(reached[path])
		file.SourceCodeInfo = nil
		if file.Options != nil {
			file.Options = &descriptorpb.FileOptions{Features: file.Options.Features}
		}
		set.File = append(set.File, file)
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(&set)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// reach adds file and all that it imports.
func reach(file protoreflect.FileDescriptor, reached map[string]protoreflect.FileDescriptor) {
	if _, ok := reached[file.Path()]; ok {
		return
	}
	reached[file.Path()] = file
	for i := range file.Imports().Len() {
		if f := file.Imports().Get(i).FileDescriptor; !f.IsPlaceholder() {
			reach(f, reached)
		}
	}
}
