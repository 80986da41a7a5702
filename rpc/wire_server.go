package rpc

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/identity"
	"github.com/hanse-go/hanse/internal/http2"
	"github.com/hanse-go/hanse/rpc/internal/wire"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// wireServer serves gRPC on our own HTTP/2: it is the server side of the default [Wire].
//
// A connection's reader makes the object of a call from its header, and puts its messages together. Calls that are ready to run are
// handed to the workers when the reader has seen all that one read brought. The reply, its header and its status leave in one go.
type wireServer struct {
	router  *router
	config  http2.Config
	web     *http2.Web    // serves what is not gRPC
	stats   stats.Handler // of connections; nil: none
	workers http2.Workers // that handlers run on
	clock   stopwatch

	maxPartial int // bytes of messages that have begun on one connection

	mu      sync.Mutex
	conns   map[*wireConn]bool
	closing bool // takes no connections
	running sync.WaitGroup
	ending  sync.Once
}

var _ wire.Server = (*wireServer)(nil)

func newWireServer(r *router, limits wire.Limits, web *http2.Web) *wireServer {
	s := &wireServer{router: r, clock: newStopwatch(), web: web, stats: r.statsHandler(), maxPartial: limits.MaxQueuedBytes, conns: make(map[*wireConn]bool)}
	s.config = http2.Config{
		MaxStreams:       orUnlimited(limits.MaxStreams),
		MaxHeaderList:    orUnlimited(limits.MaxHeaderListSize),
		MaxQueued:        orUnlimited(limits.MaxQueuedBytes),
		Budget:           http2.NewBudget(int64(limits.MaxQueuedBytesTotal)),
		HandshakeTimeout: orNever(limits.HandshakeTimeout),
		HeaderTimeout:    orNever(limits.HeaderTimeout),
		StallTimeout:     orNever(limits.StallTimeout),
		IdleTimeout:      orNever(limits.IdleTimeout),
		MaxAge:           orNever(limits.MaxConnectionAge),
		MaxAgeGrace:      orNever(limits.MaxConnectionAgeGrace),
		KeepaliveTime:    orNever(limits.KeepaliveTime),
		KeepaliveTimeout: orNever(limits.KeepaliveTimeout),
		MinPingInterval:  orNever(limits.MinPingInterval),
		MaxResets:        orUnlimited(perSecond(limits.ResetBudget)),
		MaxControl:       orUnlimited(limits.ControlBudget),
	}
	return s
}

// The engine has -1 for what is switched off.

func orUnlimited(n int) int {
	if n == wire.Unlimited {
		return -1
	}
	return n
}

func orNever(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// perSecond is what a second earns of the budget of resets; the engine allows twice as many at once.
func perSecond(budget int) int {
	if budget == wire.Unlimited {
		return budget
	}
	return max(budget/2, 1)
}

// Serve implements wire.Server.
func (s *wireServer) Serve(nc net.Conn) {
	c := &wireConn{server: s, peer: peerOf(nc), caller: callerOf(nc), path: nc.RemoteAddr().Network()}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		nc.Close()
		return
	}
	c.conn = http2.NewServerConn(nc, &s.config, c)
	s.conns[c] = true
	s.running.Go(func() {
		c.serve()
		nc.Close() // the engine may have closed what is below it
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	})
}

// each takes no more connections and calls f for those that are open.
func (s *wireServer) each(f func(*wireConn)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = true
	for c := range s.conns {
		f(c)
	}
}

// Drain implements wire.Server.
func (s *wireServer) Drain() {
	s.each(func(c *wireConn) { c.conn.Drain() })
	s.running.Wait()
	s.endWorkers()
}

// Stop implements wire.Server.
func (s *wireServer) Stop() {
	s.each(func(c *wireConn) { c.conn.Close(nil) })
	s.running.Wait()
	s.endWorkers()
}

// endWorkers ends those that are idle, and the others when their handlers have ended.
func (s *wireServer) endWorkers() { s.ending.Do(func() { go s.workers.Close() }) }

// wireConn is one connection of a client, and the handler of its streams.
type wireConn struct {
	server *wireServer
	conn   *http2.Conn
	peer   *peer.Peer
	caller any             // an identity.ID
	path   string          // unix or tcp, or what else carries it
	values context.Context // what stats handlers put into it; nil without

	head    callHead     // only the reader touches it: of the call that comes
	early   error        // likewise: the call that comes fails with it before its handler runs
	ready   []http2.Job  // likewise: calls to run when it has handled all that one read brought
	plain   bool         // likewise: that read brought requests of plain HTTP
	partial atomic.Int64 // bytes of messages that have begun and are not complete
}

// freePartial is what a connection may hold of messages that have begun even when the others hold all that all may.
const freePartial = 256 << 10

// errPartial is the status of a call whose message may not be collected.
var errPartial = status.Error(codes.ResourceExhausted, "the server holds too many messages that are not complete: send them one after another, or smaller")

// hold counts the bytes of a call's message that has begun: now, where there were *held before. It reports false when the connection
// or the server may not hold as many. Credit for messages that are larger than a window would else let clients fill the memory. Only
// the reader calls it.
func (c *wireConn) hold(held *atomic.Int64, now int) bool {
	before := held.Load()
	more := int64(now) - before
	if before < 0 || more == 0 {
		return true
	}
	switch budget, all := c.server.config.Budget, c.partial.Load()+more; {
	case all > int64(c.server.maxPartial):
		return false
	case more < 0 || all <= freePartial:
		budget.Give(int(-more))
	case !budget.Take(int(more)):
		return false
	}
	c.partial.Add(more)
	if !held.CompareAndSwap(before, int64(now)) { // the call has ended meanwhile
		c.partial.Add(-more)
		c.server.config.Budget.Give(int(more))
	}
	return true
}

// release gives back what a call holds that has ended.
func (c *wireConn) release(held *atomic.Int64) {
	if n := held.Swap(-1); n > 0 {
		c.partial.Add(-n)
		c.server.config.Budget.Give(int(n))
	}
}

var _ http2.Handler = (*wireConn)(nil)

func (c *wireConn) serve() {
	if h := c.server.stats; h != nil {
		c.values = h.TagConn(peer.NewContext(context.Background(), c.peer), &stats.ConnTagInfo{RemoteAddr: c.peer.Addr, LocalAddr: c.peer.LocalAddr})
		h.HandleConn(c.values, &stats.ConnBegin{})
		defer h.HandleConn(c.values, &stats.ConnEnd{})
	}
	c.conn.Serve() // what went wrong is the client's affair: its calls learn of it
}

// peerOf is the caller as handlers see it.
func peerOf(nc net.Conn) *peer.Peer {
	p := &peer.Peer{Addr: nc.RemoteAddr(), LocalAddr: nc.LocalAddr()}
	if secure, ok := nc.(*tls.Conn); ok {
		p.AuthInfo = tlsInfo(secure.ConnectionState())
	} else if _, info, err := insecure.NewCredentials().ServerHandshake(nc); err == nil {
		p.AuthInfo = info
	}
	return p
}

// callerOf is the ID that the client of a connection has proved: an identity.ID, of nobody where it has proved none.
func callerOf(nc net.Conn) any {
	secure, ok := nc.(*tls.Conn)
	if !ok {
		return identity.ID{}
	}
	state := secure.ConnectionState()
	id, _ := identity.PeerID(&state)
	return id
}

// tlsInfo is what grpc's programs know of a TLS connection.
func tlsInfo(state tls.ConnectionState) credentials.TLSInfo {
	info := credentials.TLSInfo{State: state, CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}}
	if certs := state.PeerCertificates; len(certs) > 0 && len(certs[0].URIs) == 1 && certs[0].URIs[0].Scheme == "spiffe" {
		info.SPIFFEID = certs[0].URIs[0]
	}
	return info
}

// NewStream implements http2.Handler.
func (c *wireConn) NewStream(conn *http2.Conn, h *http2.Header, end bool) (*http2.Stream, http2.Receiver) {
	known, head := headOf(h, &c.head)
	if !head.grpc || h.Method != "POST" {
		c.plain = true
		return c.server.web.NewStream(conn, h, end)
	}
	route := c.server.router.routeOf(h, known, head)
	if route.method != nil && route.method.unary != nil {
		call, room := newUnaryServerCall(head.more() || route.tells != nil)
		call.init(c, h, known, head, route, room)
		return &call.Stream, call
	}
	call := &streamServerCall{}
	call.ctx.span = &call.span
	call.init(c, h, known, head, route, nil)
	return &call.Stream, call
}

// EndBatch implements http2.Handler.
func (c *wireConn) EndBatch(conn *http2.Conn) {
	if c.plain {
		c.plain = false
		c.server.web.EndBatch(conn)
	}
	if len(c.ready) == 0 {
		return
	}
	c.server.workers.Push(c.ready)
	clear(c.ready)
	c.ready = c.ready[:0]
}
