package rpc

import (
	"context"
	"io"
	"time"

	"github.com/hanse-go/hanse/internal/lazyctx"
	"github.com/hanse-go/hanse/internal/priority"
	"github.com/hanse-go/hanse/resilience"
	"github.com/hanse-go/hanse/telemetry"
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
	ctx := stream.Context()
	if err := s.awaitStart(ctx, context.Background(), nil); err != nil {
		return err
	}
	m, err := s.lookup(path)
	if err != nil {
		s.unserved(ctx, err)
		return err
	}
	c := &wireCall{
		ServerStream: stream, srv: s, method: m,
		maxRecv: limitOr(s.MaxRecvMsgSize, maxRecv), maxSend: limitOr(s.MaxSendMsgSize, noLimit),
	}
	c.ctx.Begin(ctx, time.Time{})
	defer c.ctx.End()
	c.trace(ctx)
	defer func() { c.served(ended) }()
	d, denied := s.decide(&c.ctx, m)
	if err := d.enter(&c.ctx, func(md metadata.MD) error { stream.SetTrailer(md); return nil }); err != nil {
		return err
	}
	defer d.leave()
	c.denied = denied
	c.ctx.priority = sentPriority(ctx)
	if m.unary != nil {
		ticket, err := d.awaitTurn(&c.ctx, &c.ticket, c.ctx.priority)
		if err != nil {
			return err
		}
		defer func() { d.release(ticket, ended) }()
	}
	c.activeCall.call = c
	if here := handlerHere(stream); here != nil && m.unary != nil {
		if err := s.enter(&c.activeCall); err != nil {
			return err
		}
		c.runHere(here)
	} else {
		if err := s.begin(&c.activeCall); err != nil {
			return err
		}
		c.worker.jobs <- c
		<-c.worker.done
		s.end(&c.activeCall)
	}
	if status.Code(c.err) == codes.Canceled && c.ctx.Err() != nil && ctx.Err() == nil {
		return s.errStopped() // the caller has not cancelled anything
	}
	return c.err
}

// wireCall is a call from a wire, and the stream that its handler sees. It runs on a worker, so that a handler that ends its goroutine
// does not end the wire's; or on the goroutine that the call came on, when that may end.
type wireCall struct {
	grpc.ServerStream
	activeCall
	srv              *Server
	method           *method
	denied           bool   // no rule lets it in
	path             string // that it came on
	ctx              wireContext
	ticket           resilience.Ticket // of a unary call
	one              oneRequest        // of a call with one request
	maxRecv, maxSend int
	err              error
}

// wireContext is the context of a wireCall: that of its stream, with the priority that the caller has sent, and the span.
type wireContext struct {
	lazyctx.Context
	priority resilience.Priority
	span     telemetry.Span  // not begun where nobody is told
	handed   context.Context // to the handler instead; nil: the context itself
}

func (c *wireContext) Value(key any) any {
	if telemetry.IsKey(key) && c.span.Begun() {
		return &c.span
	}
	if key == (priority.Key{}) && c.priority != resilience.Normal {
		return c.priority
	}
	return c.Context.Value(key)
}

// IncomingValues is what incomingValues asks for first.
func (c *wireContext) IncomingValues(key string) []string { return incomingValues(c.Parent(), key) }

func (c *wireCall) Context() context.Context {
	if c.ctx.handed != nil {
		return c.ctx.handed
	}
	return &c.ctx
}
func (c *wireCall) fullMethod() string { return c.method.path }
func (c *wireCall) stop()              { c.ctx.End() }

func (c *wireCall) run(w *worker) {
	returned := false
	defer func() {
		if !returned {
			p := recover()
			w.dead = p == nil
			c.err = c.srv.caught(&c.ctx, c.method.path, p)
		}
		w.done <- struct{}{}
	}()
	c.handle()
	returned = true
}

// exiting is a stream whose unary handler may run on the goroutine that calls [Port.Call].
type exiting interface{ HandlerExited(err error) }

// handlerHere returns the stream if it is one of those, or nil.
func handlerHere(stream grpc.ServerStream) exiting {
	if c, ok := stream.(*foreignCall); ok && handlerHere(c.ServerStream) == nil {
		return nil
	}
	here, _ := stream.(exiting)
	return here
}

// runHere runs the handler on this goroutine. When the handler ends that, what is above does not go on: then here is told.
func (c *wireCall) runHere(here exiting) {
	returned := false
	defer func() {
		var p any
		if !returned {
			p = recover()
			c.err = c.srv.caught(&c.ctx, c.method.path, p)
		}
		c.srv.leave(&c.activeCall)
		if !returned && p == nil {
			here.HandlerExited(c.err)
		}
	}()
	c.handle()
	returned = true
}

// handle runs the handler.
func (c *wireCall) handle() {
	if err := c.srv.handle(c.method, c, c.denied); err != nil {
		c.err = handlerStatus(err).Err()
	}
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
		if c, ok := stream.(*wireCall); ok {
			c.one.ServerStream = c
			stream = &c.one
		} else {
			stream = &oneRequest{ServerStream: stream}
		}
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
