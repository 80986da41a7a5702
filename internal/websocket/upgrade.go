package websocket

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// Options are the limits of a connection. The zero value has none.
type Options struct {
	// MaxMessage is the size of one message in bytes.
	MaxMessage int
	// Take is asked before memory is taken for n bytes more of a message. Its error ends the reading.
	Take func(n int) error
	// MessageTimeout is what a message may take to arrive once it has begun.
	MessageTimeout time.Duration
	// WriteTimeout is what a peer may take to let 16 KiB through: one that does not read loses its connection. It does not hold for a
	// connection whose server watches over that, as its method WatchesStalls says.
	WriteTimeout time.Duration
	// PingEvery is when a peer is asked for a sign of life. One that gives none in twice that time, while it is waited for, has gone.
	PingEvery time.Duration
}

// Requested reports whether a request asks for WebSocket.
func Requested(r *http.Request) bool {
	return hasToken(r.Header, "Connection", "upgrade") && hasToken(r.Header, "Upgrade", "websocket")
}

// Protocols returns the subprotocols that a client offers, in its order.
func Protocols(r *http.Request) []string { return tokens(r.Header, "Sec-Websocket-Protocol") }

func tokens(h http.Header, name string) (all []string) {
	for _, value := range h[name] {
		for token := range strings.SplitSeq(value, ",") {
			if token = strings.Trim(token, " \t"); token != "" {
				all = append(all, token)
			}
		}
	}
	return all
}

func hasToken(h http.Header, name, token string) bool {
	for _, t := range tokens(h, name) {
		if strings.EqualFold(t, token) {
			return true
		}
	}
	return false
}

// HandshakeError is why a request did not become a WebSocket, and the status of HTTP that says so.
type HandshakeError struct {
	Status int
	Reason string
}

// Error implements error.
func (e *HandshakeError) Error() string { return e.Reason }

// Upgrade makes a WebSocket of a request, with the subprotocol unless that is empty. On a [HandshakeError] the request is still to be
// answered; after any other error the connection is closed. Who may connect is for the caller to decide, before.
func Upgrade(w http.ResponseWriter, r *http.Request, protocol string, o Options) (*Conn, error) {
	key, err := checkHandshake(r)
	if err != nil {
		if err.Status == http.StatusUpgradeRequired {
			w.Header().Set("Sec-WebSocket-Version", "13")
		}
		return nil, err
	}
	nc, rw, hijackErr := http.NewResponseController(w).Hijack()
	if errors.Is(hijackErr, http.ErrNotSupported) {
		return nil, &HandshakeError{http.StatusHTTPVersionNotSupported, "WebSocket needs a connection of its own, over HTTP/1.1"}
	}
	if hijackErr != nil {
		return nil, fmt.Errorf("websocket: taking the connection over: %w", hijackErr)
	}
	var answer strings.Builder
	answer.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept(key) + "\r\n")
	if protocol != "" {
		answer.WriteString("Sec-WebSocket-Protocol: " + protocol + "\r\n")
	}
	answer.WriteString("\r\n")
	c := newConn(nc, rw.Reader, o)
	nc.SetDeadline(time.Time{}) // those of HTTP
	if err := c.put([]byte(answer.String())); err != nil {
		c.Close()
		return nil, err
	}
	c.keepAlive()
	return c, nil
}

// checkHandshake returns the key of a request.
func checkHandshake(r *http.Request) (key string, err *HandshakeError) {
	keys := r.Header["Sec-Websocket-Key"]
	switch {
	case r.Method != http.MethodGet:
		return "", &HandshakeError{http.StatusMethodNotAllowed, "WebSocket begins with GET"}
	case !r.ProtoAtLeast(1, 1) || !Requested(r):
		return "", &HandshakeError{http.StatusBadRequest, "the request is no handshake of WebSocket: it needs Upgrade: websocket and Connection: Upgrade"}
	case r.Header.Get("Sec-Websocket-Version") != "13":
		return "", &HandshakeError{http.StatusUpgradeRequired, "version 13 of WebSocket is the one that is spoken"}
	case r.ContentLength != 0:
		return "", &HandshakeError{http.StatusBadRequest, "a handshake of WebSocket has no body"}
	case len(keys) != 1:
		return "", &HandshakeError{http.StatusBadRequest, "a handshake of WebSocket has one Sec-WebSocket-Key"}
	}
	if b, err := base64.StdEncoding.DecodeString(keys[0]); err != nil || len(b) != 16 {
		return "", &HandshakeError{http.StatusBadRequest, "Sec-WebSocket-Key is not 16 bytes in base64"}
	}
	return keys[0], nil
}

// accept is the answer to a key, which proves that it was understood.
func accept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func newConn(nc net.Conn, r *bufio.Reader, o Options) *Conn {
	below := nc
	if secure, ok := nc.(interface{ NetConn() net.Conn }); ok {
		below = secure.NetConn()
	}
	if _, ok := below.(interface{ WatchesStalls() }); ok {
		o.WriteTimeout = 0
	}
	return &Conn{conn: nc, r: r, options: o}
}
