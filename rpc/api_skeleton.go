package rpc

import (
	"context"
	"log/slog"

	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"
)

// SKELETON: fixes the names and signatures that other packages build on. Each type moves to a file of its own (server.go, port.go,
// client.go, conn.go, path.go, transport.go, callinfo.go) and gets its real body there.

// Server holds the registered contracts of one service and runs its calls.
type Server struct {
	Name     string // service name, for routing by authority; may be empty when it is alone on its Port
	Instance string // instance ID; calls addressed to another instance are refused as not processed. Empty: not checked

	UnaryInterceptors  []grpc.UnaryServerInterceptor // first is outermost
	StreamInterceptors []grpc.StreamServerInterceptor
	StatsHandlers      []stats.Handler

	MaxRecvMsgSize int          // bytes of one message, uncompressed; 0 is 4 MiB, -1 is no limit
	MaxSendMsgSize int          // 0 and -1 are no limit
	Logger         *slog.Logger // nil: slog.Default
}

func (s *Server) RegisterService(desc *grpc.ServiceDesc, impl any) { panic("skeleton") } // mistakes are collected: Err
func (s *Server) GetServiceInfo() map[string]grpc.ServiceInfo      { panic("skeleton") }
func (s *Server) Err() error                                       { panic("skeleton") } // mistakes in registrations, joined
func (s *Server) Start()                                           { panic("skeleton") } // from now on calls run; in-process calls that came before waited for it
func (s *Server) Drain(ctx context.Context) error                  { panic("skeleton") } // no new calls on any path, in-process ones included; returns when none runs
func (s *Server) Stop()                                            { panic("skeleton") } // cancels the contexts of running calls and refuses new ones
func (s *Server) Running() []string                                { panic("skeleton") } // full methods of the calls that run now, sorted, with duplicates

// serveStream runs a call that arrived from a wire: unary or streaming. It finds the method, runs interceptors, recovers panics and counts the call as running. The context of stream carries the incoming metadata, deadline and peer.
func (s *Server) serveStream(method string, stream grpc.ServerStream) error { panic("skeleton") }

// has reports whether the server has the contract ("package.Service"). It may be called at any time.
func (s *Server) has(contract string) bool { panic("skeleton") }
