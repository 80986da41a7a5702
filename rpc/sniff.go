package rpc

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/hanse-go/hanse/rpc/internal/wire"
)

// http2Preface is what an HTTP/2 client sends first.
const http2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// sniff finds out what a new connection speaks: HTTP/2, by ALPN or by its preface, or else HTTP/1. The connection that it returns is to
// be used from then on: a [*tls.Conn] where there is a config, unless the client speaks plaintext and plainToo says that it may. The TLS
// handshake may take so long as timeout says, and so may the first bytes; 0 is for ever.
func sniff(conn *wire.Accepted, config *tls.Config, plainToo bool, timeout time.Duration) (_ net.Conn, http2 bool, err error) {
	if timeout > 0 {
		if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
			return nil, false, err
		}
	}
	secured := config != nil
	if secured && plainToo {
		if secured, err = speaksTLS(conn); err != nil {
			return nil, false, err
		}
	}
	if secured {
		secure := tls.Server(conn, config)
		if err := secure.Handshake(); err != nil {
			linger(conn) // the peer may be sending already: a reset would take the alert from it that says why
			return nil, false, fmt.Errorf("TLS handshake: %w", err)
		}
		http2 = secure.ConnectionState().NegotiatedProtocol == "h2"
		return secure, http2, conn.SetDeadline(time.Time{})
	}
	var first [len(http2Preface)]byte
	n := 0
	for http2 = true; http2 && n < len(first); {
		k, err := conn.Read(first[n:])
		n += k
		http2 = bytes.HasPrefix([]byte(http2Preface), first[:n])
		if err != nil && (http2 || n == 0) {
			return nil, false, err
		}
	}
	if !http2 && !isHTTP1(first[:n]) {
		linger(conn)
		return nil, false, errNotHTTP
	}
	conn.First = first[:n]
	return conn, http2, conn.SetDeadline(time.Time{})
}

var errNotHTTP = errors.New("the first bytes are neither HTTP/1 nor HTTP/2")

// isHTTP1 reports whether a connection that begins with first may carry HTTP/1: when the target of the first request can be seen, it is
// one. What is no HTTP at all gets no answer.
func isHTTP1(first []byte) bool {
	method, rest, found := bytes.Cut(first, []byte(" "))
	if !found || string(method) == http.MethodConnect {
		return true
	}
	target, _, found := bytes.Cut(rest, []byte(" "))
	return !found || bytes.HasPrefix(target, []byte("/")) || string(target) == "*" || bytes.Contains(target, []byte(":"))
}

// linger ends a connection without an answer: it says so, and throws away what still comes, for closing with bytes unread would be a reset.
func linger(conn *wire.Accepted) {
	half, ok := conn.Conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || conn.SetReadDeadline(time.Now().Add(time.Second)) != nil {
		return
	}
	io.CopyN(io.Discard, conn, 64<<10)
}

// portTLS returns the config with the protocols that a port speaks.
func portTLS(config *tls.Config) *tls.Config {
	if config == nil {
		return nil
	}
	config = config.Clone()
	for _, proto := range []string{"h2", "http/1.1"} {
		if !slices.Contains(config.NextProtos, proto) {
			config.NextProtos = append(config.NextProtos, proto)
		}
	}
	if get := config.GetConfigForClient; get != nil {
		config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			config, err := get(hello)
			return portTLS(config), err
		}
	}
	return config
}
