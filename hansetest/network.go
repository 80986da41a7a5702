package hansetest

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/hanse-go/hanse/internal/memnet"
	"github.com/hanse-go/hanse/rpc"
)

// transport is the network in memory as a host sees it. It takes the place of TCP, so that everything else is as it is there.
type transport struct{ host memnet.Host }

var _ rpc.Transport = transport{}

func (transport) Schemes() []string { return []string{"tcp"} }

func (t transport) Dial(ctx context.Context, endpoint *url.URL) (net.Conn, error) {
	return t.host.Dial(ctx, endpoint.Host)
}

func (t transport) Listen(_ context.Context, endpoint *url.URL) (net.Listener, error) {
	return t.host.Listen(endpoint.Port())
}

// hostName is the host of the n-th instance of a service, counted from 1.
func hostName(service string, n int) string { return fmt.Sprintf("%s-%d", service, n) }

// SetLatency makes everything that is sent from now on take d to arrive. It needs the path [Memory].
func (s *System) SetLatency(d time.Duration) {
	s.t.Helper()
	s.needMemory("latency")
	s.network.SetLatency(d)
}

// Partition cuts two services, with all the instances that they have now, off from each other until [System.Heal]: what one sends is held
// back, and no connection is made. Neither is told. The name "test" stands for the test's own connections. It needs the path [Memory].
func (s *System) Partition(a, b string) {
	s.t.Helper()
	s.needMemory("a partition")
	for _, x := range s.hosts(a) {
		for _, y := range s.hosts(b) {
			s.network.Partition(x, y)
		}
	}
}

// Heal ends all partitions, and what [Instance.Isolate] did. What was held back arrives.
func (s *System) Heal() { s.network.Heal() }

// hosts lists where a service runs.
func (s *System) hosts(service string) (hosts []string) {
	s.t.Helper()
	if service == testHost {
		return []string{testHost}
	}
	for _, i := range s.Instances(service) {
		hosts = append(hosts, i.Host)
	}
	if len(hosts) == 0 {
		s.t.Fatalf("hansetest: there is no instance of %q", service)
	}
	return hosts
}

func (s *System) needMemory(what string) {
	s.t.Helper()
	if s.opts.Path != Memory {
		s.t.Fatalf("hansetest: %s needs the path %q, not %q", what, Memory, s.opts.Path)
	}
}
