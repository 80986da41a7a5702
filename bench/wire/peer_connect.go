package wire

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"

	"connectrpc.com/connect"
	"github.com/hanse-go/hanse/bench/wire/echopb"
)

const (
	unaryProcedure = "/hanse.bench.v1.Echo/Unary"
	chatProcedure  = "/hanse.bench.v1.Echo/Chat"
)

// connectPeer is connectrpc.com/connect on both sides, speaking gRPC over the HTTP/2 of net/http.
func connectPeer() peer {
	return peer{serve: serveConnect, dial: dialConnect}
}

var http2Config = &http.HTTP2Config{
	MaxConcurrentStreams:          10_000,
	StrictMaxConcurrentRequests:   true, // one connection
	MaxReceiveBufferPerStream:     streamWindow,
	MaxReceiveBufferPerConnection: 4<<20 - 1, // the most that it takes
}

func protocols(secure bool) *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP2(secure)
	p.SetUnencryptedHTTP2(!secure)
	return p
}

func serveConnect(lis net.Listener, s setting) (func(), error) {
	var opts []connect.HandlerOption
	if s.Dressed {
		opts = append(opts, connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
			return func(ctx context.Context, in connect.AnyRequest) (connect.AnyResponse, error) {
				if in.Header().Get(tenantKey) != tenant {
					return nil, connect.NewError(connect.CodeInvalidArgument, errors.New(tenantKey+" is missing"))
				}
				out, err := next(ctx, in)
				if err == nil {
					h := out.Header()
					h.Set(servedKey, served)
					h.Set(regionKey, region)
					h.Set(costKey, cost)
				}
				return out, err
			}
		})))
	}
	mux := http.NewServeMux()
	mux.Handle(unaryProcedure, connect.NewUnaryHandler(unaryProcedure,
		func(_ context.Context, in *connect.Request[echopb.Message]) (*connect.Response[echopb.Message], error) {
			return connect.NewResponse(&echopb.Message{Body: in.Msg.Body}), nil
		}, opts...))
	mux.Handle(chatProcedure, connect.NewBidiStreamHandler(chatProcedure,
		func(_ context.Context, s *connect.BidiStream[echopb.Message, echopb.Message]) error {
			for {
				in, err := s.Receive()
				if errors.Is(err, io.EOF) {
					return nil
				}
				if err != nil {
					return err
				}
				if err := s.Send(&echopb.Message{Body: in.Body}); err != nil {
					return err
				}
			}
		}))
	config, err := s.serverTLS()
	if err != nil {
		return nil, err
	}
	srv := &http.Server{Handler: mux, Protocols: protocols(config != nil), HTTP2: http2Config, TLSConfig: config}
	if config != nil {
		go srv.ServeTLS(lis, "", "")
	} else {
		go srv.Serve(lis)
	}
	return func() { srv.Close() }, nil
}

func dialConnect(s setting, connectTo connector) (*client, error) {
	config, err := s.clientTLS()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return connectTo(ctx) },
		TLSClientConfig: config,
		Protocols:       protocols(config != nil),
		HTTP2:           http2Config,
	}
	base := "http://" + serverName
	if config != nil {
		base = "https://" + serverName
		config.NextProtos = []string{"h2"}
	}
	opts := []connect.ClientOption{connect.WithGRPC()}
	if s.Dressed {
		opts = append(opts, connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
			return func(ctx context.Context, in connect.AnyRequest) (connect.AnyResponse, error) {
				h := in.Header()
				h.Set(tenantKey, tenant)
				h.Set(userKey, user)
				h.Set(requestKey, requestID())
				return next(ctx, in)
			}
		})))
	}
	unary := connect.NewClient[echopb.Message, echopb.Message](&http.Client{Transport: transport}, base+unaryProcedure, opts...)
	stream := connect.NewClient[echopb.Message, echopb.Message](&http.Client{Transport: transport}, base+chatProcedure, connect.WithGRPC())
	return &client{
		unary: func(ctx context.Context, in *echopb.Message) (int, error) {
			out, err := unary.CallUnary(ctx, connect.NewRequest(in))
			if err != nil {
				return 0, err
			}
			return len(out.Msg.Body), nil
		},
		chat:  func(ctx context.Context) (chat, error) { return connectChat{stream.CallBidiStream(ctx)}, nil },
		close: transport.CloseIdleConnections,
	}, nil
}

// connectChat gives a stream of connect-go the names of grpc's.
type connectChat struct {
	*connect.BidiStreamForClient[echopb.Message, echopb.Message]
}

func (c connectChat) Recv() (*echopb.Message, error) { return c.Receive() }
func (c connectChat) CloseSend() error               { return c.CloseRequest() }
