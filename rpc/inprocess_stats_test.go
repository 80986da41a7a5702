package rpc_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/rpc"
	pb "github.com/hanse-go/hanse/rpc/internal/paritypb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// events is a stats handler that writes down what it is told of calls.
type events struct {
	mu   sync.Mutex
	list []string
	end  chan struct{}
}

type eventsKey struct{ *events }

func (e *events) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	e.add("tag %s failfast=%t", info.FullMethodName, info.FailFast)
	return context.WithValue(ctx, eventsKey{e}, true)
}

func (e *events) HandleRPC(ctx context.Context, s stats.RPCStats) {
	if ctx.Value(eventsKey{e}) != true {
		e.add("the context of %T has no tag", s)
	}
	switch s := s.(type) {
	case *stats.Begin:
		e.add("begin client=%t failfast=%t streams=%t,%t %t", s.Client, s.FailFast, s.IsClientStream, s.IsServerStream, s.BeginTime.IsZero())
	case *stats.OutHeader:
		e.add("out header client=%t %s %v", s.Client, s.FullMethod, ownKeys(s.Header))
	case *stats.InHeader:
		e.add("in header client=%t %s %v", s.Client, s.FullMethod, ownKeys(s.Header))
	case *stats.OutPayload:
		e.add("out payload client=%t %v %d %d %d %t", s.Client, s.Payload, s.Length, s.CompressedLength, s.WireLength, s.SentTime.IsZero())
	case *stats.InPayload:
		e.add("in payload client=%t %v %d %d %d %t", s.Client, s.Payload, s.Length, s.CompressedLength, s.WireLength, s.RecvTime.IsZero())
	case *stats.OutTrailer:
		e.add("out trailer client=%t %v", s.Client, ownKeys(s.Trailer))
	case *stats.InTrailer:
		e.add("in trailer client=%t %v", s.Client, ownKeys(s.Trailer))
	case *stats.End:
		e.add("end client=%t %v %v %t %t", s.Client, s.Error, ownKeys(s.Trailer), s.BeginTime.IsZero(), s.EndTime.Before(s.BeginTime))
		e.end <- struct{}{}
	}
}

func (*events) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (*events) HandleConn(context.Context, stats.ConnStats)                       {}

func (e *events) add(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	// Messages print with one or two spaces, by chance.
	e.list = append(e.list, strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " "))
}

// take returns the events of one call, which has ended.
func (e *events) take() []string {
	<-e.end
	e.mu.Lock()
	defer e.mu.Unlock()
	list := e.list
	e.list = nil
	return list
}

// ownKeys is what the test itself sent.
func ownKeys(md metadata.MD) string {
	own := metadata.MD{}
	for _, k := range slices.Sorted(maps.Keys(md)) {
		if strings.HasPrefix(k, "x-") {
			own[k] = md[k]
		}
	}
	return fmt.Sprint(map[string][]string(own))
}

// The handlers of both sides are told what grpc-go tells them.
func TestStatsAreThoseOfGRPC(t *testing.T) {
	fail := status.Error(codes.NotFound, "gone")
	h := &handlers{
		unary: func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
			if strings.Contains(in.Text, "header") {
				grpc.SetHeader(ctx, metadata.Pairs("x-header", "h"))
			}
			if strings.Contains(in.Text, "send") {
				grpc.SendHeader(ctx, nil)
			}
			grpc.SetTrailer(ctx, metadata.Pairs("x-trailer", "t"))
			if strings.Contains(in.Text, "fail") {
				return nil, fail
			}
			return &pb.Reply{Text: "reply"}, nil
		},
		chat: func(s grpc.BidiStreamingServer[pb.Request, pb.Reply]) error {
			s.SetHeader(metadata.Pairs("x-header", "h"))
			for {
				in, err := s.Recv()
				if err == io.EOF {
					s.SetTrailer(metadata.Pairs("x-trailer", "t"))
					return nil
				}
				if err != nil {
					return err
				}
				if in.Text == "fail" {
					return fail
				}
				if err := s.Send(&pb.Reply{Text: in.Text + in.Text}); err != nil {
					return err
				}
			}
		},
	}
	unary := func(text string, opts ...grpc.CallOption) func(context.Context, pb.ParityClient) error {
		return func(ctx context.Context, c pb.ParityClient) error {
			_, err := c.Unary(ctx, &pb.Request{Text: text}, opts...)
			return err
		}
	}
	chat := func(texts ...string) func(context.Context, pb.ParityClient) error {
		return func(ctx context.Context, c pb.ParityClient) error {
			s, err := c.Chat(ctx)
			if err != nil {
				return err
			}
			for _, text := range texts {
				if err := s.Send(&pb.Request{Text: text}); err != nil {
					return err
				}
				if _, err := s.Recv(); err != nil {
					return err
				}
			}
			s.CloseSend()
			if _, err = s.Recv(); err == io.EOF {
				return nil
			}
			return err
		}
	}
	download := func(ctx context.Context, c pb.ParityClient) error {
		s, err := c.Download(ctx, &pb.Request{Count: 2})
		for err == nil {
			_, err = s.Recv()
		}
		if err == io.EOF {
			return nil
		}
		return err
	}
	upload := func(ctx context.Context, c pb.ParityClient) error {
		s, err := c.Upload(ctx)
		if err != nil {
			return err
		}
		s.Send(&pb.Request{Count: 2})
		_, err = s.CloseAndRecv()
		return err
	}

	type side struct{ client, server *events }
	start := func(t *testing.T) (ours, stock pb.ParityClient, o, s side) {
		newSide := func() side {
			return side{&events{end: make(chan struct{}, 1)}, &events{end: make(chan struct{}, 1)}}
		}
		o, s = newSide(), newSide()

		srv := &rpc.Server{StatsHandlers: []stats.Handler{o.server}, Name: "parity"}
		pb.RegisterParityServer(srv, h)
		srv.Start()
		client := &rpc.Client{Local: map[string]*rpc.Server{"parity": srv}, StatsHandlers: []stats.Handler{o.client}}
		conn := rpc.NewConn("parity")
		if err := conn.Bind(client); err != nil {
			t.Fatal(err)
		}
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		gs := grpc.NewServer(grpc.StatsHandler(s.server))
		pb.RegisterParityServer(gs, h)
		go gs.Serve(lis)
		cc, err := grpc.NewClient(lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithStatsHandler(s.client))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			client.Close()
			srv.Stop()
			cc.Close()
			gs.Stop()
		})
		return pb.NewParityClient(conn), pb.NewParityClient(cc), o, s
	}

	for name, call := range map[string]func(context.Context, pb.ParityClient) error{
		"unary":                  unary(""),
		"unary, waits":           unary("", grpc.WaitForReady(true)),
		"unary, header":          unary("header"),
		"unary, sent header":     unary("header, send"),
		"unary, error":           unary("fail"),
		"unary, error, header":   unary("fail, header"),
		"unary, error, sent":     unary("fail, send"),
		"bidirectional":          chat("a", "bc"),
		"bidirectional, none":    chat(),
		"bidirectional, error":   chat("a", "fail"),
		"bidirectional, at once": chat("fail"),
		"server stream":          download,
		"client stream":          upload,
	} {
		t.Run(name, func(t *testing.T) {
			ours, stock, o, s := start(t)
			ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), "x-request", "r"), time.Minute)
			defer cancel()
			if have, want := call(ctx, ours), call(ctx, stock); status.Code(have) != status.Code(want) {
				t.Fatalf("the call gives %v, over grpc-go %v", have, want)
			}
			for who, e := range map[string][2]*events{"client": {o.client, s.client}, "server": {o.server, s.server}} {
				have, want := e[0].take(), e[1].take()
				if !strings.HasPrefix(have[len(have)-1], "end ") {
					t.Errorf("%s: the last event is %s", who, have[len(have)-1])
				}
				// grpc-go's come from several goroutines, in no certain order.
				slices.Sort(have)
				slices.Sort(want)
				if !slices.Equal(have, want) {
					t.Errorf("%s:\n%s\ngrpc-go:\n%s", who, strings.Join(have, "\n"), strings.Join(want, "\n"))
				}
			}
		})
	}
}

func TestStatsOfAPanic(t *testing.T) {
	e := &events{end: make(chan struct{}, 1)}
	srv := &rpc.Server{StatsHandlers: []stats.Handler{e}}
	conn, _ := localConn(t, srv, &handlers{
		unary: func(context.Context, *pb.Request) (*pb.Reply, error) { panic(1) },
		chat:  func(grpc.BidiStreamingServer[pb.Request, pb.Reply]) error { panic(1) },
	})
	srv.Start()
	for name, call := range map[string]func(c pb.ParityClient){
		"unary":  func(c pb.ParityClient) { c.Unary(t.Context(), &pb.Request{}) },
		"stream": func(c pb.ParityClient) { c.Chat(t.Context()) },
	} {
		call(pb.NewParityClient(conn))
		list := e.take()
		if last := list[len(list)-1]; !strings.Contains(last, "end client=false rpc error: code = Internal desc = panic in handler") {
			t.Errorf("%s: the last event is %s", name, last)
		}
	}
}
