package rpc_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/internal/grpckeys"
	"github.com/hanse-go/hanse/resilience"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// foreign is a call that came by another protocol: one empty message.
type foreign struct {
	grpc.ServerStream
	ctx  context.Context
	got  bool
	sent int
	md   metadata.MD
}

func (f *foreign) Context() context.Context { return f.ctx }
func (f *foreign) RecvMsg(any) error {
	if f.got {
		return io.EOF
	}
	f.got = true
	return nil
}
func (f *foreign) SendMsg(any) error              { f.sent++; return nil }
func (f *foreign) SetTrailer(md metadata.MD)      { f.md = metadata.Join(f.md, md) }
func (f *foreign) SetHeader(md metadata.MD) error { f.md = metadata.Join(f.md, md); return nil }

// foreignTransport is what grpc.SetHeader finds for it.
type foreignTransport struct {
	grpc.ServerTransportStream
	f *foreign
}

func (t foreignTransport) SetHeader(md metadata.MD) error  { return t.f.SetHeader(md) }
func (t foreignTransport) SetTrailer(md metadata.MD) error { t.f.SetTrailer(md); return nil }

func newForeign(t *testing.T, authority string) *foreign {
	f := &foreign{}
	ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs(":authority", authority))
	f.ctx = grpc.NewContextWithServerTransportStream(ctx, foreignTransport{f: f})
	return f
}

type settingServer struct {
	testpb.UnimplementedTestServiceServer
}

func (settingServer) EmptyCall(ctx context.Context, _ *testpb.Empty) (*testpb.Empty, error) {
	grpc.SetHeader(ctx, metadata.Pairs("x-head", "1"))
	grpc.SetTrailer(ctx, metadata.Pairs("x-tail", "2"))
	return &testpb.Empty{}, nil
}

// toldEvents writes down what a server's stats handler is told.
type toldEvents struct{ events []string }

func (l *toldEvents) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	l.events = append(l.events, "tag "+info.FullMethodName)
	return ctx
}

func (l *toldEvents) HandleRPC(_ context.Context, s stats.RPCStats) {
	switch s := s.(type) {
	case *stats.OutHeader:
		l.events = append(l.events, fmt.Sprint("header ", s.Header["x-head"]))
	case *stats.OutTrailer:
		l.events = append(l.events, fmt.Sprint("trailer ", s.Trailer["x-tail"]))
	case *stats.End:
		l.events = append(l.events, fmt.Sprint("end ", status.Code(s.Error)))
	default:
		l.events = append(l.events, strings.TrimPrefix(fmt.Sprintf("%T", s), "*stats."))
	}
}

func (l *toldEvents) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (l *toldEvents) HandleConn(context.Context, stats.ConnStats)                       {}

const emptyCall = "/grpc.testing.TestService/EmptyCall"

// TestPortCall holds that a call by another protocol is routed as one by gRPC, and that stats handlers are told of it.
func TestPortCall(t *testing.T) {
	log := &toldEvents{}
	cart := &rpc.Server{Name: "cart", StatsHandlers: []stats.Handler{log}}
	wine := &rpc.Server{Name: "wine"}
	port := &rpc.Port{Servers: []*rpc.Server{cart, wine}}
	defer port.Close()
	before := port.Generation()
	for _, s := range port.Servers {
		testpb.RegisterTestServiceServer(s, settingServer{})
		s.Start()
		defer s.Drain(context.Background())
	}
	cart.RegisterService(&grpc.ServiceDesc{ServiceName: "late.Service"}, settingServer{}) // a mistake, and no contract
	if port.Generation() == before {
		t.Error("contracts were registered, and the generation is the same")
	}
	if found := port.Contracts(); len(found) != 1 || found[0].FullName() != "grpc.testing.TestService" {
		t.Errorf("contracts: %v", found)
	}
	if n := port.MaxRecvMsgSize(); n != 4<<20 {
		t.Errorf("messages of %d bytes", n)
	}

	f := newForeign(t, "cart")
	if err := port.Call(emptyCall, f); err != nil || f.sent != 1 || len(f.md) != 2 {
		t.Errorf("%v, %d messages, %v", err, f.sent, f.md)
	}
	want := []string{"tag " + emptyCall, "InHeader", "Begin", "InPayload", "header [1]", "OutPayload", "trailer [2]", "end OK"}
	if !slices.Equal(log.events, want) {
		t.Errorf("told\n%q, want\n%q", log.events, want)
	}
	log.events = nil
	if err := port.Call(emptyCall, newForeign(t, "wine")); err != nil || log.events != nil {
		t.Errorf("%v; another server's handler was told %q", err, log.events)
	}
	if err := port.Call(emptyCall, newForeign(t, "elsewhere")); status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), `"cart", "wine"`) {
		t.Errorf("nobody was named: %v", err)
	}
	if err := port.Call("/grpc.testing.TestService/UnaryCall", newForeign(t, "cart")); status.Code(err) != codes.Unimplemented || log.events[len(log.events)-1] != "end Unimplemented" {
		t.Errorf("%v, %q", err, log.events)
	}
}

// knowing is a context that knows values of metadata, and notes if it had to make all of it.
type knowing struct {
	context.Context
	values map[string][]string
	made   bool
}

func (c *knowing) IncomingValues(key string) []string { return c.values[key] }

func (c *knowing) Value(key any) any {
	if key == grpckeys.Get().Incoming {
		c.made = true
	}
	return c.Context.Value(key)
}

type emptyServer struct {
	testpb.UnimplementedTestServiceServer
	empty func(context.Context) error
}

func (s emptyServer) EmptyCall(ctx context.Context, _ *testpb.Empty) (*testpb.Empty, error) {
	return &testpb.Empty{}, s.empty(ctx)
}

// TestPortCallAsksForValues holds that a call whose context knows the values of its metadata is not made to make that.
func TestPortCallAsksForValues(t *testing.T) {
	var called []string
	port := &rpc.Port{}
	defer port.Close()
	for _, name := range []string{"cart", "wine"} {
		s := &rpc.Server{Name: name}
		testpb.RegisterTestServiceServer(s, emptyServer{empty: func(ctx context.Context) error {
			called = append(called, name+" "+resilience.PriorityOf(ctx).String())
			return nil
		}})
		s.Start()
		defer s.Drain(context.Background())
		port.Servers = append(port.Servers, s)
	}
	ctx := &knowing{Context: t.Context(), values: map[string][]string{":authority": {"wine"}, "hanse-priority": {"critical"}}}
	if err := port.Call(emptyCall, &foreign{ctx: ctx}); err != nil || ctx.made || !slices.Equal(called, []string{"wine critical"}) {
		t.Errorf("%v, called %q, metadata made: %t", err, called, ctx.made)
	}
}

// TestPortCallEnds holds when the context of a handler ends.
func TestPortCallEnds(t *testing.T) {
	srv := &rpc.Server{Name: "test"}
	began := make(chan context.Context, 1)
	testpb.RegisterTestServiceServer(srv, emptyServer{empty: func(ctx context.Context) error {
		began <- ctx
		if _, waits := ctx.Deadline(); waits {
			<-ctx.Done()
		}
		return ctx.Err()
	}})
	srv.Start()
	port := &rpc.Port{Servers: []*rpc.Server{srv}}
	defer port.Close()

	if err := port.Call(emptyCall, newForeign(t, "test")); err != nil {
		t.Error(err)
	}
	if ctx := <-began; ctx.Err() != context.Canceled {
		t.Errorf("after the call: %v", ctx.Err())
	}

	soon, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := port.Call(emptyCall, &foreign{ctx: soon}); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("at the deadline: %v", err)
	}
	<-began

	late, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	ended := make(chan error)
	go func() { ended <- port.Call(emptyCall, &foreign{ctx: late}) }()
	<-began
	srv.Stop()
	if err := <-ended; status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "stopped") {
		t.Errorf("when the server stops: %v", err)
	}
	if late.Err() != nil {
		t.Errorf("the caller's context: %v", late.Err())
	}
}
