package rpc

import (
	"reflect"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/gzip" // what a stock peer may compress with
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

// codec turns messages into bytes and back. encoding.CodecV2 is one; the older kinds are wrapped.
type codec interface {
	Marshal(v any) (mem.BufferSlice, error)
	Unmarshal(data mem.BufferSlice, v any) error
}

// bytesCodec is what grpc.Codec and encoding.Codec have in common.
type bytesCodec interface {
	Marshal(v any) ([]byte, error)
	Unmarshal(data []byte, v any) error
}

type bytesCodecAdapter struct{ bytesCodec }

func (c bytesCodecAdapter) Marshal(v any) (mem.BufferSlice, error) {
	data, err := c.bytesCodec.Marshal(v)
	if err != nil {
		return nil, err
	}
	return mem.BufferSlice{mem.SliceBuffer(data)}, nil
}

func (c bytesCodecAdapter) Unmarshal(data mem.BufferSlice, v any) error {
	return c.bytesCodec.Unmarshal(data.Materialize(), v)
}

// registeredCodec returns the codec of a content subtype ("" is proto), in the order in which grpc looks, or nil.
func registeredCodec(subtype string) codec {
	if subtype == "" {
		subtype = proto.Name
	}
	if c := encoding.GetCodec(subtype); c != nil {
		return bytesCodecAdapter{c}
	}
	if c := encoding.GetCodecV2(subtype); c != nil {
		return c
	}
	return nil
}

// isGRPCProto reports whether c is the proto codec that grpc itself brings, whose effect on a message is known. (A program may
// register another by the same name.)
func isGRPCProto(c codec) bool {
	t := reflect.TypeOf(c)
	return t.Kind() == reflect.Pointer && t.Elem().PkgPath() == "google.golang.org/grpc/encoding/proto"
}

// marshal encodes v as a side of a call would before it writes to the wire; nil is the empty message.
func marshal(c codec, v any) (mem.BufferSlice, error) {
	if v == nil {
		return nil, nil
	}
	data, err := c.Marshal(v)
	if err != nil {
		return nil, status.Errorf(codes.Internal, "grpc: error while marshaling: %v", err)
	}
	return data, nil
}

func unmarshal(c codec, data mem.BufferSlice, v any) error {
	if err := c.Unmarshal(data, v); err != nil {
		return status.Errorf(codes.Internal, "grpc: failed to unmarshal the received message: %v", err)
	}
	return nil
}
