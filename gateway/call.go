package gateway

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/hanse-go/hanse/telemetry/webtrace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// exchange is one call in the terms of its protocol. At most one goroutine is in receive, and at most one in the other methods; both may be
// at the same time. Errors are statuses; what fails one method is the status that end is given.
type exchange interface {
	// begin is called first, with the context of the call, and not for a call that has failed already. Of a call with one request
	// message it reads that message, so that clients that send it slowly take nobody's turn. Its error is the call's status.
	begin(ctx context.Context) error
	// receive fills m with the client's next message. It returns io.EOF after the last.
	receive(m proto.Message) error
	// sendHeader sends the header. It is called once, before the first send, or never.
	sendHeader(md metadata.MD) error
	// send sends a message. It may wait for what follows.
	send(m proto.Message) error
	// flush sends what waits.
	flush() error
	// end says how the call ended; st is nil when it ended well. header is what the handler set when sendHeader was not called. Nothing
	// is called after it.
	end(header, trailer metadata.MD, st *status.Status)
}

// begin is what a protocol's request says about its call.
type begin struct {
	route      *route
	metadata   metadata.MD // nil: the request's headers, which were found to be right
	timeout    time.Duration
	hasTimeout bool  // the client said one
	err        error // the call's status: it ends before it has begun
}

// call is a running call: the grpc.ServerStream that a backend has.
type call struct {
	route    *route
	exchange exchange
	context  callContext
	ctx      context.Context // context, or what is made of it

	mu      sync.Mutex // guards what follows
	header  metadata.MD
	trailer metadata.MD
	sealed  bool  // the header was sent
	failed  error // of the exchange: whatever the handler returns, this is the status

	out   sync.Mutex // held while something is sent
	ended bool       // guarded by out

	in   sync.Mutex // held while something is received
	over bool       // guarded by in: nothing is received any more
}

// run makes the call that b says, and ends x.
func (h *Handler) run(r *http.Request, b *begin, x exchange) {
	c := &call{route: b.route, exchange: x}
	if b.err != nil {
		c.end(b.err)
		return
	}
	timeout, limited := b.timeout, b.hasTimeout
	if limit := h.limits().Timeout; !limited && b.route.unary() && limit > 0 {
		timeout, limited = limit, true
	}
	var deadline time.Time
	if limited {
		deadline = time.Now().Add(timeout)
	}
	c.context.begin(c, r, b.metadata, deadline)
	defer c.context.End()
	c.ctx = c.context.context()
	c.end(h.call(c))
}

// call runs the call in the backend. A panic on the way, such as that of a message that encodes itself, is the call's error.
func (h *Handler) call(c *call) (err error) {
	defer func() {
		if p := recover(); p != nil {
			h.logger().ErrorContext(c.ctx, "panic in a call", "method", c.route.path, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = status.Error(codes.Internal, "panic in the call; see the server's log")
		}
	}()
	if err := c.exchange.begin(c.ctx); err != nil {
		return err
	}
	if x, ok := c.exchange.(oneResponse); ok && x.shallow() {
		err = h.Backend.Call(c.route.path, onConnection{c})
	} else {
		err = h.Backend.Call(c.route.path, c)
	}
	if err != nil || c.intact() { // else the request says more than the call
		webtrace.Calls(c.ctx)
	}
	return err
}

// intact reports whether nothing went wrong between the client and the call.
func (c *call) intact() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed == nil
}

// oneResponse is an exchange whose end writes all of a response to one request.
type oneResponse interface {
	response() (http.ResponseWriter, *http.Request)
	// shallow reports whether the handler should run on the goroutine of the request, whose stack may have to grow for it.
	shallow() bool
}

// onConnection is a call whose handler runs on the goroutine of its request, if the backend can do that: this saves switching between two.
type onConnection struct{ *call }

// HandlerExited is called when the handler has ended the goroutine: it is the last chance to answer.
func (c onConnection) HandlerExited(err error) {
	webtrace.Calls(c.ctx) // as call does with what it returns
	w, r := c.exchange.(oneResponse).response()
	if r.ProtoMajor == 1 {
		w.Header()["Connection"] = []string{"close"} // which net/http does then
	}
	c.end(err)
	http.NewResponseController(w).Flush() // an error tells that the client is gone
}

// end sends the status. What handlers that go on send after it is lost.
func (c *call) end(err error) {
	c.mu.Lock()
	if c.failed != nil {
		err = c.failed
	}
	c.mu.Unlock()
	c.stopReceiving()
	c.out.Lock()
	defer c.out.Unlock()
	c.ended = true
	c.mu.Lock()
	header := c.header
	if c.sealed {
		header = nil
	}
	c.sealed = true
	trailer := c.trailer
	c.mu.Unlock()
	c.exchange.end(header, trailer, statusOf(err))
}

// stopReceiving sees to it that nothing is received any more. A handler may end while another goroutine waits for the client's next
// message: net/http answers no request whose body somebody reads.
func (c *call) stopReceiving() {
	if !c.in.TryLock() {
		if c.route.method.IsStreamingClient() {
			c.context.End()
		}
		c.in.Lock()
	}
	c.over = true
	c.in.Unlock()
}

// fail makes err, unless it is nil, the call's status.
func (c *call) fail(err error) error {
	if err == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil {
		c.failed = err
	}
	return err
}

// Context implements grpc.ServerStream.
func (c *call) Context() context.Context { return c.ctx }

// SetHeader implements grpc.ServerStream.
func (c *call) SetHeader(md metadata.MD) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sealed {
		return errHeaderSent
	}
	c.header = metadata.Join(c.header, md)
	return nil
}

// SendHeader implements grpc.ServerStream.
func (c *call) SendHeader(md metadata.MD) error {
	if err := c.SetHeader(md); err != nil {
		return err
	}
	c.out.Lock()
	defer c.out.Unlock()
	if err := c.sendHeader(); err != nil {
		return err
	}
	return c.fail(c.exchange.flush())
}

// sendHeader sends the header unless that was done before. The caller holds out.
func (c *call) sendHeader() error {
	if c.ended {
		return errOver
	}
	c.mu.Lock()
	header, sealed := c.header, c.sealed
	c.sealed = true
	c.mu.Unlock()
	if sealed {
		return nil
	}
	return c.fail(c.exchange.sendHeader(header))
}

// SetTrailer implements grpc.ServerStream.
func (c *call) SetTrailer(md metadata.MD) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trailer = metadata.Join(c.trailer, md)
}

// SendMsg implements grpc.ServerStream.
func (c *call) SendMsg(v any) error {
	m, err := message(v)
	if err != nil {
		return c.fail(err)
	}
	c.out.Lock()
	defer c.out.Unlock()
	if err := c.sendHeader(); err != nil {
		return err
	}
	err = c.exchange.send(m)
	if err == nil && c.route.method.IsStreamingServer() {
		err = c.exchange.flush()
	}
	return c.fail(err)
}

// RecvMsg implements grpc.ServerStream.
func (c *call) RecvMsg(v any) error {
	m, err := message(v)
	if err == nil {
		err = c.receive(m)
	}
	if err != nil && err != io.EOF {
		return c.fail(err)
	}
	return err
}

func (c *call) receive(m proto.Message) error {
	c.in.Lock()
	defer c.in.Unlock()
	if c.over {
		return errOver
	}
	return c.exchange.receive(m)
}

var (
	errHeaderSent = status.Error(codes.Internal, "gateway: the header was sent before")
	errOver       = status.Error(codes.Internal, "gateway: the call is over")
)

// transportStream is what grpc.SetHeader and its like find in the context of a handler.
type transportStream struct{ call *call }

func (s transportStream) Method() string                  { return s.call.route.path }
func (s transportStream) SetHeader(md metadata.MD) error  { return s.call.SetHeader(md) }
func (s transportStream) SendHeader(md metadata.MD) error { return s.call.SendHeader(md) }

func (s transportStream) SetTrailer(md metadata.MD) error {
	s.call.SetTrailer(md)
	return nil
}
