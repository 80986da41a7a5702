package comments

import (
	"sync"

	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// Resolver finds the files and declarations that are linked into the program, with their comments: for gRPC reflection. The zero value
// is ready, and may be used concurrently.
type Resolver struct {
	reader Reader
	mu     sync.Mutex
	files  protoregistry.Files // those with comments
}

// FindFileByPath returns a file.
func (r *Resolver) FindFileByPath(path string) (protoreflect.FileDescriptor, error) {
	file, err := protoregistry.GlobalFiles.FindFileByPath(path)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.documented(file), nil
}

// FindDescriptorByName returns a declaration.
func (r *Resolver) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.documented(d.ParentFile())
	if again, err := r.files.FindDescriptorByName(name); err == nil {
		return again, nil
	}
	return d, nil
}

// documented returns a file with its comments, whose imports have theirs, and the file itself if there are none in it. The caller holds
// r.mu.
func (r *Resolver) documented(file protoreflect.FileDescriptor) protoreflect.FileDescriptor {
	if made, err := r.files.FindFileByPath(file.Path()); err == nil {
		return made
	}
	info := r.reader.Info(file)
	if info == nil {
		return file
	}
	for i := range file.Imports().Len() {
		r.documented(file.Imports().Get(i).FileDescriptor)
	}
	text := protodesc.ToFileDescriptorProto(file)
	text.SourceCodeInfo = info
	made, err := protodesc.NewFile(text, within{&r.files})
	if err != nil || r.files.RegisterFile(made) != nil {
		return file // as good, without comments
	}
	return made
}

// within finds what a file imports: with comments where there are some.
type within struct{ files *protoregistry.Files }

func (w within) FindFileByPath(path string) (protoreflect.FileDescriptor, error) {
	if file, err := w.files.FindFileByPath(path); err == nil {
		return file, nil
	}
	return protoregistry.GlobalFiles.FindFileByPath(path)
}

func (w within) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	if d, err := w.files.FindDescriptorByName(name); err == nil {
		return d, nil
	}
	return protoregistry.GlobalFiles.FindDescriptorByName(name)
}
