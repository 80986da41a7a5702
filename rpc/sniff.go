package rpc

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"time"
)

// handshakeTimeout is what a new connection has for its TLS handshake and again for the bytes that tell what it speaks.
const handshakeTimeout = 10 * time.Second

// http2Preface is what an HTTP/2 client sends first.
const http2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// sniff finds out what a new connection speaks: HTTP/2, by ALPN or by its preface, or else HTTP/1. The connection that it returns is to
// be used from then on.
func sniff(conn net.Conn, config *tls.Config) (_ net.Conn, http2 bool, err error) {
	if err := conn.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return nil, false, err
	}
	if config != nil {
		secure := tls.Server(conn, config)
		ctx, cancel := context.WithTimeout(context.Background(), handshakeTimeout)
		defer cancel()
		if err := secure.HandshakeContext(ctx); err != nil {
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
	return &sniffedConn{Conn: conn, first: first[:n]}, http2, conn.SetDeadline(time.Time{})
}

// sniffedConn gives back the bytes that were read from it.
type sniffedConn struct {
	net.Conn
	first []byte // only the connection's reader touches it
}

func (c *sniffedConn) Read(p []byte) (int, error) {
	if len(c.first) > 0 {
		n := copy(p, c.first)
		if c.first = c.first[n:]; len(c.first) == 0 {
			c.first = nil
		}
		return n, nil
	}
	return c.Conn.Read(p)
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
