package rpc

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/resilience"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// hedge is the second call of a hedged one. The first is made by the caller's goroutine, with the caller's reply; the second has a reply
// of its own, so that neither writes where the other does.
type hedge struct {
	b      *binding
	method *methodInfo
	policy *resilience.Policy
	first  atomic.Pointer[member] // where the first call is
	done   chan struct{}          // closed when what follows is set

	err   error
	reply proto.Message
	own   ownResults
}

// hedges reports whether a call is one that may be hedged.
func (o *callOptions) hedges(p *resilience.Policy, m *methodInfo, reply any) bool {
	if !m.reads || !o.plain {
		return false
	}
	h := p.Hedge
	if o.policy != nil {
		h = o.policy.Over(*p).Hedge
	}
	_, ok := reply.(proto.Message)
	return ok && h.On()
}

// invokeHedged makes a call, and makes it again at another instance when it takes long. It returns when both have ended, for they read
// the caller's request; the one that lost is cancelled.
func (b *binding) invokeHedged(ctx context.Context, limit time.Time, pass resilience.Pass, info *methodInfo, args, reply any, o *callOptions, start time.Time) error {
	policy := b.policy(info.name, o)
	latencies := b.pool.guard.latenciesOf(info)
	delay, ok := policy.Hedge.Delay(latencies)
	if !ok {
		err := b.invokeNow(ctx, limit, pass, info, args, reply, o, start, nil)
		if err == nil {
			latencies.Add(time.Since(start))
		}
		return err
	}
	ctx, cancel := within(ctx, limit, b.conn)
	defer cancel()
	firstCtx, endFirst := context.WithCancel(ctx)
	defer endFirst()
	secondCtx, endSecond := context.WithCancel(ctx)
	defer endSecond()
	h := &hedge{b: b, method: info, policy: policy, done: make(chan struct{})}
	kind := reply.(proto.Message).ProtoReflect().Type() // the reply itself is the first call's now
	timer := time.AfterFunc(delay, func() {
		defer close(h.done)
		h.run(secondCtx, args, kind, o)
		if h.err == nil {
			endFirst()
		}
	})
	err := b.invokeNow(firstCtx, time.Time{}, pass, info, args, reply, o, start, &h.first)
	if err == nil {
		latencies.Add(time.Since(start))
	}
	if timer.Stop() {
		return err
	}
	if err == nil {
		endSecond()
	}
	<-h.done
	if err == nil || h.err != nil {
		return err
	}
	// How long it would have taken is not known, but no less than this.
	latencies.Add(time.Since(start))
	b.pool.guard.counts.Note(ctx, resilience.HedgeWon)
	to := reply.(proto.Message)
	proto.Reset(to)
	proto.Merge(to, h.reply)
	h.own.give(o)
	h.at(ctx)
	return nil
}

// run makes the second call.
func (h *hedge) run(ctx context.Context, args any, kind protoreflect.MessageType, o *callOptions) {
	g := &h.b.pool.guard
	if !g.budget.Take(time.Now()) {
		g.counts.Note(ctx, resilience.HedgeBudget)
		h.err = errNoHedge
		return
	}
	g.counts.Note(ctx, resilience.Hedged)
	h.reply = kind.New().Interface()
	own := h.own.options(o)
	c := h.b.newCall(ctx, h.method, own, h.policy, resilience.Allowed)
	c.rounds = maxRounds // to another instance, or to none
	if first := h.first.Load(); first != nil {
		c.tried = append(c.tried, first)
	}
	a, err := c.next()
	if err == nil {
		err = a.member.link.Invoke(ctx, h.method.name, args, h.reply, own.orig, a.report)
		a.end(ctx, err, false)
	}
	c.attempts++ // the first call's
	c.tell()
	h.err = err
}

// errNoHedge stands for a second call that was not made.
var errNoHedge = context.Canceled

// ownResults are what a call tells besides its reply, kept until it is clear that it counts.
type ownResults struct {
	header, trailer metadata.MD
	peer            peer.Peer
	info            CallInfo
}

// options returns the caller's options, with results that go to r.
func (r *ownResults) options(o *callOptions) *callOptions {
	own := o.clone()
	own.orig = nil
	for _, opt := range o.orig {
		var told callOptions
		told.apply(opt)
		if len(told.headers)+len(told.trailers)+len(told.peers) == 0 {
			own.orig = append(own.orig, opt)
		}
	}
	own.headers, own.trailers, own.peers = []*metadata.MD{&r.header}, []*metadata.MD{&r.trailer}, []*peer.Peer{&r.peer}
	own.orig = append(own.orig, grpc.Header(&r.header), grpc.Trailer(&r.trailer), grpc.Peer(&r.peer))
	own.infos = []*CallInfo{&r.info}
	return own
}

// give hands the results to the caller.
func (r *ownResults) give(o *callOptions) {
	for _, p := range o.headers {
		*p = r.header
	}
	for _, p := range o.trailers {
		*p = r.trailer
	}
	for _, p := range o.peers {
		*p = r.peer
	}
	for _, p := range o.infos {
		*p = r.info
	}
}
