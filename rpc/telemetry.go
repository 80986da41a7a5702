package rpc

import (
	"context"
	"strings"
	"time"

	"github.com/hanse-go/hanse/balancer"
	"github.com/hanse-go/hanse/telemetry"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// placeTelemetry finds out who is told of the calls of each method.
func (s *Server) placeTelemetry() {
	s.reached.Store(telemetry.NewReached(string(InProcess), s.Instance, ""))
	for path, m := range s.methods {
		if m.tells = s.Telemetry.Serves(path); m.unary == nil {
			m.tells.Streaming()
		}
	}
}

// TelemetryOf returns who is told of requests for a full method ("/package.Service/Method"), when they come by another protocol than gRPC: the server that has it, or the
// first. nil: nobody is told.
func (p *Port) TelemetryOf(method string) *telemetry.Service {
	p.start()
	contract, _ := splitMethod(method)
	var first *telemetry.Service
	for _, s := range p.router.servers {
		if s.has(contract) {
			return s.Telemetry
		}
		if first == nil {
			first = s.Telemetry
		}
	}
	return first
}

// trace begins the span of a call, with what the context that it came with has.
func (c *wireCall) trace(ctx context.Context) {
	t := c.srv.Telemetry
	if t == nil {
		return
	}
	c.path = pathOf(ctx)
	c.ctx.span.Serve(c.method.tells, first(incomingValues(ctx, telemetry.TraceParentKey)), strings.Join(incomingValues(ctx, telemetry.TraceStateKey), ","))
	if !telemetry.Found() {
		c.ctx.handed = trace.ContextWithSpan(&c.ctx, &c.ctx.span)
	}
	if t.Baggage() {
		if values := incomingValues(ctx, telemetry.BaggageKey); len(values) > 0 {
			c.ctx.handed = telemetry.WithBaggage(c.Context(), strings.Join(values, ","))
		}
	}
}

// unserved tells of a call of a method that there is not.
func (s *Server) unserved(ctx context.Context, err error) {
	var span telemetry.Span
	span.Serve(s.Telemetry.Serves(""), first(incomingValues(ctx, telemetry.TraceParentKey)), strings.Join(incomingValues(ctx, telemetry.TraceStateKey), ","))
	span.Served(err, pathOf(ctx))
}

// pathOf is the way that a call came whose peer ctx has.
func pathOf(ctx context.Context) string {
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		return p.Addr.Network()
	}
	return ""
}

// served ends the span of a call that ended with err.
func (c *wireCall) served(err error) {
	if c.err != nil && err == nil { // the handler has ended the goroutine
		err = c.err
	}
	c.ctx.span.Served(err, c.path)
}

// begin begins to tell of a call that is made, since start; nil: nobody is told.
func (b *binding) begin(ctx context.Context, start time.Time, method string) *telemetry.Call {
	if b.client.Telemetry == nil {
		return nil
	}
	return b.called(method).tells.BeginAt(ctx, start)
}

// at notes where a call went that is told of: to m, at once.
func (m *member) at(ctx context.Context, candidate *balancer.Candidate) {
	if call := telemetry.CallIn(ctx); call != nil {
		call.At(reached(m.dialled.Load(), candidate.Instance.ID), 1)
	}
}

// reached says where a call to an instance went, by a route that may be nil.
func reached(r *route, instance string) *telemetry.Reached {
	if r == nil {
		return telemetry.NewReached("", instance, "")
	}
	return r.reached
}

// told notes where the last attempt of a call went.
func (c *remoteCall) told() {
	call := telemetry.CallIn(c.ctx)
	if call == nil || c.at == nil {
		return
	}
	call.At(reached(c.at.route, c.at.inst), c.attempts)
}

// at notes for a hedged call that the second attempt has won.
func (h *hedge) at(ctx context.Context) {
	i := &h.own.info
	if call := telemetry.CallIn(ctx); call != nil {
		call.At(telemetry.NewReached(string(i.Path), i.Instance, i.Endpoint), i.Attempts)
	}
}

// atLocal notes that a call goes to a service of this process.
func (b *binding) atLocal(ctx context.Context) {
	if l, ok := b.local.(*inProcess); ok && b.client.Telemetry != nil {
		r := l.srv.reached.Load()
		if r == nil { // it was not started yet
			r = telemetry.NewReached(string(InProcess), "", "")
		}
		telemetry.CallIn(ctx).At(r, 1)
	}
}

// trace begins the span of a call that is taken, of the method or, when that is nil, of one that there is not. What the caller sends of the
// trace is as on a wire.
func (l *inProcess) trace(ctx context.Context, h *handlerContext, m *method) {
	out := telemetry.HeadersOf(ctx)
	heard := l.srv.Telemetry != nil
	if out.Baggage != "" || out.Trace && !heard {
		if h.local.sent == nil {
			h.local.sent = make(metadata.MD, 3)
		}
		out.AddTo(h.local.sent)
	}
	if !heard {
		return
	}
	var tells *telemetry.Method
	if m != nil {
		tells = m.tells
	} else {
		tells = l.srv.Telemetry.Serves("")
	}
	if out.Trace {
		delete(h.local.sent, telemetry.TraceParentKey) // made when someone asks for it
		delete(h.local.sent, telemetry.TraceStateKey)
		h.span.ServeFor(tells, out.Span())
	} else {
		h.span.Serve(tells, first(h.local.sent[telemetry.TraceParentKey]), strings.Join(h.local.sent[telemetry.TraceStateKey], ","))
	}
	if l.srv.Telemetry.Baggage() {
		h.local.baggage = strings.Join(h.local.sent[telemetry.BaggageKey], ",")
	}
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}
