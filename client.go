package hanse

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/rpc"
)

// newClient returns what the connections of one caller share: of a service, or of a caller that is none when s is nil.
func (a *App) newClient(s *Service, local map[string]*rpc.Server) (*rpc.Client, error) {
	registry, err := discovery.Targets(a.Targets, a.registry())
	if err != nil {
		return nil, fmt.Errorf("App.Targets (--target): %w", err)
	}
	wire, err := a.chosenWire()
	if err != nil {
		return nil, err
	}
	c := &rpc.Client{
		Registry:           registry,
		Local:              a.withoutTargets(local),
		Host:               hostID(),
		Path:               a.Path,
		Policies:           a.Policies,
		Balancing:          a.Balancing,
		Zone:               a.Zone,
		Transports:         a.Transports,
		UnaryInterceptors:  a.ClientUnaryInterceptors,
		StreamInterceptors: a.ClientStreamInterceptors,
		StatsHandlers:      a.StatsHandlers,
		Wire:               wire,
		Identity:           a.source(),
		Logger:             a.logger(),
	}
	t, err := a.telemetry()
	if err != nil {
		return nil, err
	}
	if who := a.certified.Load(); s == nil && who != nil {
		c.ID = a.serviceID(who.first) // as its certificate says on other paths
	}
	if s == nil {
		c.Telemetry = t.Service("", buildVersion(), "") // see CallerTelemetry
	} else {
		c.Telemetry = s.telemetry()
		c.Service, c.ID = s.Name, a.serviceID(s.Name)
		c.UnaryInterceptors = slices.Concat(a.ClientUnaryInterceptors, s.ClientUnaryInterceptors)
		c.StreamInterceptors = slices.Concat(a.ClientStreamInterceptors, s.ClientStreamInterceptors)
		c.StatsHandlers = slices.Concat(a.StatsHandlers, s.StatsHandlers)
		c.Logger = s.Logger()
	}
	return c, nil
}

// HTTPTransport returns an [http.RoundTripper] that sends requests to services by their names, as http://catalog/v1/products, from a caller
// that is no service. See [rpc.HTTPTransport].
func (a *App) HTTPTransport() *rpc.HTTPTransport { return rpc.NewHTTPTransport(a.Conn) }

// HTTPTransport returns an [http.RoundTripper] that sends the service's requests to services by their names:
//
//	client := &http.Client{Transport: s.HTTPTransport()}
//	resp, err := client.Get("http://catalog/v1/products")
//
// and so does the generated client of connect-go with such a client. It may be used before Run, as [Service.Conn]. Services of the same app
// are reached over a socket once they are announced, not from set-ups. See [rpc.HTTPTransport].
func (s *Service) HTTPTransport() *rpc.HTTPTransport { return rpc.NewHTTPTransport(s.Conn) }

// registry returns the registry that the app uses: when it was given none that of its backplane, or else one in memory.
func (a *App) registry() discovery.Registry {
	switch {
	case a.Registry != nil:
		return a.Registry
	case a.isShared():
		return (*onBackplane)(a)
	}
	return &a.memory
}

// withoutTargets returns the servers of this process that its callers may use directly: a target comes first, even for those.
func (a *App) withoutTargets(local map[string]*rpc.Server) map[string]*rpc.Server {
	if len(a.Targets) == 0 {
		return local
	}
	rest := maps.Clone(local)
	for name := range a.Targets {
		delete(rest, name)
	}
	return rest
}
