package wire

import (
	"context"
	"crypto/tls"
	"net"

	"github.com/hanse-go/hanse/bench/wire/echopb"
	"github.com/hanse-go/hanse/bench/wire/framed"
	"google.golang.org/protobuf/proto"
)

// framedPeer is the floor: calls that are a length, a number and a message, protobuf or plain bytes.
func framedPeer(encoded bool) peer {
	var codec framed.Codec = framed.Bytes{}
	handle := func(request []byte, reply func(any) error) error {
		return reply(&request)
	}
	if encoded {
		codec = framed.Proto{}
		handle = func(request []byte, reply func(any) error) error {
			in := new(echopb.Message)
			if err := proto.Unmarshal(request, in); err != nil {
				return err
			}
			return reply(&echopb.Message{Body: in.Body})
		}
	}
	return peer{
		serve: func(lis net.Listener, s setting) (func(), error) {
			config, err := s.serverTLS()
			if err != nil {
				return nil, err
			}
			go func() {
				for {
					conn, err := lis.Accept()
					if err != nil {
						return
					}
					if config != nil {
						conn = tls.Server(conn, config)
					}
					go framed.Serve(conn, codec, handle) // when it fails, so do the client's calls
				}
			}()
			return func() { lis.Close() }, nil
		},
		dial: func(s setting, connect connector) (*client, error) {
			config, err := s.clientTLS()
			if err != nil {
				return nil, err
			}
			conn, err := connect(context.Background())
			if err != nil {
				return nil, err
			}
			if config != nil {
				config.ServerName = serverName
				conn = tls.Client(conn, config)
			}
			c := framed.NewClient(conn, codec)
			unary := func(ctx context.Context, in *echopb.Message) (int, error) {
				var out []byte
				err := c.Call(ctx, &in.Body, &out)
				return len(out), err
			}
			if encoded {
				unary = func(ctx context.Context, in *echopb.Message) (int, error) {
					out := new(echopb.Message)
					err := c.Call(ctx, in, out)
					return len(out.Body), err
				}
			}
			return &client{unary: unary, close: func() { c.Close() }}, nil
		},
	}
}
