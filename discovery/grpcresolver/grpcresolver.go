// Package grpcresolver lets a stock grpc-go client find services by the names that they have in a registry, so that a program that is
// not moved to Hanse yet calls those that are:
//
//	registry := new(discovery.Local)
//	conn, err := grpc.NewClient("hanse:///cart",
//		grpc.WithResolvers(&grpcresolver.Builder{Registry: registry}),
//		grpc.WithTransportCredentials(insecure.NewCredentials()))
//
// The client follows the instances as they come and go, and calls them in turn. Importing the package registers nothing.
package grpcresolver

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"github.com/hanse-go/hanse/discovery"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/serviceconfig"
)

// Scheme is that of the targets: hanse:///NAME.
const Scheme = "hanse"

const roundRobin = `{"loadBalancingConfig":[{"round_robin":{}}]}`

// Builder is a [resolver.Builder] for targets hanse:///NAME, to be given to grpc.WithResolvers. Several clients may share it; it must
// not be changed after the first has it.
//
// A call waits until its deadline while no instance was ever ready, and fails with Unavailable when all have left. Instances that
// start or drain get no new calls. An announced instance is called by its service's name as :authority, and that name is expected in
// its certificate; another by its own host. A stock client can't tell an instance whom it takes it for, as Hanse's do, so a call may
// reach another service that was given the port of one that crashed: it answers Unimplemented, unless it has the same contract.
//
// Where HTTPS_PROXY is set, grpc.WithNoProxy keeps the client from asking the proxy for the service.
type Builder struct {
	// Registry tells the instances. It is required.
	Registry discovery.Registry
	// Host is the client's host ID: instances that have it are called by their unix sockets, and by TCP if that fails. The default is
	// [discovery.HostID]; where that fails there are no sockets to call.
	Host string
	// ServiceConfig is gRPC's service config in JSON, which says for instance how to balance and what to retry. The default is round
	// robin. (One given to grpc.WithDefaultServiceConfig has no effect here.)
	ServiceConfig string
}

var _ resolver.Builder = (*Builder)(nil)

// Scheme implements [resolver.Builder].
func (b *Builder) Scheme() string { return Scheme }

// Build implements [resolver.Builder].
func (b *Builder) Build(target resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	if b.Registry == nil {
		return nil, errors.New("grpcresolver: Builder without a Registry")
	}
	name := target.Endpoint()
	if target.URL.Host != "" {
		return nil, fmt.Errorf("grpcresolver: target %q: write %s:///NAME, with three slashes", target.URL.String(), Scheme)
	}
	if err := discovery.CheckName(name); err != nil {
		return nil, fmt.Errorf("grpcresolver: target %q: %w", target.URL.String(), err)
	}
	config := b.ServiceConfig
	if config == "" {
		config = roundRobin
	}
	parsed := cc.ParseServiceConfig(config)
	if parsed.Err != nil {
		return nil, fmt.Errorf("grpcresolver: service config: %w", parsed.Err)
	}
	host := b.Host
	if host == "" {
		host, _ = discovery.HostID() // without one, no instance is on this host
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &watch{cc: cc, host: host, config: parsed, cancel: cancel, done: make(chan struct{})}
	go w.run(ctx, b.Registry, name)
	return w, nil
}

// watch follows one service for one client.
type watch struct {
	cc     resolver.ClientConn
	host   string
	config *serviceconfig.ParseResult
	cancel context.CancelFunc
	done   chan struct{}
	told   bool
}

func (w *watch) run(ctx context.Context, registry discovery.Registry, name string) {
	defer close(w.done)
	if err := registry.Watch(ctx, name, w.tell); err != nil {
		w.cc.ReportError(fmt.Errorf("instances of %s: %w", name, err))
	}
}

// tell gives the client the instances that take calls. Until there is one it is told nothing, so that its calls wait.
func (w *watch) tell(instances []discovery.Instance) {
	state := resolver.State{ServiceConfig: w.config}
	for _, inst := range instances {
		if addrs := w.addresses(inst); len(addrs) > 0 && inst.State == discovery.Ready {
			state.Endpoints = append(state.Endpoints, resolver.Endpoint{Addresses: addrs})
			state.Addresses = append(state.Addresses, addrs[0]) // for balancers that do not know endpoints
		}
	}
	if len(state.Endpoints) == 0 && !w.told {
		return
	}
	w.told = true
	_ = w.cc.UpdateState(state) // it fails where there are no endpoints, and then the calls tell
}

// addresses returns those of the instance that the client can reach, best first.
func (w *watch) addresses(inst discovery.Instance) []resolver.Address {
	var addrs []resolver.Address
	for _, endpoint := range inst.Endpoints {
		u, err := url.Parse(endpoint)
		if err != nil {
			continue
		}
		addr := resolver.Address{ServerName: inst.CallAuthority(endpoint)}
		switch {
		case u.Scheme == "tcp":
			addr.Addr = u.Host
		case u.Scheme == "unix" && (!inst.Announced() || w.host != "" && inst.Host == w.host):
			addr.Addr = u.String()
		default:
			continue // for others, or of a transport that grpc-go does not have
		}
		if !slices.ContainsFunc(addrs, addr.Equal) {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

// ResolveNow implements [resolver.Resolver]. There is nothing to do: changes come by themselves.
func (w *watch) ResolveNow(resolver.ResolveNowOptions) {}

// Close implements [resolver.Resolver].
func (w *watch) Close() {
	w.cancel()
	<-w.done
}
