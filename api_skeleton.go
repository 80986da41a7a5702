package hanse

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"
)

// SKELETON: fixes names and signatures; each type moves to a file of its own with its real body.

type Service struct {
	Name    string
	Version string // default: the main module's version
	Setup   func(ctx context.Context, s *Service) error

	UnaryInterceptors        []grpc.UnaryServerInterceptor
	StreamInterceptors       []grpc.StreamServerInterceptor
	ClientUnaryInterceptors  []grpc.UnaryClientInterceptor
	ClientStreamInterceptors []grpc.StreamClientInterceptor
	StatsHandlers            []stats.Handler
}

func (s *Service) RegisterService(desc *grpc.ServiceDesc, impl any)     { panic("skeleton") }
func (s *Service) Conn(name string, opts ...rpc.ConnOption) *rpc.Conn   { panic("skeleton") }
func (s *Service) Handle(pattern string, h http.Handler)                { panic("skeleton") }
func (s *Service) Go(name string, task func(ctx context.Context) error) { panic("skeleton") }
func (s *Service) OnStop(f func(ctx context.Context) error)             { panic("skeleton") }
func (s *Service) Check(name string, f func(ctx context.Context) error) { panic("skeleton") }
func (s *Service) Config(dst any) error                                 { panic("skeleton") }
func (s *Service) Logger() *slog.Logger                                 { panic("skeleton") }
func (s *Service) Main()                                                { panic("skeleton") }

type App struct {
	System    string
	Addr      string            // default 127.0.0.1:0
	Addrs     map[string]string // service → listener of its own
	Listener  net.Listener
	Advertise string
	AdminAddr string
	Registry  discovery.Registry // nil: memory

	Transports []rpc.Transport // nil: TCP and unix

	UnaryInterceptors        []grpc.UnaryServerInterceptor
	StreamInterceptors       []grpc.StreamServerInterceptor
	ClientUnaryInterceptors  []grpc.UnaryClientInterceptor
	ClientStreamInterceptors []grpc.StreamClientInterceptor
	StatsHandlers            []stats.Handler

	StartTimeout time.Duration // default 30 s
	DrainTimeout time.Duration // default 30 s
	Logger       *slog.Logger
}

func Main(services ...*Service)                                    { panic("skeleton") }
func FromEnv() (*App, error)                                       { panic("skeleton") }
func (a *App) Main(services ...*Service)                           { panic("skeleton") }
func (a *App) Run(ctx context.Context, services ...*Service) error { panic("skeleton") }
func (a *App) Conn(name string, opts ...rpc.ConnOption) *rpc.Conn  { panic("skeleton") }
func (a *App) Close() error                                        { panic("skeleton") }

// CallInfo is a grpc.CallOption that tells where a call went.
type CallInfo = rpc.CallInfo
