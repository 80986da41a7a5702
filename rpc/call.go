package rpc

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/balancer"
	"github.com/hanse-go/hanse/resilience"
	"github.com/hanse-go/hanse/rpc/internal/wire"
	"github.com/hanse-go/hanse/telemetry"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// maxRounds is how often a call goes to all instances, when each of them refuses it; without limit with WaitForReady.
const maxRounds = 3

// invoke makes a unary call, behind the interceptors, that begins at start; zero is now. limit ends it like a deadline of ctx; zero: none.
func (b *binding) invoke(ctx context.Context, start, limit time.Time, method string, args, reply any, opts []grpc.CallOption) error {
	stats := &b.conn.stats
	stats.sent.Add(1)
	o, err := parseCallOptions(opts)
	if err != nil {
		stats.ended(err)
		return err
	}
	if b.local != nil {
		b.atLocal(ctx)
		err = b.local.invoke(ctx, method, args, reply, o)
		if len(o.infos) > 0 {
			b.tellLocal(o)
		}
	} else {
		err = b.invokeRemote(ctx, start, limit, method, args, reply, o)
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
	if b.client.Telemetry != nil {
		o.onFinish = append(o.onFinish, telemetry.CallIn(ctx).End)
	}
	var s grpc.ClientStream
	if b.local != nil {
		b.atLocal(ctx)
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
	policy *resilience.Policy
	pass   resilience.Pass // of the breaker
	stream bool

	wait     bool      // WaitForReady
	tried    []*member // in this round
	rounds   int
	attempts int
	repeats  int
	last     error              // of the last attempt
	at       *attempt           // the last one
	outcome  resilience.Outcome // of the last one
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

// newCall finds instances for a call that info describes, which is counted already and has a pass.
func (b *binding) newCall(ctx context.Context, info *methodInfo, o *callOptions, policy *resilience.Policy, pass resilience.Pass) *remoteCall {
	return &remoteCall{b: b, ctx: ctx, method: info, o: o, policy: policy, pass: pass, wait: o.waits(), outcome: resilience.Abandoned}
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
			a.begin(c.stream)
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
		if !c.pause(c.policy.Retry.Pause(c.rounds)) {
			return nil, c.failed(contextStatus(c.ctx.Err()))
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

// begin tells the balancer, and who watches the instance, that the attempt begins.
func (a *attempt) begin(stream bool) {
	a.candidate.Begin()
	if stream {
		a.member.watched.End(a.start, 0, resilience.Abandoned) // how long it takes says nothing
	} else {
		a.member.watched.Begin(a.start)
	}
}

// end tells them how it went.
func (a *attempt) end(ctx context.Context, err error, stream bool) resilience.Outcome {
	now := time.Now()
	took := now.Sub(a.start)
	outcome := a.outcome(ctx, err)
	load := balancer.Succeeded
	switch outcome {
	case resilience.Abandoned:
		load = balancer.Abandoned
	case resilience.TimedOut:
		load = balancer.Failed
	case resilience.Unavailable, resilience.Shed:
		if !a.report.Answered.Load() || a.report.NotProcessed.Load() {
			load = balancer.Failed
		}
	}
	a.candidate.Done(now, took, load)
	p := a.member.pool
	if stream {
		took = -1
	}
	if a.member.watched.End(now, took, outcome) {
		p.turned(ctx)
	}
	if outcome == resilience.TimedOut {
		p.guard.counts.Note(ctx, resilience.TimeoutEnded)
	}
	a.member.release()
	return outcome
}

// outcome is what the end of the attempt says about the instance.
func (a *attempt) outcome(ctx context.Context, err error) resilience.Outcome {
	code := status.Code(err)
	switch {
	case err == nil:
		return resilience.Answered
	case ctx.Err() != nil, code == codes.DeadlineExceeded && expiring(ctx):
		if context.Cause(ctx) == errPolicyTimeout {
			return resilience.TimedOut
		}
		return resilience.Abandoned
	case a.report.NotProcessed.Load():
		return resilience.Shed
	case a.report.Answered.Load():
		return resilience.OutcomeOf(code)
	case code == codes.Unavailable && a.report.Sent.Load():
		return resilience.Unavailable
	case code == codes.Unavailable: // it was not reached, which its link knows better
		return resilience.Shed
	case code == codes.Internal && a.report.Sent.Load():
		return resilience.Faulty
	case !a.report.Sent.Load(): // a message that cannot be encoded, a credential that cannot be had
		return resilience.Abandoned
	}
	return resilience.Answered
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

// move keeps a call that was never processed away from the attempt's instance for this round. It reports whether the call may go to
// another one. That takes nothing from the budget: an instance that is about to leave, or that is not the one meant, has hardly any
// work with it, and rounds are few.
func (c *remoteCall) move(a *attempt, err error) bool {
	c.last = err
	if !c.elsewhere(a, err) {
		return false
	}
	c.count(resilience.RetryRefused)
	c.tried = append(c.tried, a.member)
	return true
}

func (c *remoteCall) count(r resilience.Reason) { c.b.pool.guard.counts.Note(c.ctx, r) }

// again decides whether the call is tried once more after err, and waits as long as that needs.
func (c *remoteCall) again(a *attempt, err error) bool {
	if c.move(a, err) {
		return true
	}
	if c.repeats+1 >= c.policy.Retry.Attempts || c.ctx.Err() != nil || !c.repeatable(a, err) {
		return false
	}
	wait, asked := a.report.Pushback()
	if wait < 0 {
		c.count(resilience.RetryPushback)
		return false
	}
	if !asked {
		wait = c.policy.Retry.Pause(c.repeats + 1)
	}
	if deadline, ok := c.ctx.Deadline(); ok && time.Until(deadline) <= wait {
		return false // the error says more than that the time is over
	}
	if !c.b.pool.guard.budget.Take(time.Now()) {
		c.count(resilience.RetryBudget)
		return false
	}
	c.count(resilience.RetryFailed)
	c.repeats++
	c.tried = append(c.tried[:0], a.member) // others first
	return c.pause(wait)
}

// repeatable reports whether the call may succeed when it is made again, and does no harm when it is processed twice.
func (c *remoteCall) repeatable(a *attempt, err error) bool {
	if a.report.Answered.Load() && a.report.NotProcessed.Load() { // the instance has too much to do; others may have less
		return status.Code(err) == codes.ResourceExhausted
	}
	if !c.outcome.Failed() {
		return false
	}
	if c.method.safe {
		return true
	}
	md, _ := metadata.FromOutgoingContext(c.ctx)
	return len(md.Get(resilience.IdempotencyKey)) > 0
}

// pause waits. It returns false when the call has ended.
func (c *remoteCall) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.ctx.Done():
		return false
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
func (b *binding) invokeRemote(ctx context.Context, start, limit time.Time, method string, args, reply any, o *callOptions) error {
	p := b.pool
	if start.IsZero() {
		start = p.clock.now()
	}
	pass := p.guard.circuit.Allow(start)
	if pass == resilience.Refused {
		return p.broken(ctx, start)
	}
	p.guard.budget.Call(start)
	p.look(ctx, start)
	info := b.called(method).info()
	if o.hedges(b.policies.Load().of(method), info, reply) {
		return b.invokeHedged(ctx, limit, pass, info, args, reply, o, start)
	}
	return b.invokeNow(ctx, limit, pass, info, args, reply, o, start, nil)
}

// invokeNow makes a call that is allowed. It notes in where, unless that is nil, at which instance.
func (b *binding) invokeNow(ctx context.Context, limit time.Time, pass resilience.Pass, info *methodInfo, args, reply any, o *callOptions, start time.Time, where *atomic.Pointer[member]) error {
	p := b.pool
	m, candidate := p.now(&need{binding: b, ctx: ctx, method: info}, b.called(info.name), start)
	if where != nil {
		where.Store(m)
	}
	if m == nil || m.direct == nil {
		var a *attempt
		if m != nil {
			a = newAttempt(m, candidate, start)
			a.begin(false)
		}
		return b.invokeLater(ctx, limit, pass, info, args, reply, o, a, nil)
	}
	candidate.Begin()
	m.watched.Begin(start)
	out, err := m.direct.invoke(ctx, start, limit, b.conn, info.name, args, reply, o)
	if err == nil {
		end := out.at
		took := end.Sub(start)
		candidate.Done(end, took, balancer.Succeeded)
		if m.watched.End(end, took, resilience.Answered) {
			p.turned(ctx)
		}
		p.guard.circuit.Done(end, pass, resilience.Answered)
		if len(o.infos) > 0 {
			c := remoteCall{b: b, o: o, attempts: 1, at: newAttempt(m, candidate, start)}
			c.tell()
		}
		if b.client.Telemetry != nil {
			m.at(ctx, candidate)
		}
		m.release()
		return nil
	}
	a := newAttempt(m, candidate, start)
	out.report(a.report)
	return b.invokeLater(ctx, limit, pass, info, args, reply, o, a, err)
}

// invokeLater goes on with a call, the first attempt of which is a: it was not made yet or has failed with err. a is nil when there was
// no instance at once.
func (b *binding) invokeLater(ctx context.Context, limit time.Time, pass resilience.Pass, info *methodInfo, args, reply any, o *callOptions, a *attempt, err error) error {
	ctx, cancel := within(ctx, limit, b.conn)
	defer cancel()
	c := b.newCall(ctx, info, o, b.policy(info.name, o), pass)
	defer c.done()
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
			err = a.member.link.Invoke(ctx, info.name, args, reply, o.orig, a.report)
		}
		c.outcome = a.end(ctx, err, false)
		if err == nil || !c.again(a, err) {
			return err
		}
		a, err = nil, nil
	}
}

// done ends the call.
func (c *remoteCall) done() {
	c.b.pool.guard.circuit.Done(time.Now(), c.pass, c.outcome)
	c.o.forwarded.note(c.repeats == 0 && (c.at == nil || c.at.report.NeverProcessed()))
	c.told()
	c.tell()
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
