package hanse

import (
	"maps"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/internal/comments"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"
)

// reflects reports whether clients of a port may ask for its contracts.
func (r *run) reflects(p *port) bool {
	if r.app.Reflection != nil {
		return *r.app.Reflection
	}
	return !p.public()
}

// sharedServer returns the server of what clients may ask a port of whatever service they address: health and reflection.
func (r *run) sharedServer(p *port) *rpc.Server {
	s := &rpc.Server{
		UnaryInterceptors:  r.app.UnaryInterceptors,
		StreamInterceptors: r.app.StreamInterceptors,
		StatsHandlers:      r.app.StatsHandlers,
		Logger:             r.log,
	}
	healthpb.RegisterHealthServer(s, &health{run: r})
	if r.reflects(p) {
		registerReflection(s, r, func() map[string]grpc.ServiceInfo {
			all := make(map[string]grpc.ServiceInfo)
			for _, m := range p.members {
				maps.Copy(all, m.server.GetServiceInfo())
			}
			return all
		})
	}
	s.Start()
	return s
}

// reflected is what a reflection server tells of: a reflection.ServiceInfoProvider.
type reflected func() map[string]grpc.ServiceInfo

func (f reflected) GetServiceInfo() map[string]grpc.ServiceInfo { return f() }

// registerReflection adds both versions of gRPC's reflection, unless the server has one already.
func registerReflection(s *rpc.Server, r *run, services reflected) {
	has, options := s.GetServiceInfo(), reflection.ServerOptions{Services: services, DescriptorResolver: new(comments.Resolver)}
	if _, own := has[reflectionv1.ServerReflection_ServiceDesc.ServiceName]; !own {
		reflectionv1.RegisterServerReflectionServer(s, reflectV1{reflection.NewServerV1(options), r})
	}
	if _, own := has[reflectionv1alpha.ServerReflection_ServiceDesc.ServiceName]; !own {
		reflectionv1alpha.RegisterServerReflectionServer(s, reflectV1Alpha{reflection.NewServer(options), r})
	}
}

type reflectV1 struct {
	reflectionv1.ServerReflectionServer
	run *run
}

func (s reflectV1) ServerReflectionInfo(stream reflectionv1.ServerReflection_ServerReflectionInfoServer) error {
	return s.run.untilDrain(func() error { return s.ServerReflectionServer.ServerReflectionInfo(stream) })
}

type reflectV1Alpha struct {
	reflectionv1alpha.ServerReflectionServer
	run *run
}

func (s reflectV1Alpha) ServerReflectionInfo(stream reflectionv1alpha.ServerReflection_ServerReflectionInfoServer) error {
	return s.run.untilDrain(func() error { return s.ServerReflectionServer.ServerReflectionInfo(stream) })
}

// untilDrain calls serve, and returns without it when the app drains: a client that keeps its stream open would hold the app up.
// The stream ends when its handler returns, and serve with it.
func (r *run) untilDrain(serve func() error) error {
	done := make(chan error, 1)
	r.background.Go(func() { done <- protect(r.log, "reflection", serve) })
	for {
		phase, changed := r.state()
		if phase == discovery.Draining {
			return status.Error(codes.Unavailable, "the app drains")
		}
		select {
		case err := <-done:
			return err
		case <-changed:
		}
	}
}
