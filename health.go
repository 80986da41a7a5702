package hanse

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// watchInterval is how often a watched health is looked at again when checks decide about it.
const watchInterval = 5 * time.Second

// health is gRPC's health protocol for all services of a run. The name "" asks for the app, another one for a service or for
// whoever has the contract of that name.
type health struct {
	healthpb.UnimplementedHealthServer
	run  *run
	self *member // asked for contracts first; nil on the shared server
}

// serveHealth adds what every service has to the contracts of m, unless it brought its own.
func (m *member) serveHealth() {
	has := m.server.GetServiceInfo()
	if _, own := has[healthpb.Health_ServiceDesc.ServiceName]; !own {
		healthpb.RegisterHealthServer(&m.server, &health{run: m.run, self: m})
	}
	if m.run.reflects(m.port) {
		registerReflection(&m.server, m.run, m.server.GetServiceInfo)
	}
}

// about returns which services a name asks for.
func (h *health) about(name string) (members []*member, ok bool) {
	if name == "" {
		return h.run.members, true
	}
	for _, m := range h.run.members {
		if m.Name == name {
			return []*member{m}, true
		}
		if _, has := m.server.GetServiceInfo()[name]; has {
			members = append(members, m)
		}
	}
	if slices.Contains(members, h.self) {
		return []*member{h.self}, true
	}
	return members, len(members) > 0
}

// status returns the health of some services: SERVING when all are.
func (h *health) status(ctx context.Context, members []*member) healthpb.HealthCheckResponse_ServingStatus {
	if ready, _ := h.run.readiness(ctx, members); !ready {
		return healthpb.HealthCheckResponse_NOT_SERVING
	}
	return healthpb.HealthCheckResponse_SERVING
}

// Check implements healthpb.HealthServer.
func (h *health) Check(ctx context.Context, req *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	members, ok := h.about(req.GetService())
	if !ok {
		return nil, status.Errorf(codes.NotFound, "no service and no contract %q here: there are %s", req.GetService(), strings.Join(h.run.names(), ", "))
	}
	return &healthpb.HealthCheckResponse{Status: h.status(ctx, members)}, nil
}

// List implements healthpb.HealthServer. It lists the app and its services.
func (h *health) List(ctx context.Context, _ *healthpb.HealthListRequest) (*healthpb.HealthListResponse, error) {
	all := make(map[string]*healthpb.HealthCheckResponse)
	for _, name := range append(h.run.names(), "") {
		members, _ := h.about(name)
		all[name] = &healthpb.HealthCheckResponse{Status: h.status(ctx, members)}
	}
	return &healthpb.HealthListResponse{Statuses: all}, nil
}

// Watch implements healthpb.HealthServer. It ends when the app drains, after it said so, for a stream that stays open would keep the
// app from stopping.
func (h *health) Watch(req *healthpb.HealthCheckRequest, stream grpc.ServerStreamingServer[healthpb.HealthCheckResponse]) error {
	ctx := stream.Context()
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	last := healthpb.HealthCheckResponse_UNKNOWN
	for {
		phase, changed := h.run.state()
		now := healthpb.HealthCheckResponse_SERVICE_UNKNOWN
		if members, ok := h.about(req.GetService()); ok {
			now = h.status(ctx, members)
		}
		if now != last {
			last = now
			if err := stream.Send(&healthpb.HealthCheckResponse{Status: now}); err != nil {
				return err
			}
		}
		if phase == discovery.Draining {
			return status.Error(codes.Unavailable, "the app drains")
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		}
	}
}
