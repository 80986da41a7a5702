package zkdiscovery

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/hanse-go/hanse/discovery"
)

// Open returns the registry that a URL names: zk://HOST:PORT,HOST:PORT/SYSTEM, with port 2181 and the system "default" where none is given.
// It is for [discovery.Schemes], whose key is "zk" then. A registry that needs credentials or TLS is made in the program, by [New].
func Open(text string) (discovery.Registry, error) {
	rest, ok := strings.CutPrefix(text, "zk://")
	if !ok {
		return nil, errors.New("want zk://HOST:PORT,…/SYSTEM")
	}
	hosts, system, _ := strings.Cut(rest, "/")
	if strings.Contains(hosts, "@") {
		return nil, errors.New("a password in a URL is seen by others: give it to zkdiscovery.New in the program, as Options.Auth")
	}
	if strings.ContainsAny(system, "?#/") {
		return nil, fmt.Errorf("system %q: want a name and nothing after it", system)
	}
	r := New(strings.Split(hosts, ","), Options{System: system})
	if r.err != nil {
		return nil, r.err
	}
	return r, nil
}

// address adds ZooKeeper's port where there is none.
func address(host string) (string, error) {
	u, err := url.Parse("//" + host)
	if err != nil || u.Host != host || u.Hostname() == "" || strings.Count(host, ":") > 1 && host[0] != '[' {
		return host, fmt.Errorf("%q is not HOST:PORT", host)
	}
	if u.Port() == "" {
		return net.JoinHostPort(u.Hostname(), "2181"), nil
	}
	return host, nil
}
