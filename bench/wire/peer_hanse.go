package wire

import (
	"errors"
	"net"

	"github.com/hanse-go/hanse/bench/wire/echopb"
	"github.com/hanse-go/hanse/rpc"
	"github.com/hanse-go/hanse/rpc/grpcwire"
	"google.golang.org/grpc"
)

var onGRPCGo rpc.Wire = grpcwire.Wire{}

// hansePeer is package rpc of this repository with its defaults, on its own wire or another.
func hansePeer(wire rpc.Wire) peer {
	newServer := func(s setting) (*rpc.Server, error) {
		srv := &rpc.Server{Name: "echo"}
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
			go port.Serve(lis) // it ends with Close; what goes wrong before that, the client finds out
			return func() { srv.Stop(); port.Close() }, nil
		},
		dial: func(s setting, _ connector) (*client, error) {
			var opts []rpc.ConnOption
			if config := s.clientTLS(); config != nil {
				opts = append(opts, rpc.WithTLS(config))
			}
			if wire != nil {
				opts = append(opts, rpc.WithWire(wire))
			}
			if s.Dressed {
				opts = append(opts, rpc.WithUnaryInterceptors(dressClient))
			}
			conn, err := rpc.Dial(s.Network+"://"+s.Address, opts...)
			if err != nil {
				return nil, err
			}
			return stubClient(conn, func() { conn.Close() }), nil
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
