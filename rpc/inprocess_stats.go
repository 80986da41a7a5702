package rpc

import (
	"context"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
)

// statsHandlers get the events of calls in process, in the order and with the contents that grpc-go gives. There are no events of
// connections, for there are none. Lengths are those that a message would have on a wire.
type statsHandlers []stats.Handler

// statsRecord tells the handlers of one side about one call. Its methods do nothing when it is nil, as it is without handlers.
type statsRecord struct {
	handlers statsHandlers
	ctx      context.Context
	begin    time.Time
	client   bool
	trailer  metadata.MD // received by the client
}

// beginClient starts a client's record. The returned context is the call's: handlers put their own values into it.
func (h statsHandlers) beginClient(ctx context.Context, method string, o *callOptions, clientStream, serverStream bool) (*statsRecord, context.Context) {
	if len(h) == 0 {
		return nil, ctx
	}
	failFast := o.waitForReady == nil || !*o.waitForReady
	for _, h := range h {
		ctx = h.TagRPC(ctx, &stats.RPCTagInfo{FullMethodName: method, FailFast: failFast})
	}
	r := &statsRecord{handlers: h, ctx: ctx, begin: time.Now(), client: true}
	r.handle(&stats.Begin{Client: true, BeginTime: r.begin, FailFast: failFast, IsClientStream: clientStream, IsServerStream: serverStream})
	return r, ctx
}

// beginServer starts a server's record and has the header's events told.
func (h statsHandlers) beginServer(ctx context.Context, c *handlerContext, clientStream, serverStream bool) (*statsRecord, context.Context) {
	if len(h) == 0 {
		return nil, ctx
	}
	for _, h := range h {
		ctx = h.TagRPC(ctx, &stats.RPCTagInfo{FullMethodName: c.method})
	}
	r := &statsRecord{handlers: h, ctx: ctx, begin: time.Now()}
	r.handle(&stats.InHeader{FullMethod: c.method, RemoteAddr: c.peer.Addr, LocalAddr: c.peer.LocalAddr, Header: c.incomingMetadata().Copy()})
	r.handle(&stats.Begin{BeginTime: r.begin, IsClientStream: clientStream, IsServerStream: serverStream})
	return r, ctx
}

func (r *statsRecord) handle(s stats.RPCStats) {
	for _, h := range r.handlers {
		h.HandleRPC(r.ctx, s)
	}
}

const frameHeader = 5 // bytes before each message on a wire

func (r *statsRecord) outPayload(v any, size int) {
	if r != nil {
		r.handle(&stats.OutPayload{Client: r.client, Payload: v, Length: size, CompressedLength: size, WireLength: size + frameHeader, SentTime: time.Now()})
	}
}

func (r *statsRecord) inPayload(v any, size int) {
	if r != nil {
		r.handle(&stats.InPayload{Client: r.client, Payload: v, Length: size, CompressedLength: size, WireLength: size + frameHeader, RecvTime: time.Now()})
	}
}

// outMessage is outPayload of what goes to a wire.
func (r *statsRecord) outMessage(m encoded) {
	if r != nil {
		wireLength := len(m.data)
		r.handle(&stats.OutPayload{Client: r.client, Payload: m.v, Length: m.size, CompressedLength: wireLength - frameHeader, WireLength: wireLength, SentTime: time.Now()})
	}
}

// inMessage is inPayload of what came from a wire.
func (r *statsRecord) inMessage(v any, size, compressed int) {
	if r != nil {
		r.handle(&stats.InPayload{Client: r.client, Payload: v, Length: size, CompressedLength: compressed, WireLength: compressed + frameHeader, RecvTime: time.Now()})
	}
}

// requestOut is requestSent of a wire.
func (r *statsRecord) requestOut(conn *linkConn, method string, o *callOptions, authority string) {
	if r == nil {
		return
	}
	md, _ := metadata.FromOutgoingContext(r.ctx)
	if md == nil {
		md = metadata.MD{}
	}
	md["user-agent"] = []string{userAgent}
	r.handle(&stats.OutHeader{
		Client: true, FullMethod: method, Header: md, Compression: o.compressor, Authority: authority,
		RemoteAddr: conn.peer.Addr, LocalAddr: conn.peer.LocalAddr,
	})
}

// headerIn is headerReceived of a wire.
func (r *statsRecord) headerIn(conn *linkConn, md metadata.MD, compression string) {
	if r != nil {
		r.handle(&stats.InHeader{Client: true, Header: md.Copy(), Compression: compression, RemoteAddr: conn.peer.Addr, LocalAddr: conn.peer.LocalAddr})
	}
}

// trailerIn is trailerReceived of a wire.
func (r *statsRecord) trailerIn(md metadata.MD) {
	if r != nil {
		r.trailer = md
		r.handle(&stats.InTrailer{Client: true, Trailer: md.Copy()})
	}
}

// requestSent is a client's event. sent is the metadata of the request.
func (r *statsRecord) requestSent(l *inProcess, c *handlerContext, o *callOptions) {
	if r == nil {
		return
	}
	md := c.local.sent.Copy()
	md["user-agent"] = []string{c.local.fixed.userAgent}
	r.handle(&stats.OutHeader{
		Client: true, FullMethod: c.method, Header: md, Compression: o.compressor, Authority: c.local.fixed.authority,
		RemoteAddr: l.callee.plain.Addr, LocalAddr: l.callee.plain.LocalAddr,
	})
}

// headerSent is a server's event.
func (r *statsRecord) headerSent(c *handlerContext) {
	if r != nil {
		r.handle(&stats.OutHeader{Header: c.header.kept().Copy()})
	}
}

// headerReceived is a client's event, if there was a header.
func (r *statsRecord) headerReceived(c *handlerContext) {
	if r == nil {
		return
	}
	if md := c.receivedHeader(); md != nil {
		r.handle(&stats.InHeader{Client: true, Header: md})
	}
}

// trailerSent is a server's event.
func (r *statsRecord) trailerSent(c *handlerContext) {
	if r != nil {
		r.handle(&stats.OutTrailer{Trailer: c.trailer.kept().Copy()})
	}
}

// trailerReceived is a client's event.
func (r *statsRecord) trailerReceived(c *handlerContext) {
	if r != nil {
		r.trailer = c.receivedTrailer()
		r.handle(&stats.InTrailer{Client: true, Trailer: r.trailer.Copy()})
	}
}

func (r *statsRecord) end(err error) {
	if r == nil {
		return
	}
	r.handle(&stats.End{Client: r.client, BeginTime: r.begin, EndTime: time.Now(), Trailer: r.trailer, Error: err})
}
