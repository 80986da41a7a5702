package gateway

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// foundOut is the size in bytes of the largest body whose length servers tell by themselves: net/http, which has a buffer of 2 KiB, and ours.
const foundOut = 2000

// connectUnaryPrefix is what the content types of unary calls begin with; the codec's name follows.
const connectUnaryPrefix = "application/"

// serveConnectUnary serves a unary call of the Connect protocol. It reports false when the method or the codec is none for it.
func (h *Handler) serveConnectUnary(w http.ResponseWriter, r *http.Request, rt *route, codecName string) bool {
	codec := h.codecOf(codecName)
	if codec == nil || !rt.unary() {
		return false
	}
	if r.Header["Connect-Protocol-Version"] == nil {
		codec = plain(codec)
	}
	b := &begin{route: rt}
	b.err = connectBegin(r, b)
	h.run(r, b, h.newConnectUnary(w, r, b, codec, first(r.Header, "Content-Encoding")))
	return true
}

// connectBegin reads the headers that Connect's calls have in common. Its error is the call's status.
func connectBegin(r *http.Request, b *begin) (err error) {
	if v := first(r.Header, "Connect-Protocol-Version"); v != "" && v != "1" {
		return status.Errorf(codes.InvalidArgument, "Connect-Protocol-Version is %q: there is version 1 only", v)
	}
	if v := first(r.Header, "Connect-Timeout-Ms"); v != "" {
		if b.timeout, err = parseConnectTimeout(v); err != nil {
			return status.Error(codes.InvalidArgument, err.Error())
		}
		b.hasTimeout = true
	}
	if b.metadata, err = headerMetadata(r); err != nil {
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
	h        *Handler
	w        http.ResponseWriter
	r        *http.Request
	codec    codec
	requests encoding.Compressor // nil: not compressed
	replies  encoding.Compressor
	request  []byte  // maybe compressed; nil: the body has it
	in       *[]byte // its memory, if that is to be used again
	held     held    // for it
	got      bool
	header   metadata.MD
	out      *[]byte // the reply; nil: there is none
}

func (h *Handler) newConnectUnary(w http.ResponseWriter, r *http.Request, b *begin, codec codec, compression string) *connectUnary {
	x := &connectUnary{h: h, w: w, r: r, codec: codec, held: held{h: h}}
	var err error
	if x.requests, err = compressorOf(compression); err != nil {
		w.Header()["Accept-Encoding"] = []string{compressions}
		if b.err == nil {
			b.err = err
		}
	}
	x.replies = chooseCompressor(r.Header["Accept-Encoding"])
	return x
}

func (x *connectUnary) response() (http.ResponseWriter, *http.Request) { return x.w, x.r }

// shallow says no to JSON over HTTP/1: that takes a deep stack, and what a connection's goroutine has of one is taken back by every garbage
// collection, so that it would grow anew for every few calls. The workers of a server are fewer than its connections, and keep theirs.
func (x *connectUnary) shallow() bool { return x.r.ProtoMajor > 1 || x.codec.name() == "proto" }

func (x *connectUnary) begin(ctx context.Context) (err error) {
	if x.request == nil {
		x.in = requestBuffers.get()
		x.request, err = x.h.readBody(ctx, x.w, x.r, &x.held, x.in)
	}
	return err
}

// forget gives back the memory of the request.
func (x *connectUnary) forget() {
	x.held.release()
	requestBuffers.put(x.in)
	x.request, x.in = nil, nil
}

func (x *connectUnary) receive(m proto.Message) (err error) {
	if x.got {
		return io.EOF
	}
	x.got = true
	defer x.forget()
	data := x.request
	if x.requests != nil && len(data) > 0 {
		if data, err = decompress(x.requests, data, x.h.limits().MessageBytes, &x.held); err != nil {
			return err
		}
	}
	return decodeRequest(x.codec, data, m)
}

func (x *connectUnary) sendHeader(md metadata.MD) error {
	x.header = md // it goes out with the trailers
	return nil
}

func (x *connectUnary) flush() error { return nil }

func (x *connectUnary) send(m proto.Message) (err error) {
	if x.out == nil {
		x.out = replyBuffers.get()
	}
	*x.out, err = encodeReply(x.codec, (*x.out)[:0], m)
	return err
}

func (x *connectUnary) end(header, trailer metadata.MD, st *status.Status) {
	x.forget()
	if header == nil {
		header = x.header
	}
	h := x.w.Header()
	addHeaders(h, header, "")
	addHeaders(h, trailer, "Trailer-")
	var body []byte
	if x.out != nil {
		body = *x.out
		defer replyBuffers.put(x.out)
	}
	if st == nil && x.replies != nil && len(body) >= x.h.compressFrom() {
		zipped, err := compress(x.replies, nil, body)
		if st = statusOf(err); st == nil {
			h["Content-Encoding"] = []string{x.replies.Name()}
			body = zipped
		}
	}
	if st != nil {
		setRetryAfter(h, trailer, st)
		x.h.writeError(x.w, st)
		return
	}
	h["Content-Type"] = typeHeader(x.codec.unaryType())
	if len(body) > foundOut {
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	x.w.Write(body) // the client is gone if this fails
}
