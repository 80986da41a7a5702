package gen

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/protoutil"
	"github.com/bufbuild/protocompile/reporter"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Contracts returns the services in .proto files, which need no Go module around them. What they import is looked for in folders, the first
// one first; none are those of the files. google/protobuf, google/api and google/rpc need not be there.
func Contracts(ctx context.Context, files, folders []string) ([]protoreflect.ServiceDescriptor, error) {
	if len(folders) == 0 {
		for _, f := range files {
			if dir := filepath.Dir(f); !slices.Contains(folders, dir) {
				folders = append(folders, dir)
			}
		}
	}
	var names []string
	for _, f := range files {
		name, err := importName(f, folders)
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	var mistakes []error
	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(protocompile.CompositeResolver{
			&protocompile.SourceResolver{ImportPaths: folders}, protocompile.ResolverFunc(findWellKnown),
		}),
		SourceInfoMode: protocompile.SourceInfoStandard,
		Reporter: reporter.NewReporter(func(err reporter.ErrorWithPos) error {
			mistakes = append(mistakes, err)
			return nil
		}, func(reporter.ErrorWithPos) {}),
	}
	compiled, err := compiler.Compile(ctx, names...)
	if len(mistakes) > 0 {
		return nil, errors.Join(mistakes...)
	}
	if err != nil {
		return nil, err
	}
	set := new(descriptorpb.FileDescriptorSet)
	seen := make(map[string]bool)
	var add func(protoreflect.FileDescriptor)
	add = func(fd protoreflect.FileDescriptor) {
		if seen[fd.Path()] {
			return
		}
		seen[fd.Path()] = true
		for i := range fd.Imports().Len() {
			add(fd.Imports().Get(i).FileDescriptor)
		}
		set.File = append(set.File, protoutil.ProtoFromFileDescriptor(fd))
	}
	for _, f := range compiled {
		add(f)
	}
	// As bytes and back, so that options have the types that this program has for them, and not the compiler's.
	data, err := proto.Marshal(set)
	if err != nil {
		return nil, err
	}
	if err := proto.Unmarshal(data, set); err != nil {
		return nil, err
	}
	linked, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, err
	}
	var services []protoreflect.ServiceDescriptor
	for _, name := range names {
		fd, err := linked.FindFileByPath(name)
		if err != nil {
			return nil, err
		}
		for i := range fd.Services().Len() {
			services = append(services, fd.Services().Get(i))
		}
	}
	if len(services) == 0 {
		return nil, fmt.Errorf("there is no service in %s", strings.Join(files, ", "))
	}
	return services, nil
}

// importName returns how a file is imported: its path below the first of the folders that it is in.
func importName(file string, folders []string) (string, error) {
	abs, err := filepath.Abs(file)
	if err != nil {
		return "", err
	}
	for _, folder := range folders {
		dir, err := filepath.Abs(folder)
		if err != nil {
			return "", err
		}
		if rel, err := filepath.Rel(dir, abs); err == nil && filepath.IsLocal(rel) {
			return filepath.ToSlash(rel), nil
		}
	}
	return "", fmt.Errorf("%s is in none of the folders %s, to which imports are relative", file, strings.Join(folders, ", "))
}

// findWellKnown finds what can be imported without having it, beside google/protobuf/*.
func findWellKnown(name string) (protocompile.SearchResult, error) {
	if !slices.Contains(wellKnown, name) {
		return protocompile.SearchResult{}, protoregistry.NotFound
	}
	d, err := protoregistry.GlobalFiles.FindFileByPath(name)
	return protocompile.SearchResult{Desc: d}, err
}
