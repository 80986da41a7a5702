package etcddiscovery

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/hanse-go/hanse/discovery"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// Open returns the registry that a URL names: etcd://HOST:PORT,HOST:PORT/SYSTEM, with port 2379 and the system "default" where none is
// given. With etcds:// the connections are encrypted, and the servers' certificates are checked with the roots of this machine. It is
// for [discovery.Schemes], whose keys are "etcd" and "etcds" then. A registry that needs credentials or roots of its own is made in the
// program, by [New]; a URL that carries a password is refused, for others see it in the list of processes.
//
// The registry is a [*Registry]; its connections stay open until its Close, which a program that ends need not call.
func Open(text string) (discovery.Registry, error) {
	config, system, err := parse(text)
	if err != nil {
		return nil, err
	}
	opts := Options{System: system}
	if err := New(nil, opts).err; err != nil {
		return nil, err
	}
	client, err := clientv3.New(config)
	if err != nil {
		return nil, fmt.Errorf("make a client of etcd: %w", err)
	}
	r := New(client, opts)
	r.owned = true
	return r, nil
}

func parse(text string) (clientv3.Config, string, error) {
	config := clientv3.Config{
		DialKeepAliveTime:    10 * time.Second, // to notice a machine that is cut off
		DialKeepAliveTimeout: 5 * time.Second,
		Logger:               zap.NewNop(), // what matters is an error here or a line of ours
	}
	scheme, rest, _ := strings.Cut(text, "://")
	switch scheme {
	case "etcd":
	case "etcds":
		config.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	default:
		return config, "", errors.New("want etcd://HOST:PORT,…/SYSTEM, or etcds:// for TLS")
	}
	hosts, system, _ := strings.Cut(rest, "/")
	if strings.Contains(hosts, "@") {
		return config, "", errors.New("a password in a URL is seen by others: make the client in the program, with Username and Password, and give it to etcddiscovery.New")
	}
	if strings.ContainsAny(system, "?#/") {
		return config, "", fmt.Errorf("system %q: want a name and nothing after it", system)
	}
	for host := range strings.SplitSeq(hosts, ",") {
		address, err := address(host)
		if err != nil {
			return config, "", err
		}
		httpScheme := "http"
		if config.TLS != nil {
			httpScheme = "https"
		}
		config.Endpoints = append(config.Endpoints, httpScheme+"://"+address)
	}
	return config, system, nil
}

// address adds etcd's port where there is none.
func address(host string) (string, error) {
	u, err := url.Parse("//" + host)
	if err != nil || u.Host != host || u.Hostname() == "" || strings.Count(host, ":") > 1 && host[0] != '[' {
		return "", fmt.Errorf("%q is not HOST:PORT", host)
	}
	if u.Port() == "" {
		return net.JoinHostPort(u.Hostname(), "2379"), nil
	}
	return host, nil
}
