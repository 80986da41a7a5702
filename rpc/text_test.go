package rpc

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	pb "github.com/hanse-go/hanse/rpc/internal/paritypb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/apipb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/typepb"
)

// fill puts random values into m, now and then a string that is not UTF-8.
func fill(r *rand.Rand, m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		if r.IntN(3) == 0 || depth <= 0 && fd.Message() != nil {
			continue
		}
		value := func(fd protoreflect.FieldDescriptor, fresh func() protoreflect.Value) protoreflect.Value {
			switch fd.Kind() {
			case protoreflect.StringKind:
				if r.IntN(20) == 0 {
					return protoreflect.ValueOfString("bad \xff")
				}
				return protoreflect.ValueOfString(strings.Repeat("ä", r.IntN(3)))
			case protoreflect.BytesKind:
				return protoreflect.ValueOfBytes([]byte{0xff})
			case protoreflect.MessageKind, protoreflect.GroupKind:
				v := fresh()
				fill(r, v.Message(), depth-1)
				return v
			}
			return fresh()
		}
		switch {
		case fd.IsList():
			l := m.Mutable(fd).List()
			for range r.IntN(3) {
				l.Append(value(fd, l.NewElement))
			}
		case fd.IsMap():
			mm := m.Mutable(fd).Map()
			for range r.IntN(3) {
				mm.Set(value(fd.MapKey(), fd.MapKey().Default).MapKey(), value(fd.MapValue(), mm.NewValue))
			}
		default:
			m.Set(fd, value(fd, func() protoreflect.Value { return m.NewField(fd) }))
		}
	}
}

// What pack refuses, and its sizes, are those of the encoder.
func TestPackAgreesWithTheEncoder(t *testing.T) {
	o, err := parseCallOptions(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []proto.Message{
		&pb.Request{}, &pb.Reply{}, &pb.OpaqueRequest{}, &pb.LegacyRequest{}, &pb.LegacyReply{},
		&structpb.Struct{}, &structpb.Value{}, &fieldmaskpb.FieldMask{}, &durationpb.Duration{}, &apipb.Api{}, &typepb.Type{},
		&descriptorpb.FileDescriptorProto{},
	} {
		t.Run(string(m.ProtoReflect().Descriptor().Name()), func(t *testing.T) {
			bad := 0
			for seed := range uint64(300) {
				m := m.ProtoReflect().New().Interface()
				fill(rand.New(rand.NewPCG(seed, 0)), m.ProtoReflect(), 3)
				data, want := proto.Marshal(m)
				p, err := o.format.pack(m, noLimit)
				if (err == nil) != (want == nil) {
					t.Fatalf("seed %d: pack says %v, the encoder %v, of %v", seed, err, want, m)
				}
				if want != nil {
					bad++
					continue
				}
				if p.size != len(data) {
					t.Errorf("seed %d: size %d, encoded %d", seed, p.size, len(data))
				}
				got := m.ProtoReflect().New().Interface()
				fill(rand.New(rand.NewPCG(seed+1, 0)), got.ProtoReflect(), 2)
				if err := o.format.unpack(p.clone(), got, noLimit); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				if !proto.Equal(got, m) {
					t.Fatalf("seed %d: got %v, want %v", seed, got, m)
				}
			}
			t.Logf("%d of 300 refused", bad)
		})
	}
}

// Most messages are read by Go's reflection; a change in what protoc-gen-go generates must not make them slow unnoticed.
func TestTextOfUsualMessages(t *testing.T) {
	_, info := generated(&pb.Request{})
	text := textOf(info)
	if text.extensible || len(text.fields) != 4 {
		t.Fatalf("got %+v", text)
	}
	for _, f := range text.fields {
		if f.index < 0 {
			t.Errorf("%s is read by protobuf's reflection", f.fd.Name())
		}
	}
	in := &pb.Request{Text: "text", List: []string{"a"}, Child: &pb.Request{Text: "b"}}
	o, err := parseCallOptions(nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { o.format.pack(in, noLimit) }); n > 0 {
		t.Errorf("%v allocations", n)
	}

	_, info = generated(&durationpb.Duration{})
	if text := textOf(info); len(text.fields) > 0 {
		t.Errorf("a message of numbers is searched for text: %+v", text)
	}
}

// Extensions are not walked, so their messages are left to the encoder.
func TestExtensibleMessagesAreEncoded(t *testing.T) {
	o, err := parseCallOptions(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []proto.Message{&pb.LegacyRequest{Name: proto.String("a")}, &descriptorpb.FileDescriptorProto{}} {
		if p, err := o.format.pack(m, noLimit); err != nil || p.msg != nil {
			t.Errorf("%T: %v, %v", m, p, err)
		}
	}
}

func TestPackNothing(t *testing.T) {
	o, err := parseCallOptions(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{nil, (*pb.Request)(nil), &pb.Request{}} {
		t.Run(fmt.Sprintf("%T", v), func(t *testing.T) {
			p, err := o.format.pack(v, 0)
			if err != nil || p.size != 0 {
				t.Fatal(p, err)
			}
			got := &pb.Request{Text: "before"}
			if err := o.format.unpack(p.clone(), got, 0); err != nil || got.Text != "" {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}
