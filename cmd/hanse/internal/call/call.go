// Package call calls methods by what a server tells of itself: no stubs, no .proto files. It is what is behind hanse call.
package call

import (
	"context"
	"errors"
	"io"

	"github.com/hanse-go/hanse/internal/reflection"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Call is one call of a method.
type Call struct {
	Conn   grpc.ClientConnInterface
	Method *Method
	Args   []string  // the message or messages: see [Call.Run]
	In     io.Reader // where messages come from when Args do not have them
	Indent bool      // whether replies span lines

	Options []grpc.CallOption
	// Reply gets each reply, as JSON.
	Reply func(json []byte) error
	// Header, when not nil, gets the header before the first reply.
	Header func(metadata.MD)
}

// Run makes the call and returns its trailer. Args are JSON values (each is a message), or field=value arguments (which make one
// message), or "-" for JSON values from In; with none, a method that takes a stream reads In. Mistakes in them are found before
// anything is sent, but for those in In.
func (c *Call) Run(ctx context.Context) (trailer metadata.MD, err error) {
	in, err := newInput(c.Method, c.Args, c.In)
	if err != nil {
		return nil, err
	}
	md := c.Method.Desc
	name := "/" + string(md.Parent().FullName()) + "/" + string(md.Name())
	if !md.IsStreamingClient() && !md.IsStreamingServer() {
		return c.unary(ctx, name, in)
	}
	return c.stream(ctx, name, in)
}

func (c *Call) unary(ctx context.Context, name string, in *input) (metadata.MD, error) {
	msg, err := in.next()
	if err != nil {
		return nil, err
	}
	var header, trailer metadata.MD
	reply := dynamicpb.NewMessage(c.Method.Desc.Output())
	err = c.Conn.Invoke(ctx, name, msg, reply, append([]grpc.CallOption{grpc.Header(&header), grpc.Trailer(&trailer)}, c.Options...)...)
	if c.Header != nil && header != nil {
		c.Header(header)
	}
	if err != nil {
		return trailer, c.failed(err)
	}
	return trailer, c.reply(reply)
}

func (c *Call) stream(ctx context.Context, name string, in *input) (metadata.MD, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	md := c.Method.Desc
	s, err := c.Conn.NewStream(ctx, &grpc.StreamDesc{StreamName: string(md.Name()), ClientStreams: md.IsStreamingClient(), ServerStreams: md.IsStreamingServer()}, name, c.Options...)
	if err != nil {
		return nil, c.failed(err)
	}
	// The sender may wait for In, which nothing can interrupt: when the call is over it is left behind.
	go func() {
		for {
			msg, err := in.next()
			if errors.Is(err, io.EOF) {
				s.CloseSend() // an error is what RecvMsg returns, too
				return
			}
			if err != nil {
				cancel(err)
				return
			}
			if s.SendMsg(msg) != nil { // the same
				return
			}
		}
	}()
	if c.Header != nil {
		if header, err := s.Header(); err == nil {
			c.Header(header)
		}
	}
	for {
		reply := dynamicpb.NewMessage(md.Output())
		err := s.RecvMsg(reply)
		switch {
		case errors.Is(err, io.EOF):
			return s.Trailer(), nil
		case err != nil:
			if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
				return s.Trailer(), cause // what is wrong with In
			}
			return s.Trailer(), c.failed(err)
		}
		if err := c.reply(reply); err != nil {
			return s.Trailer(), err
		}
		if !md.IsStreamingServer() {
			return s.Trailer(), nil
		}
	}
}

func (c *Call) reply(m proto.Message) error {
	data, err := reflection.FormatJSON(m, c.Method.Types, c.Indent)
	if err != nil {
		return err
	}
	return c.Reply(data)
}

func (c *Call) failed(err error) error {
	md := c.Method.Desc
	return &StatusError{What: string(md.Parent().Name()) + "/" + string(md.Name()), Status: statusOf(err), types: c.Method.Types}
}
