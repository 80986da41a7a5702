package main

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// jsonCodec is the codec of gRPC's content type application/grpc+json. Neither gRPC nor Hanse brings it.
type jsonCodec struct{}

var _ encoding.CodecV2 = jsonCodec{}

func (jsonCodec) Name() string { return "json" }

func (jsonCodec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is no message of protobuf", v)
	}
	data, err := protojson.Marshal(m)
	return mem.BufferSlice{mem.SliceBuffer(data)}, err
}

func (jsonCodec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is no message of protobuf", v)
	}
	return protojson.Unmarshal(data.Materialize(), m)
}
