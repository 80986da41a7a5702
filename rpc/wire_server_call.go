package rpc

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/hanse-go/hanse/internal/hpack"
	"github.com/hanse-go/hanse/internal/http2"
	"github.com/hanse-go/hanse/rpc/internal/wire"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// What replies begin and end with.
var (
	replyHead      = hpack.NewTemplate(hpack.Field{Name: ":status", Value: "200"}, hpack.Field{Name: "content-type", Value: "application/grpc"})
	replyHeadProto = hpack.NewTemplate(hpack.Field{Name: ":status", Value: "200"}, hpack.Field{Name: "content-type", Value: "application/grpc+proto"})
	replyOK        = hpack.NewTemplate(hpack.Field{Name: "grpc-status", Value: "0"})
)

// serverCall is what unary and streaming calls from a wire have in common. One object is the HTTP/2 stream, the handler's context and
// its grpc.ServerTransportStream. It is never used again: handlers may keep their context.
type serverCall struct {
	http2.Stream
	ctx     handlerContext
	active  activeCall
	conn    *wireConn
	route   *wireRoute
	request wireRequest

	kind *callKind
	rec  *statsRecord

	begun   bool        // the first header has come; like over only the reader touches it
	over    bool        // no handler will run
	keyed   bool        // it has an idempotency key
	gone    atomic.Bool // the client has given the call up, or is gone itself
	stopped atomic.Bool // by Server.Stop

	out   sync.Mutex // held while something is sent, for the order
	ended bool       // the status was sent
}

var _ grpc.ServerTransportStream = (*serverCall)(nil)

func (c *serverCall) init(conn *wireConn, h *http2.Header, known *knownRun, head *callHead, route *wireRoute, room *requestRoom) {
	c.conn, c.route, c.kind = conn, route, plainCalls()
	c.ctx.method, c.ctx.peer, c.ctx.caller, c.ctx.wire = h.Path, conn.peer, conn.caller, c
	c.ctx.priority, c.keyed = head.priority, head.keyed
	c.request = newWireRequest(h, known, head, room)
	c.active.call = c
	c.ctx.span.ServeAt(route.tells, conn.conn.ReadAt(), head.traceParent, head.traceState)
	if head.baggage != "" && route.srv != nil && route.srv.Telemetry.Baggage() {
		c.request.more.baggage = head.baggage
	}
	conn.early = nil

	if head.subtype != "" || head.encoding != "" {
		if c.kind = newCallKind(head.subtype, head.encoding); c.kind.requests.unknown() {
			conn.early = status.Errorf(codes.Unimplemented, "grpc: Decompressor is not installed for grpc-encoding %q", head.encoding)
		}
	}
	if head.timed {
		c.ctx.deadline = conn.conn.ReadAt().Add(head.timeout)
	} else if head.badTimeout != nil {
		conn.early = status.Error(codes.Internal, head.badTimeout.Error())
	}
	if head.binary {
		if err := errors.Join(checkBinary(h.Run.Fields), checkBinary(h.Rest)); err != nil {
			conn.early = status.Error(codes.Internal, err.Error())
		}
	}
	if route.err != nil {
		conn.early = route.err
	}
}

// callKind is how the messages of a call are written. It is replaced, never changed.
type callKind struct {
	subtype  string // of the content type
	format   format
	requests compression
	replies  compression
}

func newCallKind(subtype, encoding string) *callKind {
	k := &callKind{subtype: subtype, format: serverFormat(format{}, subtype), requests: newCompression(encoding)}
	k.replies = k.requests
	return k
}

// plainCalls is the kind of nearly all calls. Codecs are registered until the program's last init has run.
var plainCalls = sync.OnceValue(func() *callKind { return newCallKind("", "") })

// begin is called with the first header. It returns false when the call fails already.
func (c *serverCall) begin() bool {
	c.begun = true
	if c.conn.early == nil {
		return true
	}
	c.refuse(c.conn.early)
	return false
}

// refuse ends a call whose handler does not run. Only the reader calls it.
func (c *serverCall) refuse(err error) {
	c.over = true
	var s callScratch
	c.conclude(&s, encoded{}, err, true)
}

// abort ends the handler's context: the client has given the call up, or is gone itself.
func (c *serverCall) abort() {
	c.gone.Store(true)
	c.ctx.end(context.Canceled)
}

func (c *serverCall) fullMethod() string { return c.ctx.method }

// stop is what Server.Stop does to the call.
func (c *serverCall) stop() {
	c.stopped.Store(true)
	c.ctx.end(context.Canceled)
}

// ran is the error of a call whose handler returned err.
func (c *serverCall) ran(err error) error {
	if err == nil {
		return nil
	}
	st := handlerStatus(err)
	if st.Code() == codes.Canceled && c.stopped.Load() && !c.gone.Load() {
		return c.route.srv.errStopped() // the caller has not cancelled anything
	}
	if notProcessed(err) {
		return err
	}
	return st.Err()
}

// beginStats tells the server's handlers of the call.
func (c *serverCall) beginStats(ctx context.Context, m *method) context.Context {
	srv := c.route.srv
	if srv.StatsHandlers == nil {
		return ctx
	}
	c.rec, ctx = statsHandlers(srv.StatsHandlers).beginServer(ctx, &c.ctx, m.info.IsClientStream, m.info.IsServerStream)
	return ctx
}

// callScratch is memory that calls use in turn.
type callScratch struct {
	frames http2.Frames
	out    outgoing
	head   []byte
	trail  []byte

	call   *unaryServerCall
	decode func(v any) error // of call
}

// header writes the header of the reply into f, with what the handler has set in block. It is called with c.out held.
func (c *serverCall) header(f *http2.Frames, s *callScratch, block []byte) {
	dst := s.head[:0]
	switch c.kind.subtype {
	case "":
		f.Head = replyHead
	case "proto":
		f.Head = replyHeadProto
	default: // what clients may choose enters no table
		dst = hpack.AppendLiteral(dst, ":status", "200", false)
		dst = hpack.AppendLiteral(dst, "content-type", "application/grpc+"+c.kind.subtype, false)
	}
	if c.kind.replies.compressor != nil {
		dst = hpack.AppendLiteral(dst, "grpc-encoding", c.kind.replies.name, false)
	}
	dst = append(dst, block...)
	f.HeadMore, s.head = dst, dst
}

// conclude sends the status, once, behind a reply if there is one, and ends the context. With last no handler runs any more: then the
// client has the call's place back when it sees the status.
func (c *serverCall) conclude(s *callScratch, reply encoded, err error, last bool) {
	c.out.Lock()
	if c.ended {
		c.out.Unlock()
		return
	}
	c.ended = true
	c.ctx.span.Served(err, c.conn.path)
	header, trailer, first := c.ctx.seal()
	replied := err == nil && reply.data != nil
	f := &s.frames
	*f = http2.Frames{End: true, Last: last}
	if first && (replied || header != nil) {
		c.header(f, s, header.written())
		first = false
		c.rec.headerSent(&c.ctx)
	}
	if replied {
		f.Data = reply.data
		c.rec.outMessage(reply)
		if large := s.out.take(); large != nil {
			f.Release = large.releaser()
		}
	}
	trail := s.trail[:0]
	if err != nil {
		trail = appendStatus(trail, status.Convert(err))
		if notProcessed(err) {
			trail = hpack.AppendLiteral(trail, wire.NotProcessedKey, "1", false)
		}
		if c.kind.requests.unknown() {
			trail = hpack.AppendLiteral(trail, "grpc-accept-encoding", accepts(), false)
		}
	}
	trail = append(trail, trailer.written()...)
	s.trail = trail
	switch {
	case first && err == nil: // a stream that ends without any reply
		c.header(f, s, nil)
		f.Trail, f.TrailMore = replyOK, trail
	case first: // header and trailers are one
		c.header(f, s, nil)
		f.HeadMore = append(f.HeadMore, trail...)
		s.head = f.HeadMore
	case err == nil:
		f.Trail, f.TrailMore = replyOK, trail
	default:
		f.TrailMore = trail
	}
	c.Send(f) // an error says that nobody is there to hear of it
	c.out.Unlock()
	*f = http2.Frames{}
	c.ctx.unblock()
}

// awaitRoom waits while as much waits for the client as the limits allow: with a reply, or, with begin set, before the handler runs.
func (c *serverCall) awaitRoom(begin bool) error {
	if !c.conn.conn.Crowded() {
		return nil
	}
	return c.sent(c.AwaitRoom(c.ctx.Done(), begin))
}

// Method implements grpc.ServerTransportStream.
func (c *serverCall) Method() string { return c.ctx.method }

// SetHeader implements grpc.ServerTransportStream.
func (c *serverCall) SetHeader(md metadata.MD) error { return c.ctx.SetHeader(md) }

// SetTrailer implements grpc.ServerTransportStream.
func (c *serverCall) SetTrailer(md metadata.MD) error { return c.ctx.SetTrailer(md) }

// SendHeader implements grpc.ServerTransportStream.
func (c *serverCall) SendHeader(md metadata.MD) error {
	if err := c.ctx.SetHeader(md); err != nil {
		return err
	}
	c.out.Lock()
	defer c.out.Unlock()
	header, ok := c.ctx.sealHeader()
	if !ok {
		return errHeaderSent
	}
	var s callScratch
	c.header(&s.frames, &s, header)
	c.rec.headerSent(&c.ctx)
	return c.sent(c.Send(&s.frames))
}

// sent is what a handler is told of an error of Send.
func (c *serverCall) sent(err error) error {
	if err == nil {
		return nil
	}
	if ended := c.ctx.Err(); ended != nil {
		return contextStatus(ended)
	}
	return status.Errorf(codes.Unavailable, "the call is over: %v", err)
}
