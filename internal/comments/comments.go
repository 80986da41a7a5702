// Package comments finds the comments of descriptors.
//
// Descriptors that were compiled from source have them. The code of protoc-gen-go has not: it drops them. So hanse gen writes, beside each
// file of generated code, one more that registers a companion of the .proto file with protobuf's own registry: a file that
// declares nothing and whose options carry the comments. It travels with the program, and over gRPC reflection as any file does.
//
//	text := new(comments.Reader).Of(method)
package comments

import (
	"fmt"
	"strings"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// field is the number of the field of a companion's options that has the comments, as the bytes of a SourceCodeInfo. It is one of
// those that FileOptions leaves to its users.
const field protowire.Number = 73614

// Companion returns the name of the file that has the comments of the .proto file at path.
func Companion(path string) string { return path + ".comments" }

// Pack returns the companion of a file that was compiled from source, and false if the file has no comments. It has what [Reader.Of]
// returns and no more.
func Pack(file *descriptorpb.FileDescriptorProto) (*descriptorpb.FileDescriptorProto, bool) {
	info := &descriptorpb.SourceCodeInfo{}
	for _, l := range file.GetSourceCodeInfo().GetLocation() {
		if text := pick(l.GetLeadingComments(), l.GetTrailingComments()); text != "" {
			text = " " + strings.ReplaceAll(text, "\n", "\n ") + "\n" // as compilers write them
			info.Location = append(info.Location, &descriptorpb.SourceCodeInfo_Location{Path: l.Path, LeadingComments: &text})
		}
	}
	if len(info.Location) == 0 {
		return nil, false
	}
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(info)
	if err != nil {
		return nil, false // not with these fields
	}
	options := &descriptorpb.FileOptions{}
	options.ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), data))
	return &descriptorpb.FileDescriptorProto{
		Name: proto.String(Companion(file.GetName())), Syntax: proto.String("proto3"), Options: options,
	}, true
}

// unpack returns what Pack put into a companion; nil if there is nothing that can be read.
func unpack(companion protoreflect.FileDescriptor) *descriptorpb.SourceCodeInfo {
	rest := companion.Options().ProtoReflect().GetUnknown()
	for len(rest) > 0 {
		num, typ, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return nil
		}
		rest = rest[n:]
		if num == field && typ == protowire.BytesType {
			data, n := protowire.ConsumeBytes(rest)
			info := &descriptorpb.SourceCodeInfo{}
			if n < 0 || proto.Unmarshal(data, info) != nil {
				return nil
			}
			for _, l := range info.Location {
				l.Span = []int32{0, 0, 0} // without one it is not valid
			}
			return info
		}
		if n = protowire.ConsumeFieldValue(num, typ, rest); n < 0 {
			return nil
		}
		rest = rest[n:]
	}
	return nil
}

// Reader finds comments. The zero value looks for companions among the files that are linked; it may be used concurrently.
type Reader struct {
	// Files finds companions. Default: [protoregistry.GlobalFiles].
	Files interface {
		FindFileByPath(path string) (protoreflect.FileDescriptor, error)
	}

	mu    sync.Mutex
	known map[string]map[string]string // comments by path of the file, and by place in it
}

// Of returns the comment of what is described: the one before it, else the one behind it. What is for tools (lines that begin with
// "buf:lint:", and text between "(--" and "--)") is left out.
func (r *Reader) Of(d protoreflect.Descriptor) string {
	file := d.ParentFile()
	if file == nil {
		return ""
	}
	if locations := file.SourceLocations(); locations.Len() > 0 {
		at := locations.ByDescriptor(d)
		return pick(at.LeadingComments, at.TrailingComments)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	texts, ok := r.known[file.Path()]
	if !ok {
		texts = map[string]string{}
		for _, l := range r.Info(file).GetLocation() {
			texts[fmt.Sprint(l.Path)] = pick(l.GetLeadingComments(), l.GetTrailingComments())
		}
		if r.known == nil {
			r.known = map[string]map[string]string{}
		}
		r.known[file.Path()] = texts
	}
	return texts[fmt.Sprint(place(d))]
}

// pick returns the comment that counts.
func pick(leading, trailing string) string {
	if text := clean(leading); text != "" {
		return text
	}
	return clean(trailing)
}

// place returns where a declaration stands in its file, as a SourceCodeInfo says it: numbers of fields of the messages in
// descriptor.proto, each with an index.
func place(d protoreflect.Descriptor) []int32 {
	parent := d.Parent()
	if parent == nil {
		return nil // the file
	}
	_, top := parent.(protoreflect.FileDescriptor)
	var number int32
	switch d := d.(type) {
	case protoreflect.MessageDescriptor:
		number = choose(top, 4, 3)
	case protoreflect.EnumDescriptor:
		number = choose(top, 5, 4)
	case protoreflect.FieldDescriptor:
		number = 2
		if d.IsExtension() {
			number = choose(top, 7, 6)
		}
	case protoreflect.OneofDescriptor:
		number = 8
	case protoreflect.EnumValueDescriptor:
		number = 2
	case protoreflect.ServiceDescriptor:
		number = 6
	case protoreflect.MethodDescriptor:
		number = 2
	}
	return append(place(parent), number, int32(d.Index()))
}

func choose(top bool, inFile, inMessage int32) int32 {
	if top {
		return inFile
	}
	return inMessage
}

// Info returns the comments of a file as the SourceCodeInfo that a compiler would give it, without positions; nil if there are none.
func (r *Reader) Info(file protoreflect.FileDescriptor) *descriptorpb.SourceCodeInfo {
	if file.SourceLocations().Len() > 0 {
		return protodesc.ToFileDescriptorProto(file).GetSourceCodeInfo()
	}
	files := r.Files
	if files == nil {
		files = protoregistry.GlobalFiles
	}
	companion, err := files.FindFileByPath(Companion(file.Path()))
	if err != nil {
		return nil
	}
	return unpack(companion)
}

// clean returns a comment without the marks of its source and without what is for tools.
func clean(s string) string {
	for {
		before, rest, ok := strings.Cut(s, "(--")
		if !ok {
			break
		}
		_, after, closed := strings.Cut(rest, "--)")
		if !closed {
			break
		}
		s = before + after
	}
	var lines []string
	for line := range strings.Lines(s) {
		line = strings.TrimRight(line, " \t\r\n")
		if strings.HasPrefix(strings.TrimSpace(line), "buf:lint:") {
			continue
		}
		lines = append(lines, strings.TrimPrefix(line, " "))
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}
