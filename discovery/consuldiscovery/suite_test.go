package consuldiscovery_test

import (
	"fmt"
	"net"
	"net/http/httptest"
	"testing"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/consuldiscovery"
	"github.com/hanse-go/hanse/discovery/discoverytest"
)

// start runs an agent on a port of this machine and returns its URL.
func start(t *testing.T) (*agent, string) {
	a := newAgent()
	server := httptest.NewServer(a)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		a.close()
	})
	return a, server.URL
}

func TestRegistrar(t *testing.T) {
	discoverytest.Run(t, func(t *testing.T) discovery.Registrar {
		_, url := start(t)
		return &consuldiscovery.Registry{Address: url}
	}, discoverytest.Limits{Peer: func(_ *testing.T, reg discovery.Registrar) discovery.Registrar {
		return &consuldiscovery.Registry{Address: reg.(*consuldiscovery.Registry).Address}
	}})
}

func TestSplits(t *testing.T) {
	discoverytest.RunSplits(t, func(t *testing.T) discovery.Splitter {
		_, url := start(t)
		return &consuldiscovery.Registry{Address: url}
	}, discoverytest.SplitLimits{Peer: sameSplits})
}

// sameSplits is another handle with the same rules.
func sameSplits(_ *testing.T, s discovery.Splitter) discovery.Splitter {
	r := s.(*consuldiscovery.Registry)
	return &consuldiscovery.Registry{Address: r.Address, Tag: r.Tag}
}

// What others registered is found too.
func TestServicesOfOthers(t *testing.T) {
	discoverytest.RunReadOnly(t, func(t *testing.T, services map[string][]string) discovery.Registry {
		a, url := start(t)
		for name, addrs := range services {
			for n, addr := range addrs {
				host, port, err := net.SplitHostPort(addr)
				if err != nil {
					t.Fatal(err)
				}
				a.put(fmt.Sprintf(`{"ID": "%s-%d", "Name": %q, "Address": %q, "Port": %s}`, name, n, name, host, port))
			}
		}
		return &consuldiscovery.Registry{Address: url}
	}, discoverytest.Limits{})
}
