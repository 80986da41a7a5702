package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	pb "github.com/hanse-go/hanse/rpc/internal/paritypb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

var metadataCases = []parityCase{
	{name: "request metadata", run: requestMetadata},
	{name: "what every request carries", run: standardMetadata},
	{name: "reserved keys of the caller are dropped", run: reservedMetadata},
	{name: "illegal keys and values are refused", run: illegalMetadata},
	{name: "headers and trailers", run: headersAndTrailers},
	{name: "headers and trailers of an error", run: headersOfError},
	{name: "headers and trailers of a stream", run: headersOfStream},
	{name: "headers of a stream that fails at once", run: headersOfFailedStream},
	{name: "headers come before the reply", run: earlyHeader},
	{name: "headers cannot be sent twice", run: headerTwice},
	{name: "binary values", run: binaryMetadata},
	{name: "metadata is copied", run: metadataIsCopied},
	{name: "a proxy's metadata", run: proxiedMetadata},
	{name: "the authority of one call", run: callAuthority},
}

// incoming is a handler that answers with the metadata it got for some keys.
func incoming(keys ...string) handlers {
	var h handlers
	h.unary = func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		var list []string
		for _, k := range keys {
			list = append(list, fmt.Sprintf("%s=%q", k, md.Get(k)))
		}
		return &pb.Reply{List: list}, nil
	}
	return h
}

func wantList(t *testing.T, out *pb.Reply, err error, want ...string) {
	t.Helper()
	if err != nil || !slices.Equal(out.List, want) {
		t.Errorf("got  %q, %v\nwant %q", out.GetList(), err, want)
	}
}

func requestMetadata(t *testing.T, c *column) {
	client := c.serve(t, setup{handlers: incoming("one", "many", "upper", "x-bin", "empty", "space", "nothing")})
	ctx := metadata.NewOutgoingContext(soon(t), metadata.Pairs("one", "1", "many", "a", "UPPER", "U", "many", "b"))
	ctx = metadata.AppendToOutgoingContext(ctx, "many", "c", "x-bin", "\x00\xff", "empty", "", "space", "a  b, c")
	out, err := client.Unary(ctx, &pb.Request{})
	wantList(t, out, err, `one=["1"]`, `many=["a" "b" "c"]`, `upper=["U"]`, `x-bin=["\x00\xff"]`, `empty=[""]`, `space=["a  b, c"]`, `nothing=[]`)
}

func standardMetadata(t *testing.T, c *column) {
	var h handlers
	h.unary = func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		delete(md, "hanse-instance")
		delete(md, "grpc-accept-encoding") // grpc-go's client says what it can decompress
		delete(md, "traceparent")          // assembled services belong to a trace
		return &pb.Reply{List: append(slices.Sorted(maps.Keys(md)), strings.Join(md.Get("content-type"), " "))}, nil
	}
	client := c.serve(t, setup{handlers: h})
	out, err := client.Unary(soon(t), &pb.Request{})
	wantList(t, out, err, ":authority", "content-type", "user-agent", "application/grpc")
}

func reservedMetadata(t *testing.T, c *column) {
	client := c.serve(t, setup{handlers: incoming("content-type", "te", "grpc-status", "grpc-message", "grpc-encoding", "mine")})
	ctx := metadata.AppendToOutgoingContext(soon(t), "content-type", "text/plain", "te", "x", "grpc-status", "5", "grpc-message", "m", "grpc-encoding", "e", "mine", "1")
	out, err := client.Unary(ctx, &pb.Request{})
	wantList(t, out, err, `content-type=["application/grpc"]`, `te=[]`, `grpc-status=[]`, `grpc-message=[]`, `grpc-encoding=[]`, `mine=["1"]`)
}

func illegalMetadata(t *testing.T, c *column) {
	client := c.serve(t, setup{})
	for _, md := range []metadata.MD{
		{"a b": {"x"}},
		{"Upper": {"x"}},
		{"": {"x"}},
		{"key": {"line\nbreak"}},
		{"key": {"größe"}},
	} {
		ctx := metadata.NewOutgoingContext(soon(t), md)
		_, err := client.Unary(ctx, &pb.Request{})
		if status.Code(err) != codes.Internal {
			t.Errorf("%q: %v", md, err)
		}
		s, err := client.Chat(ctx)
		if err == nil {
			_, err = s.Recv()
		}
		if status.Code(err) != codes.Internal {
			t.Errorf("stream with %q: %v", md, err)
		}
	}
}

// annotate sets headers and trailers in several steps.
func annotate(ctx context.Context) error {
	return errors.Join(
		grpc.SetHeader(ctx, metadata.Pairs("h", "1", "h-bin", "\x00\xff")),
		grpc.SetHeader(ctx, metadata.Pairs("h", "2", "Upper", "U")),
		grpc.SetTrailer(ctx, metadata.Pairs("t", "1", "t-bin", "\xfe")),
		grpc.SetTrailer(ctx, metadata.Pairs("t", "2")),
	)
}

// wantAnnotated checks what annotate set.
func wantAnnotated(t *testing.T, header, trailer metadata.MD) {
	t.Helper()
	for _, tt := range []struct {
		md   metadata.MD
		key  string
		want []string
	}{
		{header, "h", []string{"1", "2"}},
		{header, "h-bin", []string{"\x00\xff"}},
		{header, "upper", []string{"U"}},
		{header, "t", nil},
		{trailer, "t", []string{"1", "2"}},
		{trailer, "t-bin", []string{"\xfe"}},
		{trailer, "h", nil},
	} {
		if got := tt.md.Get(tt.key); !slices.Equal(got, tt.want) {
			t.Errorf("%s = %q, want %q", tt.key, got, tt.want)
		}
	}
	for k := range trailer {
		if strings.HasPrefix(k, "grpc-") {
			t.Errorf("the trailer shows the wire's own %s", k)
		}
	}
}

func headersAndTrailers(t *testing.T, c *column) {
	var h handlers
	h.unary = func(ctx context.Context, in *pb.Request) (*pb.Reply, error) { return &pb.Reply{}, annotate(ctx) }
	client := c.serve(t, setup{handlers: h})
	var header, trailer metadata.MD
	if _, err := client.Unary(soon(t), &pb.Request{}, grpc.Header(&header), grpc.Trailer(&trailer)); err != nil {
		t.Fatal(err)
	}
	wantAnnotated(t, header, trailer)
}

func headersOfError(t *testing.T, c *column) {
	var h handlers
	h.unary = func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
		return nil, errors.Join(annotate(ctx), status.Error(codes.NotFound, "gone"))
	}
	client := c.serve(t, setup{handlers: h})
	var header, trailer metadata.MD
	_, err := client.Unary(soon(t), &pb.Request{}, grpc.Header(&header), grpc.Trailer(&trailer))
	wantCode(t, err, codes.NotFound)
	wantAnnotated(t, header, trailer)
}

func headersOfStream(t *testing.T, c *column) {
	var h handlers
	h.chat = func(s grpc.BidiStreamingServer[pb.Request, pb.Reply]) error {
		if err := annotate(s.Context()); err != nil {
			return err
		}
		if err := s.SetHeader(metadata.Pairs("by", "stream")); err != nil {
			return err
		}
		if err := s.Send(&pb.Reply{}); err != nil {
			return err
		}
		s.SetTrailer(metadata.Pairs("by", "stream"))
		return status.Error(codes.Aborted, "enough")
	}
	client := c.serve(t, setup{handlers: h})
	var headerOption, trailerOption metadata.MD
	s, err := client.Chat(soon(t), grpc.Header(&headerOption), grpc.Trailer(&trailerOption))
	if err != nil {
		t.Fatal(err)
	}
	header, err := s.Header()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err != nil {
		t.Fatal(err)
	}
	_, err = s.Recv()
	wantStatus(t, err, codes.Aborted, "enough")
	wantAnnotated(t, header, s.Trailer())
	wantAnnotated(t, headerOption, trailerOption)
	if !slices.Equal(header.Get("by"), []string{"stream"}) || !slices.Equal(s.Trailer().Get("by"), []string{"stream"}) {
		t.Errorf("header %v, trailer %v", header, s.Trailer())
	}
}

func headersOfFailedStream(t *testing.T, c *column) {
	var h handlers
	h.chat = func(s grpc.BidiStreamingServer[pb.Request, pb.Reply]) error {
		return errors.Join(annotate(s.Context()), status.Error(codes.NotFound, "gone"))
	}
	client := c.serve(t, setup{handlers: h})
	s, err := client.Chat(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Recv()
	wantCode(t, err, codes.NotFound)
	header, err := s.Header()
	if err != nil {
		t.Error(err)
	}
	wantAnnotated(t, header, s.Trailer())
}

func earlyHeader(t *testing.T, c *column) {
	release := make(chan bool)
	var h handlers
	h.download = func(in *pb.Request, s grpc.ServerStreamingServer[pb.Reply]) error {
		if err := s.SendHeader(metadata.Pairs("h", "1")); err != nil {
			return err
		}
		<-release
		return s.Send(&pb.Reply{})
	}
	client := c.serve(t, setup{handlers: h})
	s, err := client.Download(soon(t), &pb.Request{})
	if err != nil {
		t.Fatal(err)
	}
	header, err := s.Header() // while the handler still waits
	close(release)
	if err != nil || !slices.Equal(header.Get("h"), []string{"1"}) {
		t.Errorf("header %v, %v", header, err)
	}
	if _, err := s.Recv(); err != nil {
		t.Error(err)
	}
}

func headerTwice(t *testing.T, c *column) {
	var h handlers
	h.unary = func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
		return &pb.Reply{List: []string{
			fmt.Sprint(grpc.SendHeader(ctx, metadata.Pairs("h", "1")) == nil),
			fmt.Sprint(grpc.SendHeader(ctx, metadata.Pairs("h", "2")) == nil),
			fmt.Sprint(grpc.SetHeader(ctx, metadata.Pairs("h", "3")) == nil),
			fmt.Sprint(grpc.SetTrailer(ctx, metadata.Pairs("t", "1")) == nil),
		}}, nil
	}
	client := c.serve(t, setup{handlers: h})
	var header, trailer metadata.MD
	out, err := client.Unary(soon(t), &pb.Request{}, grpc.Header(&header), grpc.Trailer(&trailer))
	wantList(t, out, err, "true", "false", "false", "true")
	if !slices.Equal(header.Get("h"), []string{"1"}) || !slices.Equal(trailer.Get("t"), []string{"1"}) {
		t.Errorf("header %v, trailer %v", header, trailer)
	}
}

func binaryMetadata(t *testing.T, c *column) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	var h handlers
	h.unary = func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		return &pb.Reply{Data: []byte(strings.Join(md.Get("all-bin"), "|"))}, grpc.SetTrailer(ctx, metadata.MD{"back-bin": md.Get("all-bin")})
	}
	client := c.serve(t, setup{handlers: h})
	ctx := metadata.AppendToOutgoingContext(soon(t), "all-bin", string(all), "all-bin", "", "all-bin", "a,b")
	var trailer metadata.MD
	out, err := client.Unary(ctx, &pb.Request{}, grpc.Trailer(&trailer))
	if want := string(all) + "||a,b"; err != nil || string(out.Data) != want || strings.Join(trailer.Get("back-bin"), "|") != want {
		t.Errorf("%q, %q, %v", out.GetData(), trailer, err)
	}
}

func metadataIsCopied(t *testing.T, c *column) {
	var h handlers
	h.unary = func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		md["sent"][0] = "changed by the handler"
		header := metadata.Pairs("h", "1")
		if err := grpc.SetHeader(ctx, header); err != nil {
			return nil, err
		}
		header["h"][0] = "changed after SetHeader"
		again, _ := metadata.FromIncomingContext(ctx)
		return &pb.Reply{List: again["sent"]}, nil
	}
	client := c.serve(t, setup{handlers: h})
	sent := metadata.Pairs("sent", "1")
	out, err := client.Unary(metadata.NewOutgoingContext(soon(t), sent), &pb.Request{})
	wantList(t, out, err, "1")
	if sent["sent"][0] != "1" {
		t.Errorf("the caller's metadata: %v", sent)
	}
}

// proxiedMetadata passes all incoming metadata on, as careless proxies do.
func proxiedMetadata(t *testing.T, c *column) {
	client := c.serve(t, setup{handlers: incoming("content-type", "mine")})
	seen := make(chan metadata.MD, 1)
	var h handlers
	h.chat = func(s grpc.BidiStreamingServer[pb.Request, pb.Reply]) error {
		md, _ := metadata.FromIncomingContext(s.Context())
		seen <- md
		return nil
	}
	front := c.serve(t, setup{handlers: h})
	s, err := front.Chat(metadata.AppendToOutgoingContext(soon(t), "mine", "1"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err != io.EOF {
		t.Fatal(err)
	}
	md := receive(t, seen, "metadata")
	delete(md, ":authority") // which grpc-go refuses as an illegal key
	delete(md, "hanse-instance")
	out, err := client.Unary(metadata.NewOutgoingContext(soon(t), md), &pb.Request{})
	wantList(t, out, err, `content-type=["application/grpc"]`, `mine=["1"]`)
}

func callAuthority(t *testing.T, c *column) {
	client := c.serve(t, setup{handlers: incoming(":authority")})
	out, err := client.Unary(soon(t), &pb.Request{}, grpc.CallAuthority("other.example:443"))
	wantList(t, out, err, `:authority=["other.example:443"]`)
}
