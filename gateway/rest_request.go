package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/hanse-go/hanse/internal/httprule"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

func (x *rest) receive(m proto.Message) error {
	var data []byte
	var err error
	switch {
	case x.incoming != nil:
		data, err = x.incoming.next()
	case x.got:
		return io.EOF
	case x.requests != nil && len(x.body) > 0:
		data, err = decompress(x.requests, x.body, x.h.limits().MessageBytes, &x.held)
	default:
		data = x.body
	}
	defer x.forget()
	x.got = true
	if err == nil {
		err = x.fill(m, data)
	}
	return x.failed(err)
}

// failed returns err, and remembers the status of HTTP that it has where that of its code would mislead.
func (x *rest) failed(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	switch status.Code(err) {
	case codes.ResourceExhausted:
		x.code = http.StatusRequestEntityTooLarge
	case codes.DeadlineExceeded:
		if x.ctx.Err() != context.DeadlineExceeded { // net/http cancels it when a body does not come
			x.code = http.StatusRequestTimeout
		}
	}
	return err
}

// noBodyIn refuses a body where there is no place for it: what is sent is not lost silently. Clients that always send an object are
// forgiven.
func (x *rest) noBodyIn(ctx context.Context) error {
	if x.r.ContentLength == 0 {
		return nil
	}
	late := x.h.readBy(ctx, x.w, x.r)
	var start [64]byte
	n, err := io.ReadFull(x.r.Body, start[:])
	switch {
	case err == io.EOF || err == io.ErrUnexpectedEOF && n < len(start):
		if s := string(bytes.TrimSpace(start[:n])); s == "" || s == "{}" {
			return late.status(nil)
		}
	case err != nil:
		return late.status(err)
	}
	return status.Error(codes.InvalidArgument, "this route takes no body: its fields are in the path and the query")
}

// fill replaces m by what the body, the path and the query say.
func (x *rest) fill(msg proto.Message, data []byte) error {
	m := msg.ProtoReflect()
	codec := &x.h.codecs.strict
	p := x.route.request
	var err error
	switch {
	case p.shape == object && p.field == nil && len(data) > 0:
		err = codec.decode(data, msg)
	default:
		proto.Reset(msg)
		switch {
		case p.shape == rawBody:
			setHTTPBody(p.of(m, true), x.r.Header.Get("Content-Type"), data)
		case len(data) == 0:
		case p.shape == object:
			err = under(p.field, codec.decode(data, p.of(m, true).Interface()))
		case p.shape == value:
			err = codec.decodeField(data, msg, p.field)
		}
	}
	if err != nil {
		return badRequest(err, "the body")
	}
	if err := x.route.rule.SetPath(m, x.values); err != nil {
		return badRequest(err, "the path")
	}
	if query := x.r.URL.RawQuery; query != "" {
		if err := x.route.rule.SetQuery(m, query, codec.depth); err != nil {
			return badRequest(err, "the query")
		}
	}
	return nil
}

// under puts the name of the field that was decoded before the path in an error.
func under(fd protoreflect.FieldDescriptor, err error) error {
	var of *httprule.FieldError
	if errors.As(err, &of) {
		return &httprule.FieldError{Field: fd.JSONName() + "." + of.Field, Reason: of.Reason}
	}
	return err
}

// decodeField replaces m by a message with one field, a list, a map or a scalar, that data says.
func (c *jsonCodec) decodeField(data []byte, m proto.Message, fd protoreflect.FieldDescriptor) error {
	if !json.Valid(data) { // else it could go on to other fields
		var v any
		if err := json.Unmarshal(data, &v); err != nil {
			return err
		}
	}
	doc := append(strconv.AppendQuote([]byte{'{'}, fd.JSONName()), ':')
	doc = append(append(doc, data...), '}')
	return c.decode(doc, m)
}

// Of google.api.HttpBody, whatever Go type it has.
const (
	httpBodyType = 1 // the number of content_type
	httpBodyData = 2 // and of data
)

func setHTTPBody(m protoreflect.Message, contentType string, data []byte) {
	fields := m.Descriptor().Fields()
	m.Set(fields.ByNumber(httpBodyType), protoreflect.ValueOfString(contentType))
	m.Set(fields.ByNumber(httpBodyData), protoreflect.ValueOfBytes(data))
}

// restBody is the body of a request that is a stream of messages: of JSON, one after the other, or of bytes as they come.
type restBody struct {
	source   streamBody
	compress encoding.Compressor
	raw      bool
	http1    bool
	limit    int
	stop     func() bool

	r       io.Reader
	capped  capped
	decoder *json.Decoder
	count   int
	buf     []byte
	err     error // it stays
}

// chunk is the most bytes of an upload that are one message.
const chunk = 64 << 10

// stream prepares for a stream of messages from the client.
func (x *rest) stream() {
	if !x.route.method.IsStreamingClient() {
		return
	}
	x.incoming = &restBody{compress: x.requests, raw: x.route.request.shape == rawBody, http1: x.r.ProtoMajor == 1, limit: x.h.limits().MessageBytes}
	x.incoming.source.body, x.incoming.source.rc = x.r.Body, http.NewResponseController(x.w)
}

func (b *restBody) begin(ctx context.Context) { b.stop = b.source.until(ctx) }

// end ends the reading, before the header of a response if that is yet to come.
func (b *restBody) end(header http.Header) {
	if b == nil {
		return
	}
	if b.stop != nil {
		b.stop()
	}
	if !b.http1 {
		return
	}
	b.source.leave()
	if b.source.broken() { // over HTTP/2 that would end the calls of others, too
		header["Connection"] = []string{"close"}
	}
}

// next returns the next message's bytes, which are the caller's until the next call. The error is io.EOF behind the last one, or the
// call's status.
func (b *restBody) next() ([]byte, error) {
	if b.err != nil {
		return nil, b.err
	}
	var data []byte
	if data, b.err = b.read(); b.err == nil {
		b.count++
	}
	return data, b.err
}

func (b *restBody) read() ([]byte, error) {
	if b.r == nil {
		b.r = &b.source
		if b.compress != nil {
			r, err := b.compress.Decompress(&b.source)
			if err != nil {
				return nil, errCompressed(err)
			}
			b.r = r
		}
	}
	if b.raw {
		return b.chunk()
	}
	if b.decoder == nil {
		b.capped.r = b.r
		b.decoder = json.NewDecoder(&b.capped)
	}
	var message json.RawMessage
	b.capped.left = b.limit + 1
	err := b.decoder.Decode(&message)
	var syntax *json.SyntaxError
	switch {
	case err == io.EOF:
		return nil, err
	case err == errCapped, err == nil && len(message) > b.limit:
		return nil, errTooLarge(b.limit)
	case err == io.ErrUnexpectedEOF, errors.As(err, &syntax):
		return nil, status.Errorf(codes.InvalidArgument, "message %d of the body is no JSON: %v", b.count+1, err)
	case err != nil:
		return nil, readError(err)
	}
	return message, nil
}

// chunk returns bytes as they come. An empty body is one empty message, so that what the path says is heard.
func (b *restBody) chunk() ([]byte, error) {
	size := min(chunk, b.limit)
	if b.buf == nil {
		b.buf = make([]byte, size)
	}
	for {
		n, err := b.r.Read(b.buf)
		switch {
		case n > 0:
			return bytes.Clone(b.buf[:n]), nil
		case err == io.EOF && b.count == 0:
			return nil, nil
		case err == io.EOF:
			return nil, err
		case err != nil:
			return nil, readError(err)
		}
	}
}

// capped is a reader that fails when so many bytes are read.
type capped struct {
	r    io.Reader
	left int
}

var errCapped = errors.New("gateway: more than may be read")

func (c *capped) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errCapped
	}
	n, err := c.r.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}
