package discovery

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// parseEndpoint reads an endpoint as people write it and returns its URL: host:port and tcp://host:port are TCP, unix:///path and
// unix:/path a socket; without a host it is localhost. Other schemes stay as they are, for a transport that knows them.
func parseEndpoint(s string) (string, error) {
	scheme, rest, hasScheme := strings.Cut(s, "://")
	switch {
	case !hasScheme && strings.HasPrefix(s, "unix:"):
		return unixEndpoint(s, strings.TrimPrefix(s, "unix:"))
	case hasScheme && scheme == "unix":
		return unixEndpoint(s, rest)
	case hasScheme && scheme != "tcp":
		u, err := url.Parse(s)
		if err != nil {
			return "", fmt.Errorf("endpoint %q: %w", s, err)
		}
		return u.String(), nil
	case !hasScheme:
		rest = s
	}
	if strings.HasPrefix(rest, ":") {
		rest = "localhost" + rest // as grpc-go takes it
	}
	host, port, err := splitHostPort(strings.TrimSuffix(rest, "/"))
	if err != nil {
		return "", fmt.Errorf("endpoint %q: %w", s, err)
	}
	return tcpEndpoint(host, port), nil
}

func unixEndpoint(s, path string) (string, error) {
	if !strings.HasPrefix(path, "/") {
		return "", fmt.Errorf("endpoint %q: the path of a unix socket must be absolute, such as unix:///run/cart.sock", s)
	}
	return (&url.URL{Scheme: "unix", Path: path}).String(), nil
}

func tcpEndpoint(host string, port uint16) string {
	return (&url.URL{Scheme: "tcp", Host: net.JoinHostPort(host, strconv.Itoa(int(port)))}).String()
}

// splitHostPort reads host:port; neither may be missing.
func splitHostPort(s string) (string, uint16, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" || strings.ContainsAny(host, "/?#@ ") {
		return "", 0, fmt.Errorf("%q is not host:port", s)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("%q: port %q is not a number from 1 to 65535", s, port)
	}
	return host, uint16(n), nil
}
