package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/hanse-go/hanse/gateway"
	"github.com/hanse-go/hanse/gateway/internal/librarypb"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
)

// library returns what it is sent, unless the name of a book says otherwise.
type library struct {
	librarypb.UnimplementedLibraryServer
}

// fail fails for names that are errors.
func fail(name string) error {
	switch name {
	case "missing":
		return status.Error(codes.NotFound, "there is no such book")
	case "busy":
		st, err := status.New(codes.Unavailable, "come back later").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(1500e6)})
		return errors.Join(err, st.Err())
	}
	return nil
}

func (library) GetBook(ctx context.Context, req *librarypb.GetBookRequest) (*librarypb.GetBookRequest, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	if v := md.Get("x-echo"); len(v) > 0 {
		grpc.SetHeader(ctx, metadata.Pairs("x-echoed", v[0]))
		grpc.SetTrailer(ctx, metadata.Pairs("x-later", v[0]))
	}
	if req.Name == "wait" {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return req, fail(req.Name)
}

func (library) CreateBook(_ context.Context, req *librarypb.CreateBookRequest) (*librarypb.CreateBookRequest, error) {
	return req, nil
}

func (library) UpdateBook(_ context.Context, req *librarypb.UpdateBookRequest) (*librarypb.UpdateBookRequest, error) {
	return req, nil
}

func (library) DeleteBook(context.Context, *librarypb.GetBookRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

func (library) TagBook(_ context.Context, req *librarypb.Book) (*librarypb.Book, error) {
	return req, nil
}
func (library) Plain(_ context.Context, req *librarypb.Book) (*librarypb.Book, error) {
	return req, nil
}

func (library) WatchBooks(req *librarypb.GetBookRequest, stream grpc.ServerStreamingServer[librarypb.Book]) error {
	stream.SetHeader(metadata.Pairs("x-watching", "yes"))
	stream.SetTrailer(metadata.Pairs("x-watched", "yes"))
	for i := range req.Pages {
		if err := stream.Send(&librarypb.Book{Title: fmt.Sprint("page ", i+1)}); err != nil {
			return err
		}
	}
	if req.Name == "wait" {
		<-stream.Context().Done()
	}
	return fail(req.Name)
}

func (library) ImportBooks(stream grpc.ClientStreamingServer[librarypb.CreateBookRequest, librarypb.ImportBooksResponse]) error {
	resp := new(librarypb.ImportBooksResponse)
	for {
		req, err := stream.Recv()
		if err == io.EOF {
			return stream.SendAndClose(resp)
		}
		if err != nil {
			return err
		}
		resp.Messages++
		resp.Last = req
	}
}

func (library) Chat(stream grpc.BidiStreamingServer[librarypb.Book, librarypb.Book]) error {
	for {
		req, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = fail(req.Name)
		}
		if err == nil {
			err = stream.Send(req)
		}
		if err != nil {
			return err
		}
	}
}

func (library) GetCover(_ context.Context, req *librarypb.GetBookRequest) (*httpbody.HttpBody, error) {
	types := map[string]string{"svg": "image/svg+xml", "bad": "x\r\nSet-Cookie: y"}
	return &httpbody.HttpBody{ContentType: types[req.Name], Data: []byte("<svg/>")}, fail(req.Name)
}

func (library) PutCover(_ context.Context, req *librarypb.Book) (*librarypb.Book, error) {
	return req, nil
}

func (library) PostCover(_ context.Context, req *httpbody.HttpBody) (*httpbody.HttpBody, error) {
	return req, nil
}

func (library) Upload(stream grpc.ClientStreamingServer[librarypb.Book, librarypb.ImportBooksResponse]) error {
	resp := new(librarypb.ImportBooksResponse)
	for {
		req, err := stream.Recv()
		if err == io.EOF {
			return stream.SendAndClose(resp)
		}
		if err != nil {
			return err
		}
		resp.Messages++
		resp.Bytes += int64(len(req.Cover.GetData()))
		req.Cover.Data = nil
		resp.LastChunk = req
	}
}

func (library) Download(req *librarypb.GetBookRequest, stream grpc.ServerStreamingServer[httpbody.HttpBody]) error {
	for i := range req.Pages {
		if err := stream.Send(&httpbody.HttpBody{ContentType: "text/plain", Data: fmt.Appendf(nil, "page %d\n", i+1)}); err != nil {
			return err
		}
	}
	return fail(req.Name)
}

// serveLibrary serves the library, and returns the address of its gateway.
func serveLibrary(t *testing.T, opts ...func(*gateway.Handler)) string {
	t.Helper()
	register := func(r grpc.ServiceRegistrar) { librarypb.RegisterLibraryServer(r, library{}) }
	return serveContracts(t, register, func(_ *rpc.Server, h *gateway.Handler) {
		for _, opt := range opts {
			opt(h)
		}
	})
}
