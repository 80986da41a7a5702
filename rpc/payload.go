package rpc

import (
	"reflect"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/runtime/protoimpl"
)

// payload is a message on its way within the process. Like the bytes on a wire it has been found fit to be sent; it is either a
// generated protobuf message, to be copied field by field, or encoded.
type payload struct {
	msg  proto.Message
	info *protoimpl.MessageInfo // of msg
	data mem.BufferSlice
	size int // bytes that it has, or would have, encoded
}

// format is how one side of a call encodes messages.
type format struct {
	codec codec
	plain bool // the codec is grpc's own for proto
}

// serverFormat is the format of a server that gets a call of the given content subtype.
func serverFormat(client format, subtype string) format {
	c := registeredCodec(subtype)
	if c == nil {
		c = registeredCodec("") // as grpc's server does
	}
	return format{c, isGRPCProto(c)}
}

// pack checks v as its sender's wire would: that it can be encoded, and its size. The payload refers to v.
func (f format) pack(v any, limit int) (payload, error) {
	p, err := f.packAny(v)
	if err == nil && p.size > limit {
		p.data.Free()
		return payload{}, status.Errorf(codes.ResourceExhausted, "trying to send message larger than max (%d vs. %d)", p.size, limit)
	}
	return p, err
}

func (f format) packAny(v any) (payload, error) {
	if m, info := generated(v); info != nil && f.plain {
		text := textOf(info)
		if !text.extensible {
			err := proto.CheckInitialized(m)
			if err == nil {
				err = text.check(reflect.ValueOf(m))
			}
			if err != nil {
				return payload{}, status.Errorf(codes.Internal, "grpc: error while marshaling: %v", err)
			}
			return payload{msg: m, info: info, size: proto.Size(m)}, nil
		}
	}
	data, err := marshal(f.codec, v)
	return payload{data: data, size: data.Len()}, err
}

// clone makes the payload independent of the message that was packed.
func (p payload) clone() payload {
	if p.msg != nil {
		p.msg = proto.Clone(p.msg)
	}
	return p
}

// unpack replaces dst by the message, as unmarshaling from a wire does. It consumes the payload.
func (f format) unpack(p payload, dst any, limit int) error {
	if p.size > limit {
		p.data.Free()
		return status.Errorf(codes.ResourceExhausted, "grpc: received message larger than max (%d vs. %d)", p.size, limit)
	}
	data := p.data
	if p.msg != nil {
		if d, info := generated(dst); f.plain && info == p.info {
			proto.Reset(d)
			proto.Merge(d, p.msg)
			return nil
		}
		b, err := proto.Marshal(p.msg)
		if err != nil {
			return status.Errorf(codes.Internal, "grpc: error while marshaling: %v", err)
		}
		data = mem.BufferSlice{mem.SliceBuffer(b)}
	}
	defer data.Free()
	return unmarshal(f.codec, data, dst)
}

// generated returns v as a message of a generated type, with what identifies the type and its descriptor; or nil. A typed nil is none.
func generated(v any) (proto.Message, *protoimpl.MessageInfo) {
	m, ok := v.(proto.Message)
	if !ok {
		return nil, nil
	}
	r := m.ProtoReflect()
	if !r.IsValid() {
		return nil, nil
	}
	info, _ := r.Type().(*protoimpl.MessageInfo)
	return m, info
}
