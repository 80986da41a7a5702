package discovery

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Static is a registry that never changes: the addresses of each service, each of them an instance. An address is host:port (a host's
// name is resolved when it is called), unix:///path, or another endpoint's URL. It must not be changed while it is in use; nil knows
// no service.
//
//	discovery.Static{"cart": {"10.0.0.7:8443", "10.0.0.8:8443"}}
type Static map[string][]string

var _ Registry = Static(nil)

// Watch implements [Registry]. A malformed address is an error.
func (s Static) Watch(ctx context.Context, service string, notify func([]Instance)) error {
	if err := checkWatch(service); err != nil {
		return err
	}
	var list []Instance
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if service != "" && service != name {
			continue
		}
		found, err := staticInstances(name, s[name])
		if err != nil {
			return fmt.Errorf("discovery: static registry: service %s: %w", name, err)
		}
		list = append(list, found...)
	}
	notify(list)
	<-ctx.Done()
	return nil
}

// String returns the registry's URL.
func (s Static) String() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(s)) {
		for _, addr := range s[name] {
			all = append(all, name+"="+addr)
		}
	}
	return "static:" + strings.Join(all, ",")
}

// check reports the first mistake.
func (s Static) check() error {
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if err := CheckName(name); err != nil {
			return err
		}
		if _, err := staticInstances(name, s[name]); err != nil {
			return fmt.Errorf("service %s: %w", name, err)
		}
	}
	return nil
}

func staticInstances(service string, addrs []string) ([]Instance, error) {
	var list []Instance
	for _, addr := range addrs {
		endpoint, err := parseEndpoint(addr)
		if err != nil {
			return nil, err
		}
		list = append(list, Instance{Service: service, State: Ready, Endpoints: []string{endpoint}})
	}
	return list, nil
}
