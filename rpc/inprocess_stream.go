package rpc

import (
	"context"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// pipe is one streaming call within the process. clientPipe and serverPipe are its two ends.
type pipe struct {
	activeCall
	link *inProcess
	o    *callOptions

	up, down   queue         // of requests and of replies
	header     chan struct{} // closed when the header was sent, or will never be
	clientDone chan struct{} // closed when the client's end is finished: with clientErr
	serverDone chan struct{} // closed when the server's end is finished: with status

	// The client's end.
	desc      *grpc.StreamDesc
	ctx       context.Context
	cancel    context.CancelFunc
	rec       *statsRecord
	onFinish  func(error)
	sentLast  bool // used by the sending goroutine
	replied   bool // used by the receiving goroutine, like headerSeen
	headerRec sync.Once

	// The server's end.
	handlerCtx handlerContext
	local      localSide
	serverCtx  context.Context // handlerCtx, as the handler sees it
	format     format
	serverRec  *statsRecord

	mu        sync.Mutex
	unwatch   [2]func() bool // of the caller's context and of the Conn
	finished  bool
	clientErr error // a status error, or io.EOF
	ended     bool
	status    error // nil is OK
}

func (l *inProcess) newStream(ctx context.Context, desc *grpc.StreamDesc, path string, o *callOptions) (grpc.ClientStream, error) {
	if err := ctx.Err(); err != nil {
		return nil, contextStatus(err)
	}
	rec, ctx := l.stats.beginClient(ctx, path, o, desc.ClientStreams, desc.ServerStreams)
	p, err := l.newPipe(ctx, desc, path, o, rec, func(err error) {
		rec.end(err)
		o.finish(err)
	})
	if err != nil {
		rec.end(err)
		return nil, err
	}
	return clientPipe{p}, nil
}

// callStreaming is a unary call to a method that streams: right when that sends one reply.
func (l *inProcess) callStreaming(ctx context.Context, path string, args, reply any, o *callOptions, rec *statsRecord) error {
	p, err := l.newPipe(ctx, &grpc.StreamDesc{}, path, o, rec, func(error) {})
	if err != nil {
		return err
	}
	if err := (clientPipe{p}).SendMsg(args); err != nil {
		return err
	}
	return clientPipe{p}.RecvMsg(reply)
}

func (l *inProcess) newPipe(ctx context.Context, desc *grpc.StreamDesc, path string, o *callOptions, rec *statsRecord, onFinish func(error)) (*pipe, error) {
	p := &pipe{
		link: l, o: o, desc: desc, rec: rec, onFinish: onFinish,
		up: newQueue(), down: newQueue(),
		header: make(chan struct{}), clientDone: make(chan struct{}), serverDone: make(chan struct{}),
		format: o.format,
	}
	if !o.plain || o.contentSubtype != "" {
		p.format = serverFormat(o.format, o.contentSubtype)
	}
	if err := l.start(ctx, path, o, &p.handlerCtx, &p.local); err != nil {
		return nil, err
	}
	m, _ := l.srv.lookup(path)
	l.trace(ctx, &p.handlerCtx, m)
	p.local.onHeader = p.headerSent
	p.activeCall.call = p
	p.ctx, p.cancel = context.WithCancel(peer.NewContext(ctx, l.callee.get()))
	rec.requestSent(l, &p.handlerCtx, o)
	if err := l.srv.begin(&p.activeCall); err != nil {
		p.cancel()
		p.handlerCtx.span.Served(err, string(InProcess))
		return nil, err
	}
	p.worker.jobs <- p

	p.mu.Lock()
	defer p.mu.Unlock()
	p.unwatch[0] = context.AfterFunc(ctx, func() { p.finish(contextStatus(ctx.Err()), ctx.Err()) })
	p.unwatch[1] = context.AfterFunc(l.closed, func() { p.finish(p.closed(), context.Canceled) })
	return p, nil
}

// closed is the error of a stream whose Conn is closed: the server's, if it had failed by then.
func (p *pipe) closed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.status != nil {
		return p.status
	}
	return errClosed
}

// finish ends the client's end, once. A handler that still runs finds its context ended for the given reason.
func (p *pipe) finish(err, reason error) {
	p.mu.Lock()
	if p.finished {
		p.mu.Unlock()
		return
	}
	p.finished, p.clientErr = true, err
	unwatch, ended := p.unwatch, p.ended
	p.mu.Unlock()

	for _, stop := range unwatch {
		stop()
	}
	close(p.clientDone)
	p.handlerCtx.end(reason)
	if ended {
		clientPipe{p}.headerSeen()
		p.rec.trailerReceived(&p.handlerCtx)
	}
	p.link.tell(p.o, &p.handlerCtx, ended)
	if err == io.EOF {
		err = nil
	}
	p.onFinish(err)
	p.cancel()
}

// run is the worker's part: the handler.
func (p *pipe) run(w *worker) {
	var err error
	returned := false
	defer func() {
		if !returned {
			v := recover()
			w.dead = v == nil
			err = p.link.srv.caught(&p.handlerCtx, p.handlerCtx.method, v)
		}
		p.handlerCtx.finish(false)
		p.serverRec.trailerSent(&p.handlerCtx)
		p.serverRec.end(err)
		p.end(err)
		p.link.srv.end(&p.activeCall)
	}()
	if err = p.handle(); err != nil {
		err = overTheWire(handlerStatus(err))
	}
	returned = true
}

func (p *pipe) handle() error {
	srv := p.link.srv
	p.serverCtx = p.handlerCtx.context()
	m, err := srv.lookup(p.handlerCtx.method)
	if err != nil {
		return err
	}
	if srv.StatsHandlers != nil {
		p.serverRec, p.serverCtx = statsHandlers(srv.StatsHandlers).beginServer(p.serverCtx, &p.handlerCtx, m.info.IsClientStream, m.info.IsServerStream)
	}
	d, denied := srv.decide(p.serverCtx, m)
	if err := d.enter(p.serverCtx, p.handlerCtx.SetTrailer); err != nil {
		return err
	}
	defer d.leave()
	return srv.handle(m, serverPipe{p}, denied)
}

// end ends the server's end, once: the first status counts. The handler may still run.
func (p *pipe) end(err error) {
	p.mu.Lock()
	if p.ended {
		p.mu.Unlock()
		return
	}
	p.ended, p.status = true, err
	p.mu.Unlock()
	p.handlerCtx.span.Served(err, string(InProcess))

	p.handlerCtx.finish(false)
	close(p.serverDone)
}

func (p *pipe) fullMethod() string { return p.handlerCtx.method }

// stop is what Server.Stop does to the call.
func (p *pipe) stop() {
	p.end(p.link.srv.errStopped())
}

func (p *pipe) headerSent() {
	p.serverRec.headerSent(&p.handlerCtx)
	close(p.header)
}

// clientPipe is what the caller has.
type clientPipe struct{ *pipe }

var _ grpc.ClientStream = clientPipe{}

func (p clientPipe) Context() context.Context { return p.ctx }

func (p clientPipe) Header() (metadata.MD, error) {
	select {
	case <-p.header:
	case <-p.serverDone:
	case <-p.clientDone:
	}
	md := p.handlerCtx.receivedHeader()
	if md == nil { // there is none; the error comes from RecvMsg
		select {
		case <-p.serverDone:
			p.finish(p.result(), context.Canceled)
		default:
		}
		return nil, nil
	}
	p.headerSeen()
	return md, nil
}

func (p clientPipe) headerSeen() {
	p.headerRec.Do(func() { p.rec.headerReceived(&p.handlerCtx) })
}

func (p clientPipe) Trailer() metadata.MD {
	select {
	case <-p.serverDone:
		return p.handlerCtx.receivedTrailer()
	default:
		return nil
	}
}

// cancelled ends the call if its context has ended, without waiting for those who watch that.
func (p clientPipe) cancelled() bool {
	err := p.ctx.Err()
	if err != nil {
		p.finish(contextStatus(err), err)
	}
	return err != nil
}

func (p clientPipe) CloseSend() error {
	p.cancelled()
	p.sentLast = true
	p.up.close()
	return nil
}

func (p clientPipe) SendMsg(m any) error {
	p.cancelled()
	if p.sentLast {
		err := status.Error(codes.Internal, "SendMsg called after CloseSend")
		p.finish(err, context.Canceled)
		return err
	}
	msg, err := p.o.format.pack(m, p.link.sendLimit(p.o))
	if err != nil {
		p.finish(err, context.Canceled)
		return err
	}
	sent := p.up.put(msg.clone(), p.serverDone, p.clientDone)
	if sent {
		p.rec.outPayload(m, msg.size)
	}
	if !p.desc.ClientStreams {
		return p.CloseSend()
	}
	if !sent {
		return io.EOF
	}
	return nil
}

func (p clientPipe) RecvMsg(m any) error {
	if p.cancelled() {
		return p.clientErr
	}
	msg, ok := p.down.get(p.serverDone, p.clientDone)
	if !ok {
		p.finish(p.result(), context.Canceled)
		return p.clientErr
	}
	p.headerSeen()
	p.replied = true
	size := msg.size
	if err := p.o.format.unpack(msg, m, p.link.recvLimit(p.o)); err != nil {
		p.finish(err, context.Canceled)
		return err
	}
	p.rec.inPayload(m, size)
	if p.desc.ServerStreams {
		return nil
	}

	// A call with one reply is over when its status is here.
	err := errManyReplies
	if _, ok := p.down.get(p.serverDone, p.clientDone); !ok {
		err = p.result()
	}
	p.finish(err, context.Canceled)
	if p.clientErr == io.EOF {
		return nil
	}
	return p.clientErr
}

// result is how the call ended: the server's status, as RecvMsg returns it.
func (p clientPipe) result() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.finished:
		return p.clientErr
	case p.status != nil:
		return p.status
	case !p.desc.ServerStreams && !p.replied:
		return errNoReply
	}
	return io.EOF
}

// serverPipe is what the handler has.
type serverPipe struct{ *pipe }

var _ grpc.ServerStream = serverPipe{}

func (p serverPipe) Context() context.Context        { return p.serverCtx }
func (p serverPipe) SetHeader(md metadata.MD) error  { return p.handlerCtx.SetHeader(md) }
func (p serverPipe) SendHeader(md metadata.MD) error { return p.handlerCtx.SendHeader(md) }

func (p serverPipe) SetTrailer(md metadata.MD) {
	if err := p.handlerCtx.SetTrailer(md); err != nil {
		p.link.srv.logger().ErrorContext(p.serverCtx, "trailer not set", "service", p.link.srv.Name, "method", p.handlerCtx.method, "error", err)
	}
}

func (p serverPipe) SendMsg(m any) error {
	msg, err := p.format.pack(m, limitOr(p.link.srv.MaxSendMsgSize, noLimit))
	if err != nil {
		p.end(err) // as on a wire, this is what the caller gets, whatever the handler returns
		return err
	}
	p.handlerCtx.sendHeader()
	if !p.down.put(msg.clone(), p.clientDone, p.serverDone) {
		return p.over()
	}
	p.serverRec.outPayload(m, msg.size)
	return nil
}

func (p serverPipe) RecvMsg(m any) error {
	msg, ok := p.up.get(p.serverDone, p.clientDone)
	if !ok {
		return p.over()
	}
	size := msg.size
	if err := p.format.unpack(msg, m, limitOr(p.link.srv.MaxRecvMsgSize, defaultMaxRecvMsgSize)); err != nil {
		p.end(err)
		return err
	}
	p.serverRec.inPayload(m, size)
	return nil
}

// over says why the handler can receive or send no more.
func (p serverPipe) over() error {
	select {
	case <-p.clientDone:
		return contextStatus(p.handlerCtx.Err())
	case <-p.serverDone:
		return contextStatus(context.Canceled)
	default:
		return io.EOF
	}
}
