package rpc

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/resilience"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// What a stream keeps of its first messages, to send them again when the instance says that it did not process the call.
const (
	maxKeptMessages = 16
	maxKeptBytes    = 64 << 10
)

// remoteStream is a streaming call to a remote instance. Until the instance has answered, it can begin anew at another one.
type remoteStream struct {
	call   *remoteCall
	desc   *grpc.StreamDesc
	method string
	cancel context.CancelFunc
	ended  sync.Once

	committed atomic.Bool  // it stays where it is
	outcome   atomic.Int32 // a resilience.Outcome, of the last attempt
	current   atomic.Pointer[streamAttempt]

	mu        sync.Mutex      // not held while a message is sent or awaited; current changes under it
	kept      []proto.Message // what was sent, while not committed
	keptBytes int
	halfClose bool
}

// streamAttempt is a stream to one instance.
type streamAttempt struct {
	*attempt
	cancel context.CancelFunc
	stream grpc.ClientStream

	mu       sync.Mutex
	opened   bool
	replaced bool
	finished bool
	err      error
}

// replace ends an attempt that another one takes over from.
func (sa *streamAttempt) replace() {
	sa.mu.Lock()
	sa.replaced = true
	sa.mu.Unlock()
	sa.cancel()
}

func (b *binding) newRemoteStream(ctx context.Context, desc *grpc.StreamDesc, method string, o *callOptions) (grpc.ClientStream, error) {
	p, now := b.pool, time.Now()
	pass := p.guard.circuit.Allow(now)
	if pass == resilience.Refused {
		return nil, p.broken(ctx, now)
	}
	p.guard.budget.Call(now)
	p.look(ctx, now)
	ctx, cancel := b.conn.attach(ctx)
	s := &remoteStream{call: b.newCall(ctx, describe(method), o, b.policy(method, o), pass), desc: desc, method: method, cancel: cancel}
	s.call.stream = true
	s.outcome.Store(int32(resilience.Abandoned)) // there is no attempt yet
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.begin()
	s.call.tell()
	if err != nil {
		s.pass()
		cancel()
		return nil, err
	}
	return s, nil
}

// pass tells the breaker how the call went.
func (s *remoteStream) pass() {
	c := s.call
	c.b.pool.guard.circuit.Done(time.Now(), c.pass, resilience.Outcome(s.outcome.Load()))
	c.told()
	sa := s.current.Load()
	c.o.forwarded.note(sa == nil || sa.report.NeverProcessed())
}

// begin opens the stream at an instance, or at the next when that one cannot take it, and sends what was sent before.
// The caller holds s.mu.
func (s *remoteStream) begin() error {
	c := s.call
	for {
		a, err := c.next()
		if err != nil {
			return err
		}
		if err = s.open(a); err == nil {
			return nil
		}
		if !c.move(a, err) {
			return err
		}
	}
}

// open opens the stream at one instance. The caller holds s.mu.
func (s *remoteStream) open(a *attempt) error {
	ctx, cancel := context.WithCancel(s.call.ctx)
	sa := &streamAttempt{attempt: a, cancel: cancel}
	done := func(err error) { s.finished(sa, err) }
	stream, err := a.member.link.NewStream(ctx, s.desc, s.method, s.call.o.orig, a.report, done)
	if err == nil {
		sa.stream = stream
		err = s.replay(stream)
	}
	if err != nil {
		cancel()
		return err
	}
	if old := s.current.Swap(sa); old != nil {
		old.replace()
	}

	sa.mu.Lock()
	sa.opened = true
	over, err := sa.finished, sa.err
	sa.mu.Unlock()
	if over {
		s.settle(sa, err)
	}
	return nil
}

// replay sends what was sent to an earlier instance.
func (s *remoteStream) replay(stream grpc.ClientStream) error {
	for _, m := range s.kept {
		if err := stream.SendMsg(m); err == io.EOF {
			return nil // RecvMsg tells why
		} else if err != nil {
			return err
		}
	}
	if s.halfClose {
		return stream.CloseSend()
	}
	return nil
}

// finished is called once when an attempt is over, also one that could not be opened.
func (s *remoteStream) finished(sa *streamAttempt, err error) {
	s.outcome.Store(int32(sa.end(s.call.ctx, err, true)))
	sa.mu.Lock()
	sa.finished, sa.err = true, err
	current := sa.opened && !sa.replaced
	sa.mu.Unlock()
	if current {
		s.settle(sa, err)
	}
}

// settle ends the call with its attempt, unless it can go on elsewhere: then RecvMsg or SendMsg, one of which is due, see to that.
func (s *remoteStream) settle(sa *streamAttempt, err error) {
	if err != nil && !s.committed.Load() && s.call.elsewhere(sa.attempt, err) {
		context.AfterFunc(s.call.ctx, func() { s.end(status.FromContextError(s.call.ctx.Err()).Err()) })
		return
	}
	s.end(err)
}

func (s *remoteStream) end(err error) {
	s.ended.Do(func() {
		s.pass()
		s.call.o.finish(err)
		s.cancel()
	})
}

// retry moves a stream that was never processed to another instance. It reports whether the caller goes on with the current attempt;
// if not, err is the call's.
func (s *remoteStream) retry(sa *streamAttempt, err error) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current.Load() != sa {
		return true, nil
	}
	if s.committed.Load() || !s.call.elsewhere(sa.attempt, err) {
		return false, err
	}
	if !s.call.move(sa.attempt, err) {
		s.committed.Store(true)
		s.end(err)
		return false, err
	}
	if err := s.begin(); err != nil {
		s.committed.Store(true)
		s.end(err)
		return false, err
	}
	return true, nil
}

// commit keeps the stream where it is: the instance has answered.
func (s *remoteStream) commit() {
	if !s.committed.Load() && !s.committed.Swap(true) {
		s.mu.Lock()
		s.kept = nil
		s.mu.Unlock()
	}
}

// keep remembers a message in case it must be sent again, unless the stream stays where it is, and returns the stream to send it on.
func (s *remoteStream) keep(m any) (_ *streamAttempt, kept bool) {
	if s.committed.Load() {
		return s.current.Load(), false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.committed.Load() {
		return s.current.Load(), false
	}
	msg, ok := m.(proto.Message)
	if ok && s.call.o.plain && len(s.kept) < maxKeptMessages {
		if s.keptBytes += proto.Size(msg); s.keptBytes <= maxKeptBytes {
			s.kept = append(s.kept, proto.Clone(msg)) // the caller may change its own
			return s.current.Load(), true
		}
	}
	s.committed.Store(true)
	s.kept = nil
	return s.current.Load(), false
}

// errRefused stands for the status of a call that was refused, where only its trailer is known.
var errRefused = status.Error(codes.Unavailable, "the instance did not process the call")

// SendMsg implements grpc.ClientStream.
func (s *remoteStream) SendMsg(m any) error {
	sa, kept := s.keep(m)
	err := sa.stream.SendMsg(m)
	if err == nil || !kept {
		return err
	}
	cause := err
	if err == io.EOF {
		cause = errRefused // if it was; otherwise RecvMsg tells
	}
	if again, _ := s.retry(sa, cause); again {
		return nil // m was sent there
	}
	return err
}

// RecvMsg implements grpc.ClientStream.
func (s *remoteStream) RecvMsg(m any) error {
	for {
		sa := s.current.Load()
		err := sa.stream.RecvMsg(m)
		if err == nil {
			s.commit()
			return nil
		}
		if err == io.EOF {
			return err
		}
		again, err := s.retry(sa, err)
		if !again {
			s.end(err) // settle left it to us when a sender committed the stream in between
			return err
		}
	}
}

// Header implements grpc.ClientStream.
func (s *remoteStream) Header() (metadata.MD, error) {
	for {
		sa := s.current.Load()
		md, err := sa.stream.Header()
		cause := err
		if err == nil && sa.report.NotProcessed.Load() {
			cause = errRefused
		}
		if cause == nil {
			s.commit()
			return md, nil
		}
		if again, _ := s.retry(sa, cause); !again {
			return md, err
		}
	}
}

// CloseSend implements grpc.ClientStream.
func (s *remoteStream) CloseSend() error {
	s.mu.Lock()
	s.halfClose = true
	sa := s.current.Load()
	s.mu.Unlock()
	return sa.stream.CloseSend()
}

// Trailer implements grpc.ClientStream.
func (s *remoteStream) Trailer() metadata.MD { return s.current.Load().stream.Trailer() }

// Context implements grpc.ClientStream.
func (s *remoteStream) Context() context.Context { return s.current.Load().stream.Context() }
