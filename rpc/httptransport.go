package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/resilience"
	"github.com/hanse-go/hanse/rpc/internal/wire"
	"github.com/hanse-go/hanse/telemetry/webtrace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// HTTPTransport sends plain HTTP requests to services by their names: it is an [http.RoundTripper] for the stock client.
//
//	client := &http.Client{Transport: svc.HTTPTransport()}
//	resp, err := client.Get("http://catalog/v1/products")
//
// An instance is chosen for each request, as for a call of a [Conn], by the same connections, policies and identity; the scheme and the
// port of the URL do not matter. Requests go over HTTP/2, on unix sockets and TCP, also to services of the same process.
//
// A request that no instance processed goes to another one: one that could not be sent, and one that was answered with the header
// Hanse-Not-Processed. One that failed, by its connection or with 502, 503 or 504, is sent again where its method is idempotent (RFC 9110)
// or it has an Idempotency-Key, as often and within the budget that [resilience.Retry] says. In either case its body must be one that can
// be had again: there is none, it has not been read, or GetBody is set, as http.NewRequest does for bytes and strings.
//
// A request has the deadline of its context, and without one waits 10 s for an instance and as long as it likes for the answer. It is safe
// for concurrent use.
type HTTPTransport struct {
	connect func(service string, opts ...ConnOption) *Conn

	mu    sync.Mutex
	conns map[string]*Conn
}

var _ http.RoundTripper = (*HTTPTransport)(nil)

// NewHTTPTransport returns a transport that makes a connection for each service that it is asked for, as the method Conn of an app or a
// service does. They are closed by who made them.
func NewHTTPTransport(connect func(service string, opts ...ConnOption) *Conn) *HTTPTransport {
	return &HTTPTransport{connect: connect, conns: make(map[string]*Conn)}
}

// overSockets makes a Conn reach services of the same process as those of others.
func overSockets() ConnOption { return connOptionFunc(func(o *connOptions) { o.sockets = true }) }

func (t *HTTPTransport) conn(service string) (*Conn, error) {
	if err := discovery.CheckName(service); err != nil {
		return nil, fmt.Errorf("rpc: the host of a URL must be a service: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.conns[service]
	if c == nil {
		c = t.connect(service, overSockets())
		t.conns[service] = c
	}
	return c, nil
}

// RoundTrip implements [http.RoundTripper].
func (t *HTTPTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	body := &replayed{req: req}
	resp, err := t.send(req, body)
	if err != nil {
		if ctxErr := req.Context().Err(); ctxErr != nil {
			err = ctxErr
		}
		body.close()
		return nil, err
	}
	return resp, nil
}

func (t *HTTPTransport) send(req *http.Request, body *replayed) (*http.Response, error) {
	conn, err := t.conn(req.URL.Hostname())
	if err != nil {
		return nil, err
	}
	ctx := req.Context()
	finding, cancel := ctx, context.CancelFunc(func() {})
	if _, ok := ctx.Deadline(); !ok {
		finding, cancel = context.WithTimeout(ctx, DefaultTimeout)
	}
	defer cancel()
	b := conn.use.Load()
	if b == nil {
		if b, err = conn.await(finding, false); err != nil {
			return nil, err
		}
	}
	if conn.ctx.Err() != nil {
		return nil, errClosed
	}
	if b.pool == nil {
		return nil, errors.New("rpc: plain HTTP goes over sockets, and the path inprocess is forced or there is no registry")
	}
	now := time.Now()
	pass := b.pool.guard.circuit.Allow(now)
	if pass == resilience.Refused {
		return nil, b.pool.broken(ctx, now)
	}
	b.pool.guard.budget.Call(now)
	b.pool.look(ctx, now)
	orig, made := req, b.client.requests().Begin(req, conn.name, 0)
	if made != nil {
		req = made.Request()
		ctx = req.Context()
	}
	resp, err := b.sendHTTP(ctx, finding, req, body, pass, made)
	if err != nil {
		made.End(nil, err)
		return nil, err
	}
	resp.Request = orig
	return resp, nil
}

// sendHTTP sends a request to one instance after another. finding is ctx with the time in which one must be found.
func (b *binding) sendHTTP(ctx, finding context.Context, req *http.Request, body *replayed, pass resilience.Pass, made *webtrace.Made) (*http.Response, error) {
	o, err := noCallOptions()
	if err != nil {
		return nil, err
	}
	c := b.newCall(ctx, &methodInfo{name: req.URL.Path, contract: anyContract, safe: idempotent(req)}, o, b.policy("", o), pass)
	c.stream = true // how long an answer takes is its own affair
	defer c.done()
	for {
		c.ctx = finding
		a, err := c.next()
		c.ctx = ctx
		if err != nil {
			return nil, err
		}
		resp, err := a.member.roundTrip(req, body, a.report)
		failed := judge(resp, err, a.report)
		c.outcome = a.end(ctx, failed, true)
		if failed == nil || !body.repeatable() || !c.again(a, failed) || !body.rewind() {
			if made != nil {
				made.At(reached(a.route, a.inst), c.attempts)
			}
			if resp != nil {
				held := resp.Body.(*heldBody)
				held.sent, held.made, held.resp = body, made, resp
			}
			return resp, err
		}
		if resp != nil {
			resp.Body.Close()
		}
	}
}

// anyContract stands for what every instance may serve.
const anyContract = ""

// judge says how an attempt went, as a call would have failed; nil is well.
func judge(resp *http.Response, err error, r *wire.Report) error {
	if err != nil {
		return status.Error(codes.Unavailable, err.Error())
	}
	r.Answered.Store(true)
	switch resp.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusTooManyRequests:
	default:
		return nil
	}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds >= 0 {
		r.Asked.Store(int64(seconds)*1000 + 1)
	}
	code := codes.Unavailable
	if resp.StatusCode == http.StatusTooManyRequests {
		code = codes.ResourceExhausted
	}
	for _, prefix := range []string{"", "Trailer-"} { // the latter is how Connect writes trailers
		if resp.Header.Get(prefix+wire.NotProcessedKey) != "" {
			r.NotProcessed.Store(true)
		}
	}
	return status.Error(code, resp.Status)
}

// idempotent reports whether a request may be processed twice.
func idempotent(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return req.Header.Get(resilience.IdempotencyKey) != ""
}

// replayed is the body of a request that may be sent several times. An attempt may still send it when its answer is here.
type replayed struct {
	req *http.Request

	mu   sync.Mutex
	own  io.ReadCloser // what GetBody has given, instead of the request's own
	turn *bodyReader   // of the last attempt; the others get nothing any more
	used bool          // some was read since it was last had anew

	closed bool
}

// reader returns the body for an attempt. It is closed at the end only.
func (b *replayed) reader() io.ReadCloser {
	if b.none() {
		return b.req.Body
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	from := b.req.Body
	if b.own != nil {
		from = b.own
	}
	b.turn = &bodyReader{b, from}
	return b.turn
}

func (b *replayed) none() bool { return b.req.Body == nil || b.req.Body == http.NoBody }

// repeatable reports whether it looks as if the body could be sent once more.
func (b *replayed) repeatable() bool {
	if b.none() || b.req.GetBody != nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.used
}

// rewind takes the body from the attempt that had it. It reports whether it can be sent once more, from its beginning.
func (b *replayed) rewind() bool {
	if b.none() {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used {
		if b.req.GetBody == nil {
			return false
		}
		again, err := b.req.GetBody()
		if err != nil {
			return false
		}
		if b.own != nil {
			b.own.Close()
		}
		b.own, b.used = again, false
	}
	b.turn = nil
	return true
}

// close closes what there is of the body, once.
func (b *replayed) close() {
	b.mu.Lock()
	own, closed := b.own, b.closed
	b.closed = true
	b.mu.Unlock()
	if closed {
		return
	}
	if own != nil {
		own.Close()
	}
	if b.req.Body != nil {
		b.req.Body.Close()
	}
}

type bodyReader struct {
	all  *replayed
	from io.ReadCloser
}

// errSentAgain ends the sending of a body that another attempt sends now.
var errSentAgain = errors.New("rpc: the request was sent again")

func (r *bodyReader) Read(p []byte) (int, error) {
	r.all.mu.Lock()
	if r.all.turn != r {
		r.all.mu.Unlock()
		return 0, errSentAgain
	}
	r.all.used = true
	r.all.mu.Unlock()
	return r.from.Read(p)
}

// Close is called at the end of each attempt, and the body may be needed for another one.
func (r *bodyReader) Close() error { return nil }

// roundTrip sends a request to the instance, once.
func (m *member) roundTrip(req *http.Request, body *replayed, r *wire.Report) (*http.Response, error) {
	if !m.hold() {
		return nil, status.Error(codes.Unavailable, "the instance has left")
	}
	// Headers are told of one by one before they leave, and as a whole after that, when the answer may have come already.
	out := req.Clone(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{WroteHeaderField: func(string, []string) { r.Sent.Store(true) }}))
	transport := m.httpTransport()
	out.URL.Scheme, out.URL.Host = "http", m.pool.service
	if c := m.pool.client; c.Identity != nil || c.TLS != nil {
		out.URL.Scheme = "https"
	}
	if out.Host == "" {
		out.Host = req.URL.Host
	}
	out.Body = body.reader()
	if id := m.id(); id != "" {
		out.Header.Set(wire.InstanceKey, id)
	}
	if p := resilience.PriorityOf(req.Context()); p != resilience.Normal && out.Header.Get(resilience.PriorityKey) == "" {
		out.Header.Set(resilience.PriorityKey, p.String())
	}
	resp, err := transport.RoundTrip(out)
	if err != nil {
		if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
			r.Sent.Store(false) // also after it was refused on a connection before
		}
		m.release()
		return nil, err
	}
	resp.Request = req
	resp.Body = &heldBody{ReadCloser: resp.Body, release: sync.OnceFunc(m.release)}
	return resp, nil
}

// heldBody keeps the connection to the instance until the answer is read, and closes what was sent then.
type heldBody struct {
	io.ReadCloser
	release func()
	sent    *replayed // nil: the answer is not the one that counts
	made    *webtrace.Made
	resp    *http.Response
}

func (b *heldBody) Close() error {
	defer b.end(nil)
	return b.ReadCloser.Close()
}

func (b *heldBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch err {
	case nil:
	case io.EOF:
		b.end(nil)
	default:
		b.end(err)
	}
	return n, err
}

func (b *heldBody) end(err error) {
	b.made.End(b.resp, err)
	b.release()
	if b.sent != nil {
		b.sent.close()
	}
}

func (m *member) id() string {
	m.pool.mu.Lock()
	defer m.pool.mu.Unlock()
	return m.inst.ID
}

// httpIdle is how long a connection for plain HTTP is kept without a request.
const httpIdle = time.Minute

// httpTransport returns what carries plain HTTP to the instance. It is made with the first request.
func (m *member) httpTransport() *http.Transport {
	m.pool.mu.Lock()
	defer m.pool.mu.Unlock()
	if m.web != nil {
		return m.web
	}
	c := m.pool.client
	routes, err := c.routes(*m.inst)
	m.web = &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, dialErr := net.Conn(nil), err
			if err == nil {
				conn, dialErr = m.dial(ctx, routes)
			}
			if dialErr != nil {
				return nil, &net.OpError{Op: "dial", Net: "hanse", Err: dialErr}
			}
			return conn, nil
		},
		TLSClientConfig:    portlessTLS(c.clientTLS(m.pool.service)),
		Protocols:          new(http.Protocols),
		IdleConnTimeout:    httpIdle,
		DisableCompression: true, // bodies come as they were sent
	}
	m.web.Protocols.SetHTTP2(m.web.TLSClientConfig != nil)
	m.web.Protocols.SetUnencryptedHTTP2(m.web.TLSClientConfig == nil)
	return m.web
}

// portlessTLS returns a copy of a config for net/http, which speaks HTTP/2 where that is agreed on.
func portlessTLS(config *tls.Config) *tls.Config {
	if config == nil {
		return nil
	}
	config = config.Clone()
	config.NextProtos = []string{"h2"}
	return config
}

// meantOnly refuses plain requests that are meant for another instance: ports are used again.
func (p *Port) meantOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		meant := r.Header.Values(wire.InstanceKey)
		if len(meant) > 0 {
			host, _, _ := strings.Cut(r.Host, ":")
			if !p.router.isInstance(p.router.byName[host], meant) {
				w.Header().Set(wire.NotProcessedKey, "1")
				http.Error(w, "the request is meant for an instance that is not at this address any more", http.StatusServiceUnavailable)
				return
			}
		}
		h.ServeHTTP(w, r)
	})
}
