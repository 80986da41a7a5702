package rpc

import (
	"cmp"
	"context"
	"io"
	"sync"
	"sync/atomic"

	"github.com/hanse-go/hanse/resilience"
)

// unaryCall is one unary call within the process. Its caller waits for the handler on a worker, or leaves before.
type unaryCall struct {
	activeCall
	ctx    handlerContext
	local  localSide
	link   *inProcess
	method *method
	format format // the server's
	state  atomic.Int32
	rec    *statsRecord // of the server; nil without stats handlers

	requestMu sync.Mutex // held while the request is copied
	request   payload
	pending   bool // the request was not copied yet, and the caller has not left

	reply payload
	err   error // a status error
}

// The states of a unary call: it runs until one of three ends it.
const (
	callRuns     = iota
	callFinished // the handler ended; its worker tells the caller, who ends the call
	callLeft     // the caller did not wait for it: the worker ends the call
	callStopped  // Server.Stop released the caller: the worker ends the call
)

func (l *inProcess) invoke(ctx context.Context, path string, args, reply any, o *callOptions) error {
	if err := ctx.Err(); err != nil {
		return contextStatus(err)
	}
	rec, ctx := l.stats.beginClient(ctx, path, o, false, false)
	err := l.call(ctx, path, args, reply, o, rec)
	rec.end(err)
	return err
}

func (l *inProcess) call(ctx context.Context, path string, args, reply any, o *callOptions, rec *statsRecord) error {
	c := &unaryCall{link: l, format: o.format}
	if err := l.start(ctx, path, o, &c.ctx, &c.local); err != nil {
		return err
	}
	m, err := l.srv.lookup(path)
	if err != nil {
		l.trace(ctx, &c.ctx, nil)
		c.ctx.span.Served(err, string(InProcess))
		return err
	}
	if m.unary == nil {
		return l.callStreaming(ctx, path, args, reply, o, rec)
	}
	request, err := c.format.pack(args, l.sendLimit(o))
	if err != nil {
		return err
	}
	l.trace(ctx, &c.ctx, m)
	rec.requestSent(l, &c.ctx, o)
	rec.outPayload(args, request.size)
	c.method, c.request, c.pending = m, request, true
	if !o.plain || o.contentSubtype != "" {
		c.format = serverFormat(c.format, o.contentSubtype)
	}
	c.activeCall.call = c
	if err := l.srv.begin(&c.activeCall); err != nil {
		c.ctx.span.Served(err, string(InProcess))
		return err
	}

	c.worker.jobs <- c
	select {
	case <-c.worker.done:
	case <-ctx.Done():
		if c.leave(ctx.Err(), o) {
			return contextStatus(ctx.Err())
		}
	case <-l.closed.Done():
		if c.leave(context.Canceled, o) {
			return errClosed
		}
	}
	if c.state.Load() == callStopped {
		c.withdraw()
		l.tell(o, &c.ctx, false)
		return l.srv.errStopped()
	}
	err = c.err
	rec.headerReceived(&c.ctx)
	if err == nil {
		size := c.reply.size
		if err = o.format.unpack(c.reply, reply, l.recvLimit(o)); err == nil {
			rec.inPayload(reply, size)
		}
	}
	rec.trailerReceived(&c.ctx)
	l.tell(o, &c.ctx, true)
	l.srv.end(&c.activeCall)
	return err
}

// leave ends the call for its caller. It returns false when the handler was faster: then the worker is done.
func (c *unaryCall) leave(reason error, o *callOptions) bool {
	if !c.state.CompareAndSwap(callRuns, callLeft) {
		<-c.worker.done
		return false
	}
	c.withdraw()
	c.ctx.end(reason)
	c.link.tell(o, &c.ctx, false)
	return true
}

// withdraw makes sure that the handler does not touch the caller's message any more. It waits while it is copied.
func (c *unaryCall) withdraw() {
	c.requestMu.Lock()
	c.request, c.pending = payload{}, false
	c.requestMu.Unlock()
}

// run is the worker's part of the call.
func (c *unaryCall) run(w *worker) {
	returned := false
	defer func() {
		if !returned {
			p := recover()
			w.dead = p == nil
			c.err = c.link.srv.caught(&c.ctx, c.method.path, p)
		}
		c.ctx.span.Served(c.err, string(InProcess))
		c.ctx.finish(c.err == nil)
		c.rec.trailerSent(&c.ctx)
		c.rec.end(c.err)
		if c.state.CompareAndSwap(callRuns, callFinished) {
			w.done <- struct{}{}
		} else {
			c.link.srv.end(&c.activeCall)
		}
	}()
	c.err = c.handle()
	returned = true
}

func (c *unaryCall) handle() error {
	srv := c.link.srv
	ctx := c.ctx.context()
	if srv.StatsHandlers != nil {
		c.rec, ctx = statsHandlers(srv.StatsHandlers).beginServer(ctx, &c.ctx, false, false)
		c.local.onHeader = func() { c.rec.headerSent(&c.ctx) }
	}
	d, denied := srv.decide(ctx, c.method)
	if denied {
		if err := srv.deny(ctx, c.method); err != nil {
			return err
		}
	}
	if err := d.enter(ctx, c.ctx.SetTrailer); err != nil {
		return err
	}
	defer d.leave()
	lose := false
	if srv.Faults.Active() {
		var err error
		if lose, err = srv.Faults.Strike(ctx, c.method.path, &c.method.counts); err != nil {
			return err
		}
	}
	reply, err := c.method.unary(c.method.impl, ctx, c.decode, d.interceptor(c.method, c.local.keyed))
	if lose {
		err = resilience.ErrLost
	}
	if err != nil {
		return cmp.Or(overTheWire(handlerStatus(err)), errNoReply)
	}
	if c.reply, err = c.format.pack(reply, limitOr(srv.MaxSendMsgSize, noLimit)); err != nil {
		return err
	}
	if c.rec != nil {
		c.ctx.sendHeader()
		c.rec.outPayload(reply, c.reply.size)
	}
	return nil
}

// decode copies the request into the handler's message.
func (c *unaryCall) decode(v any) error {
	c.requestMu.Lock()
	defer c.requestMu.Unlock()
	if !c.pending {
		if c.state.Load() != callRuns {
			return contextStatus(c.ctx.Err())
		}
		return io.EOF // asked a second time
	}
	request := c.request
	c.request, c.pending = payload{}, false
	if err := c.format.unpack(request, v, limitOr(c.link.srv.MaxRecvMsgSize, defaultMaxRecvMsgSize)); err != nil {
		return err
	}
	c.rec.inPayload(v, request.size)
	return nil
}

func (c *unaryCall) fullMethod() string { return c.ctx.method }

// stop is what Server.Stop does to the call.
func (c *unaryCall) stop() {
	c.ctx.end(context.Canceled)
	if c.state.CompareAndSwap(callRuns, callStopped) {
		c.worker.done <- struct{}{}
	}
}
