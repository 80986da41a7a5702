package rpc

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/internal/http2"
	"github.com/hanse-go/hanse/rpc/internal/wire"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// wireClientStream is a streaming call on a link.
type wireClientStream struct {
	http2.Stream
	link   *wireLink
	conn   *linkConn
	ctx    context.Context
	desc   *grpc.StreamDesc
	o      *callOptions
	report *wire.Report
	rec    *statsRecord
	done   func(error)

	maxRecv, maxSend int
	compressor       encoding.Compressor // of requests

	inbox       inbox
	hasHeader   chan struct{} // closed when the header is here, or will not come
	concluded   chan struct{} // closed when nothing more will come
	gone        chan struct{} // closed when the call is over for its caller
	headerSeen  sync.Once
	unwatch     func() bool // of ctx
	over        atomic.Bool // the server has ended the call, or this side has
	begun       bool        // the header has come; only the reader touches it
	header      metadata.MD // before hasHeader
	trailer     metadata.MD // before the end of the inbox
	compression compression // of replies; before the first of them

	replied bool // of RecvMsg's goroutine

	sending  outgoing // of SendMsg's goroutine, as frames
	frames   http2.Frames
	sentLast bool

	mu       sync.Mutex
	finished bool
	err      error // a status, or io.EOF
}

var (
	_ grpc.ClientStream = (*wireClientStream)(nil)
	_ http2.Receiver    = (*wireClientStream)(nil)
)

// callEnd is the end of a stream of replies: with err, or in order.
type callEnd struct{ err error }

func (e *callEnd) Error() string { return "end of the replies" }

// NewStream implements wire.Link.
func (l *wireLink) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts []grpc.CallOption, r *wire.Report, done func(error)) (grpc.ClientStream, error) {
	o, err := parseCallOptions(opts)
	if err != nil {
		done(err)
		return nil, err
	}
	s, err := l.newStream(ctx, desc, method, o, r, done)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (l *wireLink) newStream(ctx context.Context, desc *grpc.StreamDesc, method string, o *callOptions, r *wire.Report, done func(error)) (*wireClientStream, error) {
	if err := ctx.Err(); err != nil {
		err = contextStatus(err)
		done(err)
		return nil, err
	}
	rec, ctx := statsHandlers(l.cfg.StatsHandlers).beginClient(ctx, method, o, desc.ClientStreams, desc.ServerStreams)
	s, err := l.openStream(ctx, desc, method, o, r, rec, done)
	if err != nil {
		rec.end(err)
		done(err)
		return nil, err
	}
	return s, nil
}

func (l *wireLink) openStream(ctx context.Context, desc *grpc.StreamDesc, method string, o *callOptions, r *wire.Report, rec *statsRecord, done func(error)) (*wireClientStream, error) {
	for tries := 1; ; tries++ {
		conn, err := l.take(ctx)
		if err != nil {
			return nil, err
		}
		s := &wireClientStream{
			link: l, conn: conn, ctx: peer.NewContext(ctx, conn.peer), desc: desc, o: o, report: r, rec: rec, done: done,
			maxRecv: l.recvLimit(o), maxSend: l.sendLimit(o), compressor: o.sendCompressor(),
			inbox: newInbox(), hasHeader: make(chan struct{}), concluded: make(chan struct{}), gone: make(chan struct{}),
		}
		f := &s.frames
		if f.Head, f.HeadMore, err = l.header(nil, ctx, time.Now(), time.Time{}, method, o, conn); err != nil {
			return nil, err
		}
		r.Sent.Store(true)
		if err := conn.conn.Open(ctx.Done(), &s.Stream, s, f); err != nil {
			r.Sent.Store(false)
			if errors.Is(err, http2.ErrNotProcessed) && tries < maxOpens && !l.closed() {
				l.lost(conn)
				continue
			}
			return nil, notOpened(ctx, time.Time{}, err)
		}
		rec.requestOut(conn, method, o, l.authority(o))
		s.mu.Lock()
		defer s.mu.Unlock()
		s.unwatch = context.AfterFunc(ctx, func() { s.finish(contextStatus(ctx.Err())) })
		return s, nil
	}
}

// finish ends the call for its caller, once.
func (s *wireClientStream) finish(err error) {
	s.mu.Lock()
	if s.finished {
		s.mu.Unlock()
		return
	}
	s.finished, s.err = true, err
	unwatch := s.unwatch
	s.mu.Unlock()

	unwatch()
	ended := s.over.Swap(true)
	if !ended {
		s.Reset(http2.Cancel)
	}
	s.Finish()
	close(s.gone)
	s.inbox.drop()
	if ended {
		s.seeHeader()
		s.rec.trailerIn(s.Trailer())
	}
	s.tell(ended)
	if err == io.EOF {
		err = nil
	}
	s.rec.end(err)
	s.done(err)
}

// tell fills what the call's options asked for.
func (s *wireClientStream) tell(ended bool) {
	select {
	case <-s.hasHeader:
		for _, p := range s.o.headers {
			*p = s.header.Copy()
		}
	default:
	}
	for _, p := range s.o.trailers {
		*p = nil
		if ended {
			*p = s.Trailer()
		}
	}
	for _, p := range s.o.peers {
		*p = *s.conn.peer
	}
}

// Context implements grpc.ClientStream.
func (s *wireClientStream) Context() context.Context { return s.ctx }

// Header implements grpc.ClientStream.
func (s *wireClientStream) Header() (metadata.MD, error) {
	select {
	case <-s.hasHeader:
	case <-s.gone:
		select {
		case <-s.hasHeader:
		default:
			return nil, nil // the error comes from RecvMsg
		}
	}
	if s.header == nil {
		if err, ok := s.ended(); ok {
			s.finish(err)
		}
		return nil, nil
	}
	s.seeHeader()
	return s.header.Copy(), nil
}

func (s *wireClientStream) seeHeader() {
	s.headerSeen.Do(func() {
		select {
		case <-s.hasHeader:
			if s.header != nil {
				s.rec.headerIn(s.conn, s.header, s.compression.name)
			}
		default:
		}
	})
}

// ended is how the server ended the call, if it did.
func (s *wireClientStream) ended() (error, bool) {
	s.inbox.mu.Lock()
	defer s.inbox.mu.Unlock()
	if s.inbox.end == nil {
		return nil, false
	}
	return s.how(s.inbox.end), true
}

// Trailer implements grpc.ClientStream.
func (s *wireClientStream) Trailer() metadata.MD {
	if _, ok := s.ended(); !ok {
		return nil
	}
	return s.trailer.Copy()
}

// cancelled ends the call if its context has ended, without waiting for those who watch that.
func (s *wireClientStream) cancelled() bool {
	err := s.ctx.Err()
	if err != nil {
		s.finish(contextStatus(err))
	}
	return err != nil
}

// CloseSend implements grpc.ClientStream.
func (s *wireClientStream) CloseSend() error {
	if !s.sentLast && !s.cancelled() {
		s.sentLast = true
		s.Send(&http2.Frames{End: true}) // RecvMsg tells what went wrong
	}
	return nil
}

// SendMsg implements grpc.ClientStream.
func (s *wireClientStream) SendMsg(v any) error {
	if s.sentLast {
		err := status.Error(codes.Internal, "SendMsg called after CloseSend")
		s.finish(err)
		return err
	}
	m, err := s.sending.encode(s.o.format, s.compressor, v, s.maxSend)
	if err != nil {
		s.finish(err)
		return err
	}
	f := &s.frames
	*f = http2.Frames{Data: m.data, End: !s.desc.ClientStreams}
	s.sentLast = f.End
	if large := s.sending.take(); large != nil {
		f.Release = large.releaser()
	}
	held := false
	if err = io.EOF; !s.cancelled() && !s.over.Load() {
		held, err = s.SendOrHold(f)
	} else if f.Release != nil {
		f.Release(nil)
	}
	if err == nil {
		s.rec.outMessage(m)
		if held && s.desc.ClientStreams {
			s.Wait(s.gone) // the message was taken, whatever became of it: RecvMsg tells
		}
	}
	if err == nil || !s.desc.ClientStreams {
		return nil
	}
	select { // until it is known why, and whether the call can go on elsewhere
	case <-s.concluded:
	case <-s.gone:
	}
	return io.EOF // RecvMsg tells why
}

// RecvMsg implements grpc.ClientStream.
func (s *wireClientStream) RecvMsg(v any) error {
	m, err := s.next()
	if err != nil {
		if err == io.EOF && !s.desc.ServerStreams && !s.replied {
			err = errNoReply
		}
		return s.end(err)
	}
	s.seeHeader()
	s.replied = true
	onWire := len(m.data)
	if m, err = s.compression.plain(m, s.maxRecv); err == nil {
		err = s.o.decode(m.data, v)
		m.free()
	}
	if err != nil {
		return s.end(err)
	}
	s.rec.inMessage(v, len(m.data), onWire)
	if s.desc.ServerStreams {
		return nil
	}
	// A call with one reply is over when its status is here.
	m, err = s.next()
	switch err {
	case nil:
		m.free()
		err = errManyReplies
	case io.EOF:
		s.end(err)
		return nil
	}
	return s.end(err)
}

// next returns the next message, or how the call ended: io.EOF is in order.
func (s *wireClientStream) next() (message, error) {
	if s.cancelled() {
		return message{}, s.outcome()
	}
	m, err, ok := s.inbox.get(s.gone, s.Consumed)
	switch {
	case !ok:
		return message{}, s.outcome()
	case err != nil:
		return message{}, s.how(err)
	}
	return m, nil
}

// how reads the end of the inbox.
func (s *wireClientStream) how(end error) error {
	if e, ok := end.(*callEnd); ok {
		if end = e.err; end == nil {
			return io.EOF
		}
	}
	return end
}

// end ends the call with err, unless it has ended otherwise, and returns how it has ended.
func (s *wireClientStream) end(err error) error {
	s.finish(err)
	return s.outcome()
}

func (s *wireClientStream) outcome() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// OnHeaders implements http2.Receiver.
func (s *wireClientStream) OnHeaders(h *http2.Header, end bool) {
	if h.Status/100 == 1 {
		return
	}
	var room replyFields
	r := replyOf(h, &room)
	md, err := metadataOf(h, r.binary)
	if err != nil {
		s.fail(err)
		return
	}
	if !s.begun {
		err := r.checkHead(h)
		if err == nil && r.encoding != "" {
			s.compression = newCompression(r.encoding)
		}
		if err == nil && !end {
			s.begun, s.header = true, md
			close(s.hasHeader)
			return
		}
		// Whoever waits for the header must find the report filled in: conclude wakes them.
		if err != nil {
			if end {
				s.trailer = md
			}
			s.report.Answered.Store(r.status.code != "")
			if r.notProcessed {
				s.report.NotProcessed.Store(true)
			}
			s.report.Asked.Store(r.pushback)
			s.conclude(err, end)
			return
		}
	}
	if !end {
		s.fail(status.Error(codes.Internal, "the peer sent headers in the middle of the replies"))
		return
	}
	s.trailer = md
	s.report.Answered.Store(true)
	if r.notProcessed {
		s.report.NotProcessed.Store(true)
	}
	s.report.Asked.Store(r.pushback)
	if err = r.status.err(); err == nil && s.inbox.in.cut() {
		err = errCut
	}
	s.conclude(err, true)
}

// OnData implements http2.Receiver.
func (s *wireClientStream) OnData(p []byte, end bool) {
	credit, err := s.inbox.add(p, s.maxRecv)
	if credit > 0 {
		s.Consumed(credit)
	}
	if err == nil && end {
		err = status.Error(codes.Internal, "the peer ended the call without trailers")
	}
	if err != nil {
		s.fail(err)
	}
}

// Place implements http2.Placer.
func (s *wireClientStream) Place(n int) []byte { return s.inbox.in.place(n) }

// OnAbort implements http2.Receiver.
func (s *wireClientStream) OnAbort(err error) {
	if errors.Is(err, http2.ErrNotProcessed) {
		s.report.NotProcessed.Store(true)
	}
	var reset *http2.StreamError
	if errors.As(err, &reset) && reset.Code == http2.NoError {
		err = status.Error(codes.Internal, "the peer ended the call without a status: RST_STREAM with NO_ERROR")
	} else if err = s.link.aborted(err); status.Code(err) == codes.Canceled && expiring(s.ctx) {
		err = contextStatus(context.DeadlineExceeded) // the server, which has the same deadline, was faster
	}
	s.conclude(err, true)
}

// fail ends the call with an error that this side found.
func (s *wireClientStream) fail(err error) { s.conclude(err, false) }

// conclude puts the end of the call behind its messages. ended tells that the stream needs no RST_STREAM. Only the reader calls it.
func (s *wireClientStream) conclude(err error, ended bool) {
	select {
	case <-s.concluded:
		return
	default:
	}
	if !ended {
		s.Reset(http2.Cancel)
	}
	s.over.Store(true)
	if s.inbox.in.cut() {
		s.inbox.in.drop()
	}
	s.inbox.close(&callEnd{err})
	close(s.concluded)
	if !s.begun {
		s.begun = true
		close(s.hasHeader)
	}
}
