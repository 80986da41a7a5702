package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/identity"
	"github.com/hanse-go/hanse/internal/http2"
	"github.com/hanse-go/hanse/rpc/internal/wire"
	"google.golang.org/grpc/peer"
)

const (
	firstAcceptPause  = 5 * time.Millisecond
	longestAcceptWait = time.Second
	// arrivalTime is what a draining port gives a connection that it accepted to say something: a request may be on its way.
	arrivalTime = 500 * time.Millisecond
)

// Port serves the servers of one app, and plain HTTP, on its listeners:
//
//	port := &rpc.Port{Servers: []*rpc.Server{cart, catalog}, HTTP: mux}
//	err := port.Serve(lis)
//
// The first bytes of a connection, or the protocol that TLS agreed on, decide what it speaks: HTTP/1 or HTTP/2. All that is not gRPC goes
// to HTTP, also where one connection carries both, as a proxy's does.
//
// A call goes to the server that its :authority names. Where it names none of Servers, the call goes to Shared, if that has the
// contract, else to the one server that has it; when several have it, the call fails with Unimplemented and the error names them. A call
// that is meant for another instance, as one on a stale address is, fails with Unavailable and is marked as not processed, so that a
// [Conn] sends it elsewhere.
//
// The fields are set before the first Serve. A Port must not be copied. Its methods are safe for concurrent use.
type Port struct {
	// Servers are the services that the port serves, each under its Service as :authority. None: only what Shared and HTTP serve.
	Servers []*Server
	// Shared holds contracts of the app itself, such as health and reflection, under every :authority. A server of its own has
	// precedence where it is named and has the contract too. nil: none.
	Shared *Server
	// HTTP serves the requests that are not gRPC: those over HTTP/1, and over HTTP/2 all but POST with a Content-Type of gRPC's. Over
	// HTTP/2 there is no server push and no http.Hijacker, and a request whose body is not as long as its Content-Length is reset.
	// With the wire of rpc/grpcwire, which refuses them over HTTP/2, it serves HTTP/1 only. nil: 404.
	HTTP http.Handler
	// HTTPContext is what the contexts of HTTP requests come from: they end with it. nil: context.Background.
	HTTPContext context.Context
	// TLS makes the port speak TLS; it adds the protocols h2 and http/1.1 (ALPN) where they are missing. Of versions the config has
	// its say: by default 1.2 and 1.3. Certificates are renewed without a restart by GetCertificate, which is asked for each new
	// connection; connections that are open keep theirs. With ClientAuth set to tls.RequireAndVerifyClientCert clients show
	// certificates, of which handlers find the chain in peer.FromContext: AuthInfo is a credentials.TLSInfo. nil: plaintext (h2c by
	// prior knowledge).
	TLS *tls.Config
	// Identity makes the port take calls over mutual TLS 1.3 alone, from callers of the same system: see [identity.ServerConfig]. The
	// service that a client asks for shows its own certificate. Calls over plaintext get the status Unauthenticated, requests over plain
	// HTTP a 403; connections that are refused are logged, at most one each second. nil: as TLS says. Not both.
	Identity identity.Source
	// PlainHTTP lets requests over plain HTTP through to HTTP although the port has an Identity: for pages, on an address that only those
	// reach who may see them.
	PlainHTTP bool
	Wire      Wire         // what speaks gRPC to clients; nil: the default
	Limits    Limits       // on what clients can make the port hold and do; zero: safe ones
	Logger    *slog.Logger // nil: slog.Default

	once   sync.Once
	limits wire.Limits
	server wire.Server
	plain  wire.Server // refuses calls over plaintext; nil without Identity
	web    *http.Server
	web2   *http2.Web    // the same over HTTP/2
	web2On http2.Workers // that run its handlers
	webIn  *wire.ConnQueue
	tls    *tls.Config
	router *router
	warned throttle

	conns    atomic.Int64   // open ones, of all kinds
	crowded  atomic.Bool    // there are as many as there may be
	running  sync.WaitGroup // accept loops, connections that are not handed over yet, the HTTP server
	arriving sync.WaitGroup // connections that were accepted and that nobody serves yet

	open  context.Context // ends with Close
	close context.CancelFunc

	mu        sync.Mutex
	closing   bool          // takes no new connections
	quit      chan struct{} // closed with it
	listeners map[net.Listener]bool
	pending   map[net.Conn]bool // not handed over yet
	drained   chan struct{}     // closed when Drain's work is done; nil before Drain
	ending    sync.Once         // of web2On
}

// start makes what runs the connections.
func (p *Port) start() {
	p.once.Do(func() {
		p.listeners = make(map[net.Listener]bool)
		p.quit = make(chan struct{})
		p.open, p.close = context.WithCancel(context.Background())
		p.pending = make(map[net.Conn]bool)
		p.tls = p.serverTLS()
		p.limits = p.Limits.resolve()
		p.router = newRouter(p.Servers, p.Shared, min(p.limits.MaxRecvMsgSize, noLimit))
		p.limits.MaxRecvMsgSize = p.router.mostRecvMsgSize()
		handler := p.HTTP
		if handler == nil {
			handler = http.HandlerFunc(p.noHTTP)
		}
		handler = p.secureOnly(p.meantOnly(handler))
		p.web = &http.Server{
			Handler:           handler,
			ReadHeaderTimeout: p.limits.HeaderTimeout, // here, too, 0 is none
			IdleTimeout:       p.limits.IdleTimeout,
			MaxHeaderBytes:    min(p.limits.MaxHeaderListSize, math.MaxInt32),
			ErrorLog:          slog.NewLogLogger(p.logger().Handler(), slog.LevelWarn),
		}
		if p.Limits.IdleTimeout == 0 {
			p.web.IdleTimeout = defaultHTTP1Idle
		}
		if p.HTTPContext != nil {
			p.web.BaseContext = func(net.Listener) context.Context { return p.HTTPContext }
		}
		p.web.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
			ctx = peer.NewContext(ctx, peerOf(conn))
			if p.tls == nil {
				return ctx
			}
			return context.WithValue(ctx, identity.CallerKey{}, callerOf(conn))
		}
		p.web.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew { // from here on Shutdown knows it
				p.arriving.Done()
			}
		}
		p.web2 = &http2.Web{Handler: handler, BaseContext: p.HTTPContext, Server: p.web, Logger: p.Logger, Workers: &p.web2On}
		p.server = wireOr(p.Wire).NewServer(wire.ServerConfig{
			Handle:       p.router.serve,
			Router:       p.router,
			Web:          p.web2,
			StatsHandler: p.router.statsHandler(),
			Limits:       p.limits,
		})
		if p.Identity != nil {
			p.plain = p.plainServer()
		}
		p.webIn = wire.NewConnQueue()
		p.running.Go(func() { p.web.Serve(p.webIn) }) // its only error is that it was closed
	})
}

// noHTTP serves plain requests where there is no HTTP. A call that lacks gRPC's content type is told so (gRPC's PROTOCOL-HTTP2,
// "Requests").
func (p *Port) noHTTP(w http.ResponseWriter, r *http.Request) {
	if contract, _ := splitMethod(r.URL.Path); r.Method == http.MethodPost && slices.ContainsFunc(p.router.all(), func(s *Server) bool { return s.has(contract) }) {
		http.Error(w, "this is served as gRPC only: send Content-Type application/grpc over HTTP/2", http.StatusUnsupportedMediaType)
		return
	}
	http.NotFound(w, r)
}

func (p *Port) logger() *slog.Logger {
	if p.Logger != nil {
		return p.Logger
	}
	return slog.Default()
}

// Serve accepts connections on lis until Drain or Close, and then returns nil. It closes lis. Several listeners may be served at once.
// It returns an error when lis fails for good, and at once when Limits has mistakes; what goes wrong with one connection never ends it.
func (p *Port) Serve(lis net.Listener) error {
	p.start()
	err := p.Limits.Check()
	if p.TLS != nil && p.Identity != nil {
		err = errors.New("Port.TLS and Port.Identity are both set: Identity brings its own TLS")
	}
	if err != nil {
		lis.Close()
		return fmt.Errorf("rpc: %w", err)
	}
	p.mu.Lock()
	if p.closing {
		p.mu.Unlock()
		lis.Close()
		return nil
	}
	p.listeners[lis] = true
	p.running.Add(1)
	p.mu.Unlock()
	defer p.running.Done()

	pause := time.Duration(0)
	for {
		conn, err := lis.Accept()
		if err == nil {
			pause = 0
			p.accept(conn)
			continue
		}
		p.mu.Lock()
		closing := p.closing
		p.mu.Unlock()
		if closing {
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("rpc: %s: %w", lis.Addr(), err)
		}
		// Such as too many open files: connections that end make room.
		if pause == 0 {
			pause = firstAcceptPause
			p.logger().Warn("accepting a connection failed; trying again", "addr", lis.Addr().String(), "error", err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-p.quit:
			timer.Stop()
		}
		pause = min(2*pause, longestAcceptWait)
	}
}

// accept finds out what a connection speaks and hands it over.
func (p *Port) accept(accepted net.Conn) {
	conn := p.admit(accepted)
	if conn == nil {
		accepted.Close()
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closing {
		conn.Close()
		return
	}
	p.pending[conn] = true
	p.arriving.Add(1)
	p.running.Go(func() {
		ready, http2, err := sniff(conn, p.tls, p.Identity != nil, p.limits.HandshakeTimeout)
		p.mu.Lock()
		delete(p.pending, conn)
		closing := p.closing
		p.mu.Unlock()
		switch {
		case err != nil:
			conn.Close()
			p.arriving.Done()
			if !closing {
				p.ended(conn, err)
			}
		case http2:
			p.arriving.Done() // the wire refuses it when it drains, before its client has sent a call
			if _, secure := ready.(*tls.Conn); p.plain != nil && !secure {
				p.plain.Serve(ready)
			} else {
				p.server.Serve(ready)
			}
		default:
			conn.LimitStalls(p.limits.StallTimeout)
			if !p.webIn.Put(ready) {
				p.arriving.Done()
			}
		}
	})
}

// admit counts a connection until it is closed. It returns nil when there are as many as there may be.
func (p *Port) admit(conn net.Conn) *wire.Accepted {
	limit := int64(p.limits.MaxConnections)
	if p.conns.Add(1) > limit {
		p.conns.Add(-1)
		if p.crowded.CompareAndSwap(false, true) {
			p.logger().Warn("closing new connections: there are as many as Limits.MaxConnections says", "max", limit, "peer", conn.RemoteAddr().String())
		}
		return nil
	}
	return &wire.Accepted{Conn: conn, Closed: func() {
		if p.conns.Add(-1) < limit-limit/10 {
			p.crowded.Store(false) // so that a crowd is logged once
		}
	}}
}

// refuse stops taking connections.
func (p *Port) refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closing {
		return
	}
	p.closing = true
	close(p.quit)
	for lis := range p.listeners {
		lis.Close()
	}
}

// closePending closes the connections that have not told what they speak.
func (p *Port) closePending() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.pending {
		conn.Close()
	}
}

// drainWeb ends the HTTP server when the requests that were sent to it have been answered: those on their way, too.
func (p *Port) drainWeb() {
	silent := time.AfterFunc(arrivalTime, p.closePending)
	p.arriving.Wait()
	silent.Stop()
	p.web.Shutdown(p.open) // polls: Close must not leave it behind
}

// Drain closes the listeners, tells clients to call elsewhere (GOAWAY), and returns when no call from outside and no HTTP request runs.
// Calls that come before a client heard of it are served; those that come after it are never processed, and clients send them
// elsewhere. A connection that was accepted and has not said anything gets half a second for its request. When ctx ends first, Drain
// returns its error and the calls go on: then Close, or Drain again.
func (p *Port) Drain(ctx context.Context) error {
	p.start()
	p.refuse()
	p.mu.Lock()
	if p.drained == nil {
		drained := make(chan struct{})
		p.drained = drained
		go func() { // not one of p.running: it lasts as long as handlers do, which Close does not wait for
			defer close(drained)
			var both sync.WaitGroup
			both.Go(p.server.Drain)
			if p.plain != nil {
				both.Go(p.plain.Drain)
			}
			both.Go(p.drainWeb)
			both.Wait()
			p.web2.Wait(nil) // for handlers whose connections are gone
			p.web2On.Close()
		}()
	}
	drained := p.drained
	p.mu.Unlock()
	select {
	case <-drained:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("rpc: draining: %w", context.Cause(ctx))
	}
}

// Close closes listeners and connections and waits for the port's goroutines, but not for handlers that go on although their contexts
// are cancelled: [Server.Drain] does. Closing twice is no error.
func (p *Port) Close() error {
	p.start()
	p.refuse()
	p.close()
	p.closePending()
	p.server.Stop()
	if p.plain != nil {
		p.plain.Stop()
	}
	p.web.Close()
	p.running.Wait()
	p.ending.Do(func() { go p.web2On.Close() }) // it waits for handlers
	return nil
}
