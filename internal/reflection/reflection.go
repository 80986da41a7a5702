// Package reflection asks servers for their contracts, by gRPC's reflection.
package reflection

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"github.com/hanse-go/hanse/internal/everywhere"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// The two versions of gRPC's reflection, which have the same messages.
var reflectionMethods = []string{
	"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
	"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
}

// Client asks a server for its contracts, over one stream. It is not safe for concurrent use.
type Client struct {
	conn   grpc.ClientConnInterface
	cancel context.CancelFunc
	stream grpc.ClientStream
	files  map[string]*descriptorpb.FileDescriptorProto
}

// New returns a Client on the connection. Close it.
func New(conn grpc.ClientConnInterface) *Client {
	return &Client{conn: conn, files: map[string]*descriptorpb.FileDescriptorProto{}}
}

// Close ends the stream.
func (r *Client) Close() {
	if r.cancel == nil {
		return
	}
	if r.stream != nil && r.stream.CloseSend() == nil {
		for r.stream.RecvMsg(&reflectionpb.ServerReflectionResponse{}) == nil { // until the server ends it, too
		}
	}
	r.cancel()
}

// ask sends one request and returns its answer.
func (r *Client) ask(ctx context.Context, req *reflectionpb.ServerReflectionRequest) (*reflectionpb.ServerReflectionResponse, error) {
	if r.stream != nil {
		return r.exchange(req)
	}
	var last error
	for _, method := range reflectionMethods {
		streamCtx, cancel := context.WithCancel(untraced(ctx))
		stream, err := r.conn.NewStream(streamCtx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
		if err == nil {
			r.stream, r.cancel = stream, cancel
			var res *reflectionpb.ServerReflectionResponse
			if res, err = r.exchange(req); err == nil {
				return res, nil
			}
			r.stream, r.cancel = nil, nil
		}
		cancel()
		last = err
		if status.Code(err) != codes.Unimplemented {
			break
		}
	}
	return nil, last
}

// untraced returns ctx with a trace that nobody is to record, unless it has one: a tool that learns about a system is no request of it.
func untraced(ctx context.Context) context.Context {
	const key = "traceparent"
	if md, ok := metadata.FromOutgoingContext(ctx); ok && len(md.Get(key)) > 0 {
		return ctx
	}
	var id [24]byte
	rand.Read(id[:])
	return metadata.AppendToOutgoingContext(ctx, key, fmt.Sprintf("00-%x-%x-00", id[:16], id[16:]))
}

func (r *Client) exchange(req *reflectionpb.ServerReflectionRequest) (*reflectionpb.ServerReflectionResponse, error) {
	// An error of SendMsg is io.EOF when the server ended the stream; why, is what RecvMsg says.
	sendErr := r.stream.SendMsg(req)
	res := &reflectionpb.ServerReflectionResponse{}
	if err := r.stream.RecvMsg(res); err != nil {
		return nil, err
	}
	if sendErr != nil {
		return nil, sendErr
	}
	if e := res.GetErrorResponse(); e != nil {
		return nil, status.Error(codes.Code(e.GetErrorCode()), e.GetErrorMessage())
	}
	return res, nil
}

// Contracts returns the full names of the server's contracts, sorted, without health and reflection.
func (r *Client) Contracts(ctx context.Context) ([]string, error) {
	res, err := r.ask(ctx, &reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{},
	})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, s := range res.GetListServicesResponse().GetService() {
		if !everywhere.Has(s.GetName()) {
			names = append(names, s.GetName())
		}
	}
	slices.Sort(names)
	return names, nil
}

// Contract returns the descriptor of a contract, with all that it uses.
func (r *Client) Contract(ctx context.Context, name string) (protoreflect.ServiceDescriptor, *Types, error) {
	res, err := r.ask(ctx, &reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: name},
	})
	if err != nil {
		return nil, nil, err
	}
	if err := r.add(res); err != nil {
		return nil, nil, err
	}
	if err := r.fetchImports(ctx); err != nil {
		return nil, nil, err
	}
	files, err := r.build()
	if err != nil {
		return nil, nil, fmt.Errorf("the server's description of %s is broken: %w", name, err)
	}
	d, err := files.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return nil, nil, fmt.Errorf("the server's description of %s does not have it: %w", name, err)
	}
	sd, ok := d.(protoreflect.ServiceDescriptor)
	if !ok {
		return nil, nil, fmt.Errorf("%s is no contract", name)
	}
	return sd, &Types{dynamicpb.NewTypes(files)}, nil
}

// File returns the description of a file, with all that it imports.
func (r *Client) File(ctx context.Context, path string) (protoreflect.FileDescriptor, error) {
	res, err := r.ask(ctx, &reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_FileByFilename{FileByFilename: path},
	})
	if err != nil {
		return nil, err
	}
	if err := r.add(res); err != nil {
		return nil, err
	}
	if err := r.fetchImports(ctx); err != nil {
		return nil, err
	}
	files, err := r.build()
	if err != nil {
		return nil, fmt.Errorf("the server's description of %s is broken: %w", path, err)
	}
	return files.FindFileByPath(path)
}

// build links all that was told.
func (r *Client) build() (*protoregistry.Files, error) {
	set := &descriptorpb.FileDescriptorSet{}
	for _, f := range r.files {
		set.File = append(set.File, f)
	}
	return protodesc.FileOptions{AllowUnresolvable: true}.NewFiles(set)
}

// fetchImports asks for the files that are imported and not there yet.
func (r *Client) fetchImports(ctx context.Context) error {
	for {
		missing := ""
		for _, f := range r.files {
			for _, dep := range f.GetDependency() {
				if r.files[dep] == nil && (missing == "" || dep < missing) {
					missing = dep
				}
			}
		}
		if missing == "" {
			return nil
		}
		res, err := r.ask(ctx, &reflectionpb.ServerReflectionRequest{
			MessageRequest: &reflectionpb.ServerReflectionRequest_FileByFilename{FileByFilename: missing},
		})
		if err == nil {
			err = r.add(res)
		}
		if err == nil && r.files[missing] != nil {
			continue
		}
		// Some servers do not have the files that everybody knows.
		fd, globalErr := protoregistry.GlobalFiles.FindFileByPath(missing)
		if globalErr != nil {
			return fmt.Errorf("the server does not tell what is in %s: %w", missing, errors.Join(err, globalErr))
		}
		r.files[missing] = protodesc.ToFileDescriptorProto(fd)
	}
}

func (r *Client) add(res *reflectionpb.ServerReflectionResponse) error {
	for _, data := range res.GetFileDescriptorResponse().GetFileDescriptorProto() {
		f := &descriptorpb.FileDescriptorProto{}
		if err := proto.Unmarshal(data, f); err != nil {
			return fmt.Errorf("the server's description of its contracts is broken: %w", err)
		}
		r.files[f.GetName()] = f
	}
	return nil
}
