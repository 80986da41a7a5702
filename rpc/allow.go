package rpc

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/hanse-go/hanse/identity"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// Guard returns what decides who may call, with its counters, or nil: before Start, and when Allow is empty.
func (s *Server) Guard() *identity.Guard {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.guard
}

// newGuard makes what Allow asks for, and returns nil when it is empty. s.mu is held.
func (s *Server) newGuard() (*identity.Guard, error) {
	if len(s.Allow) == 0 {
		return nil, nil
	}
	guard, err := identity.NewGuard(s.Allow, slices.Collect(maps.Keys(s.methods)), s.ServiceID)
	if err != nil {
		err = fmt.Errorf("rpc: Allow: %w", err)
	}
	return guard, err
}

// placeGuard puts a gate before each method that Allow is about. s.mu is held.
func (s *Server) placeGuard() error {
	guard, err := s.newGuard()
	if guard != nil {
		s.guard = guard
		for path, m := range s.methods {
			m.gate = guard.Gate(path)
		}
	}
	return err
}

// decide looks a call up in the rules, and returns what the server's policy puts before it: nothing before one that will be denied, for
// that must take nobody's turn. ctx is the handler's.
func (s *Server) decide(ctx context.Context, m *method) (d *door, denied bool) {
	d = m.door.Load()
	if m.gate == nil {
		return d, false
	}
	if caller, _ := identity.Caller(ctx); m.gate.Admits(caller) {
		return d, false
	}
	if !s.AllowReportOnly {
		d = nil
	}
	return d, true
}

// deny counts and logs a call that no rule lets in, and returns its status unless that is all. It comes before interceptors. The caller
// learns what it may not do, and nothing of who may.
func (s *Server) deny(ctx context.Context, m *method) error {
	caller, _ := identity.Caller(ctx)
	if calls, log := m.gate.Deny(caller); log {
		message := "call denied: no rule of Allow lets the caller in"
		if s.AllowReportOnly {
			message = "call would be denied: no rule of Allow lets the caller in"
		}
		from := ""
		if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
			from = p.Addr.String()
		}
		s.logger().WarnContext(ctx, message, "service", s.Name, "method", m.path, "caller", callerName(caller), "peer", from,
			"calls", calls, "rules", m.gate.Rules())
	}
	if s.AllowReportOnly {
		return nil
	}
	return status.Errorf(codes.PermissionDenied, "%s may not call %s", callerName(caller), m.path)
}

// callerName is a caller in messages.
func callerName(id identity.ID) string {
	if id == (identity.ID{}) {
		return "a caller without a known identity"
	}
	return id.String()
}
