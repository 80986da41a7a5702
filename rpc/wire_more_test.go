package rpc

import (
	"context"
	"errors"
	"net"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/internal/memnet"
	"github.com/hanse-go/hanse/rpc/internal/wire"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// slowService answers when it is told to.
type slowService struct{ answer chan struct{} }

func (s *slowService) register(srv *Server) {
	type server interface{}
	srv.RegisterService(&grpc.ServiceDesc{
		ServiceName: "more.Slow",
		HandlerType: (*server)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Wait", Handler: func(_ any, ctx context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			in := new(wrapperspb.StringValue)
			if err := dec(in); err != nil {
				return nil, err
			}
			<-s.answer
			return in, nil
		}}},
	}, s)
}

// TestMoreConnections drives a link whose reader has too much to do through the life of its additional connections.
func TestMoreConnections(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(3))
	synctest.Test(t, func(t *testing.T) {
		var network memnet.Network
		slow := &slowService{answer: make(chan struct{})}
		srv := &Server{Name: "slow"}
		slow.register(srv)
		srv.Start()
		lis, err := network.Host("a").Listen("1")
		if err != nil {
			t.Fatal(err)
		}
		port := &Port{Servers: []*Server{srv}}
		go port.Serve(lis)

		dials := 0
		var refuse error
		link := newWireLink(wire.LinkConfig{
			Dial: func(ctx context.Context) (net.Conn, error) {
				dials++
				if refuse != nil {
					return nil, refuse
				}
				return network.Host("b").Dial(ctx, "a:1")
			},
			Authority: "slow", MaxRecvMsgSize: 1 << 20, MaxSendMsgSize: 1 << 20,
			OnState: func(wire.State, error) {},
		})
		want := func(conns, dialled int) {
			t.Helper()
			synctest.Wait()
			link.mu.Lock()
			defer link.mu.Unlock()
			if len(link.conns) != conns || dials != dialled {
				t.Errorf("%d connections after %d dials, want %d after %d", len(link.conns), dials, conns, dialled)
			}
		}
		want(1, 1)
		first := link.now.Load()

		refuse = errors.New("no more")
		link.saturated()
		want(1, 2)
		refuse = nil

		link.saturated()
		link.saturated() // one at a time
		want(2, 3)
		link.saturated()
		want(3, 4)
		link.saturated() // as many as there are processors
		want(3, 4)

		// Calls go where the fewest are.
		var calls sync.WaitGroup
		for range 9 {
			calls.Go(func() {
				out := new(wrapperspb.StringValue)
				if err := link.Invoke(t.Context(), "/more.Slow/Wait", wrapperspb.String("x"), out, nil, new(wire.Report)); err != nil || out.Value != "x" {
					t.Error(out.Value, err)
				}
			})
			synctest.Wait()
		}
		link.mu.Lock()
		for c := range link.conns {
			if n := c.conn.Streams(); n != 3 {
				t.Errorf("a connection has %d calls", n)
			}
		}
		link.mu.Unlock()

		// One that breaks is not used again; what is idle for a minute ends, but for the first.
		for _, c := range (*link.more.all.Load())[:1] {
			c.conn.Drain()
		}
		close(slow.answer)
		calls.Wait()
		want(2, 4)
		time.Sleep(2*moreIdle + time.Second)
		want(1, 4)
		if link.use() != first || link.more.all.Load() != nil {
			t.Error("the first connection is not the only one")
		}

		link.saturated()
		want(2, 5)
		link.Close()
		port.Close()
		srv.Stop()
	})
}
