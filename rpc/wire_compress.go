package rpc

import (
	"bytes"
	"io"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/status"
)

// compression is what a peer says about how its messages are compressed.
type compression struct {
	name       string              // grpc-encoding; "": none was named
	compressor encoding.Compressor // nil: none is needed, or it is not registered
}

func newCompression(name string) compression {
	c := compression{name: name}
	if name != "" && name != encoding.Identity {
		c.compressor = encoding.GetCompressor(name)
	}
	return c
}

// unknown reports whether messages may come that cannot be decompressed.
func (c compression) unknown() bool {
	return c.compressor == nil && c.name != "" && c.name != encoding.Identity
}

// plain returns the message decompressed, if it has to be. The limit is that of the uncompressed size.
func (c compression) plain(m message, limit int) (message, error) {
	if !m.compressed {
		return m, nil
	}
	defer m.free()
	if c.compressor == nil {
		if c.unknown() {
			return message{}, status.Errorf(codes.Internal, "grpc: Decompressor is not installed for grpc-encoding %q", c.name)
		}
		return message{}, status.Error(codes.Internal, "grpc: compressed flag set with identity or empty encoding")
	}
	r, err := c.compressor.Decompress(bytes.NewReader(m.data))
	if err != nil {
		return message{}, status.Errorf(codes.Internal, "grpc: failed to decompress the message: %v", err)
	}
	// One byte more than allowed is read, to see that it is there.
	out := newBuffer(min(4*len(m.data), limit, firstPiece))
	r = io.LimitReader(r, int64(limit)+1)
	for {
		if len(out.b) == cap(out.b) {
			out = out.grown(max(len(out.b), 512))
		}
		n, err := r.Read(out.b[len(out.b):cap(out.b)])
		out.b = out.b[:len(out.b)+n]
		if err == io.EOF {
			break
		}
		if err != nil {
			out.free()
			return message{}, status.Errorf(codes.Internal, "grpc: failed to decompress the message: %v", err)
		}
	}
	if len(out.b) > limit {
		out.free()
		return message{}, status.Errorf(codes.ResourceExhausted, "grpc: received message after decompression larger than max %d", limit)
	}
	return message{data: out.b, buf: out}, nil
}
