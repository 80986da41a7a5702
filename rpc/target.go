package rpc

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/hanse-go/hanse/discovery"
)

// Dial returns a Conn to a target, without an app or a registry. A target is
//
//	host:port              one server; several are separated by commas
//	dns:///host:port       each address of the host is an instance
//	unix:///path/to.sock   a unix socket
//	tcp://host:port        as host:port
//
// Dial does not wait for a connection; a malformed target is an error. The Conn must be closed. The servers need not be Hanse's.
func Dial(target string, opts ...ConnOption) (*Conn, error) {
	registry, err := targetRegistry(target)
	if err != nil {
		return nil, fmt.Errorf("rpc: target %q: %w", target, err)
	}
	c := NewConn(target, opts...)
	client := &Client{Registry: registry, TLS: c.opts.tls, StatsHandlers: c.opts.statsHandlers}
	return c, c.bind(client) // the Conn is the client's only one: closing it ends all
}

// targetRegistry finds the instances that a target names.
func targetRegistry(target string) (discovery.Registry, error) {
	var instances fixed
	for _, part := range strings.Split(target, ",") {
		endpoint, err := targetEndpoint(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		instances = append(instances, discovery.Instance{Service: target, State: discovery.Ready, Endpoints: []string{endpoint}})
	}
	return instances, nil
}

func targetEndpoint(target string) (string, error) {
	scheme, rest, ok := strings.Cut(target, ":")
	switch {
	case ok && scheme == "unix":
		u, err := url.Parse(target)
		if err != nil {
			return "", err
		}
		_, err = socketPath(u)
		return target, err
	case ok && scheme == "tcp" && strings.HasPrefix(rest, "//"):
		target = rest[2:]
	case ok && scheme == "dns" && strings.HasPrefix(rest, "///"):
		target = rest[3:]
	case strings.Contains(target, "://"):
		return "", fmt.Errorf("unknown scheme %q: write host:port, dns:///host:port or unix:///path", scheme)
	}
	host, port, err := net.SplitHostPort(target)
	if err != nil || port == "" {
		return "", fmt.Errorf("%q is no host:port", target)
	}
	if host == "" {
		host = "localhost"
	}
	return "tcp://" + net.JoinHostPort(host, port), nil
}

// fixed is a registry whose instances never change.
type fixed []discovery.Instance

func (f fixed) Watch(ctx context.Context, _ string, notify func([]discovery.Instance)) error {
	notify(f)
	<-ctx.Done()
	return nil
}
