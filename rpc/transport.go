package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// Transport dials and accepts connections of some URL schemes. It is safe for concurrent use.
type Transport interface {
	// Schemes returns the URL schemes that it serves, such as "tcp".
	Schemes() []string
	// Dial connects to an endpoint of one of its schemes, until ctx ends.
	Dial(ctx context.Context, endpoint *url.URL) (net.Conn, error)
	// Listen accepts connections at an endpoint of one of its schemes. Closing the listener frees the address.
	Listen(ctx context.Context, endpoint *url.URL) (net.Listener, error)
}

// DefaultTransports returns what a nil list of transports stands for: [TCPTransport] and [UnixTransport].
func DefaultTransports() []Transport { return []Transport{TCPTransport{}, UnixTransport{}} }

// TCPTransport carries connections for endpoints such as tcp://10.0.0.7:8443 and tcp://[::1]:8443. Host names are resolved when it
// dials.
type TCPTransport struct{}

// Schemes returns "tcp".
func (TCPTransport) Schemes() []string { return []string{"tcp"} }

// Dial connects to the host and port of the endpoint.
func (TCPTransport) Dial(ctx context.Context, endpoint *url.URL) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", endpoint.Host)
}

// Listen listens on the host and port of the endpoint; port 0 takes a free one.
func (TCPTransport) Listen(ctx context.Context, endpoint *url.URL) (net.Listener, error) {
	var lc net.ListenConfig
	return lc.Listen(ctx, "tcp", endpoint.Host)
}

// UnixTransport carries connections for endpoints such as unix:///run/user/1000/hanse/1f.sock.
type UnixTransport struct{}

// Schemes returns "unix".
func (UnixTransport) Schemes() []string { return []string{"unix"} }

// Dial connects to the socket at the endpoint's path.
func (UnixTransport) Dial(ctx context.Context, endpoint *url.URL) (net.Conn, error) {
	path, err := socketPath(endpoint)
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	return d.DialContext(ctx, "unix", path)
}

// Listen makes a socket at the endpoint's path that only this user may open. A socket that a dead process left there is replaced;
// closing the listener removes it.
func (UnixTransport) Listen(ctx context.Context, endpoint *url.URL) (net.Listener, error) {
	path, err := socketPath(endpoint)
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	lis, err := lc.Listen(ctx, "unix", path)
	if errors.Is(err, syscall.EADDRINUSE) && abandoned(path) {
		if os.Remove(path) == nil {
			lis, err = lc.Listen(ctx, "unix", path)
		}
	}
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil && runtime.GOOS != "windows" {
		lis.Close()
		return nil, fmt.Errorf("unix socket %s: %w", path, err)
	}
	return lis, nil
}

// abandoned reports whether nobody listens at a socket any more.
func abandoned(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&os.ModeSocket == 0 {
		return false
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		conn.Close()
		return false
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

func socketPath(endpoint *url.URL) (string, error) {
	path := endpoint.Path
	if path == "" {
		path = endpoint.Opaque // unix:relative/path
	}
	if endpoint.Host != "" || path == "" {
		return "", fmt.Errorf("endpoint %q names no socket: write unix:///absolute/path", endpoint)
	}
	if runtime.GOOS == "windows" && len(path) > 2 && path[0] == '/' && path[2] == ':' {
		path = path[1:] // unix:///C:/run/x.sock
	}
	return filepath.FromSlash(path), nil
}
