package gateway

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// connectUnaryPrefix is what the content types of unary calls begin with; the codec's name follows.
const connectUnaryPrefix = "application/"

// serveConnectUnary serves a unary call of the Connect protocol. It reports false when the method or the codec is none for it.
func (h *Handler) serveConnectUnary(w http.ResponseWriter, r *http.Request, rt *route, codecName string) bool {
	codec := h.codecOf(codecName)
	if codec == nil || !rt.unary() {
		return false
	}
	b := &begin{route: rt}
	b.err = connectBegin(r, b)
	h.run(r, b, &connectUnary{h: h, w: w, r: r, codec: codec})
	return true
}

// connectBegin reads the headers that Connect's calls have in common.
func connectBegin(r *http.Request, b *begin) (err error) {
	if v := r.Header.Get("Connect-Protocol-Version"); v != "" && v != "1" {
		return status.Errorf(codes.InvalidArgument, "Connect-Protocol-Version is %q: there is version 1 only", v)
	}
	if v := r.Header.Get("Connect-Timeout-Ms"); v != "" {
		if b.timeout, err = parseConnectTimeout(v); err != nil {
			return status.Error(codes.InvalidArgument, err.Error())
		}
		b.hasTimeout = true
	}
	if b.metadata, err = incoming(r); err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	return nil
}

// parseConnectTimeout reads a number of milliseconds with at most ten digits.
func parseConnectTimeout(s string) (time.Duration, error) {
	ms, err := strconv.ParseUint(s, 10, 63)
	if err != nil || len(s) > 10 {
		return 0, fmt.Errorf("malformed Connect-Timeout-Ms %q: it must be one to ten digits", s)
	}
	return time.Duration(ms) * time.Millisecond, nil
}

// connectUnary is the exchange of a unary call.
type connectUnary struct {
	h      *Handler
	w      http.ResponseWriter
	r      *http.Request
	codec  codec
	got    bool
	header metadata.MD
	reply  []byte
}

func (x *connectUnary) receive(m proto.Message) error {
	if x.got {
		return io.EOF
	}
	x.got = true
	data, err := x.h.readBody(x.w, x.r)
	if err != nil {
		return err
	}
	if err := x.codec.decode(data, m); err != nil {
		return status.Errorf(codes.InvalidArgument, "the request is no %s of %s: %v", x.codec.name(), m.ProtoReflect().Descriptor().FullName(), err)
	}
	return nil
}

func (x *connectUnary) sendHeader(md metadata.MD) error {
	x.header = md // it goes out with the trailers
	return nil
}

func (x *connectUnary) send(m proto.Message) (err error) {
	if x.reply, err = x.codec.appendTo(x.reply, m); err != nil {
		return status.Errorf(codes.Internal, "the reply cannot be encoded: %v", err)
	}
	return nil
}

func (x *connectUnary) end(header, trailer metadata.MD, st *status.Status) {
	if header == nil {
		header = x.header
	}
	h := x.w.Header()
	addHeaders(h, header, "")
	addHeaders(h, trailer, "Trailer-")
	if st != nil {
		x.h.writeError(x.w, st)
		return
	}
	h["Content-Type"] = []string{connectUnaryPrefix + x.codec.name()}
	h["Content-Length"] = []string{strconv.Itoa(len(x.reply))}
	x.w.Write(x.reply) // the client is gone if this fails
}

// readBody reads the whole body of a request, within the limits.
func (h *Handler) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	limits := h.Limits.resolved()
	if r.ContentLength > int64(limits.MessageBytes) {
		return nil, errTooLarge(limits.MessageBytes)
	}
	body := http.MaxBytesReader(w, r.Body, int64(limits.MessageBytes))
	data, err := io.ReadAll(body)
	if err != nil {
		return nil, readError(context.WithoutCancel(r.Context()), err)
	}
	return data, nil
}
