package rpc_test

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-go/hanse/rpc"
	pb "github.com/hanse-go/hanse/rpc/internal/paritypb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// breaking is a listener whose connections can be broken.
type breaking struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

func (b *breaking) Accept() (net.Conn, error) {
	conn, err := b.Listener.Accept()
	if err == nil {
		b.mu.Lock()
		b.conns = append(b.conns, conn)
		b.mu.Unlock()
	}
	return conn, err
}

func (b *breaking) breakAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, conn := range b.conns {
		conn.Close()
	}
	b.conns = nil
}

// TestWireUnderStress makes calls of all kinds at once, cancels some, lets the time of some run out, and breaks connections. Each call
// ends with its own answer or with a status that says what happened to it, and nothing is left.
func TestWireUnderStress(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 20
	}
	srv := &rpc.Server{Name: "parity"}
	h := &handlers{}
	h.unary = func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
		if in.Count%7 == 0 {
			grpc.SetHeader(ctx, metadata.Pairs("h", in.Text))
		}
		if in.Count%5 == 0 { // until the caller leaves
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return echo(in), nil
	}
	pb.RegisterParityServer(srv, h)
	srv.Start()
	lis := &breaking{Listener: loopback(t)}
	port := &rpc.Port{Servers: []*rpc.Server{srv}}
	served := make(chan error, 1)
	go func() { served <- port.Serve(lis) }()
	conn, err := rpc.Dial(lis.Addr().String(), rpc.WithTimeout(20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	client := pb.NewParityClient(conn)

	var ok, ended, broken atomic.Int64
	check := func(err error, what string, ends bool) {
		switch status.Code(err) {
		case codes.OK:
			ok.Add(1)
		case codes.Unavailable:
			broken.Add(1)
		case codes.Canceled, codes.DeadlineExceeded:
			ended.Add(1)
			if !ends {
				t.Errorf("%s: %v", what, err)
			}
		default:
			t.Errorf("%s: %v", what, err)
		}
	}
	var callers sync.WaitGroup
	for range 16 {
		callers.Go(func() {
			for range rounds {
				n := rand.Int32N(1000)
				text := strings.Repeat("x", int(n)*rand.IntN(60))
				in := &pb.Request{Text: text, Count: n}
				switch rand.IntN(4) {
				case 0, 1: // the Conn's timeout ends it
					var header metadata.MD
					out, err := client.Unary(context.Background(), in, grpc.Header(&header))
					check(err, "unary", true)
					if err == nil && (out.Text != text || n%7 == 0 && len(header.Get("h")) != 1) {
						t.Errorf("the reply of another call: %d bytes, not %d; header %v", len(out.Text), len(text), header)
					}
				case 2:
					ctx, cancel := context.WithCancel(context.Background())
					time.AfterFunc(time.Duration(rand.Int64N(int64(2*time.Millisecond))), cancel)
					out, err := client.Unary(ctx, in)
					check(err, "cancelled", true)
					if err == nil && out.Text != text {
						t.Errorf("the reply of another call: %d bytes, not %d", len(out.Text), len(text))
					}
					cancel()
				case 3:
					ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
					check(exchangeAll(ctx, client, in, rand.IntN(5)), "stream", false)
					cancel()
				}
				if rand.IntN(300) == 0 {
					lis.breakAll()
				}
			}
		})
	}
	callers.Wait()
	t.Logf("%d calls had an answer, %d were ended, %d lost their connection", ok.Load(), ended.Load(), broken.Load())
	if ok.Load() == 0 {
		t.Error("no call had an answer")
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	port.Close()
	srv.Stop()
	if err := srv.Drain(soon(t)); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// exchangeAll has n messages echoed on one stream.
func exchangeAll(ctx context.Context, client pb.ParityClient, in *pb.Request, n int) error {
	s, err := client.Chat(ctx)
	if err != nil {
		return err
	}
	for range n {
		if err := s.Send(in); err != nil && err != io.EOF {
			return err
		}
		out, err := s.Recv()
		if err != nil {
			return err
		}
		if out.Text != in.Text {
			return status.Error(codes.DataLoss, "the reply of another stream")
		}
	}
	s.CloseSend()
	if _, err := s.Recv(); err != io.EOF {
		return err
	}
	return nil
}
