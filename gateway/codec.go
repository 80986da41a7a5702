package gateway

import (
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
)

// codec turns messages into bytes and back.
type codec interface {
	// name is what content types call it.
	name() string
	// unaryType is the content type of its messages.
	unaryType() string
	// appendTo appends the encoded message to dst.
	appendTo(dst []byte, m proto.Message) ([]byte, error)
	// decode replaces m by what data says. It keeps nothing of data.
	decode(data []byte, m proto.Message) error
}

// codecs are those of a handler.
type codecs struct {
	proto        protoCodec
	json, strict jsonCodec
}

func (c *codecs) init(depth int, types Types) {
	c.proto = protoCodec{depth: depth}
	c.strict = jsonCodec{depth: depth, types: types, strict: true}
	c.json = jsonCodec{depth: depth, types: types, plain: &c.strict}
}

// codecOf returns the codec with that name, or nil.
func (h *Handler) codecOf(name string) codec {
	h.init()
	switch name {
	case "proto":
		return &h.codecs.proto
	case "json":
		return &h.codecs.json
	}
	return nil
}

// plain returns the codec for clients that have no contract of their own which could be newer, such as curl: in JSON, what is unknown is
// misspelt, and must not be lost.
func plain(c codec) codec {
	if json, ok := c.(*jsonCodec); ok && json.plain != nil {
		return json.plain
	}
	return c
}

// protoCodec is protobuf's binary format.
type protoCodec struct{ depth int }

func (*protoCodec) name() string      { return "proto" }
func (*protoCodec) unaryType() string { return protoType }

func (*protoCodec) appendTo(dst []byte, m proto.Message) ([]byte, error) {
	return proto.MarshalOptions{}.MarshalAppend(dst, m)
}

func (c *protoCodec) decode(data []byte, m proto.Message) error {
	return proto.UnmarshalOptions{RecursionLimit: c.depth}.Unmarshal(data, m)
}

// jsonCodec is protobuf's JSON. Like the clients of Connect it skips the fields that it does not know: whoever sends them has a newer
// contract.
type jsonCodec struct {
	depth  int
	types  Types      // nil: the global ones
	strict bool       // fields that are unknown are an error
	plain  *jsonCodec // the same, but strict; nil: it is
}

func (*jsonCodec) name() string      { return "json" }
func (*jsonCodec) unaryType() string { return jsonType }

func (c *jsonCodec) appendTo(dst []byte, m proto.Message) ([]byte, error) {
	return protojson.MarshalOptions{Resolver: c.resolver()}.MarshalAppend(dst, m)
}

func (c *jsonCodec) decode(data []byte, m proto.Message) error {
	err := protojson.UnmarshalOptions{RecursionLimit: c.depth, DiscardUnknown: !c.strict, Resolver: c.resolver()}.Unmarshal(data, m)
	if err != nil {
		return jsonMistake(data, err)
	}
	return nil
}

// resolver is not a typed nil.
func (c *jsonCodec) resolver() Types {
	if c.types == nil {
		return globalTypes
	}
	return c.types
}

// message returns what a backend gave to RecvMsg or SendMsg as a message.
func message(v any) (proto.Message, error) {
	switch m := v.(type) {
	case proto.Message:
		return m, nil
	case protoadapt.MessageV1:
		return protoadapt.MessageV2Of(m), nil
	}
	return nil, status.Error(codes.Internal, fmt.Sprintf("gateway: %T is no message of protobuf", v))
}
