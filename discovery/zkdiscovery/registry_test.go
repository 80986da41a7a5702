//go:build unix

package zkdiscovery_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/discovery/zkdiscovery"
)

func TestRegistry(t *testing.T) {
	server := startServer(t)
	var systems atomic.Int32
	discoverytest.Run(t, func(t *testing.T) discovery.Registrar {
		return server.registry(zkdiscovery.Options{System: fmt.Sprintf("system-%d", systems.Add(1))})
	}, discoverytest.Limits{Peer: func(t *testing.T, reg discovery.Registrar) discovery.Registrar {
		return server.registry(zkdiscovery.Options{System: fmt.Sprintf("system-%d", systems.Load())})
	}})
}
