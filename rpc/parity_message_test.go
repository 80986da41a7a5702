package rpc_test

import (
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"

	pb "github.com/hanse-go/hanse/rpc/internal/paritypb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

var messageCases = []parityCase{
	{name: "empty messages", run: emptyMessages},
	{name: "5 MiB messages", run: largeMessages},
	{name: "a request is the handler's own", run: ownRequest},
	{name: "a reply is the caller's own", run: ownReply},
	{name: "sent messages may be changed", run: ownStreamMessages},
	{name: "a reply struct that is not empty", run: filledReply},
	{name: "opaque messages", run: opaqueMessages},
	{name: "dynamic messages", run: dynamicMessages},
	{name: "messages of another type with the same fields", run: otherType},
	{name: "unknown fields", run: unknownFields},
	{name: "extensions", run: extensions},
	{name: "raw bytes by ForceCodec", run: rawBytes},
	{name: "raw bytes that are no message", run: badBytes},
	{name: "a codec of the program", run: ownCodec},
	{name: "a nil request", run: nilRequest},
	{name: "something that is no message", run: noMessage},
	{name: "invalid UTF-8 in a request", run: invalidUTF8Request},
	{name: "invalid UTF-8 in a reply", run: invalidUTF8Reply},
	{name: "invalid UTF-8 in a stream", run: invalidUTF8Stream},
	{name: "a required field missing in a request", run: requiredInRequest},
	{name: "a required field missing in a reply", run: requiredInReply},
	{name: "a required field missing on the wire", run: requiredOnWire},
	{name: "gzip", run: gzipped},
	{name: "an unknown compressor", run: unknownCompressor},
}

func emptyMessages(t *testing.T, c *column) {
	client := c.serve(t, setup{})
	if out, err := client.Unary(soon(t), &pb.Request{}); err != nil || proto.Size(out) != 0 {
		t.Errorf("%v, %v", out, err)
	}
}

func largeMessages(t *testing.T, c *column) {
	client := c.serve(t, setup{server: side{maxRecv: 8 << 20}, client: clientSide{maxRecv: 8 << 20}})
	in := &pb.Request{Data: make([]byte, 5<<20), Count: 3}
	for i := range in.Data {
		in.Data[i] = byte(i * i >> 8)
	}
	out, err := client.Unary(soon(t), in)
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, out, echo(in))
	s, err := client.Download(soon(t), in)
	if err != nil {
		t.Fatal(err)
	}
	for i := range in.Count {
		out, err := s.Recv()
		if err != nil {
			t.Fatal(err)
		}
		want := echo(in)
		want.Count = i
		wantEqual(t, out, want)
	}
}

// full returns a request with something to change at every level.
func full() *pb.Request {
	return &pb.Request{Text: "t", Data: []byte("data"), List: []string{"a"}, Map: map[string]string{"k": "v"}, Child: &pb.Request{Text: "child", Data: []byte("data")}}
}

// spoil changes every level of a message in place.
func spoil(text *string, data []byte, list []string, m map[string]string, child *pb.Request) {
	*text = "spoilt"
	data[0] = 'X'
	list[0] = "spoilt"
	m["k"] = "spoilt"
	m["new"] = "spoilt"
	child.Text = "spoilt"
	child.Data[0] = 'X'
}

func ownRequest(t *testing.T, c *column) {
	var h handlers
	h.unary = func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
		spoil(&in.Text, in.Data, in.List, in.Map, in.Child)
		return &pb.Reply{}, nil
	}
	client := c.serve(t, setup{handlers: h})
	in := full()
	if _, err := client.Unary(soon(t), in); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, in, full())
}

func ownReply(t *testing.T, c *column) {
	kept := echo(full())
	var h handlers
	h.unary = func(ctx context.Context, in *pb.Request) (*pb.Reply, error) { return kept, nil }
	client := c.serve(t, setup{handlers: h})
	first, err := client.Unary(soon(t), &pb.Request{})
	if err != nil {
		t.Fatal(err)
	}
	spoil(&first.Text, first.Data, first.List, first.Map, first.Child) // by the caller
	wantEqual(t, kept, echo(full()))
	second, err := client.Unary(soon(t), &pb.Request{})
	if err != nil {
		t.Fatal(err)
	}
	spoil(&kept.Text, kept.Data, kept.List, kept.Map, kept.Child) // by the handler's side, later
	wantEqual(t, second, echo(full()))
}

func ownStreamMessages(t *testing.T, c *column) {
	var h handlers
	h.chat = func(s grpc.BidiStreamingServer[pb.Request, pb.Reply]) error {
		in, err := s.Recv()
		if err != nil {
			return err
		}
		reply := echo(in)
		if err := s.Send(reply); err != nil {
			return err
		}
		spoil(&reply.Text, reply.Data, reply.List, reply.Map, reply.Child)
		return nil
	}
	client := c.serve(t, setup{handlers: h})
	s, err := client.Chat(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	in := full()
	if err := s.Send(in); err != nil {
		t.Fatal(err)
	}
	spoil(&in.Text, in.Data, in.List, in.Map, in.Child)
	out, err := s.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err != io.EOF { // the handler has changed its message by now
		t.Fatal(err)
	}
	wantEqual(t, out, echo(full()))
}

func filledReply(t *testing.T, c *column) {
	client := c.serve(t, setup{})
	out := &pb.Reply{Text: "old", List: []string{"old"}, Map: map[string]string{"old": "1"}, Child: &pb.Request{Text: "old"}}
	if err := client.conn.Invoke(soon(t), pb.Parity_Unary_FullMethodName, &pb.Request{List: []string{"new"}}, out); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, out, &pb.Reply{List: []string{"new"}})
}

func opaqueMessages(t *testing.T, c *column) {
	client := c.serve(t, setup{})
	child := pb.OpaqueRequest_builder{Text: new("child")}.Build()
	in := pb.OpaqueRequest_builder{Text: new("x"), Count: 3, Children: []*pb.OpaqueRequest{child}}.Build()
	out, err := client.Opaque(soon(t), in)
	if err != nil {
		t.Fatal(err)
	}
	child.SetText("changed")
	wantEqual(t, out, pb.OpaqueReply_builder{Text: new("x"), Count: 3, Children: []*pb.OpaqueRequest{pb.OpaqueRequest_builder{Text: new("child")}.Build()}}.Build())
}

func dynamicMessages(t *testing.T, c *column) {
	client := c.serve(t, setup{})
	in := dynamicpb.NewMessage((&pb.Request{}).ProtoReflect().Descriptor())
	text := in.Descriptor().Fields().ByName("text")
	in.Set(text, protoreflect.ValueOfString("dynamic"))
	out := dynamicpb.NewMessage((&pb.Reply{}).ProtoReflect().Descriptor())
	out.Set(out.Descriptor().Fields().ByName("count"), protoreflect.ValueOfInt32(7)) // an old value
	if err := client.conn.Invoke(soon(t), pb.Parity_Unary_FullMethodName, in, out); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, out, &pb.Reply{Text: "dynamic"})
}

func otherType(t *testing.T, c *column) {
	client := c.serve(t, setup{})
	var out pb.Request
	if err := client.conn.Invoke(soon(t), pb.Parity_Unary_FullMethodName, &pb.Reply{Text: "x", Count: 2}, &out); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, &out, &pb.Request{Text: "x", Count: 2})
}

func unknownFields(t *testing.T, c *column) {
	extra := protowire.AppendString(protowire.AppendTag(nil, 1000, protowire.BytesType), "of a newer version")
	var h handlers
	h.unary = func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
		reply := &pb.Reply{}
		reply.ProtoReflect().SetUnknown(in.ProtoReflect().GetUnknown())
		return reply, nil
	}
	client := c.serve(t, setup{handlers: h})
	in := &pb.Request{}
	in.ProtoReflect().SetUnknown(extra)
	out, err := client.Unary(soon(t), in)
	if err != nil || string(out.ProtoReflect().GetUnknown()) != string(extra) {
		t.Errorf("%v, %v", out, err)
	}
}

func extensions(t *testing.T, c *column) {
	var h handlers
	h.legacy = func(ctx context.Context, in *pb.LegacyRequest) (*pb.LegacyReply, error) {
		return &pb.LegacyReply{Name: new(proto.GetExtension(in, pb.E_Extra).(string))}, nil
	}
	client := c.serve(t, setup{handlers: h})
	in := &pb.LegacyRequest{Name: new("n")}
	proto.SetExtension(in, pb.E_Extra, "extra")
	if out, err := client.Legacy(soon(t), in); err != nil || out.GetName() != "extra" {
		t.Errorf("%v, %v", out, err)
	}
}

// rawCodec passes bytes through, as proxies do.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) ([]byte, error) { return v.([]byte), nil }

func (rawCodec) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}

func rawBytes(t *testing.T, c *column) {
	client := c.serve(t, setup{})
	in, err := proto.Marshal(&pb.Request{Text: "raw"})
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	if err := client.conn.Invoke(soon(t), pb.Parity_Unary_FullMethodName, in, &out, grpc.ForceCodec(rawCodec{})); err != nil {
		t.Fatal(err)
	}
	var reply pb.Reply
	if err := proto.Unmarshal(out, &reply); err != nil || reply.Text != "raw" {
		t.Errorf("%v, %v", &reply, err)
	}
	s, err := client.conn.NewStream(soon(t), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, pb.Parity_Chat_FullMethodName, grpc.ForceCodec(rawCodec{}))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SendMsg(in); err != nil {
		t.Fatal(err)
	}
	out = nil
	if err := s.RecvMsg(&out); err != nil || proto.Unmarshal(out, &reply) != nil || reply.Text != "raw" {
		t.Errorf("stream: %q, %v", out, err)
	}
	s.CloseSend()
	if err := s.RecvMsg(&out); err != io.EOF {
		t.Error(err)
	}
}

func badBytes(t *testing.T, c *column) {
	client := c.serve(t, setup{})
	var out []byte
	err := client.conn.Invoke(soon(t), pb.Parity_Unary_FullMethodName, []byte("\xff\xff\xff"), &out, grpc.ForceCodec(rawCodec{}))
	wantCode(t, err, codes.Internal)
}

// jsonCodec is what a program may register for itself.
type jsonCodec struct{}

func init() { encoding.RegisterCodec(jsonCodec{}) }

func (jsonCodec) Name() string                       { return "parity-json" }
func (jsonCodec) Marshal(v any) ([]byte, error)      { return json.Marshal(v) }
func (jsonCodec) Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

func ownCodec(t *testing.T, c *column) {
	client := c.serve(t, setup{handlers: incoming("content-type")})
	out, err := client.Unary(soon(t), &pb.Request{Text: "x"}, grpc.CallContentSubtype("parity-json"))
	wantList(t, out, err, `content-type=["application/grpc+parity-json"]`)
}

func nilRequest(t *testing.T, c *column) {
	client := c.serve(t, setup{})
	if out, err := client.Unary(soon(t), nil); err != nil || proto.Size(out) != 0 {
		t.Errorf("%v, %v", out, err)
	}
}

func noMessage(t *testing.T, c *column) {
	client := c.serve(t, setup{})
	err := client.conn.Invoke(soon(t), pb.Parity_Unary_FullMethodName, 5, &pb.Reply{})
	wantCode(t, err, codes.Internal)
	err = client.conn.Invoke(soon(t), pb.Parity_Unary_FullMethodName, &pb.Request{}, new(int))
	wantCode(t, err, codes.Internal)
}

func invalidUTF8Request(t *testing.T, c *column) {
	client := c.serve(t, setup{})
	_, err := client.Unary(soon(t), &pb.Request{Text: "\xff"})
	wantCode(t, err, codes.Internal)
	_, err = client.Unary(soon(t), &pb.Request{Child: &pb.Request{Map: map[string]string{"\xff": ""}}})
	wantCode(t, err, codes.Internal)
}

func invalidUTF8Reply(t *testing.T, c *column) {
	var h handlers
	h.unary = func(ctx context.Context, in *pb.Request) (*pb.Reply, error) { return &pb.Reply{Text: "\xff"}, nil }
	client := c.serve(t, setup{handlers: h})
	_, err := client.Unary(soon(t), &pb.Request{})
	wantCode(t, err, codes.Internal)
}

func invalidUTF8Stream(t *testing.T, c *column) {
	sent := make(chan error, 1)
	var h handlers
	h.chat = func(s grpc.BidiStreamingServer[pb.Request, pb.Reply]) error {
		err := s.Send(&pb.Reply{Text: "\xff"})
		sent <- err
		return err
	}
	client := c.serve(t, setup{handlers: h})
	s, err := client.Chat(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, s.Send(&pb.Request{Text: "\xff"}), codes.Internal)
	wantCode(t, receive(t, sent, "result of Send"), codes.Internal)
	s, err = client.Chat(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Recv()
	wantCode(t, err, codes.Internal)
}

func requiredInRequest(t *testing.T, c *column) {
	client := c.serve(t, setup{})
	_, err := client.Legacy(soon(t), &pb.LegacyRequest{Note: new("no name")})
	wantCode(t, err, codes.Internal)
}

func requiredInReply(t *testing.T, c *column) {
	var h handlers
	h.legacy = func(ctx context.Context, in *pb.LegacyRequest) (*pb.LegacyReply, error) {
		return &pb.LegacyReply{}, nil
	}
	client := c.serve(t, setup{handlers: h})
	_, err := client.Legacy(soon(t), &pb.LegacyRequest{Name: new("n")})
	wantCode(t, err, codes.Internal)
}

func requiredOnWire(t *testing.T, c *column) {
	client := c.serve(t, setup{})
	var out []byte
	err := client.conn.Invoke(soon(t), pb.Parity_Legacy_FullMethodName, []byte{}, &out, grpc.ForceCodec(rawCodec{}))
	wantCode(t, err, codes.Internal)
}

func gzipped(t *testing.T, c *column) {
	client := c.serve(t, setup{})
	in := &pb.Request{Text: strings.Repeat("zip ", 10_000)}
	out, err := client.Unary(soon(t), in, grpc.UseCompressor(gzip.Name))
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, out, echo(in))
	s, err := client.Chat(soon(t), grpc.UseCompressor(gzip.Name))
	if err != nil {
		t.Fatal(err)
	}
	for i := range int32(3) {
		in.Count = i
		if err := s.Send(in); err != nil {
			t.Fatal(err)
		}
		out, err := s.Recv()
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, out, echo(in))
	}
}

func unknownCompressor(t *testing.T, c *column) {
	client := c.serve(t, setup{})
	_, err := client.Unary(soon(t), &pb.Request{}, grpc.UseCompressor("parity-none"))
	wantCode(t, err, codes.Internal)
	s, err := client.Chat(soon(t), grpc.UseCompressor("parity-none"))
	if err == nil {
		_, err = s.Recv()
	}
	wantCode(t, err, codes.Internal)
}
