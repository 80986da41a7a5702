package rpc

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/identity"
	"github.com/hanse-go/hanse/rpc/internal/wire"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A port with an Identity takes calls over mutual TLS only. Plaintext is not cut off, but answered, so that who is behind it reads what
// to do: a call gets a status, a request over HTTP a page, unless PlainHTTP lets it through.

// errPlaintext is the status of a call that came over plaintext. Another instance would say the same, so it is no reason to try one.
var errPlaintext = status.Error(codes.Unauthenticated, "this port takes calls over mutual TLS only, and the connection is plaintext: give the caller an identity (App.Identity, --identity, HANSE_IDENTITY)")

const refusedPage = `this port speaks mutual TLS only: requests over plain HTTP are refused.
Programs of the system call it with their certificates; pages can be allowed with App.PlainHTTP (--plain-http).
`

// serverTLS returns how the port secures its connections; nil is not at all.
func (p *Port) serverTLS() *tls.Config {
	if p.Identity == nil {
		return portTLS(p.TLS)
	}
	var names []string
	for _, s := range p.Servers {
		names = append(names, s.Name)
	}
	return portTLS(identity.ServerConfig(p.Identity, names...))
}

// plainServer returns what serves HTTP/2 connections of a port with an Identity that are plaintext: it refuses all calls.
func (p *Port) plainServer() wire.Server {
	r := &router{refuse: func() error {
		p.warn("a call was refused: it came over plaintext, and this port takes mutual TLS only")
		return errPlaintext
	}}
	return wireOr(p.Wire).NewServer(wire.ServerConfig{Handle: r.serve, Router: r, Web: p.web2, Limits: p.limits})
}

// secureOnly lets only requests over TLS through to the handler of a port with an Identity, or all with PlainHTTP.
func (p *Port) secureOnly(h http.Handler) http.Handler {
	if p.Identity == nil || p.PlainHTTP {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS != nil {
			h.ServeHTTP(w, r)
			return
		}
		p.warn("a request was refused: it came over plain HTTP, and this port takes mutual TLS only", "peer", r.RemoteAddr, "path", r.URL.Path)
		http.Error(w, strings.TrimSuffix(refusedPage, "\n"), http.StatusForbidden)
	})
}

// ended tells of a connection that ended before its first request. What whoever knocks at a port does is for those who debug; that a
// peer was refused, or refused us, is for the operator.
func (p *Port) ended(conn net.Conn, err error) {
	attrs := []any{"peer", conn.RemoteAddr().String(), "error", err}
	if p.Identity == nil || !aboutCertificates(err) {
		p.logger().Debug("a connection ended before its first request", attrs...)
		return
	}
	if cert, ok := errors.AsType[*tls.CertificateVerificationError](err); ok && len(cert.UnverifiedCertificates) > 0 {
		if id, err := identity.CertificateID(cert.UnverifiedCertificates[0]); err == nil {
			attrs = append(attrs, "claims", id.String())
		}
	}
	if strings.Contains(err.Error(), "remote error: tls:") {
		p.warn("a caller refused the certificate of this port", attrs...)
		return
	}
	p.warn("a connection was refused", attrs...)
}

// aboutCertificates reports whether a handshake failed for what one side showed the other, and not because the peer went away.
func aboutCertificates(err error) bool {
	var timeout net.Error
	return !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, errNotHTTP) &&
		!(errors.As(err, &timeout) && timeout.Timeout()) && !strings.Contains(err.Error(), "reset by peer") && !strings.Contains(err.Error(), "broken pipe")
}

// warnInterval is how often a port tells of peers that it refuses: whoever knocks must not fill the log.
const warnInterval = time.Second

// throttle counts what is not logged.
type throttle struct {
	mu   sync.Mutex
	last time.Time
	left int // since then
}

// take reports whether to log now, and how much was left out since the last time.
func (t *throttle) take(now time.Time) (left int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.last) < warnInterval {
		t.left++
		return 0, false
	}
	left, t.left, t.last = t.left, 0, now
	return left, true
}

func (p *Port) warn(msg string, attrs ...any) {
	left, ok := p.warned.take(time.Now())
	if !ok {
		return
	}
	if left > 0 {
		attrs = append(attrs, slog.Int("others", left)) // refused since the last line
	}
	p.logger().Warn(msg, attrs...)
}

// tlsRecord is the first byte of a TLS handshake.
const tlsRecord = 22

// speaksTLS reads the first byte of a connection, which stays to be read, and reports whether a TLS handshake begins with it.
func speaksTLS(conn *wire.Accepted) (bool, error) {
	var first [1]byte
	if _, err := io.ReadFull(conn, first[:]); err != nil {
		return false, err
	}
	conn.First = bytes.Clone(first[:])
	return first[0] == tlsRecord, nil
}

// clientTLS returns how connections to a service are secured; nil is not at all.
func (c *Client) clientTLS(service string) *tls.Config {
	if c.Identity == nil {
		return c.TLS
	}
	return identity.ClientConfig(c.Identity, c.Service, service)
}

// followIdentity connects to instances at once that could not be reached, when there are other certificates than before.
func (p *pool) followIdentity(done <-chan struct{}) {
	for {
		changed := p.client.Identity.Changed()
		if changed == nil {
			return
		}
		select {
		case <-changed:
		case <-done:
			return
		}
		p.mu.Lock()
		for _, m := range p.ordered {
			if m.link != nil && m.state == wire.Unreachable {
				m.link.DialNow()
			}
		}
		p.mu.Unlock()
	}
}
