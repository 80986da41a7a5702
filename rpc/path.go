package rpc

import (
	"errors"
	"fmt"
	"net/url"
)

// Path is the way that a call takes to an instance. For a path over a network it is the scheme of the endpoint's URL.
type Path string

// The paths of the built-in transports. A [Transport] of another scheme adds a Path of that name.
const (
	InProcess Path = "inprocess" // a pooled goroutine of this process: no socket, no serialisation
	Unix      Path = "unix"      // the instance's unix socket
	TCP       Path = "tcp"       // a TCP connection
)

// ParsePath reads a Path from a setting such as HANSE_PATH. The empty string is the nearest path, chosen per instance.
func ParsePath(s string) (Path, error) {
	switch p := Path(s); p {
	case "", InProcess, Unix, TCP:
		return p, nil
	}
	return "", fmt.Errorf("unknown path %q: use inprocess, unix or tcp, or leave it empty for the nearest", s)
}

// parseEndpoint reads an endpoint's URL and refuses what no transport could dial.
func parseEndpoint(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, fmt.Errorf("endpoint %q: %w", s, errors.Unwrap(err))
	}
	if u.Scheme == "" {
		return nil, fmt.Errorf("endpoint %q has no scheme: write tcp://host:port or unix:///path", s)
	}
	return u, nil
}
