package rpc

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/hanse-go/hanse/balancer"
	"github.com/hanse-go/hanse/rpc/internal/wire"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	maxRepeats = 2 // of a call that may have been processed
	maxRounds  = 3 // times that a call goes to all instances, when each of them refuses it; without limit with WaitForReady

	firstPause = 20 * time.Millisecond // between rounds, and before a repeat
	lastPause  = time.Second
)

// invoke makes a unary call, behind the interceptors. limit ends it like a deadline of ctx; zero: none.
func (b *binding) invoke(ctx context.Context, limit time.Time, method string, args, reply any, opts []grpc.CallOption) error {
	stats := &b.conn.stats
	stats.sent.Add(1)
	o, err := parseCallOptions(opts)
	if err != nil {
		stats.ended(err)
		return err
	}
	if b.local != nil {
		err = b.local.invoke(ctx, method, args, reply, o)
		if len(o.infos) > 0 {
			b.tellLocal(o)
		}
	} else {
		err = b.invokeRemote(ctx, limit, method, args, reply, o)
	}
	stats.ended(err)
	o.finish(err)
	return err
}

// newStream begins a streaming call, behind the interceptors. When it succeeds, the stream tells the end of the call.
func (b *binding) newStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts []grpc.CallOption) (grpc.ClientStream, error) {
	stats := &b.conn.stats
	stats.sent.Add(1)
	o, err := parseCallOptions(opts)
	if err != nil {
		stats.ended(err)
		return nil, err
	}
	o = o.clone()
	o.onFinish = append(o.onFinish[:len(o.onFinish):len(o.onFinish)], stats.ended)
	var s grpc.ClientStream
	if b.local != nil {
		s, err = b.local.newStream(ctx, desc, method, o)
		b.tellLocal(o)
	} else {
		s, err = b.newRemoteStream(ctx, desc, method, o)
	}
	if err != nil {
		o.finish(err)
		return nil, err
	}
	return s, nil
}

func (b *binding) tellLocal(o *callOptions) {
	path := InProcess
	if _, nowhere := b.local.(noLink); nowhere {
		path = ""
	}
	for _, info := range o.infos {
		*info = CallInfo{Service: b.conn.name, Path: path, Attempts: 1}
		if path != "" {
			info.Instance = b.client.Local[b.conn.name].Instance
		}
	}
}

// remoteCall finds instances for the attempts of one call.
type remoteCall struct {
	b      *binding
	ctx    context.Context
	method *methodInfo
	o      *callOptions

	wait     bool      // WaitForReady
	tried    []*member // in this round
	rounds   int
	attempts int
	repeats  int
	last     error    // of the last attempt
	at       *attempt // the last one
}

// attempt is one try of a call at one instance.
type attempt struct {
	member    *member
	candidate *balancer.Candidate
	inst      string
	route     *route
	start     time.Time
	report    *wire.Report
}

func newAttempt(m *member, candidate *balancer.Candidate, start time.Time) *attempt {
	return &attempt{
		member: m, candidate: candidate, inst: candidate.Instance.ID, route: m.dialled.Load(), start: start, report: new(wire.Report),
	}
}

// newCall finds instances for a call that info describes, which is counted already.
func (b *binding) newCall(ctx context.Context, info *methodInfo, o *callOptions) *remoteCall {
	return &remoteCall{b: b, ctx: ctx, method: info, o: o, wait: o.waits()}
}

func (o *callOptions) waits() bool { return o.waitForReady != nil && *o.waitForReady }

// next begins an attempt at an instance that was not tried in this round. Its error is that of the call.
func (c *remoteCall) next() (*attempt, error) {
	p := c.b.pool
	for {
		n := need{binding: c.b, ctx: c.ctx, method: c.method, wait: c.wait && len(c.tried) == 0, tried: c.tried}
		m, candidate, err := p.acquire(&n)
		if err == nil {
			c.attempts++
			if c.attempts > 1 {
				c.b.conn.stats.retried.Add(1)
			}
			a := newAttempt(m, candidate, time.Now())
			candidate.Begin()
			c.at = a
			return a, nil
		}
		if len(c.tried) == 0 || c.ctx.Err() != nil || p.view.Load().err != nil {
			return nil, c.failed(err)
		}
		// Each instance that could be reached has refused the call. That is the look of a change that the registry has not told yet.
		if c.rounds++; c.rounds >= maxRounds && !c.wait {
			return nil, c.failed(err)
		}
		if err := c.pause(c.rounds); err != nil {
			return nil, c.failed(err)
		}
		c.tried = c.tried[:0]
	}
}

// failed is the error of a call that found no further instance.
func (c *remoteCall) failed(err error) error {
	if c.last == nil || c.ctx.Err() == nil && status.Code(err) != codes.Unavailable {
		return err
	}
	s := status.Convert(c.last)
	if c.ctx.Err() != nil {
		s = status.FromContextError(c.ctx.Err())
	}
	return status.Errorf(s.Code(), "%s (%s after %d attempts)", status.Convert(c.last).Message(), status.Convert(err).Message(), c.attempts)
}

// end tells the balancer how the attempt went.
func (a *attempt) end(ctx context.Context, err error) {
	outcome := balancer.Succeeded
	switch {
	case err == nil:
	case ctx.Err() != nil, status.Code(err) == codes.DeadlineExceeded && expiring(ctx):
		outcome = balancer.Abandoned
	case a.report.Answered.Load() && !a.report.NotProcessed.Load():
	case status.Code(err) == codes.Unavailable:
		outcome = balancer.Failed
	case !a.report.Sent.Load(): // a message that cannot be encoded, a credential that cannot be had
		outcome = balancer.Abandoned
	}
	a.candidate.Done(time.Since(a.start), outcome)
	a.member.release()
}

// expiring reports whether the caller's time is as good as over: the instance, which has the same deadline, may say so first.
func expiring(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) < soon
}

// soon is how much earlier an instance may find a deadline expired than its caller.
const soon = 10 * time.Millisecond

// elsewhere reports whether a call that failed with err in the attempt was never processed, so that it may go to another instance.
// Errors of other codes come from this side: a message that cannot be encoded, a credential that cannot be had.
func (c *remoteCall) elsewhere(a *attempt, err error) bool {
	return status.Code(err) == codes.Unavailable && c.ctx.Err() == nil && a.report.NeverProcessed()
}

// refused keeps the call away from the attempt's instance for this round.
func (c *remoteCall) refused(a *attempt, err error) {
	c.last = err
	c.tried = append(c.tried, a.member)
}

// again decides whether the call is tried once more after err, and waits as long as that needs.
func (c *remoteCall) again(a *attempt, err error) bool {
	if c.elsewhere(a, err) {
		c.refused(a, err)
		return true
	}
	c.last = err
	died := status.Code(err) == codes.Unavailable && c.ctx.Err() == nil && !a.report.Answered.Load()
	if !died || !c.method.safe || c.repeats >= maxRepeats || !c.b.pool.budget.take() {
		return false
	}
	c.repeats++
	c.tried = append(c.tried[:0], a.member) // others first
	return c.pause(c.repeats) == nil
}

// pause waits a little longer for each n, at random so that callers do not come back all at once.
func (c *remoteCall) pause(n int) error {
	d := min(firstPause<<min(n-1, 10), lastPause)
	t := time.NewTimer(d/2 + rand.N(d))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-c.ctx.Done():
		return status.FromContextError(c.ctx.Err()).Err()
	}
}

// tell fills the call's CallInfos.
func (c *remoteCall) tell() {
	for _, info := range c.o.infos {
		*info = CallInfo{Service: c.b.conn.name, Attempts: c.attempts}
		if c.at == nil {
			continue
		}
		info.Instance = c.at.inst
		if c.at.route != nil {
			info.Endpoint, info.Path = c.at.route.endpoint, c.at.route.path
		}
	}
}

// invokeRemote makes a unary call to an instance. Nearly all calls find a connection and get an answer, and take the short way: without
// a context of their own.
func (b *binding) invokeRemote(ctx context.Context, limit time.Time, method string, args, reply any, o *callOptions) error {
	b.pool.budget.call()
	info := describe(method)
	m, candidate := b.pool.now(&need{binding: b, ctx: ctx, method: info})
	if m == nil {
		return b.invokeLater(ctx, limit, info, method, args, reply, o, nil, nil)
	}
	start := time.Now()
	candidate.Begin()
	if m.direct == nil {
		return b.invokeLater(ctx, limit, info, method, args, reply, o, newAttempt(m, candidate, start), nil)
	}
	out, err := m.direct.invoke(ctx, limit, b.conn, method, args, reply, o)
	if err == nil {
		candidate.Done(time.Since(start), balancer.Succeeded)
		if len(o.infos) > 0 {
			c := remoteCall{b: b, o: o, attempts: 1, at: newAttempt(m, candidate, start)}
			c.tell()
		}
		m.release()
		return nil
	}
	a := newAttempt(m, candidate, start)
	out.report(a.report)
	return b.invokeLater(ctx, limit, info, method, args, reply, o, a, err)
}

// invokeLater goes on with a call, the first attempt of which is a: it was not made yet or has failed with err. a is nil when there was
// no instance at once.
func (b *binding) invokeLater(ctx context.Context, limit time.Time, info *methodInfo, method string, args, reply any, o *callOptions, a *attempt, err error) error {
	ctx, cancel := within(ctx, limit, b.conn)
	defer cancel()
	c := b.newCall(ctx, info, o)
	defer c.tell()
	if a != nil {
		c.attempts, c.at = 1, a
	}
	for {
		if a == nil {
			if a, err = c.next(); err != nil {
				return err
			}
		}
		if err == nil {
			err = a.member.link.Invoke(ctx, method, args, reply, o.orig, a.report)
		}
		a.end(ctx, err)
		if err == nil || !c.again(a, err) {
			return err
		}
		a, err = nil, nil
	}
}

// attach returns a context that also ends when the Conn is closed. The cancel function must be called.
func (c *Conn) attach(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(c.ctx, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}
