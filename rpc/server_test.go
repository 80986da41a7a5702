package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/rpc"
	pb "github.com/hanse-go/hanse/rpc/internal/paritypb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// localConn returns a Conn to srv, which serves h and was not started, and the client of it.
func localConn(t *testing.T, srv *rpc.Server, h *handlers) (*rpc.Conn, *rpc.Client) {
	t.Helper()
	srv.Name = "parity"
	pb.RegisterParityServer(srv, h)
	client := &rpc.Client{Service: "caller", Local: map[string]*rpc.Server{"parity": srv}}
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
	return conn, client
}

const unaryPath = "/hanse.parity.v1.Parity/Unary"

func TestMistakesInRegistrations(t *testing.T) {
	desc := &pb.Parity_ServiceDesc
	good := &handlers{}
	for name, tt := range map[string]struct {
		register func(s *rpc.Server)
		want     []string // nil: no error
	}{
		"none":       {func(s *rpc.Server) { s.RegisterService(desc, good) }, nil},
		"nothing":    {func(s *rpc.Server) {}, nil},
		"nil":        {func(s *rpc.Server) { s.RegisterService(desc, nil) }, []string{"hanse.parity.v1.Parity registered with a nil implementation"}},
		"wrong type": {func(s *rpc.Server) { s.RegisterService(desc, 1) }, []string{"with a int, which does not implement paritypb.ParityServer"}},
		"twice": {func(s *rpc.Server) { s.RegisterService(desc, good); s.RegisterService(desc, good) },
			[]string{"hanse.parity.v1.Parity registered twice"}},
		"too late": {func(s *rpc.Server) { s.Start(); s.RegisterService(desc, good) }, []string{"hanse.parity.v1.Parity registered after its server was started"}},
		"several": {func(s *rpc.Server) { s.RegisterService(desc, nil); s.RegisterService(&pb.Other_ServiceDesc, nil) },
			[]string{"Parity registered with a nil", "Other registered with a nil"}},
		"by hand, without a type": {func(s *rpc.Server) {
			s.RegisterService(&grpc.ServiceDesc{ServiceName: "x.Y"}, 1)
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			srv := &rpc.Server{Logger: slog.New(slog.DiscardHandler)}
			tt.register(srv)
			err := srv.Err()
			if (err == nil) != (tt.want == nil) {
				t.Fatalf("Err is %v", err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("Err is %q, without %q", err, want)
				}
			}
		})
	}
}

func TestRegistrationAfterStartIsLogged(t *testing.T) {
	var log bytes.Buffer
	srv := &rpc.Server{Logger: slog.New(slog.NewTextHandler(&log, nil))}
	srv.Start()
	pb.RegisterParityServer(srv, &handlers{})
	if !strings.Contains(log.String(), "registered after its server was started") {
		t.Errorf("the log has %q", log.String())
	}
}

func TestGetServiceInfoIsThatOfGRPC(t *testing.T) {
	ours, stock := &rpc.Server{}, grpc.NewServer()
	pb.RegisterParityServer(ours, &handlers{})
	pb.RegisterParityServer(stock, &handlers{})
	have, want := ours.GetServiceInfo(), stock.GetServiceInfo()
	if len(have) != len(want) {
		t.Fatalf("got %v, want %v", have, want)
	}
	for name, w := range want {
		h := have[name]
		byName := func(a, b grpc.MethodInfo) int { return strings.Compare(a.Name, b.Name) }
		slices.SortFunc(h.Methods, byName)
		slices.SortFunc(w.Methods, byName)
		if !slices.Equal(h.Methods, w.Methods) || h.Metadata != w.Metadata {
			t.Errorf("%s: got %v, want %v", name, h, w)
		}
	}
}

func TestCallsWaitForStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &rpc.Server{}
		conn, client := localConn(t, srv, &handlers{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()

		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := pb.NewParityClient(conn).Unary(ctx, &pb.Request{}); err != nil {
				t.Errorf("unary: %v", err)
			}
		})
		wg.Go(func() {
			s, err := pb.NewParityClient(conn).Download(ctx, &pb.Request{})
			if err == nil {
				_, err = s.Recv()
			}
			if err != io.EOF {
				t.Errorf("stream: %v", err)
			}
		})
		synctest.Wait()
		if got := client.Waiting(); !slices.Equal(got, []string{"parity"}) {
			t.Errorf("waiting for %q", got)
		}
		if got := srv.Running(); len(got) != 0 {
			t.Errorf("running before Start: %q", got)
		}
		srv.Start()
		wg.Wait()
		if got := client.Waiting(); len(got) != 0 {
			t.Errorf("waiting for %q after Start", got)
		}
	})
}

func TestWaitForStartEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(srv *rpc.Server, client *rpc.Client, cancel func())
		code codes.Code
	}{
		"deadline": {func(*rpc.Server, *rpc.Client, func()) {}, codes.DeadlineExceeded},
		"cancel":   {func(_ *rpc.Server, _ *rpc.Client, cancel func()) { cancel() }, codes.Canceled},
		"close":    {func(_ *rpc.Server, c *rpc.Client, _ func()) { c.Close() }, codes.Canceled},
		"stop":     {func(s *rpc.Server, _ *rpc.Client, _ func()) { s.Stop() }, codes.Unavailable},
		"drain":    {func(s *rpc.Server, _ *rpc.Client, _ func()) { s.Drain(context.Background()) }, codes.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := &rpc.Server{}
				conn, client := localConn(t, srv, &handlers{})
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				result := make(chan error, 1)
				go func() {
					_, err := pb.NewParityClient(conn).Unary(ctx, &pb.Request{})
					result <- err
				}()
				synctest.Wait()
				tt.end(srv, client, cancel)
				if err := <-result; status.Code(err) != tt.code {
					t.Errorf("got %v, want %v", err, tt.code)
				}
			})
		})
	}
}

// blocked is a server with a unary call and a stream that run until release is closed, and their results.
type blocked struct {
	srv     *rpc.Server
	conn    *rpc.Conn
	release chan struct{}
	unary   chan error
	stream  chan error
	ended   chan error // why the handlers' contexts ended, when they did
}

func newBlocked(t *testing.T) *blocked {
	b := &blocked{
		srv: &rpc.Server{}, release: make(chan struct{}),
		unary: make(chan error, 1), stream: make(chan error, 1), ended: make(chan error, 2),
	}
	block := func(ctx context.Context) {
		context.AfterFunc(ctx, func() { b.ended <- ctx.Err() })
		<-b.release
	}
	b.conn, _ = localConn(t, b.srv, &handlers{
		unary: func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
			block(ctx)
			return &pb.Reply{}, nil
		},
		download: func(in *pb.Request, s grpc.ServerStreamingServer[pb.Reply]) error {
			block(s.Context())
			return nil
		},
	})
	b.srv.Start()
	c := pb.NewParityClient(b.conn)
	go func() {
		_, err := c.Unary(t.Context(), &pb.Request{})
		b.unary <- err
	}()
	go func() {
		s, err := c.Download(t.Context(), &pb.Request{})
		if err == nil {
			_, err = s.Recv()
		}
		b.stream <- err
	}()
	synctest.Wait()
	return b
}

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBlocked(t)
		want := []string{"/hanse.parity.v1.Parity/Download", unaryPath}
		if got := b.srv.Running(); !slices.Equal(got, want) {
			t.Fatalf("running: %q", got)
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := b.srv.Drain(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), strings.Join(want, ", ")) {
			t.Errorf("Drain returned %v while calls ran", err)
		}
		_, err = pb.NewParityClient(b.conn).Unary(t.Context(), &pb.Request{})
		if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), `service "parity" is shutting down`) {
			t.Errorf("a call while draining: %v", err)
		}
		if s, err := pb.NewParityClient(b.conn).Chat(t.Context()); status.Code(err) != codes.Unavailable {
			t.Errorf("a stream while draining: %v, %v", s, err)
		}

		drained := make(chan error, 1)
		go func() { drained <- b.srv.Drain(t.Context()) }()
		synctest.Wait()
		select {
		case err := <-drained:
			t.Fatalf("Drain returned %v while calls ran", err)
		default:
		}
		close(b.release)
		if err := errors.Join(<-drained, <-b.unary); err != nil {
			t.Errorf("a call that ran before: %v", err)
		}
		if err := b.srv.Drain(t.Context()); err != nil {
			t.Errorf("Drain again: %v", err)
		}
	})
}

func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBlocked(t)
		b.srv.Stop()
		// The callers do not wait for handlers that ignore their contexts.
		for name, c := range map[string]chan error{"unary": b.unary, "stream": b.stream} {
			if err := <-c; status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "was stopped") {
				t.Errorf("%s: %v", name, err)
			}
		}
		for range 2 {
			if err := <-b.ended; err != context.Canceled {
				t.Errorf("a handler's context ended with %v", err)
			}
		}
		if got := b.srv.Running(); len(got) != 2 {
			t.Errorf("running after Stop: %q", got)
		}
		if _, err := pb.NewParityClient(b.conn).Unary(t.Context(), &pb.Request{}); status.Code(err) != codes.Unavailable {
			t.Errorf("a call after Stop: %v", err)
		}
		b.srv.Stop()
		b.srv.Start()
		if _, err := pb.NewParityClient(b.conn).Unary(t.Context(), &pb.Request{}); status.Code(err) != codes.Unavailable {
			t.Errorf("a call after Stop and Start: %v", err)
		}
		close(b.release)
		if err := b.srv.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		if got := b.srv.Running(); len(got) != 0 {
			t.Errorf("running after Drain: %q", got)
		}
	})
}

// What a panic tells goes to the log, once, and not to the caller.
func TestPanicIsLogged(t *testing.T) {
	for name, tt := range map[string]struct {
		do   func()
		want []string
	}{
		"panic":  {func() { panic("secret 42") }, []string{"panic in handler", "secret 42"}},
		"error":  {func() { panic(errors.New("secret 43")) }, []string{"panic in handler", "secret 43"}},
		"goexit": {runtime.Goexit, []string{"runtime.Goexit"}},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			srv := &rpc.Server{Logger: slog.New(slog.NewTextHandler(&log, nil))}
			conn, _ := localConn(t, srv, &handlers{
				unary: func(context.Context, *pb.Request) (*pb.Reply, error) { tt.do(); return nil, nil },
				chat:  func(grpc.BidiStreamingServer[pb.Request, pb.Reply]) error { tt.do(); return nil },
			})
			srv.Start()
			c := pb.NewParityClient(conn)
			check := func(err error, path string) {
				t.Helper()
				if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "secret") {
					t.Errorf("the caller gets %v", err)
				}
				if err := srv.Drain(t.Context()); err != nil { // so that the log is written
					t.Error(err)
				}
				got := log.String()
				for _, want := range append(tt.want, "method="+path, "service=parity", "TestPanicIsLogged") {
					if !strings.Contains(got, want) {
						t.Errorf("the log lacks %q: %s", want, got)
					}
				}
				if n := strings.Count(got, "level=ERROR"); n != 1 {
					t.Errorf("%d entries in the log", n)
				}
			}
			_, err := c.Unary(t.Context(), &pb.Request{})
			check(err, unaryPath)
		})
	}
}

// A handler that ended its goroutine takes no other call with it.
func TestCallsAfterGoexit(t *testing.T) {
	srv := &rpc.Server{Logger: slog.New(slog.DiscardHandler)}
	conn, _ := localConn(t, srv, &handlers{unary: func(_ context.Context, in *pb.Request) (*pb.Reply, error) {
		if in.Count%2 == 0 {
			runtime.Goexit()
		}
		return &pb.Reply{Count: in.Count}, nil
	}})
	srv.Start()
	c := pb.NewParityClient(conn)
	for i := range int32(100) {
		out, err := c.Unary(t.Context(), &pb.Request{Count: i})
		if i%2 == 0 && status.Code(err) != codes.Internal || i%2 == 1 && out.GetCount() != i {
			t.Fatalf("call %d: %v, %v", i, out, err)
		}
	}
}

// Stop reaches the handlers of calls that came from outside, too.
func TestStopEndsCallsFromOutside(t *testing.T) {
	srv := &rpc.Server{Name: "parity"}
	running := make(chan struct{})
	pb.RegisterParityServer(srv, &handlers{unary: func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
		close(running)
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	srv.Start()
	lis := listen(t, "tcp", "127.0.0.1:0")
	port := &rpc.Port{Servers: []*rpc.Server{srv}}
	served := make(chan error, 1)
	go func() { served <- port.Serve(lis) }()
	t.Cleanup(func() {
		if err := errors.Join(port.Close(), <-served); err != nil {
			t.Error(err)
		}
	})
	conn, err := rpc.Dial(lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	result := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_, err := pb.NewParityClient(conn).Unary(ctx, &pb.Request{})
		result <- err
	}()
	<-running
	if got := srv.Running(); !slices.Equal(got, []string{unaryPath}) {
		t.Errorf("running: %q", got)
	}
	srv.Stop()
	if err := <-result; status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "was stopped") {
		t.Errorf("got %v", err)
	}
	if err := srv.Drain(t.Context()); err != nil {
		t.Error(err)
	}
}
