package rpc

import (
	"context"
	"io"
	"sync/atomic"

	"github.com/hanse-go/hanse/internal/http2"
	"github.com/hanse-go/hanse/telemetry"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// streamServerCall is a call from a wire whose handler reads messages as they come: a streaming one, and a unary one that came before
// its server was started. The handler has a goroutine of its own until it returns.
type streamServerCall struct {
	serverCall
	inbox   inbox
	span    telemetry.Span
	held    atomic.Int64 // bytes counted by conn.hold
	sending callScratch  // of the goroutine that sends
	replied bool         // a message was sent, and the header before it; with out held
}

var _ http2.Receiver = (*streamServerCall)(nil)
var _ http2.Job = (*streamServerCall)(nil)

// OnHeaders implements http2.Receiver.
func (c *streamServerCall) OnHeaders(_ *http2.Header, end bool) {
	if c.begun {
		c.received(end)
		return
	}
	c.inbox = newInbox()
	if c.begin() {
		c.conn.ready = append(c.conn.ready, c)
		c.received(end)
	}
}

// OnData implements http2.Receiver.
func (c *streamServerCall) OnData(p []byte, end bool) {
	if c.over {
		c.Consumed(len(p))
		return
	}
	credit, err := c.inbox.add(p, c.route.maxRecv)
	if credit > 0 {
		c.Consumed(credit)
	}
	if err == nil && !c.conn.hold(&c.held, c.inbox.in.held()) {
		err = errPartial
	}
	if err != nil {
		c.over = true
		c.inbox.in.drop()
		c.conn.release(&c.held)
		c.inbox.close(err)
		return
	}
	c.received(end)
}

// Place implements http2.Placer.
func (c *streamServerCall) Place(n int) []byte { return c.inbox.in.place(n) }

func (c *streamServerCall) received(end bool) {
	switch {
	case !end || c.over:
	case c.inbox.in.cut():
		c.inbox.in.drop()
		c.conn.release(&c.held)
		c.inbox.close(errCut)
	default:
		c.inbox.close(io.EOF)
	}
}

// OnAbort implements http2.Receiver.
func (c *streamServerCall) OnAbort(error) {
	c.abort()
	c.inbox.in.drop()
	c.conn.release(&c.held)
	c.inbox.close(context.Canceled)
}

// Run implements http2.Job.
func (c *streamServerCall) Run(*http2.Worker) {
	srv := c.route.srv
	var err error
	entered, returned := false, false
	defer func() {
		if !returned {
			err = srv.caught(&c.ctx, c.ctx.method, recover())
		}
		c.fail(err, true)
		c.rec.trailerSent(&c.ctx)
		c.rec.end(err)
		c.inbox.drop()
		c.conn.release(&c.held)
		c.Finish()
		if entered {
			srv.leave(&c.active)
		}
	}()
	err = c.serve(&entered)
	returned = true
}

func (c *streamServerCall) serve(entered *bool) error {
	srv := c.route.srv
	if err := srv.awaitStart(&c.ctx, context.Background(), nil); err != nil {
		return err
	}
	m, err := srv.lookup(c.ctx.method)
	if !c.ctx.span.Begun() { // it came before its server was started
		tells := srv.Telemetry.Serves("")
		if err == nil {
			tells = m.tells
		}
		parent, state := "", ""
		if more := c.request.more; more != nil {
			parent, state = more.traceParent, more.traceState
		}
		c.out.Lock()
		if !c.ended {
			c.ctx.span.Serve(tells, parent, state)
		}
		c.out.Unlock()
	}
	if err != nil {
		return err
	}
	if err := srv.enter(&c.active); err != nil {
		return err
	}
	*entered = true
	if err := c.awaitRoom(true); err != nil {
		return err
	}
	d, denied := srv.decide(&c.ctx, m)
	if err := c.ctx.Err(); err == context.DeadlineExceeded && d != nil {
		d.counts.Note(&c.ctx, cameLate)
		return contextStatus(err)
	}
	if err := d.enter(&c.ctx, c.ctx.SetTrailer); err != nil {
		return err
	}
	defer d.leave()
	ctx := c.beginStats(c.ctx.context(), m)
	return c.ran(srv.handle(m, &serverStream{c, ctx}, denied))
}

// fail ends the call with its status, unless it has one. The last time the handler has returned.
func (c *streamServerCall) fail(err error, last bool) {
	var s callScratch
	c.conclude(&s, encoded{}, err, last)
}

// serverStream is what the handler has.
type serverStream struct {
	call *streamServerCall
	ctx  context.Context
}

var _ grpc.ServerStream = (*serverStream)(nil)

func (s *serverStream) Context() context.Context        { return s.ctx }
func (s *serverStream) SetHeader(md metadata.MD) error  { return s.call.SetHeader(md) }
func (s *serverStream) SendHeader(md metadata.MD) error { return s.call.SendHeader(md) }

func (s *serverStream) SetTrailer(md metadata.MD) {
	if err := s.call.SetTrailer(md); err != nil {
		srv := s.call.route.srv
		srv.logger().ErrorContext(s.ctx, "trailer not set", "service", srv.Name, "method", s.call.ctx.method, "error", err)
	}
}

// SendMsg implements grpc.ServerStream. It returns when the message is on its way, or waits in the connection's buffer.
func (s *serverStream) SendMsg(v any) error {
	c := s.call
	if err := c.awaitRoom(false); err != nil {
		return err
	}
	out, err := c.sending.out.encode(c.kind.format, c.kind.replies.compressor, v, c.route.maxSend)
	if err != nil {
		c.fail(err, false) // as on any wire, this is what the caller gets, whatever the handler returns
		return err
	}
	held, err := c.send(out)
	if !held || err != nil {
		return err
	}
	c.Wait(c.ctx.Done()) // the message was taken, whatever becomes of it: a client that has it may have gone since. The next call tells.
	return nil
}

// send puts a message on the wire, behind the header if that was not sent, and reports whether some of it is held back.
func (c *streamServerCall) send(m encoded) (held bool, err error) {
	c.out.Lock()
	defer c.out.Unlock()
	f := &c.sending.frames
	*f = http2.Frames{Data: m.data}
	if !c.replied {
		c.replied = true
		if header, ok := c.ctx.sealHeader(); ok {
			c.header(f, &c.sending, header)
			c.rec.headerSent(&c.ctx)
		}
	}
	if large := c.sending.out.take(); large != nil {
		f.Release = large.releaser()
	}
	if held, err = c.SendOrHold(f); err != nil {
		return false, c.sent(err)
	}
	c.rec.outMessage(m)
	return held, nil
}

// RecvMsg implements grpc.ServerStream.
func (s *serverStream) RecvMsg(v any) error {
	c := s.call
	m, err, ok := c.inbox.get(c.ctx.Done(), c.Consumed)
	if !ok {
		return contextStatus(c.ctx.Err())
	}
	switch err {
	case nil:
	case io.EOF:
		return err
	case context.Canceled:
		return contextStatus(c.ctx.Err())
	default:
		c.fail(err, false)
		return err
	}
	onWire := len(m.data)
	if m, err = c.kind.requests.plain(m, c.route.maxRecv); err == nil {
		defer m.free()
		err = c.kind.format.decode(m.data, v)
	}
	if err != nil {
		c.fail(err, false)
		return status.Convert(err).Err()
	}
	c.rec.inMessage(v, len(m.data), onWire)
	return nil
}
