package gateway

import (
	"bytes"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/hanse-go/hanse/internal/httprule"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// restUnary is the exchange of an annotated method that answers with one message.
type restUnary struct {
	rest
	header      metadata.MD
	contentType string
	buf         *[]byte // of the reply; nil: there is none
}

func (x *restUnary) response() (http.ResponseWriter, *http.Request) { return x.w, x.r }
func (x *restUnary) shallow() bool                                  { return true }

func (x *restUnary) sendHeader(md metadata.MD) error {
	x.header = md // it goes out with the trailers
	return nil
}

func (x *restUnary) flush() error { return nil }

func (x *restUnary) send(m proto.Message) (err error) {
	if x.buf == nil {
		x.buf = replyBuffers.get()
	}
	*x.buf, x.contentType, err = x.encode((*x.buf)[:0], m)
	return err
}

func (x *restUnary) end(header, trailer metadata.MD, st *status.Status) {
	x.incoming.end(x.w.Header())
	x.forget()
	if header == nil {
		header = x.header
	}
	h := x.w.Header()
	addHeaders(h, header, "")
	addHeaders(h, trailer, "Trailer-")
	code := successOf(header)
	var body []byte
	if x.buf != nil {
		body = *x.buf
		defer replyBuffers.put(x.buf)
	}
	if st == nil && !hasBody(code) {
		x.w.WriteHeader(code)
		return
	}
	if st == nil && len(body) >= x.h.compressFrom() && compressible(x.contentType) {
		h.Add("Vary", "Accept-Encoding")
		if c := chooseCompressor(x.r.Header["Accept-Encoding"]); c != nil {
			zipped, err := compress(c, nil, body)
			if st = statusOf(err); st == nil {
				h["Content-Encoding"] = []string{c.Name()}
				body = zipped
			}
		}
	}
	if st != nil {
		setRetryAfter(h, trailer, st)
		x.h.writeFailure(x.w, x.r, st, x.code)
		return
	}
	h["Content-Type"] = typeHeader(x.contentType)
	h["X-Content-Type-Options"] = noSniff
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	if code != http.StatusOK {
		x.w.WriteHeader(code)
	}
	x.w.Write(body) // the client is gone if this fails
}

// noSniff keeps browsers from making a page of what is none.
var noSniff = []string{"nosniff"}

// encode appends what of a message is the body of a response.
func (x *rest) encode(dst []byte, msg proto.Message) (data []byte, contentType string, err error) {
	codec := &x.h.codecs.json
	p := x.route.response
	switch p.shape {
	case rawBody:
		data, contentType = httpBody(p.of(msg.ProtoReflect(), false))
		return append(dst, data...), contentType, nil
	case value:
		data, err = codec.appendField(dst, msg.ProtoReflect(), p.field)
	default:
		data, err = codec.appendTo(dst, p.of(msg.ProtoReflect(), false).Interface())
	}
	if err != nil {
		err = status.Errorf(codes.Internal, "the reply cannot be encoded: %v", err)
	}
	return data, jsonType, err
}

// appendField appends the JSON of one field, a list, a map or a scalar.
func (c *jsonCodec) appendField(dst []byte, m protoreflect.Message, fd protoreflect.FieldDescriptor) ([]byte, error) {
	fd = httprule.FieldOf(m, fd)
	if !m.Has(fd) {
		return append(dst, zeroJSON(fd)...), nil
	}
	alone := m.New()
	alone.Set(fd, m.Get(fd))
	start := len(dst)
	dst, err := c.appendTo(dst, alone.Interface())
	if err != nil {
		return dst, err
	}
	_, text, _ := bytes.Cut(dst[start:], []byte{':'}) // of {"name": …}; the name has no colon
	text = bytes.TrimSpace(bytes.TrimSuffix(text, []byte{'}'}))
	return append(dst[:start], text...), nil
}

// zeroJSON is the JSON of a field that is not set.
func zeroJSON(fd protoreflect.FieldDescriptor) string {
	switch {
	case fd.IsList():
		return "[]"
	case fd.IsMap():
		return "{}"
	case fd.HasPresence():
		return "null"
	}
	switch fd.Kind() {
	case protoreflect.StringKind, protoreflect.BytesKind:
		return `""`
	case protoreflect.BoolKind:
		return "false"
	case protoreflect.EnumKind:
		if first := fd.Enum().Values().ByNumber(fd.Default().Enum()); first != nil {
			return strconv.Quote(string(first.Name()))
		}
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return `"0"`
	}
	return "0"
}

// httpBody returns what a google.api.HttpBody holds.
func httpBody(m protoreflect.Message) (data []byte, contentType string) {
	fields := m.Descriptor().Fields()
	contentType = m.Get(fields.ByNumber(httpBodyType)).String()
	if _, _, err := mime.ParseMediaType(contentType); err != nil {
		contentType = "application/octet-stream"
	}
	return m.Get(fields.ByNumber(httpBodyData)).Bytes(), contentType
}

// compressible reports whether a body of this type is worth it. Pictures and archives are compressed already.
func compressible(contentType string) bool {
	mediaType, _, _ := strings.Cut(contentType, ";")
	return strings.HasPrefix(mediaType, "text/") || strings.HasSuffix(mediaType, "json") || strings.HasSuffix(mediaType, "xml") || strings.HasSuffix(mediaType, "javascript")
}
