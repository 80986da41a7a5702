package grpcwire

import (
	"context"
	"crypto/tls"
	"errors"
	"math"
	"net"
	"sync"
	"time"

	"github.com/hanse-go/hanse/rpc/internal/wire"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

// server is the server side of grpc-go. All its methods are unknown to grpc-go, so that routing stays ours.
type server struct {
	grpc   *grpc.Server
	conns  *wire.ConnQueue
	served sync.WaitGroup
}

func newServer(cfg wire.ServerConfig) *server {
	limits := cfg.Limits
	opts := []grpc.ServerOption{
		grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
			method, ok := grpc.MethodFromServerStream(stream)
			if !ok {
				return status.Error(codes.Internal, "grpcwire: the stream has no method")
			}
			return cfg.Handle(method, stream)
		}),
		grpc.Creds(acceptedCreds{}),
		grpc.ConnectionTimeout(orNever(limits.HandshakeTimeout)),
		grpc.MaxRecvMsgSize(limits.MaxRecvMsgSize),
		grpc.MaxSendMsgSize(wire.NoLimit),
		grpc.MaxConcurrentStreams(number(limits.MaxStreams)),
		grpc.MaxHeaderListSize(number(limits.MaxHeaderListSize)),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle:     orNever(limits.IdleTimeout),
			MaxConnectionAge:      orNever(limits.MaxConnectionAge),
			MaxConnectionAgeGrace: orNever(limits.MaxConnectionAgeGrace),
			Time:                  orNever(limits.KeepaliveTime),
			Timeout:               orNever(limits.KeepaliveTimeout),
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime:             max(limits.MinPingInterval, 1), // for grpc-go, 0 is a default
			PermitWithoutStream: true,
		}),
	}
	if cfg.StatsHandler != nil {
		opts = append(opts, grpc.StatsHandler(cfg.StatsHandler))
	}
	s := &server{grpc: grpc.NewServer(opts...), conns: wire.NewConnQueue()}
	s.served.Go(func() { s.grpc.Serve(s.conns) }) // its only error is that it was stopped
	return s
}

// orNever is d, or what grpc-go takes for never.
func orNever(d time.Duration) time.Duration {
	if d == 0 {
		return math.MaxInt64
	}
	return d
}

// number is n in a setting of HTTP/2.
func number(n int) uint32 { return uint32(min(uint64(n), math.MaxUint32)) }

func (s *server) Serve(conn net.Conn) { s.conns.Put(conn) }

func (s *server) Drain() {
	s.grpc.GracefulStop()
	s.served.Wait()
}

func (s *server) Stop() {
	s.grpc.Stop()
	s.served.Wait()
}

// acceptedCreds hands grpc-go what the port found out about a connection: the TLS handshake is over when it gets here.
type acceptedCreds struct{}

func (acceptedCreds) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	c, ok := conn.(*tls.Conn)
	if !ok {
		return insecure.NewCredentials().ServerHandshake(conn)
	}
	info := credentials.TLSInfo{
		State:          c.ConnectionState(),
		CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
	}
	if certs := info.State.PeerCertificates; len(certs) > 0 && len(certs[0].URIs) == 1 && certs[0].URIs[0].Scheme == "spiffe" {
		info.SPIFFEID = certs[0].URIs[0]
	}
	return conn, info, nil
}

func (acceptedCreds) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("grpcwire: these credentials are a server's")
}

func (acceptedCreds) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}
func (c acceptedCreds) Clone() credentials.TransportCredentials { return c }
func (acceptedCreds) OverrideServerName(string) error           { return nil }
