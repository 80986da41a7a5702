package wire

import (
	"errors"
	"net"

	"github.com/hanse-go/hanse/bench/wire/echopb"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/gateway"
	"github.com/hanse-go/hanse/resilience"
	"github.com/hanse-go/hanse/rpc"
	"github.com/hanse-go/hanse/rpc/grpcwire"
	"google.golang.org/grpc"
)

var onGRPCGo rpc.Wire = grpcwire.Wire{}

// noPolicy switches off what package rpc does for each call by default: all that can be.
var noPolicy = resilience.Policy{
	Timeout:     -1,
	Retry:       resilience.Retry{Attempts: -1, Budget: -1},
	Breaker:     resilience.Breaker{Failures: -1},
	Outlier:     resilience.Outlier{Consecutive: -1, ErrorRate: -1, Slow: -1, Stall: -1, MaxEjected: -1},
	Limit:       resilience.Limit{Delay: -1},
	Idempotency: resilience.Idempotency{Keep: -1},
}

// mounted serves the other protocols on a port, too, as every app does.
func mounted(port *rpc.Port) { port.HTTP = &gateway.Handler{Backend: port} }

// hansePeer is package rpc of this repository, on its own wire or another. The zero policy is that of its defaults. mount, unless it is
// nil, is done to the port.
func hansePeer(wire rpc.Wire, policy resilience.Policy, mount func(*rpc.Port)) peer {
	newServer := func(s setting) (*rpc.Server, error) {
		srv := &rpc.Server{Name: "echo", Policy: policy}
		if s.Dressed {
			srv.UnaryInterceptors = []grpc.UnaryServerInterceptor{dressServer}
		}
		echopb.RegisterEchoServer(srv, echo{})
		if err := srv.Err(); err != nil {
			return nil, err
		}
		srv.Start()
		return srv, nil
	}
	return peer{
		serve: func(lis net.Listener, s setting) (func(), error) {
			srv, err := newServer(s)
			if err != nil {
				return nil, err
			}
			config, err := s.serverTLS()
			if err != nil {
				return nil, err
			}
			port := &rpc.Port{Servers: []*rpc.Server{srv}, TLS: config, Wire: wire}
			if mount != nil {
				mount(port)
			}
			go port.Serve(lis) // it ends with Close; what goes wrong before that, the client finds out
			return func() { srv.Stop(); port.Close() }, nil
		},
		dial: func(s setting, _ connector) (*client, error) {
			config, err := s.clientTLS()
			if err != nil {
				return nil, err
			}
			registry, err := discovery.ParseTarget(s.Network + "://" + s.Address)
			if err != nil {
				return nil, err
			}
			all := &rpc.Client{Registry: registry, TLS: config, Wire: wire, Policies: map[string]resilience.Policy{"": policy}}
			if s.Dressed {
				all.UnaryInterceptors = []grpc.UnaryClientInterceptor{dressClient}
			}
			conn := rpc.NewConn("echo")
			if err := conn.Bind(all); err != nil {
				return nil, err
			}
			return stubClient(conn, func() { all.Close() }), nil
		},
		both: func(s setting) (*client, func(), error) {
			if wire != nil {
				return nil, nil, errors.New("there is no wire within a process")
			}
			srv, err := newServer(s)
			if err != nil {
				return nil, nil, err
			}
			all := &rpc.Client{Local: map[string]*rpc.Server{"echo": srv}}
			conn := rpc.NewConn("echo")
			if err := conn.Bind(all); err != nil {
				return nil, nil, err
			}
			return stubClient(conn, func() { all.Close() }), srv.Stop, nil
		},
	}
}
