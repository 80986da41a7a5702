package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hanse-go/hanse/rpc"
	pb "github.com/hanse-go/hanse/rpc/internal/paritypb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

var interceptorCases = []parityCase{
	{name: "order of interceptors", run: interceptorOrder},
	{name: "order of stream interceptors", run: streamInterceptorOrder},
	{name: "interceptors change what passes", run: interceptorChanges},
	{name: "interceptors answer themselves", run: interceptorAnswers},
	{name: "interceptors do not see unknown methods", run: interceptorUnknown},
	{name: "a server interceptor that panics", run: interceptorPanics, needsServer: "a panic ends its process"},
	{name: "the connection that client interceptors see", run: interceptorConnection},
	{name: "stats handlers", run: statsHandlers},
	{name: "OnFinish", run: onFinish},
	{name: "credentials of a call", run: callCredentials},
	{name: "a stale address that another service owns now", run: staleAddress, needsServer: "it does not know of instances", needsClient: "it names no instance"},
	{name: "call info", run: callInfo, needsClient: "it fills none"},
}

// trace is what interceptors wrote, in order.
type trace struct {
	mu   sync.Mutex
	list []string
}

func (tr *trace) add(format string, args ...any) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.list = append(tr.list, fmt.Sprintf(format, args...))
}

func (tr *trace) want(t *testing.T, want ...string) {
	t.Helper()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if !slices.Equal(tr.list, want) {
		t.Errorf("got  %q\nwant %q", tr.list, want)
	}
}

func interceptorOrder(t *testing.T, c *column) {
	var tr trace
	server := func(name string) grpc.UnaryServerInterceptor {
		return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			_, ours := info.Server.(*handlers)
			tr.add("%s begins %s %v", name, info.FullMethod, ours)
			defer tr.add("%s ends", name)
			return handler(ctx, req)
		}
	}
	client := func(name string) grpc.UnaryClientInterceptor {
		return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			tr.add("%s begins %s %d", name, method, len(opts))
			defer tr.add("%s ends", name)
			return invoker(ctx, method, req, reply, cc, opts...)
		}
	}
	var h handlers
	h.unary = func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
		tr.add("handler")
		return &pb.Reply{}, nil
	}
	calls := c.serve(t, setup{
		handlers: h,
		server:   side{unary: []grpc.UnaryServerInterceptor{server("s1"), server("s2")}},
		client:   clientSide{unary: []grpc.UnaryClientInterceptor{client("c1"), client("c2")}},
	})
	var header metadata.MD
	if err := calls.conn.Invoke(soon(t), pb.Parity_Unary_FullMethodName, &pb.Request{}, &pb.Reply{}, grpc.Header(&header)); err != nil {
		t.Fatal(err)
	}
	m := pb.Parity_Unary_FullMethodName
	n := tr.options(t)
	tr.want(t, "c1 begins "+m+n, "c2 begins "+m+n, "s1 begins "+m+" true", "s2 begins "+m+" true", "handler", "s2 ends", "s1 ends", "c2 ends", "c1 ends")
}

// options is the number of options that the first interceptor saw: grpc-go puts a client's defaults before those of the call.
func (tr *trace) options(t *testing.T) string {
	t.Helper()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if len(tr.list) == 0 {
		t.Fatal("no interceptor ran")
	}
	n := tr.list[0][strings.LastIndex(tr.list[0], " "):]
	if n == " 0" {
		t.Error("the interceptor does not see the call's options")
	}
	return n
}

func streamInterceptorOrder(t *testing.T, c *column) {
	var tr trace
	server := func(name string) grpc.StreamServerInterceptor {
		return func(srv any, s grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			_, ours := srv.(*handlers)
			tr.add("%s begins %s %v %v %v", name, info.FullMethod, info.IsClientStream, info.IsServerStream, ours)
			defer tr.add("%s ends", name)
			return handler(srv, s)
		}
	}
	client := func(name string) grpc.StreamClientInterceptor {
		return func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			tr.add("%s %s %v %v", name, method, desc.ClientStreams, desc.ServerStreams)
			return streamer(ctx, desc, cc, method, opts...)
		}
	}
	calls := c.serve(t, setup{
		server: side{stream: []grpc.StreamServerInterceptor{server("s1"), server("s2")}},
		client: clientSide{stream: []grpc.StreamClientInterceptor{client("c1"), client("c2")}},
	})
	s, err := calls.Download(soon(t), &pb.Request{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err != io.EOF {
		t.Fatal(err)
	}
	m := pb.Parity_Download_FullMethodName
	tr.want(t, "c1 "+m+" false true", "c2 "+m+" false true", "s1 begins "+m+" false true true", "s2 begins "+m+" false true true", "s2 ends", "s1 ends")
}

// interceptorChanges lets interceptors change context, request, reply and error, as validators and translators do.
func interceptorChanges(t *testing.T, c *column) {
	type key struct{}
	var h handlers
	h.unary = func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
		if in.Text == "fail" {
			return nil, errors.New("internal reason")
		}
		return &pb.Reply{Text: fmt.Sprint(in.Text, ctx.Value(key{}))}, nil
	}
	calls := c.serve(t, setup{
		handlers: h,
		server: side{unary: []grpc.UnaryServerInterceptor{func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			md, _ := metadata.FromIncomingContext(ctx)
			in := req.(*pb.Request)
			reply, err := handler(context.WithValue(ctx, key{}, md.Get("added")), &pb.Request{Text: in.Text + "-server"})
			if in.Text == "fail-client" {
				_, err = handler(ctx, &pb.Request{Text: "fail"})
			}
			if err != nil {
				return nil, status.Error(codes.DataLoss, "translated")
			}
			reply.(*pb.Reply).List = []string{"server"}
			return reply, nil
		}}},
		client: clientSide{unary: []grpc.UnaryClientInterceptor{func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			ctx = metadata.AppendToOutgoingContext(ctx, "added", "1")
			err := invoker(ctx, method, &pb.Request{Text: req.(*pb.Request).Text + "-client"}, reply, cc, opts...)
			if err == nil {
				reply.(*pb.Reply).List = append(reply.(*pb.Reply).List, "client")
			}
			return err
		}}},
	})
	out, err := calls.Unary(soon(t), &pb.Request{Text: "x"})
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, out, &pb.Reply{Text: "x-client-server[1]", List: []string{"server", "client"}})
	_, err = calls.Unary(soon(t), &pb.Request{Text: "fail"})
	wantStatus(t, err, codes.DataLoss, "translated")
}

func interceptorAnswers(t *testing.T, c *column) {
	var tr trace
	var h handlers
	h.unary = func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
		tr.add("handler")
		return &pb.Reply{}, nil
	}
	h.chat = func(s grpc.BidiStreamingServer[pb.Request, pb.Reply]) error {
		tr.add("handler")
		return nil
	}
	calls := c.serve(t, setup{handlers: h, server: side{
		unary: []grpc.UnaryServerInterceptor{func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
			if req.(*pb.Request).Text == "cached" {
				return &pb.Reply{Text: "from the cache"}, nil
			}
			return nil, status.Error(codes.PermissionDenied, "no")
		}},
		stream: []grpc.StreamServerInterceptor{func(any, grpc.ServerStream, *grpc.StreamServerInfo, grpc.StreamHandler) error {
			return status.Error(codes.PermissionDenied, "no")
		}},
	}})
	if out, err := calls.Unary(soon(t), &pb.Request{Text: "cached"}); err != nil || out.Text != "from the cache" {
		t.Errorf("%v, %v", out, err)
	}
	_, err := calls.Unary(soon(t), &pb.Request{})
	wantStatus(t, err, codes.PermissionDenied, "no")
	s, err := calls.Chat(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Recv()
	wantStatus(t, err, codes.PermissionDenied, "no")
	tr.want(t)
}

func interceptorUnknown(t *testing.T, c *column) {
	var tr trace
	calls := c.serve(t, setup{server: side{
		unary: []grpc.UnaryServerInterceptor{func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			tr.add("%s", info.FullMethod)
			return handler(ctx, req)
		}},
		stream: []grpc.StreamServerInterceptor{func(srv any, s grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			tr.add("%s", info.FullMethod)
			return handler(srv, s)
		}},
	}})
	for _, method := range []string{"/hanse.parity.v1.Parity/Nothing", "/hanse.parity.v1.Other/Unary"} {
		wantCode(t, calls.conn.Invoke(soon(t), method, &pb.Request{}, &pb.Reply{}), codes.Unimplemented)
	}
	tr.want(t)
}

func interceptorPanics(t *testing.T, c *column) {
	var log buffer
	calls := c.serve(t, setup{log: &log, server: side{
		unary: []grpc.UnaryServerInterceptor{func(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) {
			panic("of an interceptor")
		}},
	}})
	_, err := calls.Unary(soon(t), &pb.Request{})
	wantCode(t, err, codes.Internal)
	if !strings.Contains(log.String(), "of an interceptor") {
		t.Errorf("log: %s", log.String())
	}
}

func interceptorConnection(t *testing.T, c *column) {
	var tr trace
	calls := c.serve(t, setup{client: clientSide{
		unary: []grpc.UnaryClientInterceptor{func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			tr.add("%v", cc.Target() != "" && cc.CanonicalTarget() != "")
			_ = cc.GetState()
			return invoker(ctx, method, req, reply, cc, opts...)
		}},
		stream: []grpc.StreamClientInterceptor{func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			tr.add("%v", cc.Target() != "")
			return streamer(ctx, desc, cc, method, opts...)
		}},
	}})
	if _, err := calls.Unary(soon(t), &pb.Request{}); err != nil {
		t.Fatal(err)
	}
	s, err := calls.Download(soon(t), &pb.Request{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err != io.EOF {
		t.Fatal(err)
	}
	tr.want(t, "true", "true")
}

// recorder is a stats handler that notes the events of calls.
type recorder struct {
	trace
	ended chan bool
}

type recorderKey struct{}

func (r *recorder) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (r *recorder) HandleConn(context.Context, stats.ConnStats)                       {}

func (r *recorder) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	r.add("tag %s", info.FullMethodName)
	return context.WithValue(ctx, recorderKey{}, "tagged")
}

func (r *recorder) HandleRPC(ctx context.Context, s stats.RPCStats) {
	if ctx.Value(recorderKey{}) != "tagged" {
		r.add("%T without tag", s)
	}
	switch s := s.(type) {
	case *stats.Begin:
		r.add("begin client=%v streams=%v,%v", s.Client, s.IsClientStream, s.IsServerStream)
	case *stats.InPayload:
		r.add("in %d", s.Length)
	case *stats.OutPayload:
		r.add("out %d", s.Length)
	case *stats.InHeader:
		r.add("in header %v", s.Client || s.FullMethod == pb.Parity_Unary_FullMethodName)
	case *stats.OutHeader:
		r.add("out header %v", !s.Client || s.FullMethod == pb.Parity_Unary_FullMethodName)
	case *stats.InTrailer:
		r.add("in trailer %v", s.Trailer.Get("t"))
	case *stats.OutTrailer:
		r.add("out trailer %v", s.Trailer.Get("t"))
	case *stats.End:
		r.add("end %v %v", status.Code(s.Error), !s.EndTime.Before(s.BeginTime))
		r.ended <- true
	}
}

func statsHandlers(t *testing.T, c *column) {
	client, server := &recorder{ended: make(chan bool, 1)}, &recorder{ended: make(chan bool, 1)}
	var h handlers
	h.unary = func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
		grpc.SetTrailer(ctx, metadata.Pairs("t", "1"))
		if ctx.Value(recorderKey{}) != "tagged" {
			return nil, errors.New("the handler's context has no tag")
		}
		if in.Text == "" {
			return nil, status.Error(codes.NotFound, "gone")
		}
		return &pb.Reply{Text: in.Text + in.Text}, nil
	}
	calls := c.serve(t, setup{handlers: h, server: side{stats: []stats.Handler{server}}, client: clientSide{stats: []stats.Handler{client}}})
	if _, err := calls.Unary(soon(t), &pb.Request{Text: "abc"}); err != nil {
		t.Fatal(err)
	}
	receive(t, client.ended, "end at the client")
	receive(t, server.ended, "end at the server")
	tag := "tag " + pb.Parity_Unary_FullMethodName
	slices.Sort(client.list[2:]) // with a wire below, some may come in another order
	client.want(t, tag, "begin client=true streams=false,false", "end OK true", "in 8", "in header true", "in trailer [1]", "out 5", "out header true")
	slices.Sort(server.list[1:])
	server.want(t, tag, "begin client=false streams=false,false", "end OK true", "in 5", "in header true", "out 8", "out header true", "out trailer [1]")

	client.list, server.list = nil, nil
	_, err := calls.Unary(soon(t), &pb.Request{})
	wantCode(t, err, codes.NotFound)
	receive(t, client.ended, "end at the client")
	receive(t, server.ended, "end at the server")
	for _, r := range []*recorder{client, server} {
		if !slices.Contains(r.list, "end NotFound true") {
			t.Errorf("events of a failed call: %q", r.list)
		}
	}
}

func onFinish(t *testing.T, c *column) {
	calls := c.serve(t, setup{})
	ends := make(chan error, 10)
	finish := grpc.OnFinish(func(err error) { ends <- err })
	if _, err := calls.Unary(soon(t), &pb.Request{}, finish); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, ends, "end"); err != nil {
		t.Errorf("unary: %v", err)
	}
	err := calls.conn.Invoke(soon(t), "/hanse.parity.v1.Parity/Nothing", &pb.Request{}, &pb.Reply{}, finish)
	wantCode(t, err, codes.Unimplemented)
	wantCode(t, receive(t, ends, "end"), codes.Unimplemented)
	s, err := calls.Download(soon(t), &pb.Request{Count: 1}, finish)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err != nil || len(ends) > 0 {
		t.Fatalf("%v, %d ends", err, len(ends))
	}
	if _, err := s.Recv(); err != io.EOF {
		t.Fatal(err)
	}
	if err := receive(t, ends, "end"); err != nil {
		t.Errorf("stream: %v", err)
	}
	if len(ends) > 0 {
		t.Error("OnFinish was called twice")
	}
}

// token is a credential that may need a secure connection.
type token struct{ secure bool }

func (token) GetRequestMetadata(ctx context.Context, uri ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer x"}, nil
}
func (k token) RequireTransportSecurity() bool { return k.secure }

func callCredentials(t *testing.T, c *column) {
	calls := c.serve(t, setup{handlers: incoming("authorization")})
	out, err := calls.Unary(soon(t), &pb.Request{}, grpc.PerRPCCredentials(token{}))
	wantList(t, out, err, `authorization=["Bearer x"]`)
	out, err = calls.Unary(soon(t), &pb.Request{}, grpc.PerRPCCredentials(token{secure: true}))
	if c.path == rpc.InProcess { // crosses no wire that could be insecure
		wantList(t, out, err, `authorization=["Bearer x"]`)
	} else {
		wantCode(t, err, codes.Unauthenticated)
	}
}

func staleAddress(t *testing.T, c *column) {
	if c.path == rpc.InProcess {
		t.Skip("in process there are no addresses")
	}
	if c.assembled {
		t.Skip("what hanse announces is what runs")
	}
	var tr trace
	var h handlers
	h.unary = func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
		tr.add("handler")
		return &pb.Reply{}, nil
	}
	calls := c.serve(t, setup{handlers: h, instance: "another-1"})
	_, err := calls.Unary(soon(t), &pb.Request{})
	wantCode(t, err, codes.Unavailable)
	tr.want(t)
}

func callInfo(t *testing.T, c *column) {
	calls := c.serve(t, setup{})
	var info rpc.CallInfo
	if _, err := calls.Unary(soon(t), &pb.Request{}, &info); err != nil {
		t.Fatal(err)
	}
	if info.Service != "parity" || info.Attempts != 1 || c.path != "" && info.Path != c.path || (info.Endpoint == "") != (c.path == rpc.InProcess) {
		t.Errorf("%+v", info)
	}
	if c.instance != "" && info.Instance != c.instance {
		t.Errorf("instance = %q", info.Instance)
	}
	info = rpc.CallInfo{}
	s, err := calls.Download(soon(t), &pb.Request{}, &info)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err != io.EOF || info.Service != "parity" || info.Attempts != 1 {
		t.Errorf("stream: %+v, %v", info, err)
	}
}
