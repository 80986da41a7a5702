package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/internal/backoff"
	"github.com/hanse-go/hanse/internal/http2"
	"github.com/hanse-go/hanse/rpc/internal/wire"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

const (
	connectTimeout = 5 * time.Second
	firstReconnect = 100 * time.Millisecond
	lastReconnect  = 3 * time.Second
	breath         = 10 * time.Millisecond // before the next connection when one has ended at once
)

// reconnects says how long a link waits after attempts to connect that failed.
var reconnects = backoff.Policy{Min: firstReconnect, Max: lastReconnect}

// wireLink is one instance as the client side of the default [Wire] knows it: a connection on our own HTTP/2, made again when it breaks.
type wireLink struct {
	cfg    wire.LinkConfig
	config http2.Config
	heads  headTemplates
	calls  callPool

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	running sync.WaitGroup
	nudge   chan struct{} // of capacity 1: DialNow

	now  atomic.Pointer[linkConn] // takes calls; nil: none does
	more moreConns                // take calls too

	mu      sync.Mutex
	state   wire.State
	err     error         // why it is unreachable
	changed chan struct{} // closed when state, now or retired has changed
	retired bool
	conns   map[*linkConn]bool // all that have not ended
}

var _ wire.Link = (*wireLink)(nil)

// linkConn is one connection of a link.
type linkConn struct {
	link   *wireLink
	conn   *http2.Conn
	peer   *peer.Peer
	ready  chan struct{} // closed when the peer has shown that it speaks HTTP/2
	leave  chan struct{} // closed when it takes no more calls
	secure bool
}

func newWireLink(cfg wire.LinkConfig) *wireLink {
	l := &wireLink{cfg: cfg, nudge: make(chan struct{}, 1), changed: make(chan struct{}), conns: make(map[*linkConn]bool)}
	l.calls.link, l.calls.began = l, time.Now()
	l.config = http2.Config{IdleTimeout: -1, KeepaliveTime: -1}
	if cfg.Keepalive {
		l.config.KeepaliveTime, l.config.KeepaliveTimeout = 20*time.Second, 10*time.Second
	}
	l.heads.init(&cfg)
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.running.Go(l.run)
	return l
}

// run keeps the link connected until Close.
func (l *wireLink) run() {
	failures := 0
	for l.mayDial() {
		l.set(wire.Connecting, nil, nil)
		c, err := l.connect(&l.config)
		if l.ctx.Err() != nil {
			return
		}
		if err != nil {
			failures++
			l.set(wire.Unreachable, nil, err)
			if l.pause(reconnects.Delay(failures)) {
				failures = 0
			}
			continue
		}
		began := time.Now()
		l.set(wire.Ready, c, nil)
		select {
		case <-c.leave:
			c.conn.Drain()
		case <-c.conn.Done():
		case <-l.ctx.Done():
			return
		}
		l.lost(c)
		l.set(wire.Connecting, nil, nil)
		if failures = 0; time.Since(began) < firstReconnect { // a peer that accepts and hangs up is not called without pause
			l.pause(breath)
		}
	}
	<-l.ctx.Done()
}

// mayDial reports whether a connection is wanted.
func (l *wireLink) mayDial() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.retired && l.ctx.Err() == nil
}

// set tells a new state.
func (l *wireLink) set(state wire.State, c *linkConn, err error) {
	l.mu.Lock()
	same := l.state == state && state == wire.Connecting
	l.state, l.err = state, err
	if c != nil {
		select {
		case <-c.leave: // already
		default:
			l.now.Store(c)
		}
	}
	l.change()
	l.mu.Unlock()
	if !same {
		l.cfg.OnState(state, err)
	}
}

// change wakes those who wait for a connection. l.mu is held.
func (l *wireLink) change() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// pause waits, and reports whether DialNow ended it.
func (l *wireLink) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.ctx.Done():
	case <-l.nudge:
		return true
	}
	return false
}

// connect makes a connection whose peer speaks HTTP/2.
func (l *wireLink) connect(config *http2.Config) (*linkConn, error) {
	ctx, cancel := context.WithTimeout(l.ctx, connectTimeout)
	defer cancel()
	nc, err := l.cfg.Dial(ctx)
	if err != nil {
		return nil, err
	}
	c := &linkConn{link: l, ready: make(chan struct{}), leave: make(chan struct{})}
	c.peer = &peer.Peer{Addr: nc.RemoteAddr(), LocalAddr: nc.LocalAddr()}
	if l.cfg.TLS != nil {
		secure, err := l.handshake(ctx, nc)
		if err != nil {
			nc.Close()
			return nil, err
		}
		nc, c.secure, c.peer.AuthInfo = secure, true, tlsInfo(secure.ConnectionState())
	} else if _, info, err := insecure.NewCredentials().ClientHandshake(ctx, "", nc); err == nil {
		c.peer.AuthInfo = info
	}
	c.conn = http2.NewClientConn(nc, config, http2.ClientEvents{
		Ready:     func() { close(c.ready) },
		Draining:  c.retire,
		Saturated: l.saturated,
	})
	l.keep(c)
	select {
	case <-c.ready:
		return c, nil
	case <-c.conn.Done():
		if err := c.conn.Err(); c.secure && strings.Contains(err.Error(), "remote error: tls:") { // the handshake was over here, but not there
			return nil, fmt.Errorf("the peer refused this side's certificate: %w", err)
		}
		return nil, fmt.Errorf("the connection ended before the peer's HTTP/2 settings came: %w", c.conn.Err())
	case <-ctx.Done():
		c.conn.Close(nil)
		return nil, errors.New("the peer's HTTP/2 settings did not come in time")
	}
}

// handshake makes the connection secure, as the name in the authority or in the config.
func (l *wireLink) handshake(ctx context.Context, nc net.Conn) (*tls.Conn, error) {
	config := l.cfg.TLS.Clone()
	if !slices.Contains(config.NextProtos, "h2") {
		config.NextProtos = append(slices.Clip(config.NextProtos), "h2")
	}
	if config.ServerName == "" {
		config.ServerName = l.cfg.Authority
		if host, _, err := net.SplitHostPort(l.cfg.Authority); err == nil {
			config.ServerName = host
		}
	}
	secure := tls.Client(nc, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		var cert *tls.CertificateVerificationError
		if errors.As(err, &cert) {
			err = cert
		}
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("the peer hung up during the TLS handshake: it may speak plaintext (%w)", err)
		}
		return nil, err
	}
	if p := secure.ConnectionState().NegotiatedProtocol; p != "h2" {
		return nil, fmt.Errorf("TLS: the peer did not agree on HTTP/2 (ALPN: %q)", p)
	}
	return secure, nil
}

// keep counts a connection until it has ended.
func (l *wireLink) keep(c *linkConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[c] = true
	if l.ctx.Err() != nil {
		c.conn.Close(errClosed)
	}
	l.running.Go(func() {
		<-c.conn.Done()
		l.mu.Lock()
		delete(l.conns, c)
		l.mu.Unlock()
	})
}

// retire is called when the peer wants no more calls on the connection. Those that run go on.
func (c *linkConn) retire() {
	c.link.lost(c)
	close(c.leave)
}

// take returns the connection for a call. It waits while one is being made, until ctx ends.
func (l *wireLink) take(ctx context.Context) (*linkConn, error) {
	for {
		l.mu.Lock()
		state, err, changed, retired := l.state, l.err, l.changed, l.retired
		l.mu.Unlock()
		if c := l.use(); c != nil { // behind the lock, so that no change is missed
			return c, nil
		}
		switch {
		case l.closed():
			return nil, errClosed
		case state == wire.Unreachable:
			return nil, status.Errorf(codes.Unavailable, "no connection: %v", err)
		case retired && state != wire.Ready:
			return nil, status.Error(codes.Unavailable, "no connection: the instance has left")
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, contextStatus(ctx.Err())
		}
	}
}

// lost takes a connection out of use that refused a call.
func (l *wireLink) lost(c *linkConn) {
	if !l.now.CompareAndSwap(c, nil) {
		l.more.remove(c)
	}
}

// Retire implements wire.Link.
func (l *wireLink) Retire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.retired = true
	l.change()
}

// DialNow implements wire.Link.
func (l *wireLink) DialNow() { wake(l.nudge) }

// Close implements wire.Link.
func (l *wireLink) Close() {
	l.cancel()
	l.calls.close()
	l.mu.Lock()
	for c := range l.conns {
		c.conn.Close(errClosed)
	}
	l.change()
	l.mu.Unlock()
	l.running.Wait()
}

// closed reports whether Close was called.
func (l *wireLink) closed() bool { return l.ctx.Err() != nil }
