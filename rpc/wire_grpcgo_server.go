package rpc

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

// grpcgoServer is the server wire of grpc-go. All its methods are unknown to grpc-go, so that routing stays ours.
type grpcgoServer struct {
	server *grpc.Server
	conns  *connQueue
	served sync.WaitGroup
}

func newGRPCGoServer(cfg serverWireConfig) *grpcgoServer {
	opts := []grpc.ServerOption{
		grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
			method, ok := grpc.MethodFromServerStream(stream)
			if !ok {
				return status.Error(codes.Internal, "rpc: the stream has no method")
			}
			return cfg.handle(method, stream)
		}),
		grpc.Creds(acceptedCreds{}),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.MaxRecvMsgSize(cfg.maxRecvMsgSize),
		grpc.MaxSendMsgSize(noLimit),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 20 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
	}
	if cfg.statsHandler != nil {
		opts = append(opts, grpc.StatsHandler(cfg.statsHandler))
	}
	s := &grpcgoServer{server: grpc.NewServer(opts...), conns: newConnQueue()}
	s.served.Go(func() { s.server.Serve(s.conns) }) // its only error is that it was stopped
	return s
}

func (s *grpcgoServer) serve(conn net.Conn) { s.conns.put(conn) }

func (s *grpcgoServer) drain() {
	s.server.GracefulStop()
	s.served.Wait()
}

func (s *grpcgoServer) stop() {
	s.server.Stop()
	s.served.Wait()
}

// acceptedCreds hands grpc-go what the port found out about a connection: the TLS handshake is over when it gets here.
type acceptedCreds struct{}

func (acceptedCreds) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	c, ok := conn.(secureConn)
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
	return nil, nil, errors.New("rpc: these credentials are a server's")
}

func (acceptedCreds) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}
func (c acceptedCreds) Clone() credentials.TransportCredentials { return c }
func (acceptedCreds) OverrideServerName(string) error           { return nil }
