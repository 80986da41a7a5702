package http2

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Web serves the requests of a server's connections with an [http.Handler], each on a goroutine of its own, as net/http does with
// HTTP/2. It is a [Handler]; a server that speaks something else too gives it the streams that are plain HTTP, by NewStream, and tells it
// of the end of the batches that they came in.
//
//	web := &http2.Web{Handler: mux}
//	err := http2.NewServerConn(nc, &http2.Config{}, web).Serve()
//
// Handlers find what net/http gives them, http.ResponseController's deadlines, 1xx answers and trailers among it. There is no server
// push, no http.Hijacker and no CONNECT with a protocol. Stricter than net/http: a request whose body is not as long as its
// Content-Length says is reset (PROTOCOL_ERROR), and so is a response whose body is shorter than that (INTERNAL_ERROR); fields that are
// specific to a connection are never sent. More lenient: what a handler has written before it ended its goroutine (runtime.Goexit) is the
// answer, if it is as long as its Content-Length.
//
// The fields are set before the first request. A Web must not be copied.
type Web struct {
	Handler http.Handler // nil: 404
	// BaseContext is what the contexts of requests come from: they end with it. nil: context.Background.
	BaseContext context.Context
	Server      *http.Server // found in the contexts by http.ServerContextKey; nil: an empty one. It is not run, but its ConnContext is called.
	Logger      *slog.Logger // for panics and mistakes of handlers; nil: slog.Default
	// Workers are the goroutines that handlers run on: they begin when all that a read has brought was seen, so that small bodies are there.
	// nil: goroutines of the moment.
	Workers *Workers

	date atomic.Pointer[dateText] // the latest one

	mu      sync.Mutex
	conns   map[*Conn]*webConn // those with requests
	running int
	idle    chan struct{} // closed when none runs; nil unless somebody waits
}

// webConn is what the requests of one connection have in common.
type webConn struct {
	conn     *Conn
	requests int // running
	remote   string
	tls      *tls.ConnectionState
	ctx      context.Context
	ready    []Job // only the reader touches it: requests to serve when it has seen all that one read brought
}

// NewStream begins a request. See [Handler].
func (w *Web) NewStream(c *Conn, h *Header, end bool) (*Stream, Receiver) {
	call := &webCall{web: w, conn: w.begin(c)}
	call.stream.web = true
	call.body.wake.L = &call.body.mu
	call.ctx.Begin(call.conn.ctx, time.Time{})
	return &call.stream, call
}

// EndBatch gives the requests that came to the workers.
func (w *Web) EndBatch(c *Conn) {
	if w.Workers == nil {
		return
	}
	w.mu.Lock()
	wc := w.conns[c]
	w.mu.Unlock()
	if wc == nil || len(wc.ready) == 0 {
		return
	}
	w.Workers.Push(wc.ready)
	clear(wc.ready)
	wc.ready = wc.ready[:0]
}

// Wait waits until no handler runs, also of those whose connections are gone. It returns ErrGaveUp when done is closed first.
func (w *Web) Wait(done <-chan struct{}) error {
	for {
		w.mu.Lock()
		if w.running == 0 {
			w.mu.Unlock()
			return nil
		}
		if w.idle == nil {
			w.idle = make(chan struct{})
		}
		idle := w.idle
		w.mu.Unlock()
		select {
		case <-idle:
		case <-done:
			return ErrGaveUp
		}
	}
}

// begin counts a request of c.
func (w *Web) begin(c *Conn) *webConn {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running++
	wc := w.conns[c]
	if wc == nil {
		wc = w.newConn(c)
		if w.conns == nil {
			w.conns = make(map[*Conn]*webConn)
		}
		w.conns[c] = wc
	}
	wc.requests++
	return wc
}

// end is called when a request's handler has returned.
func (w *Web) end(wc *webConn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if wc.requests--; wc.requests == 0 {
		delete(w.conns, wc.conn)
	}
	if w.running--; w.running == 0 && w.idle != nil {
		close(w.idle)
		w.idle = nil
	}
}

func (w *Web) newConn(c *Conn) *webConn {
	nc := c.NetConn()
	wc := &webConn{conn: c, remote: nc.RemoteAddr().String()}
	if secure, ok := nc.(interface{ ConnectionState() tls.ConnectionState }); ok {
		state := secure.ConnectionState()
		wc.tls = &state
	}
	ctx := w.BaseContext
	if ctx == nil {
		ctx = context.Background()
	}
	server := w.Server
	if server == nil {
		server = &http.Server{Handler: w.Handler}
	}
	ctx = context.WithValue(ctx, http.ServerContextKey, server)
	if server.ConnContext != nil {
		ctx = server.ConnContext(ctx, nc)
	}
	wc.ctx = context.WithValue(ctx, http.LocalAddrContextKey, nc.LocalAddr())
	return wc
}

func (w *Web) logger() *slog.Logger {
	if w.Logger != nil {
		return w.Logger
	}
	return slog.Default()
}
