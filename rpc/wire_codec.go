package rpc

import (
	"encoding/binary"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// encoded is a message that is ready for a wire: prefix and bytes.
type encoded struct {
	data []byte
	size int // of the message, before it was compressed
	v    any // the message
}

// outgoing writes messages into memory that is used again, in turn. The zero value is ready to use.
type outgoing struct {
	scratch []byte
	large   *buffer // holds the last message, where that was large; nil: scratch does
}

// byReference is the size from which a message is not copied into the connection's buffer any more, but written from where it is.
const byReference = 16 << 10

// encode writes a message. Its memory is valid until the next one, unless it is taken: see take.
func (o *outgoing) encode(f format, compressor encoding.Compressor, v any, limit int) (encoded, error) {
	if m, ok := v.(proto.Message); ok && f.plain {
		opts := proto.MarshalOptions{UseCachedSize: true}
		size := proto.Size(m)
		if size > limit {
			return encoded{}, errTooLargeToSend(size, limit)
		}
		dst, err := opts.MarshalAppend(o.room(size), m)
		if err != nil {
			return encoded{}, status.Errorf(codes.Internal, "grpc: error while marshaling: %v", err)
		}
		return o.done(v, dst, compressor)
	}
	data, err := marshal(f.codec, v)
	if err != nil {
		return encoded{}, err
	}
	defer data.Free()
	size := data.Len()
	if size > limit {
		return encoded{}, errTooLargeToSend(size, limit)
	}
	dst := o.room(size)
	for _, b := range data {
		dst = append(dst, b.ReadOnlyData()...)
	}
	return o.done(v, dst, compressor)
}

// room returns memory that holds a prefix yet to be filled, with place for n bytes after it.
func (o *outgoing) room(n int) []byte {
	o.reset()
	if n += messagePrefix; n < byReference {
		if cap(o.scratch) < n {
			o.scratch = make([]byte, 0, max(n, 512))
		}
		return o.scratch[:messagePrefix]
	}
	o.large = newBuffer(n)
	return o.large.b[:messagePrefix]
}

// done completes the message in dst.
func (o *outgoing) done(v any, dst []byte, compressor encoding.Compressor) (encoded, error) {
	size := len(dst) - messagePrefix
	dst[0] = 0
	if compressor != nil && size > 0 {
		w := messageWriter{b: newBuffer(size/2 + messagePrefix)}
		w.b.b = append(w.b.b, compressedFlag, 0, 0, 0, 0)
		z, err := compressor.Compress(&w)
		if err == nil {
			_, err = z.Write(dst[messagePrefix:])
			if err2 := z.Close(); err == nil {
				err = err2
			}
		}
		if err != nil {
			w.b.free()
			return encoded{}, status.Errorf(codes.Internal, "grpc: error while compressing: %v", err)
		}
		o.large.free()
		o.large, dst = w.b, w.b.b
	}
	if uint64(len(dst)-messagePrefix) > noLimit {
		return encoded{}, errTooLargeToSend(len(dst)-messagePrefix, noLimit)
	}
	binary.BigEndian.PutUint32(dst[1:], uint32(len(dst)-messagePrefix))
	if o.large != nil {
		o.large.b = dst
	} else {
		o.scratch = dst[:0]
	}
	return encoded{dst, size, v}, nil
}

// take gives the memory of the last message to the caller when it is worth to be sent by reference; nil: copy it.
func (o *outgoing) take() *buffer {
	b := o.large
	if b == nil || len(b.b) < byReference {
		return nil
	}
	o.large = nil
	return b
}

// reset frees the last message.
func (o *outgoing) reset() {
	o.large.free()
	o.large = nil
}

func errTooLargeToSend(size, limit int) error {
	return status.Errorf(codes.ResourceExhausted, "trying to send message larger than max (%d vs. %d)", size, limit)
}

// messageWriter appends to a buffer.
type messageWriter struct{ b *buffer }

func (w *messageWriter) Write(p []byte) (int, error) {
	if cap(w.b.b)-len(w.b.b) < len(p) {
		w.b = w.b.grown(max(len(p), len(w.b.b)))
	}
	w.b.b = append(w.b.b, p...)
	return len(p), nil
}

// decode replaces v by a message that is not compressed.
func (f format) decode(data []byte, v any) error {
	if m, ok := v.(proto.Message); ok && f.plain {
		if err := proto.Unmarshal(data, m); err != nil {
			return status.Errorf(codes.Internal, "grpc: failed to unmarshal the received message: %v", err)
		}
		return nil
	}
	// Codecs may keep what they get.
	return unmarshal(f.codec, mem.BufferSlice{mem.SliceBuffer(slices.Clone(data))}, v)
}
