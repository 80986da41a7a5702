package rpc

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/hanse-go/hanse/identity"
	"github.com/hanse-go/hanse/resilience"
	"github.com/hanse-go/hanse/telemetry"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// contract is one registered service of protobuf.
type contract struct {
	desc *grpc.ServiceDesc
	impl any
}

// method is one registered method.
type method struct {
	path   string // "/package.Service/Method"
	impl   any
	unary  grpc.MethodHandler // nil: a streaming method
	stream *grpc.StreamDesc
	info   grpc.StreamServerInfo

	// Made by Start.
	inner   []grpc.UnaryServerInterceptor // the server's interceptors, and what checks requests
	around  grpc.UnaryServerInterceptor   // the chain of inner; nil: none
	handler grpc.StreamHandler            // of stream, that gets checked requests

	gate   *identity.Gate // nil: everyone may call it
	door   atomic.Pointer[door]
	counts resilience.Counts // what doors did
	tells  *telemetry.Method // who is told of its calls; nil: nobody
}

// RegisterService adds a contract and its implementation. Generated code calls it. A mistake is not fatal: Err has it.
func (s *Server) RegisterService(desc *grpc.ServiceDesc, impl any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.register(desc, impl); err != nil {
		s.mistakes = append(s.mistakes, err)
		if s.phase.Load() != fresh { // too late for whoever looks at Err before Start
			s.logger().Error("contract not registered", "service", s.Name, "error", err)
		}
	}
}

func (s *Server) register(desc *grpc.ServiceDesc, impl any) error {
	if s.phase.Load() != fresh {
		return fmt.Errorf("rpc: %s registered after its server was started: register all contracts before Start", desc.ServiceName)
	}
	if _, ok := s.services[desc.ServiceName]; ok {
		return fmt.Errorf("rpc: %s registered twice on one server", desc.ServiceName)
	}
	if impl == nil {
		return fmt.Errorf("rpc: %s registered with a nil implementation", desc.ServiceName)
	}
	if desc.HandlerType != nil {
		want, have := reflect.TypeOf(desc.HandlerType).Elem(), reflect.TypeOf(impl)
		if !have.Implements(want) {
			return fmt.Errorf("rpc: %s registered with a %v, which does not implement %v", desc.ServiceName, have, want)
		}
	}

	if s.services == nil {
		s.services, s.methods = make(map[string]*contract), make(map[string]*method)
	}
	s.services[desc.ServiceName] = &contract{desc, impl}
	s.registered.Add(1)
	for i := range desc.Methods {
		d := &desc.Methods[i]
		path := "/" + desc.ServiceName + "/" + d.MethodName
		s.methods[path] = &method{path: path, impl: impl, unary: d.Handler, info: grpc.StreamServerInfo{FullMethod: path}}
	}
	for i := range desc.Streams {
		d := &desc.Streams[i]
		path := "/" + desc.ServiceName + "/" + d.StreamName
		s.methods[path] = &method{path: path, impl: impl, stream: d, info: grpc.StreamServerInfo{
			FullMethod: path, IsClientStream: d.ClientStreams, IsServerStream: d.ServerStreams,
		}}
	}
	return nil
}

// GetServiceInfo returns the registered contracts by their full names, as [grpc.Server.GetServiceInfo] does; reflection needs it.
func (s *Server) GetServiceInfo() map[string]grpc.ServiceInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	infos := make(map[string]grpc.ServiceInfo, len(s.services))
	for name, c := range s.services {
		methods := make([]grpc.MethodInfo, 0, len(c.desc.Methods)+len(c.desc.Streams))
		for _, d := range c.desc.Methods {
			methods = append(methods, grpc.MethodInfo{Name: d.MethodName})
		}
		for _, d := range c.desc.Streams {
			methods = append(methods, grpc.MethodInfo{Name: d.StreamName, IsClientStream: d.ClientStreams, IsServerStream: d.ServerStreams})
		}
		infos[name] = grpc.ServiceInfo{Methods: methods, Metadata: c.desc.Metadata}
	}
	return infos
}

// contractNames returns the names of the registered contracts, sorted.
func (s *Server) contractNames() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.services))
}

// has reports whether the server has the contract ("package.Service"). It may be called at any time.
func (s *Server) has(contract string) bool {
	if s.phase.Load() != fresh { // it gets no more
		return s.services[contract] != nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.services[contract] != nil
}

// unknown is a method that no contract has. Such methods are not kept: callers could make up any number of them.
func (s *Server) unknown(path string) *method {
	m := &method{path: path, info: grpc.StreamServerInfo{FullMethod: path, IsClientStream: true, IsServerStream: true}}
	m.tells = s.Telemetry.Serves(path) // which bounds how many it tells apart
	handler := s.Unknown
	switch {
	case m.tells == nil:
	case s.UnknownUnary == nil:
		handler = observe(handler)
	case !s.UnknownUnary(path):
		m.tells.Streaming()
	}
	m.stream, m.handler = &grpc.StreamDesc{Handler: handler, ClientStreams: true, ServerStreams: true}, handler
	return m
}

// lookup finds a method of a server that was started.
func (s *Server) lookup(path string) (*method, error) {
	if m := s.methods[path]; m != nil {
		return m, nil
	}
	rest, ok := strings.CutPrefix(path, "/")
	i := strings.LastIndexByte(rest, '/')
	if !ok || i < 0 {
		return nil, status.Errorf(codes.Unimplemented, "malformed method name: %q", path)
	}
	if s.Unknown != nil && s.guard == nil {
		return s.unknown(path), nil
	}
	if service := rest[:i]; s.services[service] == nil {
		return nil, status.Errorf(codes.Unimplemented, "unknown service %s", service)
	} else {
		return nil, status.Errorf(codes.Unimplemented, "unknown method %s for service %s", rest[i+1:], service)
	}
}
