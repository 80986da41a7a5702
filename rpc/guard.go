package rpc

import (
	"context"
	"sync"
	"time"

	"github.com/hanse-go/hanse/resilience"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// guard keeps the calls of one service from making things worse: it belongs to a [pool].
type guard struct {
	counts   resilience.Counts
	budget   resilience.Budget
	circuit  resilience.Circuit
	outliers resilience.Outliers

	latencies sync.Map // full method → *resilience.Latencies, of those that are hedged
}

// latenciesOf returns those of a method that the program's descriptors have.
func (g *guard) latenciesOf(m *methodInfo) *resilience.Latencies {
	l, ok := g.latencies.Load(m.name)
	if !ok {
		l, _ = g.latencies.LoadOrStore(m.name, new(resilience.Latencies))
	}
	return l.(*resilience.Latencies)
}

// init comes before all else.
func (g *guard) init() { g.circuit.Counts, g.outliers.Counts = &g.counts, &g.counts }

// follow makes the guard follow the policy of the service.
func (g *guard) follow(p resilience.Policy) {
	g.budget.Set(p.Retry.Budget)
	g.circuit.Set(p.Breaker)
	g.outliers.Set(p.Outlier)
}

// broken is the error of a call that was not tried.
func (p *pool) broken(ctx context.Context, now time.Time) error {
	resilience.Annotate(ctx, resilience.BreakerShort) // the circuit has counted it
	s := p.guard.circuit.State(now)
	next := ""
	if s.Until != nil {
		next = ", and the next is tried in " + max(s.Until.Sub(now), 0).Round(time.Millisecond).String()
	}
	return status.Errorf(codes.Unavailable, "calls to %q are not tried, because its breaker is open: %d of %d failed%s",
		p.service, s.Failures, s.Calls, next)
}

// look lets the guard look for outliers, if that is due.
func (p *pool) look(ctx context.Context, now time.Time) {
	if p.guard.outliers.Check(now) {
		p.turned(ctx)
	}
}

// turned makes calls leave an instance that was ejected, or find one that came back. ctx is that of the call which found out.
func (p *pool) turned(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.ordered {
		if out := m.watched.Ejected(); out != m.out {
			m.out = out
			s := m.watched.State(time.Now())
			log := p.client.logger().With("service", p.service, "instance", m.inst.ID, "endpoints", m.inst.Endpoints, "reason", s.Reason)
			if out {
				resilience.Annotate(ctx, s.Reason)
				log.Warn("an instance is worse than the others and gets no calls", "until", s.Until, "failures", s.Failures, "calls", s.Calls)
			} else {
				log.Info("an instance gets calls again")
			}
		}
	}
	if p.err == nil {
		p.publish()
	}
}
