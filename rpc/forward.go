package rpc

import (
	"context"
	"io"
	"strings"
	"sync/atomic"

	"github.com/hanse-go/hanse/resilience"
	"github.com/hanse-go/hanse/rpc/internal/wire"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/emptypb"
)

// Forwarder passes calls on, message by message and without knowing their types: a server with nothing but
//
//	srv := &rpc.Server{Name: "reviews", Unknown: (&rpc.Forwarder{Conn: conn}).Stream}
//
// answers all calls with what the service behind conn says. Metadata, deadlines, cancellation, headers, trailers and statuses go through in
// both directions, but not what concerns one connection only: compression, the caller's user agent, which instance was meant. A call that
// conn's service never processed is marked so for its caller too. Messages must be in the proto encoding.
//
// Calls to what Stream serves are streams to both sides, whatever they are: they wait until their context ends and are not repeated once an
// instance has them. Where the descriptor of a contract is known, Contract is better. A Forwarder is safe for concurrent use.
type Forwarder struct {
	// Conn leads to who answers.
	Conn *Conn
	// Outgoing changes the metadata that a call takes along: it is called with the context of the call that came. nil: nothing to change.
	Outgoing func(ctx context.Context, md metadata.MD)
}

// message is one of any type: its fields are unknown ones, and written again as they were.
func (f *Forwarder) message() *emptypb.Empty { return new(emptypb.Empty) }

// Contract describes a contract of which all methods are passed on, for [Server.RegisterService] with any implementation but nil. Unary
// calls are unary to both sides, and so have what unary calls have: limits, a timeout by default, repetition where that is safe.
func (f *Forwarder) Contract(d protoreflect.ServiceDescriptor) *grpc.ServiceDesc {
	desc := &grpc.ServiceDesc{ServiceName: string(d.FullName()), Metadata: d.ParentFile().Path()}
	for i := range d.Methods().Len() {
		m := d.Methods().Get(i)
		if m.IsStreamingClient() || m.IsStreamingServer() {
			desc.Streams = append(desc.Streams, grpc.StreamDesc{
				StreamName: string(m.Name()), Handler: f.Stream, ClientStreams: m.IsStreamingClient(), ServerStreams: m.IsStreamingServer(),
			})
			continue
		}
		desc.Methods = append(desc.Methods, grpc.MethodDesc{MethodName: string(m.Name()), Handler: f.unary("/" + desc.ServiceName + "/" + string(m.Name()))})
	}
	return desc
}

// unary passes on the calls of one unary method.
func (f *Forwarder) unary(method string) grpc.MethodHandler {
	call := func(ctx context.Context, req any) (any, error) {
		reply, header, trailer, err := f.invoke(ctx, method, req)
		if err := grpc.SetHeader(ctx, header); err != nil {
			return nil, err
		}
		if err := grpc.SetTrailer(ctx, trailer); err != nil {
			return nil, err
		}
		if err != nil {
			return nil, err
		}
		return reply, nil
	}
	return func(srv any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
		req := f.message()
		if err := decode(req); err != nil {
			return nil, err
		}
		if interceptor == nil {
			return call(ctx, req)
		}
		return interceptor(ctx, req, &grpc.UnaryServerInfo{Server: srv, FullMethod: method}, call)
	}
}

// invoke makes a unary call for the call of ctx.
func (f *Forwarder) invoke(ctx context.Context, method string, req any) (reply proto.Message, header, trailer metadata.MD, err error) {
	var went forwarded
	reply = f.message()
	err = f.Conn.Invoke(f.outgoing(ctx), method, req, reply, grpc.Header(&header), grpc.Trailer(&trailer), &went)
	if err != nil {
		err = went.status(err)
	}
	return reply, passed(header), passed(trailer), err
}

// Unary passes a call of a unary method on, as one that is unary there too, and so has what unary calls have. It is a [grpc.StreamHandler],
// for who knows of a method that [Server.Unknown] is given that it is unary.
func (f *Forwarder) Unary(_ any, in grpc.ServerStream) error {
	method, ok := grpc.MethodFromServerStream(in)
	if !ok {
		return errNoMethod
	}
	req := f.message()
	if err := in.RecvMsg(req); err == io.EOF {
		return status.Error(codes.Unimplemented, "a unary call needs a request: there was none")
	} else if err != nil {
		return err
	}
	if err := in.RecvMsg(f.message()); err == nil {
		return status.Error(codes.Unimplemented, "a unary call has one request: there were more")
	} else if err != io.EOF {
		return err
	}
	reply, header, trailer, err := f.invoke(in.Context(), method, req)
	if err := in.SetHeader(header); err != nil {
		return err
	}
	in.SetTrailer(trailer)
	if err != nil {
		return err
	}
	return in.SendMsg(reply)
}

var errNoMethod = status.Error(codes.Internal, "rpc: Forwarder: the stream does not know its method")

// Stream passes one call on. It is a [grpc.StreamHandler].
func (f *Forwarder) Stream(_ any, in grpc.ServerStream) error {
	method, ok := grpc.MethodFromServerStream(in)
	if !ok {
		return errNoMethod
	}
	ctx, cancel := context.WithCancelCause(f.outgoing(in.Context()))
	defer cancel(nil)
	var went forwarded
	out, err := f.Conn.NewStream(ctx, &grpc.StreamDesc{StreamName: method, ClientStreams: true, ServerStreams: true}, method, &went)
	if err != nil {
		return went.status(err)
	}
	go f.requests(in, out, cancel) // ends with either call, as both do when this function returns

	header, err := out.Header()
	if err == nil && header != nil {
		err = in.SendHeader(passed(header))
	}
	for reply := f.message(); err == nil; {
		if err = out.RecvMsg(reply); err == nil {
			err = in.SendMsg(reply)
		}
	}
	in.SetTrailer(passed(out.Trailer()))
	switch cause, ours := context.Cause(ctx).(*badRequests); {
	case err == io.EOF:
		return nil
	case ours:
		return cause.error
	}
	return went.status(err)
}

// badRequests is why a call ends whose caller sends what cannot be passed on.
type badRequests struct{ error }

// requests carries the messages of a call's caller, until there are no more or nobody wants them.
func (f *Forwarder) requests(in grpc.ServerStream, out grpc.ClientStream, cancel context.CancelCauseFunc) {
	for req := f.message(); ; {
		switch err := in.RecvMsg(req); {
		case err == io.EOF:
			out.CloseSend() // what went wrong is what out.RecvMsg returns
			return
		case err != nil:
			cancel(&badRequests{err}) // or the caller is gone
			return
		}
		if out.SendMsg(req) != nil { // likewise
			return
		}
	}
}

// outgoing returns the context of the call that is made for the call of ctx.
func (f *Forwarder) outgoing(ctx context.Context) context.Context {
	md, _ := metadata.FromIncomingContext(ctx)
	md = passed(md)
	delete(md, resilience.PriorityKey) // the context has it
	if f.Outgoing != nil {
		f.Outgoing(ctx, md)
	}
	return metadata.NewOutgoingContext(ctx, md)
}

// passed returns a copy of what concerns the call and not one connection.
func passed(md metadata.MD) metadata.MD {
	out := make(metadata.MD, len(md))
	for key, values := range md {
		switch {
		case reservedKey(key), key == wire.InstanceKey, key == wire.NotProcessedKey:
		case strings.HasPrefix(key, "grpc-") && key != pushbackKey && !strings.HasSuffix(key, "-bin"):
		default:
			out[key] = values[:len(values):len(values)]
		}
	}
	return out
}

// forwarded is the option of a call that is made for another one: it tells whether that one may be sent elsewhere.
type forwarded struct {
	grpc.EmptyCallOption
	unprocessed atomic.Bool
}

// note keeps how the last attempt went. The nil option belongs to a call of which nobody asks that.
func (f *forwarded) note(unprocessed bool) {
	if f != nil {
		f.unprocessed.Store(unprocessed)
	}
}

// status is the error for the caller of the call that was passed on.
func (f *forwarded) status(err error) error {
	st := status.Convert(err)
	if notProcessed(err) || f.unprocessed.Load() && (st.Code() == codes.Unavailable || st.Code() == codes.ResourceExhausted) {
		return &notProcessedError{st}
	}
	return st.Err()
}
