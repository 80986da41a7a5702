// Package onhost is etcd as a registry of programs that are all on this machine, so that their loopback addresses make sense in it.
package onhost

import (
	"fmt"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/etcddiscovery"
)

// Etcd opens the registry that a URL names: etcd://HOST:PORT/SYSTEM.
func Etcd(url string) (discovery.Registry, error) {
	reg, err := etcddiscovery.Open(url)
	if err != nil {
		return nil, err
	}
	etcd, ok := reg.(*etcddiscovery.Registry)
	if !ok {
		return nil, fmt.Errorf("etcddiscovery.Open gave a %T", reg)
	}
	return registry{etcd}, nil
}

type registry struct{ *etcddiscovery.Registry }

// Scope implements [discovery.Registrar].
func (registry) Scope() discovery.Scope { return discovery.ScopeHost }
