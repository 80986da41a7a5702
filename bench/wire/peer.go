package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"

	"github.com/hanse-go/hanse/bench/wire/echopb"
	"github.com/hanse-go/hanse/resilience"
	"google.golang.org/grpc/test/bufconn"
)

// setting is what both ends of a connection know.
type setting struct {
	Network string
	Address string // where the server listens; "" before it does
	Cert    []byte // PEM, with the server's name serverName; nil: no TLS
	Key     []byte
	Mutual  bool // with Cert: the client shows it, too
	Dressed bool // an interceptor and three metadata keys on each side
}

const serverName = "bench.example.org"

// peer is one way to make calls.
type peer struct {
	serve func(lis net.Listener, s setting) (stop func(), err error)
	// dial makes a client with one connection, which comes from connect or goes to s.Address.
	dial func(s setting, connect connector) (*client, error)
	// both makes a client and a server within one process; nil: over a pipe in memory.
	both func(s setting) (*client, func(), error)
}

type connector func(ctx context.Context) (net.Conn, error)

// client is the calling end of a peer.
type client struct {
	unary func(ctx context.Context, in *echopb.Message) (size int, err error) // the size of the answer's body
	chat  func(ctx context.Context) (chat, error)                             // nil: has no streams
	close func()
}

type chat interface {
	Send(*echopb.Message) error
	Recv() (*echopb.Message, error)
	CloseSend() error
}

// peers returns what contenders are made of.
func peers() map[string]peer {
	return map[string]peer{
		Subject:             hansePeer(nil, resilience.Policy{}, nil),
		Again:               hansePeer(nil, resilience.Policy{}, nil),
		Mounted:             hansePeer(nil, resilience.Policy{}, mounted),
		Bare:                hansePeer(nil, noPolicy, nil),
		"hanse on grpc-go":  hansePeer(onGRPCGo, resilience.Policy{}, nil),
		Base:                grpcgoPeer(true),
		"grpc-go untouched": grpcgoPeer(false),
		"connect-go":        connectPeer(),
		Floor:               framedPeer(true),
		"framed bytes":      framedPeer(false),
	}
}

// window sizes that every peer is given, as far as it can be told.
const (
	streamWindow = 1 << 20
	connWindow   = 16 << 20
	ioBuffer     = 64 << 10
)

// connectors

func (s setting) connect(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, s.Network, s.Address)
}

// inMemory runs both ends of a peer in this process.
func inMemory(p peer, s setting) (*client, func(), error) {
	lis := bufconn.Listen(1 << 20)
	stop, err := p.serve(lis, s)
	if err != nil {
		return nil, nil, err
	}
	c, err := p.dial(s, lis.DialContext)
	if err != nil {
		stop()
		return nil, nil, err
	}
	return c, stop, nil
}

func (s setting) serverTLS() (*tls.Config, error) {
	if s.Cert == nil {
		return nil, nil
	}
	cert, err := tls.X509KeyPair(s.Cert, s.Key)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}
	if s.Mutual {
		config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, s.roots()
	}
	return config, nil
}

// clientTLS has no name of the server: peers take it from the address.
func (s setting) clientTLS() (*tls.Config, error) {
	if s.Cert == nil {
		return nil, nil
	}
	config := &tls.Config{RootCAs: s.roots(), MinVersion: tls.VersionTLS13}
	if s.Mutual {
		cert, err := tls.X509KeyPair(s.Cert, s.Key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{cert}
	}
	return config, nil
}

func (s setting) roots() *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.Cert)
	return roots
}
