package rpc

import (
	"context"
	"io"

	"github.com/hanse-go/hanse/resilience"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// serveStream runs a call, unary or streaming, that arrived from a wire, and returns the status to send. The context of stream carries
// the incoming metadata, the deadline and the peer. Of a call that was not processed, which notProcessed finds in the error, the wire
// must tell the caller. maxRecv counts when the server sets no MaxRecvMsgSize of its own.
func (s *Server) serveStream(path string, stream grpc.ServerStream, maxRecv int) (ended error) {
	if err := s.awaitStart(stream.Context(), context.Background(), nil); err != nil {
		return err
	}
	m, err := s.lookup(path)
	if err != nil {
		return err
	}
	d, denied := s.decide(stream.Context(), m)
	if err := d.enter(func(md metadata.MD) error { stream.SetTrailer(md); return nil }); err != nil {
		return err
	}
	defer d.leave()
	if m.unary != nil {
		done, err := d.awaitTurn(stream.Context(), sentPriority(stream.Context()))
		if err != nil {
			return err
		}
		defer func() { done(ended) }()
	}
	c := &wireCall{
		ServerStream: stream, srv: s, method: m, denied: denied,
		maxRecv: limitOr(s.MaxRecvMsgSize, maxRecv), maxSend: limitOr(s.MaxSendMsgSize, noLimit),
	}
	ctx := stream.Context()
	if p := sentPriority(ctx); p != resilience.Normal {
		ctx = resilience.WithPriority(ctx, p)
	}
	c.ctx, c.cancel = context.WithCancel(ctx)
	defer c.cancel()
	c.activeCall.call = c
	if err := s.begin(&c.activeCall); err != nil {
		return err
	}
	c.worker.jobs <- c
	<-c.worker.done
	s.end(&c.activeCall)
	if status.Code(c.err) == codes.Canceled && c.ctx.Err() != nil && stream.Context().Err() == nil {
		return s.errStopped() // the caller has not cancelled anything
	}
	return c.err
}

// wireCall is a call from a wire, and the stream that its handler sees. It runs on a worker, so that a handler that ends its goroutine
// does not end the wire's.
type wireCall struct {
	grpc.ServerStream
	activeCall
	srv              *Server
	method           *method
	denied           bool // no rule lets it in
	ctx              context.Context
	cancel           context.CancelFunc
	maxRecv, maxSend int
	err              error
}

func (c *wireCall) Context() context.Context { return c.ctx }
func (c *wireCall) fullMethod() string       { return c.method.path }
func (c *wireCall) stop()                    { c.cancel() }

func (c *wireCall) run(w *worker) {
	returned := false
	defer func() {
		if !returned {
			p := recover()
			w.dead = p == nil
			c.err = c.srv.caught(c.ctx, c.method.path, p)
		}
		w.done <- struct{}{}
	}()
	if err := c.srv.handle(c.method, c, c.denied); err != nil {
		c.err = handlerStatus(err).Err()
	}
	returned = true
}

// The servers of one port may have different limits; that of the wire is the largest of them.

func (c *wireCall) RecvMsg(m any) error {
	if err := c.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	if size := messageSize(m); size > c.maxRecv {
		return status.Errorf(codes.ResourceExhausted, "grpc: received message larger than max (%d vs. %d)", size, c.maxRecv)
	}
	return nil
}

func (c *wireCall) SendMsg(m any) error {
	if size := messageSize(m); size > c.maxSend {
		return status.Errorf(codes.ResourceExhausted, "trying to send message larger than max (%d vs. %d)", size, c.maxSend)
	}
	return c.ServerStream.SendMsg(m)
}

// messageSize is the size of a protobuf message, and 0 of others, whose limit the wire alone can know.
func messageSize(v any) int {
	if m, ok := v.(proto.Message); ok {
		return proto.Size(m)
	}
	return 0
}

// handle runs the method's handler and the interceptors around it, unless the call is denied.
func (s *Server) handle(m *method, stream grpc.ServerStream, denied bool) error {
	if denied {
		if err := s.deny(stream.Context(), m); err != nil {
			return err
		}
	}
	if !s.Faults.Active() {
		return s.handleIn(m, stream, false)
	}
	lose, err := s.Faults.Strike(stream.Context(), m.path, &m.counts)
	if err != nil {
		return err
	}
	if err = s.handleIn(m, stream, lose); lose {
		return resilience.ErrLost
	}
	return err
}

// handleIn is handle for a call that was let in. Of a unary call whose answer is lost nothing is sent.
func (s *Server) handleIn(m *method, stream grpc.ServerStream, lose bool) error {
	if m.stream == nil || !m.stream.ClientStreams {
		stream = &oneRequest{ServerStream: stream}
	}
	if m.unary != nil {
		keyed := len(incomingValues(stream.Context(), resilience.IdempotencyKey)) > 0
		reply, err := m.unary(m.impl, stream.Context(), stream.RecvMsg, m.door.Load().interceptor(m, keyed))
		if err != nil || lose {
			return err
		}
		return stream.SendMsg(reply)
	}
	if s.stream == nil {
		return m.handler(m.impl, stream)
	}
	info := m.info // interceptors may keep it
	return s.stream(m.impl, stream, &info, m.handler)
}

// oneRequest is the stream of a method whose client sends exactly one message.
type oneRequest struct {
	grpc.ServerStream
	got bool
}

func (s *oneRequest) RecvMsg(m any) error {
	if s.got {
		return io.EOF
	}
	s.got = true
	switch err := s.ServerStream.RecvMsg(m); err {
	case nil:
	case io.EOF:
		return errNoRequest
	default:
		return err
	}
	switch err := s.ServerStream.RecvMsg(m); err {
	case io.EOF:
		return nil
	case nil:
		return errManyRequests
	default:
		return err
	}
}
