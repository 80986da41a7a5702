package rpc

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/internal/grpctext"
	"github.com/hanse-go/hanse/internal/hpack"
	"github.com/hanse-go/hanse/internal/http2"
	"github.com/hanse-go/hanse/rpc/internal/wire"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// unaryClientCall is a unary call on a link. It is used again when nobody can know of it any more: when its stream has ended, and not
// when it was given up.
type unaryClientCall struct {
	http2.Stream
	link  *wireLink
	conn  *linkConn
	next  *unaryClientCall // in the pool's free list
	index int              // in the pool's list of all
	done  chan struct{}    // of capacity 1: the call has ended

	state    atomic.Uint64 // one of the phases below, and a count of the times that the object was used
	deadline atomic.Int64  // of the pool's clock: the default timeout's; noDeadline: none
	owner    atomic.Pointer[Conn]
	why      error // set before the phase becomes callEnded

	// What the caller wants, and does not change while the call is active.
	o       *callOptions
	reply   any
	maxRecv int
	curious bool // header and trailers are wanted

	// What the reader makes of the answer; the caller's when the phase is callDone.
	in           assembler
	begun        bool // the header has come
	messages     int
	ended        time.Time // when the reader came to the end of it
	message      message   // left to the caller to decode
	compression  compression
	header       metadata.MD
	trailer      metadata.MD
	hasHeader    bool
	size, onWire int // of the message
	err          error
	answered     bool
	notProcessed bool
	pushback     int64
	broken       bool // the stream did not end by itself

	// Memory for what is sent.
	frames http2.Frames
	out    outgoing
	block  []byte
}

var _ http2.Receiver = (*unaryClientCall)(nil)

// The phases of a call. Who changes callActive has the call: the reader while it writes to the reply, and whoever ends it.
const (
	callFree    = iota
	callActive  // waits for its answer
	callDecodes // the reader writes to the reply
	callLeaves  // the same, and the caller waits for that to give the call up
	callDone    // the answer is here
	callEnded   // given up, for the reason in why

	callPhases = 7
	callUse    = 8 // added at each use
)

// outcome is what became of an attempt.
type outcome struct {
	sent, answered, notProcessed bool
	pushback                     int64
	at                           time.Time // when the answer was read; of calls that succeed only
}

// invoke makes a unary call, now. It also ends with limit, unless that is zero, and when owner is closed.
func (l *wireLink) invoke(ctx context.Context, now, limit time.Time, owner *Conn, method string, args, reply any, o *callOptions) (outcome, error) {
	if err := ctx.Err(); err != nil {
		return outcome{}, contextStatus(err)
	}
	if len(l.cfg.StatsHandlers) == 0 {
		return l.call(ctx, now, limit, owner, method, args, reply, o, nil)
	}
	rec, ctx := statsHandlers(l.cfg.StatsHandlers).beginClient(ctx, method, o, false, false)
	out, err := l.call(ctx, now, limit, owner, method, args, reply, o, rec)
	rec.end(err)
	return out, err
}

func (l *wireLink) call(ctx context.Context, now, limit time.Time, owner *Conn, method string, args, reply any, o *callOptions, rec *statsRecord) (outcome, error) {
	for tries := 1; ; tries++ {
		conn := l.use()
		if conn == nil {
			var err error
			if conn, err = l.takeLater(ctx, limit, owner); err != nil {
				return outcome{}, err
			}
			now = time.Now()
		}
		c := l.calls.get()
		c.conn, c.o, c.reply, c.maxRecv = conn, o, reply, l.recvLimit(o)
		c.curious = len(o.headers) > 0 || len(o.trailers) > 0 || rec != nil
		request, err := c.prepare(ctx, now, limit, method, args)
		if err != nil {
			c.recycle()
			return outcome{}, err
		}
		c.activate(owner, limit)
		err = conn.conn.Open(never, &c.Stream, c, &c.frames)
		if err == http2.ErrGaveUp {
			err = c.openLater(ctx, limit, owner, method, args)
		}
		if err == nil {
			rec.requestOut(conn, method, o, l.authority(o))
			rec.outMessage(request)
			return c.answer(ctx, limit, rec)
		}
		if !c.giveUp() {
			err = c.whyEnded()
			c.recycle()
			return outcome{}, err
		}
		c.recycle()
		if errors.Is(err, http2.ErrNotProcessed) && tries < maxOpens && !l.closed() {
			l.lost(conn) // it has ended this moment, or it drains: there may be another one soon
			now = time.Now()
			continue
		}
		return outcome{}, notOpened(ctx, limit, err)
	}
}

// maxOpens is how many connections may refuse a call before it counts as not sent.
const maxOpens = 3

// answer waits for the answer.
func (c *unaryClientCall) answer(ctx context.Context, limit time.Time, rec *statsRecord) (outcome, error) {
	pool := &c.link.calls
	err := c.await(ctx)
	for _, p := range c.o.peers {
		*p = *c.conn.peer
	}
	if err != nil { // the reader may still come to the object, so it is left alone
		pool.drop(c)
		return outcome{sent: true}, err
	}
	err = c.result(ctx, limit, rec)
	out := outcome{sent: !c.notProcessed || c.answered, answered: c.answered, notProcessed: c.notProcessed, pushback: c.pushback, at: c.ended}
	for _, p := range c.o.headers {
		*p = c.header
	}
	for _, p := range c.o.trailers {
		*p = c.trailer
	}
	if c.broken {
		pool.drop(c)
	} else {
		c.recycle()
	}
	return out, err
}

// never is closed: it makes Open not wait.
var never = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// within returns a context that ends with all that ends a call. The cancel function must be called.
func within(ctx context.Context, limit time.Time, owner *Conn) (context.Context, context.CancelFunc) {
	stop := func() {}
	if !limit.IsZero() {
		ctx, stop = context.WithDeadlineCause(ctx, limit, errPolicyTimeout)
	}
	if owner == nil {
		return ctx, stop
	}
	ctx, cancel := owner.attach(ctx)
	return ctx, func() {
		cancel()
		stop()
	}
}

// takeLater is take for a call that has to wait.
func (l *wireLink) takeLater(ctx context.Context, limit time.Time, owner *Conn) (*linkConn, error) {
	ctx, cancel := within(ctx, limit, owner)
	defer cancel()
	return l.take(ctx)
}

// openLater waits until the connection has room for the call.
func (c *unaryClientCall) openLater(ctx context.Context, limit time.Time, owner *Conn, method string, args any) error {
	ctx, cancel := within(ctx, limit, owner)
	defer cancel()
	if c.frames.Release != nil { // the first attempt has freed it
		if _, err := c.prepare(ctx, time.Now(), limit, method, args); err != nil {
			return err
		}
	}
	return c.conn.conn.Open(ctx.Done(), &c.Stream, c, &c.frames)
}

// prepare makes what is sent now.
func (c *unaryClientCall) prepare(ctx context.Context, now, limit time.Time, method string, args any) (encoded, error) {
	o := c.o
	request, err := c.out.encode(o.format, o.sendCompressor(), args, c.link.sendLimit(o))
	if err != nil {
		return request, err
	}
	f := &c.frames
	if f.Head, f.HeadMore, err = c.link.header(c.block[:0], ctx, now, limit, method, o, c.conn); err != nil {
		return request, err
	}
	c.block = f.HeadMore
	f.Data, f.Release, f.End = request.data, nil, true
	if large := c.out.take(); large != nil {
		f.Release = large.releaser()
	}
	return request, nil
}

// activate makes the call one that the reader, the pool's timer and a closing Conn may end.
func (c *unaryClientCall) activate(owner *Conn, limit time.Time) {
	deadline := int64(noDeadline)
	if !limit.IsZero() {
		deadline = int64(limit.Sub(c.link.calls.began))
	}
	if c.deadline.Load() != deadline { // as a rule they are what they were, which costs less to see than to say
		c.deadline.Store(deadline)
	}
	if c.owner.Load() != owner {
		c.owner.Store(owner)
	}
	c.state.Store(c.state.Load()&^callPhases + callUse + callActive)
	if deadline != noDeadline {
		c.link.calls.expireAt(deadline)
	}
	if owner != nil && owner.ctx.Err() != nil {
		c.end(c.state.Load(), errClosed)
	}
}

// await returns when the call has ended: nil when its answer is here, or the error for which it was given up.
func (c *unaryClientCall) await(ctx context.Context) error {
	select {
	case <-c.done:
	case <-ctx.Done():
		if c.giveUp() {
			c.Reset(http2.Cancel)
			return contextStatus(ctx.Err())
		}
	}
	if c.state.Load()&callPhases == callDone {
		return nil
	}
	c.Reset(http2.Cancel)
	return c.whyEnded()
}

// giveUp ends the call for its caller. It returns false when it has ended otherwise, and then has waited for that.
func (c *unaryClientCall) giveUp() bool {
	for {
		switch state := c.state.Load(); state & callPhases {
		case callActive:
			if c.state.CompareAndSwap(state, state-callActive+callEnded) {
				return true
			}
		case callDecodes:
			if c.state.CompareAndSwap(state, state-callDecodes+callLeaves) {
				<-c.done
				return true
			}
		default:
			<-c.done
			return false
		}
	}
}

// end ends an active call from outside. It returns false when the state is not the given one any more, or not active but decoding.
func (c *unaryClientCall) end(state uint64, why error) bool {
	switch state & callPhases {
	case callActive:
	case callDecodes, callLeaves:
		return false
	default:
		return true
	}
	if !c.state.CompareAndSwap(state, state-callActive+callLeaves) {
		return false
	}
	c.why = why
	c.state.Store(state - callActive + callEnded)
	c.done <- struct{}{}
	return true
}

func (c *unaryClientCall) whyEnded() error {
	if c.why == context.DeadlineExceeded {
		return contextStatus(c.why)
	}
	return c.why
}

// recycle gives the object back, of which nobody else knows any more.
func (c *unaryClientCall) recycle() {
	c.state.Store(c.state.Load() &^ callPhases)
	c.out.reset()
	c.frames = http2.Frames{}
	c.conn, c.o, c.reply, c.err, c.why = nil, nil, nil, nil, nil
	c.begun, c.messages, c.message, c.compression = false, 0, message{}, compression{}
	c.header, c.trailer, c.hasHeader = nil, nil, false
	c.answered, c.notProcessed, c.pushback = false, false, 0
	if cap(c.block) > 4<<10 {
		c.block = nil
	}
	c.link.calls.put(c)
}

// result is how the call ended, by its answer.
func (c *unaryClientCall) result(ctx context.Context, limit time.Time, rec *statsRecord) error {
	err := c.err
	if c.broken && status.Code(err) == codes.Canceled && !c.link.closed() && (expiring(ctx) || !limit.IsZero() && time.Until(limit) < soon) {
		err = contextStatus(context.DeadlineExceeded) // the server, which has the same deadline, was faster
	}
	if c.hasHeader {
		rec.headerIn(c.conn, c.header, c.compression.name)
	}
	if c.message.data != nil {
		m := c.message
		c.message = message{}
		c.onWire = len(m.data)
		m, plainErr := c.compression.plain(m, c.maxRecv)
		if plainErr == nil {
			c.size = len(m.data)
			if err == nil {
				plainErr = c.decode(m.data)
			}
			m.free()
		}
		if err == nil {
			err = plainErr
		}
	}
	if rec != nil {
		if err == nil {
			rec.inMessage(c.reply, c.size, c.onWire)
		}
		rec.trailerIn(c.trailer)
	}
	return err
}

// decode decodes data for the caller, whose panics are its own.
func (c *unaryClientCall) decode(data []byte) error {
	returned := false
	defer func() {
		if !returned {
			c.link.calls.drop(c)
		}
	}()
	err := c.o.decode(data, c.reply)
	returned = true
	return err
}

// OnHeaders implements http2.Receiver.
func (c *unaryClientCall) OnHeaders(h *http2.Header, end bool) {
	if h.Status/100 == 1 {
		return
	}
	var room replyFields
	r := replyOf(h, &room)
	var md metadata.MD
	if c.curious {
		var err error
		if md, err = metadataOf(h, r.binary); err != nil {
			c.fail(err)
			return
		}
	}
	if !c.begun {
		c.begun = true
		if err := r.checkHead(h); err != nil {
			c.answered = r.status.code != ""
			c.notProcessed, c.pushback = r.notProcessed, r.pushback
			if end {
				c.trailer = md
				c.finish(err)
			} else {
				c.fail(err)
			}
			return
		}
		if r.encoding != "" {
			c.compression = newCompression(r.encoding)
		}
		if !end {
			c.header, c.hasHeader = md, true
			return
		}
	}
	if !end {
		c.fail(status.Error(codes.Internal, "the peer sent headers in the middle of a reply"))
		return
	}
	c.trailer, c.answered, c.notProcessed, c.pushback = md, true, r.notProcessed, r.pushback
	err := r.status.err()
	switch {
	case err != nil:
	case c.in.cut():
		err = errCut
	case c.messages == 0:
		err = errNoReply
	}
	c.finish(err)
}

// OnData implements http2.Receiver.
func (c *unaryClientCall) OnData(p []byte, end bool) {
	for len(p) > 0 {
		m, rest, ok, err := c.in.next(p, c.maxRecv)
		if err != nil {
			c.fail(err)
			return
		}
		p = rest
		if !ok {
			continue
		}
		if c.messages++; c.messages > 1 {
			m.free()
			c.fail(errManyReplies)
			return
		}
		if !c.take(m) {
			return
		}
	}
	if end {
		c.answered = false
		c.finish(status.Error(codes.Internal, "the peer ended the call without trailers"))
	}
}

// Place implements http2.Placer.
func (c *unaryClientCall) Place(n int) []byte { return c.in.place(n) }

// decodedByCaller is the size from which a message is left to the caller to decode: the reader has others to serve.
const decodedByCaller = 16 << 10

// take decodes a message, or keeps it for the caller. It returns false when the call is over.
func (c *unaryClientCall) take(m message) bool {
	if m.compressed || !c.o.plain || len(m.data) >= decodedByCaller {
		c.message = m.owned()
		if c.message.data == nil {
			c.message.data = []byte{}
		}
		return true
	}
	state := c.state.Load()
	if state&callPhases != callActive || !c.state.CompareAndSwap(state, state-callActive+callDecodes) {
		m.free()
		return false
	}
	c.size, c.onWire = len(m.data), len(m.data)
	err, returned := c.tryDecode(m.data)
	if !returned { // the caller decodes it again, so that the panic is its own
		c.message = m.owned()
		m = message{}
	}
	m.free()
	if c.state.CompareAndSwap(state-callActive+callDecodes, state) {
		if err != nil {
			c.fail(err)
			return false
		}
		return true
	}
	c.state.Store(state - callActive + callEnded) // the caller waits for this to leave
	c.done <- struct{}{}
	return false
}

// tryDecode decodes data, and reports whether that did not panic, as it does for a reply that is a nil pointer.
func (c *unaryClientCall) tryDecode(data []byte) (err error, returned bool) {
	defer func() {
		if !returned {
			recover()
		}
	}()
	err = c.o.decode(data, c.reply)
	return err, true
}

// fail ends the call with an error that this side found.
func (c *unaryClientCall) fail(err error) {
	c.Reset(http2.Cancel)
	c.broken = true
	c.finish(err)
}

// finish tells the caller that the call is over.
func (c *unaryClientCall) finish(err error) {
	if c.in.cut() {
		c.in.drop()
	}
	state := c.state.Load()
	if state&callPhases != callActive {
		return
	}
	c.err, c.ended = err, c.conn.conn.ReadAt()
	if c.state.CompareAndSwap(state, state-callActive+callDone) {
		c.done <- struct{}{}
	}
}

// OnAbort implements http2.Receiver.
func (c *unaryClientCall) OnAbort(err error) {
	c.broken = true
	c.notProcessed = errors.Is(err, http2.ErrNotProcessed)
	c.finish(c.link.aborted(err))
}

// aborted is the error of a call whose stream ended before its time.
func (l *wireLink) aborted(err error) error {
	var reset *http2.StreamError
	switch {
	case l.closed():
		return errClosed
	case errors.As(err, &reset):
		return status.Errorf(resetCode(reset.Code), "the peer ended the call: RST_STREAM with %v", reset.Code)
	}
	return status.Errorf(codes.Unavailable, "the connection was lost: %v", err)
}

// notOpened is the error of a call that the connection did not take.
func notOpened(ctx context.Context, limit time.Time, err error) error {
	if ended := ctx.Err(); ended != nil {
		return contextStatus(ended)
	}
	if !limit.IsZero() && !time.Now().Before(limit) {
		return contextStatus(context.DeadlineExceeded)
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	return status.Errorf(codes.Unavailable, "the connection takes no calls: %v", err)
}

// header makes the header of a call that is sent now, as a template and what comes behind it.
func (l *wireLink) header(dst []byte, ctx context.Context, now, limit time.Time, method string, o *callOptions, conn *linkConn) (*hpack.Template, []byte, error) {
	deadline, ok := ctx.Deadline()
	if !ok || !limit.IsZero() && limit.Before(deadline) {
		deadline = limit
	}
	head, dst := l.heads.head(dst, method, o)
	if !deadline.IsZero() {
		left := deadline.Sub(now)
		if left <= 0 {
			return nil, dst, contextStatus(context.DeadlineExceeded)
		}
		var value [16]byte
		dst = hpack.AppendLiteral(dst, "grpc-timeout", string(grpctext.AppendTimeout(value[:0], left)), false)
	}
	if o.creds != nil {
		md, err := l.credentials(ctx, method, o, conn)
		if err != nil {
			return nil, dst, err
		}
		dst = appendMetadata(dst, md)
	}
	dst, err := appendOutgoing(dst, ctx)
	return head, dst, err
}

// credentials are those of the call, as metadata.
func (l *wireLink) credentials(ctx context.Context, method string, o *callOptions, conn *linkConn) (metadata.MD, error) {
	if o.creds.RequireTransportSecurity() && !conn.secure {
		return nil, status.Error(codes.Unauthenticated, "transport: cannot send secure credentials on an insecure connection")
	}
	return addCredentials(ctx, nil, method, l.authority(o), o.creds, conn.peer.AuthInfo)
}

func (l *wireLink) authority(o *callOptions) string {
	if o.authority != "" {
		return o.authority
	}
	return l.cfg.Authority
}

func (l *wireLink) recvLimit(o *callOptions) int {
	if o.maxRecv != nil {
		return *o.maxRecv
	}
	return l.cfg.MaxRecvMsgSize
}

func (l *wireLink) sendLimit(o *callOptions) int {
	if o.maxSend != nil {
		return *o.maxSend
	}
	return l.cfg.MaxSendMsgSize
}

// sendCompressor is what requests are compressed with; nil: nothing.
func (o *callOptions) sendCompressor() encoding.Compressor {
	if o.compressor == "" {
		return nil
	}
	return newCompression(o.compressor).compressor
}

// Invoke implements wire.Link.
func (l *wireLink) Invoke(ctx context.Context, method string, args, reply any, opts []grpc.CallOption, r *wire.Report) error {
	o, err := parseCallOptions(opts)
	if err != nil {
		return err
	}
	out, err := l.invoke(ctx, time.Now(), time.Time{}, nil, method, args, reply, o)
	out.report(r)
	return err
}

func (o outcome) report(r *wire.Report) {
	r.Sent.Store(o.sent)
	r.Answered.Store(o.answered)
	r.NotProcessed.Store(o.notProcessed)
	r.Asked.Store(o.pushback)
}
