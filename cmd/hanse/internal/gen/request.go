package gen

import (
	"github.com/bufbuild/protocompile/options"
	"github.com/bufbuild/protocompile/protoutil"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/pluginpb"
)

// compilerVersion is what generated code names as the version of protoc: that of protocompile, with a suffix by which a later run
// knows the files that it made.
func compilerVersion() *pluginpb.Version {
	return &pluginpb.Version{Major: proto.Int32(0), Minor: proto.Int32(14), Patch: proto.Int32(1), Suffix: proto.String("hanse")}
}

// request returns what protoc would send to a plugin: the targets and everything that they import, imports first.
func (c *compiled) request(targets []string, parameter string) (*pluginpb.CodeGeneratorRequest, error) {
	req := &pluginpb.CodeGeneratorRequest{
		FileToGenerate:  targets,
		CompilerVersion: compilerVersion(),
	}
	if parameter != "" {
		req.Parameter = &parameter
	}
	isTarget := map[string]bool{}
	for _, t := range targets {
		isTarget[t] = true
	}
	seen := map[string]bool{}
	var add func(fd protoreflect.FileDescriptor) error
	add = func(fd protoreflect.FileDescriptor) error {
		if seen[fd.Path()] {
			return nil
		}
		seen[fd.Path()] = true
		imports := fd.Imports()
		for i := range imports.Len() {
			if err := add(imports.Get(i).FileDescriptor); err != nil {
				return err
			}
		}
		full := protoutil.ProtoFromFileDescriptor(fd)
		if !isTarget[fd.Path()] {
			req.ProtoFile = append(req.ProtoFile, full)
			return nil
		}
		// As in protoc, the files to generate come without the options that only the source keeps, and once more with them.
		stripped, err := options.StripSourceRetentionOptionsFromFile(full)
		if err != nil {
			return err
		}
		req.ProtoFile = append(req.ProtoFile, stripped)
		req.SourceFileDescriptors = append(req.SourceFileDescriptors, full)
		return nil
	}
	for _, t := range targets {
		if err := add(c.file(t)); err != nil {
			return nil, err
		}
	}
	return plain(req)
}

// plain returns the request as a plugin that knows no extension at all reads it: every option of the user's is in the unknown
// fields, so that it is written into the code byte by byte as protoc sent it.
func plain(req *pluginpb.CodeGeneratorRequest) (*pluginpb.CodeGeneratorRequest, error) {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(req)
	if err != nil {
		return nil, err
	}
	out := &pluginpb.CodeGeneratorRequest{}
	return out, proto.UnmarshalOptions{Resolver: onlyGoFeatures{}}.Unmarshal(data, out)
}
