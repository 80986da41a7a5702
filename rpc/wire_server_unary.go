package rpc

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/internal/http2"
	"github.com/hanse-go/hanse/resilience"
	"github.com/hanse-go/hanse/telemetry"
)

// unaryServerCall is a unary call from a wire. Its handler runs when the request is complete.
type unaryServerCall struct {
	serverCall
	in       assembler
	body     *buffer      // the request's message
	held     atomic.Int64 // bytes counted by conn.hold
	messages int          // that have come
	pending  bool         // body was not decoded yet
	packed   bool         // it is compressed
	complete bool         // the call was or will be given to a worker, which then ends it
	denied   bool         // no rule lets it in
	door     *door        // that it was let in by
	ticket   resilience.Ticket
}

// newUnaryServerCall makes a call, with room in the same piece of memory for what not every call has, if this one has some of it.
func newUnaryServerCall(more bool) (*unaryServerCall, *requestRoom) {
	if !more {
		c := new(unaryServerCall)
		c.Eager = true // what is not a whole message yet has the limits of messages and streams
		return c, nil
	}
	both := new(struct {
		unaryServerCall
		requestRoom
		span telemetry.Span
	})
	both.Eager, both.ctx.span = true, &both.span
	return &both.unaryServerCall, &both.requestRoom
}

var _ http2.Receiver = (*unaryServerCall)(nil)
var _ http2.Job = (*unaryServerCall)(nil)

// OnHeaders implements http2.Receiver.
func (c *unaryServerCall) OnHeaders(_ *http2.Header, end bool) {
	if c.begun || c.begin() {
		c.received(end)
	}
}

// OnData implements http2.Receiver.
func (c *unaryServerCall) OnData(p []byte, end bool) {
	if c.over {
		return
	}
	for len(p) > 0 {
		m, rest, ok, err := c.in.next(p, c.route.maxRecv)
		if err != nil {
			c.discard(err)
			return
		}
		p = rest
		if !ok {
			continue
		}
		if c.messages++; c.messages > 1 {
			m.free()
			c.discard(errManyRequests)
			return
		}
		m = m.owned()
		c.body, c.packed, c.pending = m.buf, m.compressed, true
	}
	if !c.conn.hold(&c.held, c.in.held()) {
		c.discard(errPartial)
		return
	}
	c.received(end)
}

// Place implements http2.Placer.
func (c *unaryServerCall) Place(n int) []byte { return c.in.place(n) }

// received goes on when the request is complete.
func (c *unaryServerCall) received(end bool) {
	switch {
	case !end || c.over:
	case c.in.cut():
		c.discard(errCut)
	case c.messages == 0:
		c.discard(errNoRequest)
	default:
		c.arrived()
	}
}

// arrived gives the call to the workers, or lets it wait for its turn.
func (c *unaryServerCall) arrived() {
	d, denied := c.route.srv.decide(&c.ctx, c.route.method)
	c.denied = denied
	if err := d.enter(&c.ctx, c.ctx.SetTrailer); err != nil {
		c.discard(err)
		return
	}
	c.complete, c.door = true, d
	if d != nil && d.limit != nil {
		switch turn, why := d.limit.Take(c.conn.conn.ReadAt(), &c.ticket, c.ctx.priority, c); turn {
		case resilience.Waits:
			return
		case resilience.IsShed:
			c.Resume(why)
			return
		}
	}
	c.conn.ready = append(c.conn.ready, c)
}

// Resume implements resilience.Resumer: the call's turn has come, or it is shed.
func (c *unaryServerCall) Resume(shed resilience.Reason) {
	if shed == "" {
		c.conn.server.workers.Push([]http2.Job{c})
		return
	}
	c.door.leave()
	c.forget()
	resilience.Annotate(&c.ctx, shed) // the limiter has counted it
	var s callScratch
	c.conclude(&s, encoded{}, c.door.errShed(shed), true)
}

// left gives back now what the door gave to the call, whose handler has returned err if told is set.
func (c *unaryServerCall) left(now time.Time, told bool, err error) {
	if d := c.door; d != nil {
		if d.limit != nil {
			d.limit.Release(now, &c.ticket, told && tells(err))
		}
		d.leave()
	}
}

// discard refuses the call and forgets what came of it.
func (c *unaryServerCall) discard(err error) {
	c.in.drop()
	c.conn.release(&c.held)
	c.forget()
	c.refuse(err)
}

// forget frees the request if no handler has taken it.
func (c *unaryServerCall) forget() {
	if c.pending {
		c.pending = false
		c.body.free()
		c.body = nil
	}
}

// OnAbort implements http2.Receiver.
func (c *unaryServerCall) OnAbort(error) {
	c.abort()
	if !c.over && !c.complete {
		c.over = true
		c.ctx.span.Served(contextStatus(context.Canceled), c.conn.path)
		c.in.drop()
		c.conn.release(&c.held)
		c.forget()
		c.Finish()
	}
}

// Run implements http2.Job.
func (c *unaryServerCall) Run(w *http2.Worker) {
	s, ok := w.Local.(*callScratch)
	if !ok {
		s = &callScratch{}
		s.decode = s.decodeRequest
		w.Local = s
	}
	now := w.Before
	if now.IsZero() {
		now = c.conn.server.clock.now()
	}
	if err := c.ctx.errAt(now); err != nil { // nobody waits for it any more
		c.forget()
		if err == context.DeadlineExceeded && c.door != nil {
			c.door.counts.Note(&c.ctx, cameLate)
		}
		c.conclude(s, encoded{}, contextStatus(err), true)
		w.After = now
		c.left(now, false, err)
		return
	}
	srv := c.route.srv
	if err := srv.enter(&c.active); err != nil {
		c.forget()
		c.conclude(s, encoded{}, err, true)
		w.After = now
		c.left(now, false, err)
		return
	}
	s.call = c
	var reply encoded
	var err error
	returned := false
	defer func() {
		if !returned {
			err = srv.caught(&c.ctx, c.ctx.method, recover())
		}
		s.call = nil
		c.forget()
		c.conclude(s, reply, err, true)
		s.out.reset()
		c.rec.trailerSent(&c.ctx)
		c.rec.end(err)
		srv.leave(&c.active)
		w.After = c.conn.server.clock.now()
		c.left(w.After, true, err)
	}()
	reply, err = c.handle(s)
	err = c.ran(err)
	returned = true
}

// handle runs the handler and encodes its reply.
func (c *unaryServerCall) handle(s *callScratch) (encoded, error) {
	m, srv := c.route.method, c.route.srv
	if err := c.awaitRoom(true); err != nil {
		return encoded{}, err
	}
	ctx := c.beginStats(c.ctx.context(), m)
	if c.denied {
		if err := srv.deny(ctx, m); err != nil {
			return encoded{}, err
		}
	}
	lose := false
	if srv.Faults.Active() {
		var err error
		if lose, err = srv.Faults.Strike(ctx, m.path, &m.counts); err != nil {
			return encoded{}, err
		}
	}
	reply, err := m.unary(m.impl, ctx, s.decode, c.door.interceptor(m, c.keyed))
	if lose {
		err = resilience.ErrLost
	}
	if err != nil {
		return encoded{}, err
	}
	if err := c.awaitRoom(false); err != nil { // as a message only, for which the handler's memory has room
		return encoded{}, err
	}
	return s.out.encode(c.kind.format, c.kind.replies.compressor, reply, c.route.maxSend)
}

// decodeRequest fills a handler's message. One method value serves all calls of a worker.
func (s *callScratch) decodeRequest(v any) error {
	c := s.call
	if c == nil {
		return contextStatus(context.Canceled) // the handler has returned
	}
	if !c.pending {
		return io.EOF // asked a second time
	}
	m := message{c.body.b, c.body, c.packed}
	c.pending, c.body = false, nil
	wireSize := len(m.data)
	m, err := c.kind.requests.plain(m, c.route.maxRecv)
	if err != nil {
		return err
	}
	defer m.free()
	if err := c.kind.format.decode(m.data, v); err != nil {
		return err
	}
	c.rec.inMessage(v, len(m.data), wireSize)
	return nil
}
