package gateway

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Streams of Connect and of gRPC-Web are sequences of envelopes: a byte of flags, the length in four bytes, and so many bytes.

const (
	envelopePrefix = 5
	flagCompressed = 1
	flagConnectEnd = 2   // what follows is the end of a stream in the Connect protocol
	flagWebTrailer = 128 // what follows are trailers of gRPC-Web
)

// firstPiece is how much memory a length alone can take.
const firstPiece = 16 << 10

// envelopeReader reads messages.
type envelopeReader struct {
	r          io.Reader
	codec      codec
	compressor encoding.Compressor // of messages with the flag
	limit      int
	held       held
	buf        []byte
	zipped     bool  // what buf has is compressed
	ahead      bool  // buf has a message that was not decoded yet
	err        error // it stays
}

// receive reads the next message into m. Its error is io.EOF behind the last one, or the call's status.
func (e *envelopeReader) receive(m proto.Message) error {
	if !e.ahead {
		if e.err == nil {
			e.err = e.read()
		}
		if e.err != nil {
			return e.err
		}
	}
	e.ahead = false
	err := e.decode(m)
	if err != nil {
		e.err = err
	}
	return err
}

// only reads the one message that there may be, to be received later. That there is none is told then.
func (e *envelopeReader) only() error {
	if e.err = e.read(); e.err == io.EOF {
		return nil
	} else if e.err != nil {
		return e.err
	}
	e.ahead = true
	var more [1]byte
	switch _, err := io.ReadFull(e.r, more[:]); err {
	case nil:
		e.err = status.Error(codes.Unimplemented, "there is more than one request message, and the method takes one")
	case io.EOF:
		e.err = io.EOF
		return nil
	default:
		e.err = readError(err)
	}
	return e.err
}

func (e *envelopeReader) read() error {
	var prefix [envelopePrefix]byte
	switch n, err := io.ReadFull(e.r, prefix[:]); {
	case err == io.EOF:
		return err
	case err == io.ErrUnexpectedEOF:
		return status.Errorf(codes.InvalidArgument, "the request ends within the prefix of a message: %d bytes of %d came", n, envelopePrefix)
	case err != nil:
		return readError(err)
	}
	flags, size := prefix[0], binary.BigEndian.Uint32(prefix[1:])
	if flags&^flagCompressed != 0 {
		return status.Errorf(codes.InvalidArgument, "a message has the flags %#x: a request has %#x at most", flags, flagCompressed)
	}
	if int64(size) > int64(e.limit) {
		return errTooLarge(e.limit)
	}
	if e.zipped = flags&flagCompressed != 0; e.zipped && e.compressor == nil {
		return status.Error(codes.Internal, "a message is compressed, and the request names no compression")
	}
	return e.fill(int(size))
}

// decode replaces m by what buf has.
func (e *envelopeReader) decode(m proto.Message) (err error) {
	defer e.held.release()
	data := e.buf
	if e.zipped {
		if data, err = decompress(e.compressor, data, e.limit, &e.held); err != nil {
			return err
		}
	}
	if cap(e.buf) > firstPiece {
		e.buf = nil
	}
	return decodeRequest(e.codec, data, m)
}

// fill reads size bytes into buf. Memory grows with what comes.
func (e *envelopeReader) fill(size int) error {
	e.buf = e.buf[:0]
	for len(e.buf) < size {
		next := min(size, max(2*len(e.buf), firstPiece))
		if next > cap(e.buf) {
			if err := e.held.grow(next); err != nil {
				return err
			}
			e.buf = append(make([]byte, 0, next), e.buf...)
		}
		n, err := io.ReadFull(e.r, e.buf[len(e.buf):next])
		e.buf = e.buf[:len(e.buf)+n]
		switch {
		case err == io.EOF || err == io.ErrUnexpectedEOF:
			return status.Errorf(codes.InvalidArgument, "the request ends within a message: %d bytes of %d came", len(e.buf), size)
		case err != nil:
			return readError(err)
		}
	}
	return nil
}

// decodeRequest replaces m by what data says.
func decodeRequest(c codec, data []byte, m proto.Message) error {
	if err := c.decode(data, m); err != nil {
		return badRequest(err, fmt.Sprintf("the request is no %s of %s", c.name(), m.ProtoReflect().Descriptor().FullName()))
	}
	return nil
}

// encodeReply appends m to dst.
func encodeReply(c codec, dst []byte, m proto.Message) ([]byte, error) {
	dst, err := c.appendTo(dst, m)
	if err != nil {
		return dst, status.Errorf(codes.Internal, "the reply cannot be encoded: %v", err)
	}
	return dst, nil
}

// envelopeWriter makes envelopes.
type envelopeWriter struct {
	codec        codec
	compressor   encoding.Compressor // nil: messages are not compressed
	compressFrom int                 // bytes
	buf, zipped  []byte
}

// message returns the envelope of a message. It is valid until the next call.
func (e *envelopeWriter) message(m proto.Message) ([]byte, error) {
	var err error
	if e.buf, err = encodeReply(e.codec, append(e.buf[:0], make([]byte, envelopePrefix)...), m); err != nil {
		return nil, err
	}
	out := e.buf
	if e.compressor != nil && len(out)-envelopePrefix >= e.compressFrom {
		e.zipped = append(e.zipped[:0], flagCompressed, 0, 0, 0, 0)
		if e.zipped, err = compress(e.compressor, e.zipped, out[envelopePrefix:]); err != nil {
			return nil, err
		}
		out = e.zipped
	}
	return sealed(out)
}

// final returns an envelope of plain bytes. It is valid until the next call.
func (e *envelopeWriter) final(flags byte, data []byte) ([]byte, error) {
	e.buf = append(append(e.buf[:0], flags, 0, 0, 0, 0), data...)
	return sealed(e.buf)
}

// sealed writes the length into an envelope.
func sealed(envelope []byte) ([]byte, error) {
	size := len(envelope) - envelopePrefix
	if size > math.MaxUint32 {
		return nil, status.Errorf(codes.ResourceExhausted, "the reply has %d bytes, more than the protocol can say", size)
	}
	binary.BigEndian.PutUint32(envelope[1:], uint32(size))
	return envelope, nil
}
