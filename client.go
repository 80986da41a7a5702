package hanse

import (
	"slices"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/rpc"
)

// newClient returns what the connections of one caller share: of a service, or of a caller that is none when s is nil.
func (a *App) newClient(s *Service, local map[string]*rpc.Server) *rpc.Client {
	c := &rpc.Client{
		Registry:           a.targets(a.registry()),
		Local:              local,
		Host:               hostID(),
		Path:               a.Path,
		Transports:         a.Transports,
		UnaryInterceptors:  a.ClientUnaryInterceptors,
		StreamInterceptors: a.ClientStreamInterceptors,
		StatsHandlers:      a.StatsHandlers,
		Logger:             a.logger(),
	}
	if s != nil {
		c.Service = s.Name
		c.UnaryInterceptors = slices.Concat(a.ClientUnaryInterceptors, s.ClientUnaryInterceptors)
		c.StreamInterceptors = slices.Concat(a.ClientStreamInterceptors, s.ClientStreamInterceptors)
		c.StatsHandlers = slices.Concat(a.StatsHandlers, s.StatsHandlers)
		c.Logger = a.logger().With("service", s.Name)
	}
	return c
}

// registry returns the registry that the app uses: one in memory when it was given none. The caller does not hold a.mu.
func (a *App) registry() discovery.Registry {
	if a.Registry != nil {
		return a.Registry
	}
	return &a.memory
}
