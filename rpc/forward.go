package rpc

import (
	"context"
	"io"
	"strings"
	"sync/atomic"

	"github.com/hanse-go/hanse/resilience"
	"github.com/hanse-go/hanse/rpc/internal/wire"
	"github.com/hanse-go/hanse/telemetry"
	"go.opentelemetry.io/otel/trace"
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
// instance has them. Telemetry tells of them as unary ones until a call of the method has a second message in one direction. Where the
// descriptor of a contract is known, Contract is better. A Forwarder is safe for concurrent use.
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
				StreamName: string(m.Name()), Handler: f.stream, ClientStreams: m.IsStreamingClient(), ServerStreams: m.IsStreamingServer(),
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
	return f.pass(in, isStream(in.Context()))
}

// stream passes on a call of a method that is known to be a stream.
func (f *Forwarder) stream(_ any, in grpc.ServerStream) error { return f.pass(in, true) }

func (f *Forwarder) pass(in grpc.ServerStream, stream bool) error {
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
	if stream {
		went.streams(2)
	}
	go f.requests(in, out, cancel, &went) // ends with either call, as both do when this function returns

	header, err := out.Header()
	if err == nil && header != nil {
		err = in.SendHeader(passed(header))
	}
	for reply, n := f.message(), 1; err == nil; n++ {
		if err = out.RecvMsg(reply); err == nil {
			went.streams(n)
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
func (f *Forwarder) requests(in grpc.ServerStream, out grpc.ClientStream, cancel context.CancelCauseFunc, went *forwarded) {
	for req, n := f.message(), 1; ; n++ {
		switch err := in.RecvMsg(req); {
		case err == io.EOF:
			out.CloseSend() // what went wrong is what out.RecvMsg returns
			return
		case err != nil:
			cancel(&badRequests{err}) // or the caller is gone
			return
		}
		went.streams(n)
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
	call        *telemetry.Call // of a stream, which may be unary; nil: nobody is told
}

// forwardedIn returns the option of a call that is made for another one, or nil.
func forwardedIn(opts []grpc.CallOption) *forwarded {
	for _, o := range opts {
		if f, ok := o.(*forwarded); ok {
			return f
		}
	}
	return nil
}

// streams says that the call has had so many messages in one direction: with more than one it is a stream.
func (f *forwarded) streams(messages int) {
	if messages == 2 && f.call != nil {
		f.call.Span.Streams()
	}
}

// isStream reports whether telemetry knows the call of a handler's context as a stream.
func isStream(ctx context.Context) bool {
	span, ok := trace.SpanFromContext(ctx).(*telemetry.Span)
	return ok && span.IsStream()
}

// observed is a call of which nobody knows whether it is a stream, until it has a second message in one direction.
type observed struct {
	grpc.ServerStream
	received, sent int // each side of a stream has one goroutine at a time
}

// observe returns a handler whose calls are told of as what they turn out to be.
func observe(h grpc.StreamHandler) grpc.StreamHandler {
	return func(srv any, in grpc.ServerStream) error {
		if isStream(in.Context()) {
			return h(srv, in)
		}
		return h(srv, &observed{ServerStream: in})
	}
}

func (o *observed) RecvMsg(m any) error {
	err := o.ServerStream.RecvMsg(m)
	if err == nil {
		o.count(&o.received)
	}
	return err
}

func (o *observed) SendMsg(m any) error {
	o.count(&o.sent)
	return o.ServerStream.SendMsg(m)
}

func (o *observed) count(n *int) {
	if *n++; *n != 2 {
		return
	}
	if span, ok := trace.SpanFromContext(o.Context()).(*telemetry.Span); ok {
		span.Streams()
	}
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
