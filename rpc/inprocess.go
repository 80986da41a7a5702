package rpc

import (
	"cmp"
	"context"
	"sync/atomic"

	"github.com/hanse-go/hanse/identity"
	"github.com/hanse-go/hanse/resilience"
	"google.golang.org/grpc/stats"
)

// inProcessOptions say who calls through an in-process link, and how.
type inProcessOptions struct {
	service  string          // the calling service, "" for a program that only calls
	id       identity.ID     // its identity; zero: not known
	identity identity.Source // of the certificates that both ends show; nil: none
	stats    []stats.Handler // of the client
	maxRecv  int             // bytes of a reply; 0 is 4 MiB, -1 is no limit
	maxSend  int             // bytes of a request; 0 and -1 are no limit
	waiting  *atomic.Int64   // counts calls while they wait for the server to start; may be nil
	closed   context.Context // when it ends, the calls that run end with Canceled; nil: never
}

// inProcess is the link to a server of the same process: no socket and no encoding, and the meaning that a wire would have. Messages
// and metadata are copied, the handler runs on a goroutine of the server and its context has nothing of the caller's but what a wire
// carries.
type inProcess struct {
	srv              *Server
	stats            statsHandlers
	maxRecv, maxSend int
	waiting          *atomic.Int64
	closed           context.Context
	caller           *localPeer // whom the handler sees
	callerID         any        // an identity.ID
	callee           *localPeer // whom the caller sees
	fixed            fixedHeader
}

// newInProcess returns the link to a server of this process.
func newInProcess(o inProcessOptions, srv *Server) link {
	if o.closed == nil {
		o.closed = context.Background()
	}
	return &inProcess{
		srv:     srv,
		stats:   o.stats,
		maxRecv: limitOr(o.maxRecv, defaultMaxRecvMsgSize),
		maxSend: limitOr(o.maxSend, noLimit),
		waiting: o.waiting,
		closed:  o.closed,
		caller:  newLocalPeer(o.service, srv.Name, o.identity),
		callee:  newLocalPeer(srv.Name, o.service, o.identity),
		fixed:   fixedHeader{authority: srv.Name, contentType: "application/grpc", userAgent: "hanse"},

		callerID: o.id,
	}
}

// fixedHeader returns what each request with these options carries.
func (l *inProcess) fixedHeader(o *callOptions) *fixedHeader {
	if o.authority == "" && o.contentSubtype == "" {
		return &l.fixed
	}
	h := l.fixed
	h.authority = cmp.Or(o.authority, h.authority)
	if o.contentSubtype != "" {
		h.contentType += "+" + o.contentSubtype
	}
	return &h
}

// start reads what ctx and the options say about a call, into the context of its handler and its caller's side.
func (l *inProcess) start(ctx context.Context, method string, o *callOptions, h *handlerContext, side *localSide) error {
	md, err := outgoingMetadata(ctx)
	if err != nil {
		return err
	}
	h.method, h.peer, h.caller, h.local, h.span = method, l.caller.get(), l.callerID, side, &side.span
	side.fixed = l.fixedHeader(o)
	if o.creds != nil {
		if md, err = addCredentials(ctx, md, method, side.fixed.authority, o.creds, inProcessAuth); err != nil {
			return err
		}
	}
	side.sent, side.keyed = md, len(md[resilience.IdempotencyKey]) > 0
	if values := md[resilience.PriorityKey]; len(values) > 0 {
		h.priority, _ = resilience.ParsePriority(values[len(values)-1])
	}
	h.deadline, _ = ctx.Deadline()
	return l.srv.awaitStart(ctx, l.closed, l.waiting)
}

func (l *inProcess) recvLimit(o *callOptions) int {
	if o.maxRecv != nil {
		return *o.maxRecv
	}
	return l.maxRecv
}

func (l *inProcess) sendLimit(o *callOptions) int {
	if o.maxSend != nil {
		return *o.maxSend
	}
	return l.maxSend
}

// tell fills what the call's options asked for.
func (l *inProcess) tell(o *callOptions, h *handlerContext, ended bool) {
	if len(o.headers) > 0 {
		md := h.receivedHeader()
		for _, p := range o.headers {
			*p = md.Copy()
		}
	}
	for _, p := range o.trailers {
		*p = nil
		if ended {
			*p = h.receivedTrailer()
		}
	}
	for _, p := range o.peers {
		*p = *l.callee.get()
	}
}
