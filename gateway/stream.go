package gateway

import (
	"context"
	"encoding/base64"
	"net/http"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// stream is what the exchanges have in common whose messages are in envelopes.
type stream struct {
	h     *Handler
	w     http.ResponseWriter
	r     *http.Request
	rc    *http.ResponseController
	body  streamBody
	in    envelopeReader
	out   envelopeWriter
	text  bool // all is in base64
	many  bool // the client may send more than one message
	half  bool // the request's body must be read before the response begins, unless net/http is told otherwise
	begun bool // the header was sent
	stop  func() bool
}

func (s *stream) init(h *Handler, w http.ResponseWriter, r *http.Request, rt *route, codec codec) {
	s.h, s.w, s.r, s.rc = h, w, r, http.NewResponseController(w)
	s.in = envelopeReader{codec: codec, limit: h.limits().MessageBytes, held: held{h: h}}
	s.out = envelopeWriter{codec: codec, compressFrom: h.compressFrom()}
	s.body.body, s.body.rc = r.Body, s.rc
	s.many = rt.method.IsStreamingClient()
	s.half = s.many && r.ProtoMajor == 1
}

// compressors returns how the messages of a call are compressed, by two of its headers. What is unknown is the call's error.
func (h *Handler) compressors(r *http.Request, b *begin, sent, accepted string) (requests, replies encoding.Compressor) {
	requests, err := compressorOf(r.Header.Get(sent))
	if b.err == nil {
		b.err = err
	}
	return requests, chooseCompressor(r.Header[accepted])
}

func (s *stream) begin(ctx context.Context) error {
	s.in.r = &s.body
	if s.many {
		s.stop = s.body.until(ctx)
		return nil
	}
	late := s.h.readBy(ctx, s.w, s.r)
	return late.status(s.in.only())
}

// close ends the reading.
func (s *stream) close() {
	s.in.held.release()
	if s.stop != nil {
		s.stop()
	}
	if s.half {
		s.body.leave()
	}
}

func (s *stream) receive(m proto.Message) error { return s.in.receive(m) }

// sendHeader sends the header, which may be before the client has sent all.
func (s *stream) sendHeader(md metadata.MD) error {
	if s.half && !s.body.complete() {
		s.rc.EnableFullDuplex()                        // where a server cannot, what the client sends from here on is lost
		s.w.Header()["Connection"] = []string{"close"} // net/http panics when a next request finds a rest of this one
	}
	s.writeHeader(md)
	return nil
}

// endHeader sends the header of a stream that ends without messages. Over HTTP/1 what the client has still to send is read, within reason,
// before the response goes out: many clients do not expect it earlier.
func (s *stream) endHeader(md metadata.MD) {
	if s.half && s.body.broken() { // over HTTP/2 that would end the calls of others, too
		s.w.Header()["Connection"] = []string{"close"}
	}
	s.writeHeader(md)
}

func (s *stream) writeHeader(md metadata.MD) {
	s.begun = true
	addHeaders(s.w.Header(), md, "")
	s.w.WriteHeader(http.StatusOK)
}

func (s *stream) flush() error { return sendError(s.rc.Flush()) }

func (s *stream) send(m proto.Message) error {
	envelope, err := s.out.message(m)
	if err == nil {
		err = s.write(envelope)
	}
	return err
}

// final writes the last envelope. The client is gone if that fails.
func (s *stream) final(flags byte, data []byte) {
	if envelope, err := s.out.final(flags, data); err == nil {
		s.write(envelope)
	}
}

func (s *stream) write(p []byte) error {
	if s.text {
		p = base64.StdEncoding.AppendEncode(nil, p)
	}
	_, err := s.w.Write(p)
	return sendError(err)
}
