package discovery

import (
	"context"
	"fmt"
	"strings"

	"github.com/hanse-go/hanse/internal/nearest"
)

// ParseTarget returns a registry that finds every service, whatever its name, at one target:
//
//	cart.example.com:8443             one instance, its name resolved when it is called
//	10.0.0.7:8443,10.0.0.8:8443       one instance at each address (also with static: before them)
//	dns:///cart.example.com:8443      one instance at each address that DNS has for the name, followed as they change
//	dns://10.0.0.2/cart.internal:80   the same by that DNS server
//	dns:///_grpc._tcp.example.com     one instance at each address and port of the SRV records
//	unix:///run/cart.sock             a unix socket
//	tcp://10.0.0.7:8443               as host:port
//
// The placeholder {service} in a dns target is the name that is asked for. A malformed target is an error that says what is expected.
func ParseTarget(target string) (Registry, error) {
	r, err := parseTarget(target)
	if err != nil {
		return nil, fmt.Errorf("discovery: target %q: %w", target, err)
	}
	return r, nil
}

func parseTarget(target string) (Registry, error) {
	scheme := schemeOf(target)
	switch scheme {
	case "dns":
		return parseDNS(target)
	case "static":
		return parseAddresses(strings.TrimPrefix(target, "static:"))
	case "", "tcp", "unix":
		return parseAddresses(target)
	}
	err := fmt.Errorf("unknown scheme %q: write host:port, dns:///host:port or unix:///path", scheme)
	if near := nearest.Name(scheme, []string{"dns", "static", "tcp", "unix"}); near != "" {
		err = fmt.Errorf("unknown scheme %q, did you mean %q? Write host:port, dns:///host:port or unix:///path", scheme, near)
	}
	return nil, err
}

// schemeOf returns the scheme of a target or of a registry's URL, or "" where it is a host:port.
func schemeOf(s string) string {
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || scheme == "" || strings.ContainsAny(scheme, "./[,%") {
		return ""
	}
	if rest != "" && strings.Trim(rest, "0123456789") == "" || strings.Contains(rest, ",") && !strings.HasPrefix(rest, "/") && scheme != "static" {
		return "" // a host and its port
	}
	return scheme
}

func parseAddresses(list string) (Registry, error) {
	addrs := strings.Split(list, ",")
	for i := range addrs {
		addrs[i] = strings.TrimSpace(addrs[i])
	}
	if _, err := staticInstances("", addrs); err != nil {
		return nil, err
	}
	return addresses(addrs), nil
}

// addresses are the instances of any service.
type addresses []string

func (a addresses) Watch(ctx context.Context, service string, notify func([]Instance)) error {
	list, err := staticInstances(service, a)
	if err != nil {
		return err
	}
	notify(list)
	<-ctx.Done()
	return nil
}

func (a addresses) String() string { return strings.Join(a, ",") }
