package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/rpc"
	pb "github.com/hanse-go/hanse/rpc/internal/paritypb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// startLocal returns a client of h in this process.
func startLocal(t *testing.T, h *handlers) pb.ParityClient {
	t.Helper()
	srv := &rpc.Server{}
	conn, _ := localConn(t, srv, h)
	srv.Start()
	return pb.NewParityClient(conn)
}

// byHand is a contract whose handler is not generated, so that it can do what generated ones do not.
func byHand(t *testing.T, handler grpc.MethodHandler) (*rpc.Server, *rpc.Conn) {
	t.Helper()
	srv := &rpc.Server{Name: "parity"}
	srv.RegisterService(&grpc.ServiceDesc{ServiceName: "hanse.parity.v1.Parity", Methods: []grpc.MethodDesc{{MethodName: "Unary", Handler: handler}}}, t)
	if err := srv.Err(); err != nil {
		t.Fatal(err)
	}
	srv.Start()
	client := &rpc.Client{Local: map[string]*rpc.Server{"parity": srv}}
	conn := rpc.NewConn("parity")
	if err := conn.Bind(client); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		srv.Stop()
		if err := srv.Drain(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return srv, conn
}

// The caller's message is its own again when the call returns, whatever the handler does.
func TestRequestIsNotReadAfterTheCall(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(srv *rpc.Server, conn *rpc.Conn, cancel func())
		code codes.Code
	}{
		"cancel": {func(_ *rpc.Server, _ *rpc.Conn, cancel func()) { cancel() }, codes.Canceled},
		"close":  {func(_ *rpc.Server, conn *rpc.Conn, _ func()) { conn.Close() }, codes.Canceled},
		"stop":   {func(srv *rpc.Server, _ *rpc.Conn, _ func()) { srv.Stop() }, codes.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			entered, leave := make(chan struct{}), make(chan struct{})
			read := make(chan error, 1)
			srv, conn := byHand(t, func(_ any, _ context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
				close(entered)
				<-leave
				in := &pb.Request{}
				err := dec(in)
				if in.Text != "" {
					err = fmt.Errorf("the handler reads %q", in.Text)
				}
				read <- err
				return &pb.Reply{}, err
			})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() {
				<-entered
				tt.end(srv, conn, cancel)
			}()
			in := &pb.Request{Text: "before"}
			if _, err := pb.NewParityClient(conn).Unary(ctx, in); status.Code(err) != tt.code {
				t.Errorf("the caller gets %v", err)
			}
			in.Text = "after" // a race, if it is still read
			close(leave)
			if err := <-read; status.Code(err) != codes.Canceled {
				t.Errorf("the handler gets %v", err)
			}
		})
	}
}

func TestRequestReadTwice(t *testing.T) {
	_, conn := byHand(t, func(_ any, _ context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		in := &pb.Request{}
		if err := errors.Join(dec(in)); err != nil {
			return nil, err
		}
		if err := dec(in); err != io.EOF {
			return nil, fmt.Errorf("the second time: %v", err)
		}
		return &pb.Reply{Text: in.Text}, nil
	})
	if out, err := pb.NewParityClient(conn).Unary(t.Context(), &pb.Request{Text: "a"}); err != nil || out.Text != "a" {
		t.Errorf("got %v, %v", out, err)
	}
}

// Callers leave at all moments of a call. Their messages and replies are their own afterwards: the race detector looks.
func TestCallersLeaveAtAnyTime(t *testing.T) {
	var handled atomic.Int64
	c := startLocal(t, &handlers{unary: func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
		handled.Add(1)
		if in.Count%3 == 0 {
			<-ctx.Done()
		}
		return &pb.Reply{Data: in.Data, Count: in.Count}, nil
	}})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 0))
			in := &pb.Request{Data: make([]byte, 1000)}
			for i := range int32(300) {
				in.Count, in.Data[i] = i, 1
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(r.IntN(100))*time.Microsecond)
				var header metadata.MD
				out, err := c.Unary(ctx, in, grpc.Header(&header))
				cancel()
				switch code := status.Code(err); {
				case code == codes.OK && (out.Count != i || out.Data[i] != 1):
					t.Errorf("got %v for call %d", out, i)
				case code != codes.OK && code != codes.DeadlineExceeded:
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if handled.Load() == 0 {
		t.Error("no call came through")
	}
}

func TestConnCloseEndsCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &rpc.Server{}
		release := make(chan struct{})
		defer close(release)
		var ended atomic.Int32
		block := func(ctx context.Context) {
			context.AfterFunc(ctx, func() { ended.Add(1) })
			<-release
		}
		conn, _ := localConn(t, srv, &handlers{
			unary: func(ctx context.Context, in *pb.Request) (*pb.Reply, error) { block(ctx); return nil, nil },
			chat:  func(s grpc.BidiStreamingServer[pb.Request, pb.Reply]) error { block(s.Context()); return nil },
		})
		srv.Start()
		result := make(chan error, 1)
		go func() {
			_, err := pb.NewParityClient(conn).Unary(context.Background(), &pb.Request{})
			result <- err
		}()
		s, err := pb.NewParityClient(conn).Chat(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		conn.Close()
		if err := <-result; status.Code(err) != codes.Canceled {
			t.Errorf("unary: %v", err)
		}
		if _, err := s.Recv(); status.Code(err) != codes.Canceled {
			t.Errorf("stream: %v", err)
		}
		synctest.Wait()
		if ended.Load() != 2 {
			t.Error("the handlers' contexts go on")
		}
	})
}

func TestPeerInProcess(t *testing.T) {
	var seen *peer.Peer
	c := startLocal(t, &handlers{unary: func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
		seen, _ = peer.FromContext(ctx)
		return &pb.Reply{}, nil
	}})
	var callee peer.Peer
	if _, err := c.Unary(t.Context(), &pb.Request{}, grpc.Peer(&callee)); err != nil {
		t.Fatal(err)
	}
	if seen.Addr.Network() != "inprocess" || seen.Addr.String() != "caller" || seen.LocalAddr.String() != "parity" || seen.AuthInfo != nil {
		t.Errorf("the handler sees %v", seen)
	}
	if callee.Addr.Network() != "inprocess" || callee.Addr.String() != "parity" {
		t.Errorf("the caller sees %v", callee)
	}
}

type secret struct {
	err error
	uri []string
}

func (s *secret) RequireTransportSecurity() bool { return true }

func (s *secret) GetRequestMetadata(ctx context.Context, uri ...string) (map[string]string, error) {
	s.uri = uri
	ri, _ := credentials.RequestInfoFromContext(ctx)
	if err := credentials.CheckSecurityLevel(ri.AuthInfo, credentials.PrivacyAndIntegrity); err != nil {
		return nil, err
	}
	return map[string]string{"Authorization": "Bearer x"}, s.err
}

// Nothing leaves the process, so credentials that demand a secure transport have one.
func TestCredentialsThatDemandSecurity(t *testing.T) {
	c := startLocal(t, &handlers{unary: func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
		return &pb.Reply{List: metadata.ValueFromIncomingContext(ctx, "authorization")}, nil
	}})
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "mine")
	creds := &secret{}
	out, err := c.Unary(ctx, &pb.Request{}, grpc.PerRPCCredentials(creds))
	if err != nil || strings.Join(out.List, ", ") != "Bearer x, mine" || len(creds.uri) != 1 || creds.uri[0] != "https://parity/hanse.parity.v1.Parity" {
		t.Errorf("got %v, %v, for %q", out, err, creds.uri)
	}
	for _, tt := range []struct {
		err  error
		code codes.Code
	}{
		{errors.New("no token"), codes.Internal},
		{status.Error(codes.Unauthenticated, "no token"), codes.Unauthenticated},
		{status.Error(codes.NotFound, "no token"), codes.Internal},
	} {
		_, err := c.Unary(ctx, &pb.Request{}, grpc.PerRPCCredentials(&secret{err: tt.err}))
		if status.Code(err) != tt.code || !strings.Contains(err.Error(), "no token") {
			t.Errorf("%v gives %v", tt.err, err)
		}
	}
}

// A sender waits when nobody reads: for bytes and for the number of messages.
func TestStreamsAreBounded(t *testing.T) {
	for name, tt := range map[string]struct{ size, most int }{
		"no bytes": {0, 3000}, "1 KiB": {1 << 10, 200}, "64 KiB": {64 << 10, 2}, "1 MiB": {1 << 20, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var fromServer atomic.Int64
				read := make(chan struct{})
				c := startLocal(t, &handlers{chat: func(s grpc.BidiStreamingServer[pb.Request, pb.Reply]) error {
					for {
						if err := s.Send(&pb.Reply{Data: make([]byte, tt.size)}); err != nil {
							return err
						}
						if fromServer.Add(1) > 5000 {
							break
						}
					}
					<-read
					return nil
				}})
				ctx, cancel := context.WithCancel(t.Context())
				s, err := c.Chat(ctx)
				if err != nil {
					t.Fatal(err)
				}
				var fromClient atomic.Int64
				done := make(chan error)
				go func() {
					for {
						if err := s.Send(&pb.Request{Data: make([]byte, tt.size)}); err != nil {
							done <- err
							return
						}
						fromClient.Add(1)
					}
				}()
				synctest.Wait()
				for who, n := range map[string]int64{"client": fromClient.Load(), "server": fromServer.Load()} {
					if n < 1 || n > int64(tt.most) {
						t.Errorf("the %s sent %d messages that nobody read", who, n)
					}
				}
				before := fromServer.Load()
				for range 2 {
					if _, err := s.Recv(); err != nil {
						t.Fatal(err)
					}
				}
				synctest.Wait()
				if fromServer.Load() <= before {
					t.Error("reading does not let the sender go on")
				}
				cancel()
				if err := <-done; err != io.EOF {
					t.Errorf("the blocked sender gets %v", err)
				}
				close(read)
			})
		})
	}
}

// All that was sent before the end arrives, in order, however fast the two sides are.
func TestStreamKeepsOrder(t *testing.T) {
	const n = 5000
	c := startLocal(t, &handlers{chat: func(s grpc.BidiStreamingServer[pb.Request, pb.Reply]) error {
		for {
			in, err := s.Recv()
			if err == io.EOF {
				return status.Error(codes.Aborted, "end")
			}
			if err != nil {
				return err
			}
			if err := s.Send(&pb.Reply{Count: in.Count, Data: in.Data}); err != nil {
				return err
			}
		}
	}})
	s, err := c.Chat(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		in := &pb.Request{Data: []byte("x")}
		for i := range int32(n) {
			in.Count = i
			in.Data = bytes.Repeat(in.Data[:1], int(i)%300+1)
			if err := s.Send(in); err != nil {
				t.Error(err)
			}
		}
		s.CloseSend()
	}()
	for i := range int32(n) {
		out, err := s.Recv()
		if err != nil || out.Count != i || len(out.Data) != int(i)%300+1 {
			t.Fatalf("reply %d: %v, %v", i, out, err)
		}
	}
	if _, err := s.Recv(); status.Code(err) != codes.Aborted {
		t.Errorf("at the end: %v", err)
	}
	if _, err := s.Recv(); status.Code(err) != codes.Aborted {
		t.Errorf("after the end: %v", err)
	}
}

// The context of a client's stream ends with the stream, so that what the caller hung on it ends too.
func TestClientStreamContextEnds(t *testing.T) {
	c := startLocal(t, &handlers{})
	s, err := c.Chat(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if p, ok := peer.FromContext(s.Context()); !ok || p.Addr.String() != "parity" {
		t.Errorf("peer %v", p)
	}
	s.CloseSend()
	if _, err := s.Recv(); err != io.EOF {
		t.Fatal(err)
	}
	<-s.Context().Done()
}

func TestAuthority(t *testing.T) {
	c := startLocal(t, &handlers{unary: func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
		return &pb.Reply{List: metadata.ValueFromIncomingContext(ctx, ":authority")}, nil
	}})
	for want, opts := range map[string][]grpc.CallOption{"parity": nil, "other": {grpc.CallAuthority("other")}} {
		out, err := c.Unary(t.Context(), &pb.Request{}, opts...)
		if err != nil || len(out.List) != 1 || out.List[0] != want {
			t.Errorf("got %v, %v, want %s", out, err, want)
		}
	}
}

// At most 16 allocations, of which a third are the stub's and context.WithTimeout's.
func TestAllocationsOfACall(t *testing.T) {
	c := startLocal(t, &handlers{unary: func(_ context.Context, in *pb.Request) (*pb.Reply, error) {
		return &pb.Reply{Data: in.Data}, nil
	}})
	in := &pb.Request{Data: make([]byte, 100)}
	n := testing.AllocsPerRun(1000, func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := c.Unary(ctx, in); err != nil {
			t.Error(err)
		}
	})
	if n > 16 {
		t.Errorf("%v allocations", n)
	}
}

// As on a wire, a message that cannot be sent or received ends the stream, whatever the handler makes of the error.
func TestBadMessageEndsTheStream(t *testing.T) {
	for name, tt := range map[string]struct {
		chat func(s grpc.BidiStreamingServer[pb.Request, pb.Reply]) error
		code codes.Code
	}{
		"sent": {func(s grpc.BidiStreamingServer[pb.Request, pb.Reply]) error {
			if status.Code(s.Send(&pb.Reply{Text: "\xff"})) != codes.Internal {
				return status.Error(codes.Aborted, "the message was sent")
			}
			return nil
		}, codes.Internal},
		"received": {func(s grpc.BidiStreamingServer[pb.Request, pb.Reply]) error {
			if _, err := s.Recv(); status.Code(err) != codes.ResourceExhausted {
				return status.Error(codes.Aborted, "the message was received")
			}
			return nil
		}, codes.ResourceExhausted},
	} {
		t.Run(name, func(t *testing.T) {
			srv := &rpc.Server{MaxRecvMsgSize: 100}
			conn, _ := localConn(t, srv, &handlers{chat: tt.chat})
			srv.Start()
			s, err := pb.NewParityClient(conn).Chat(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Send(&pb.Request{Data: make([]byte, 200)}); err != nil && err != io.EOF {
				t.Fatal(err)
			}
			if _, err := s.Recv(); status.Code(err) != tt.code {
				t.Errorf("got %v, want %v", err, tt.code)
			}
		})
	}
}

// The text of a status crosses as the wire would spell it: bytes that are no text are replaced one by one.
func TestStatusTextIsText(t *testing.T) {
	c := startLocal(t, &handlers{unary: func(context.Context, *pb.Request) (*pb.Reply, error) {
		return nil, status.Error(codes.Aborted, "a\xff\xfeä%")
	}})
	if _, err := c.Unary(t.Context(), &pb.Request{}); status.Convert(err).Message() != "a\ufffd\ufffdä%" {
		t.Errorf("got %q", status.Convert(err).Message())
	}
}

func TestHostIsNotMetadata(t *testing.T) {
	c := startLocal(t, &handlers{unary: func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
		return &pb.Reply{List: metadata.ValueFromIncomingContext(ctx, "host")}, nil
	}})
	out, err := c.Unary(metadata.AppendToOutgoingContext(t.Context(), "host", "x"), &pb.Request{})
	if err != nil || len(out.List) > 0 {
		t.Errorf("got %v, %v", out, err)
	}
}
