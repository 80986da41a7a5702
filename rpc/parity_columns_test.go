package rpc_test

import (
	"cmp"
	"context"
	"errors"
	"math"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/hansetest"
	"github.com/hanse-go/hanse/internal/memnet"
	"github.com/hanse-go/hanse/rpc"
	"github.com/hanse-go/hanse/rpc/grpcwire"
	pb "github.com/hanse-go/hanse/rpc/internal/paritypb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

var columns = []column{
	{name: "inprocess", ourServer: true, ourClient: true, path: rpc.InProcess, instance: instance, start: inProcess},
	{name: "unix", ourServer: true, ourClient: true, path: rpc.Unix, instance: instance, start: overUnix},
	{name: "tcp", ourServer: true, ourClient: true, path: rpc.TCP, instance: instance, start: overTCP},
	{name: "grpcwire", ourServer: true, ourClient: true, path: rpc.TCP, instance: instance, start: overGRPCWire},
	{name: "memory", ourServer: true, ourClient: true, instance: instance, start: overMemory},
	{name: "system in process", ourServer: true, ourClient: true, assembled: true, path: rpc.InProcess, start: inSystem(rpc.InProcess)},
	{name: "system over unix", ourServer: true, ourClient: true, assembled: true, path: rpc.Unix, start: inSystem(rpc.Unix)},
	{name: "system over tcp", ourServer: true, ourClient: true, assembled: true, path: rpc.TCP, start: inSystem(rpc.TCP)},
	{name: "system in memory", ourServer: true, ourClient: true, assembled: true, path: rpc.TCP, start: inSystem(hansetest.Memory)},
	{name: "to grpc-go", ourClient: true, start: toStock},
	{name: "from grpc-go", ourServer: true, start: fromStock},
	{name: "grpc-go alone", start: stock},
}

const instance = "parity-1"

func ourServer(t *testing.T, s *setup) *rpc.Server {
	srv := &rpc.Server{
		Name: "parity", Instance: cmp.Or(s.instance, instance),
		UnaryInterceptors: s.server.unary, StreamInterceptors: s.server.stream, StatsHandlers: s.server.stats,
		MaxRecvMsgSize: s.server.maxRecv, MaxSendMsgSize: s.server.maxSend, NoValidation: s.noValidation,
		Logger: s.logger(t), Telemetry: s.server.telemetry,
	}
	pb.RegisterParityServer(srv, &s.handlers)
	if err := srv.Err(); err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(srv.Stop)
	return srv
}

func ourClient(t *testing.T, s *setup, client *rpc.Client) *rpc.Conn {
	client.UnaryInterceptors, client.StreamInterceptors, client.StatsHandlers = s.client.unary, s.client.stream, s.client.stats
	client.MaxRecvMsgSize, client.MaxSendMsgSize = s.client.maxRecv, s.client.maxSend
	client.Telemetry = s.client.telemetry
	client.Wire, client.Logger = s.wire, s.logger(t)
	conn := rpc.NewConn("parity")
	if err := conn.Bind(client); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(conn.Close(), client.Close()); err != nil {
			t.Error(err)
		}
	})
	return conn
}

// serve runs a server of ours on a listener.
func serve(t *testing.T, s *setup, lis net.Listener) {
	port := &rpc.Port{Servers: []*rpc.Server{ourServer(t, s)}, Wire: s.wire, Logger: s.logger(t)}
	done := make(chan error, 1)
	go func() { done <- port.Serve(lis) }()
	t.Cleanup(func() {
		if err := errors.Join(port.Close(), <-done); err != nil {
			t.Error(err)
		}
	})
}

// announced is a registry in which the server of the case is announced at an endpoint.
func announced(t *testing.T, endpoint string) discovery.Registry {
	m := &discovery.Memory{}
	lease, err := m.Register(t.Context(), discovery.Instance{
		Service: "parity", ID: instance, State: discovery.Ready, Endpoints: []string{endpoint}, Host: "here",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lease.Close() })
	return m
}

// known is a registry that knows one instance that was not announced by Hanse.
type known string

func (endpoint known) Watch(ctx context.Context, service string, notify func([]discovery.Instance)) error {
	notify([]discovery.Instance{{Service: service, State: discovery.Ready, Endpoints: []string{string(endpoint)}}})
	<-ctx.Done()
	return nil
}

func inProcess(t *testing.T, s setup) grpc.ClientConnInterface {
	return ourClient(t, &s, &rpc.Client{Local: map[string]*rpc.Server{"parity": ourServer(t, &s)}})
}

func overUnix(t *testing.T, s setup) grpc.ClientConnInterface {
	dir, err := os.MkdirTemp("", "p") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	lis := listen(t, "unix", filepath.Join(dir, "s"))
	serve(t, &s, lis)
	return ourClient(t, &s, &rpc.Client{Registry: announced(t, "unix://"+lis.Addr().String()), Host: "here"})
}

func overTCP(t *testing.T, s setup) grpc.ClientConnInterface {
	lis := listen(t, "tcp", "127.0.0.1:0")
	serve(t, &s, lis)
	return ourClient(t, &s, &rpc.Client{Registry: announced(t, "tcp://"+lis.Addr().String())})
}

// overGRPCWire is TCP with grpc-go's transport on both sides.
func overGRPCWire(t *testing.T, s setup) grpc.ClientConnInterface {
	s.wire = grpcwire.Wire{}
	return overTCP(t, s)
}

// memory is a transport over a network in memory.
type memory struct{ host memnet.Host }

func (memory) Schemes() []string { return []string{"mem"} }

func (m memory) Dial(ctx context.Context, endpoint *url.URL) (net.Conn, error) {
	return m.host.Dial(ctx, endpoint.Host)
}

func (m memory) Listen(_ context.Context, endpoint *url.URL) (net.Listener, error) {
	return m.host.Listen(endpoint.Port())
}

func overMemory(t *testing.T, s setup) grpc.ClientConnInterface {
	var n memnet.Network
	lis, err := n.Host("parity").Listen("")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, &s, lis)
	return ourClient(t, &s, &rpc.Client{Registry: announced(t, "mem://"+lis.Addr().String()), Transports: []rpc.Transport{memory{n.Host("caller")}}})
}

// inSystem is the way that services of one system call each other: assembled by hanse, and run by hansetest as a user's tests run them.
func inSystem(path rpc.Path) func(t *testing.T, s setup) grpc.ClientConnInterface {
	return func(t *testing.T, s setup) grpc.ClientConnInterface {
		server := &hanse.Service{
			Name: "parity", UnaryInterceptors: s.server.unary, StreamInterceptors: s.server.stream, StatsHandlers: s.server.stats,
			MaxRecvMsgSize: s.server.maxRecv, MaxSendMsgSize: s.server.maxSend, NoValidation: s.noValidation,
		}
		pb.RegisterParityServer(server, &s.handlers)
		caller := &hanse.Service{
			Name: "caller", ClientUnaryInterceptors: s.client.unary, ClientStreamInterceptors: s.client.stream, StatsHandlers: s.client.stats,
		}
		conn := limitedConn{caller.Conn("parity"), nil}
		if n := s.client.maxRecv; n != 0 {
			conn.opts = append(conn.opts, grpc.MaxCallRecvMsgSize(stockLimit(n, 0)))
		}
		if n := s.client.maxSend; n != 0 {
			conn.opts = append(conn.opts, grpc.MaxCallSendMsgSize(stockLimit(n, 0)))
		}
		hansetest.Options{Path: path, Log: s.log}.Run(t, server, caller)
		return conn
	}
}

// limitedConn sets the limits of a caller with each call.
type limitedConn struct {
	grpc.ClientConnInterface
	opts []grpc.CallOption
}

func (c limitedConn) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	return c.ClientConnInterface.Invoke(ctx, method, args, reply, slices.Concat(c.opts, opts)...)
}

func (c limitedConn) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return c.ClientConnInterface.NewStream(ctx, desc, method, slices.Concat(c.opts, opts)...)
}

func stockServer(t *testing.T, s *setup) string {
	opts := []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(s.server.unary...),
		grpc.ChainStreamInterceptor(s.server.stream...),
		grpc.MaxRecvMsgSize(stockLimit(s.server.maxRecv, 4<<20)),
		grpc.MaxSendMsgSize(stockLimit(s.server.maxSend, math.MaxInt32)),
	}
	for _, h := range s.server.stats {
		opts = append(opts, grpc.StatsHandler(h))
	}
	srv := grpc.NewServer(opts...)
	pb.RegisterParityServer(srv, &s.handlers)
	lis := listen(t, "tcp", "127.0.0.1:0")
	done := make(chan error, 1)
	go func() { done <- srv.Serve(lis) }()
	t.Cleanup(func() {
		srv.Stop()
		if err := <-done; err != nil && err != grpc.ErrServerStopped { // a case may end before it began to serve
			t.Error(err)
		}
	})
	return lis.Addr().String()
}

func stockClient(t *testing.T, s *setup, address string) *grpc.ClientConn {
	opts := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithChainUnaryInterceptor(s.client.unary...),
		grpc.WithChainStreamInterceptor(s.client.stream...),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(stockLimit(s.client.maxRecv, 4<<20)),
			grpc.MaxCallSendMsgSize(stockLimit(s.client.maxSend, math.MaxInt32)),
		),
	}
	for _, h := range s.client.stats {
		opts = append(opts, grpc.WithStatsHandler(h))
	}
	conn, err := grpc.NewClient(address, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return conn
}

func stockLimit(n, byDefault int) int {
	switch n {
	case 0:
		return byDefault
	case -1:
		return math.MaxInt32
	}
	return n
}

func toStock(t *testing.T, s setup) grpc.ClientConnInterface {
	return ourClient(t, &s, &rpc.Client{Registry: known("tcp://" + stockServer(t, &s))})
}

func fromStock(t *testing.T, s setup) grpc.ClientConnInterface {
	lis := listen(t, "tcp", "127.0.0.1:0")
	serve(t, &s, lis)
	return stockClient(t, &s, lis.Addr().String())
}

func stock(t *testing.T, s setup) grpc.ClientConnInterface {
	return stockClient(t, &s, stockServer(t, &s))
}
