package wire

import (
	"context"
	"net"

	"github.com/hanse-go/hanse/bench/wire/echopb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// grpcgoPeer is google.golang.org/grpc on both sides. Tuned, it has the windows and buffers that the others have.
func grpcgoPeer(tuned bool) peer {
	return peer{
		serve: func(lis net.Listener, s setting) (func(), error) {
			var opts []grpc.ServerOption
			if tuned {
				opts = append(opts, grpc.InitialWindowSize(streamWindow), grpc.InitialConnWindowSize(connWindow),
					grpc.ReadBufferSize(ioBuffer), grpc.WriteBufferSize(ioBuffer))
			}
			config, err := s.serverTLS()
			if err != nil {
				return nil, err
			}
			if config != nil {
				opts = append(opts, grpc.Creds(credentials.NewTLS(config)))
			}
			if s.Dressed {
				opts = append(opts, grpc.UnaryInterceptor(dressServer))
			}
			srv := grpc.NewServer(opts...)
			echopb.RegisterEchoServer(srv, echo{})
			go srv.Serve(lis) // it ends with Stop; what goes wrong before that, the client finds out
			return srv.Stop, nil
		},
		dial: func(s setting, connect connector) (*client, error) {
			creds := insecure.NewCredentials()
			config, err := s.clientTLS()
			if err != nil {
				return nil, err
			}
			if config != nil {
				creds = credentials.NewTLS(config)
			}
			opts := []grpc.DialOption{
				grpc.WithTransportCredentials(creds),
				grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return connect(ctx) }),
			}
			if tuned {
				opts = append(opts, grpc.WithInitialWindowSize(streamWindow), grpc.WithInitialConnWindowSize(connWindow),
					grpc.WithReadBufferSize(ioBuffer), grpc.WithWriteBufferSize(ioBuffer))
			}
			if s.Dressed {
				opts = append(opts, grpc.WithUnaryInterceptor(dressClient))
			}
			cc, err := grpc.NewClient("passthrough:///"+serverName, opts...)
			if err != nil {
				return nil, err
			}
			return stubClient(cc, func() { cc.Close() }), nil
		},
	}
}
