package middlewaretest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/auth"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/logging"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/retry"
	"github.com/hanse-go/hanse/resilience"
	"github.com/hanse-go/hanse/rpc"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service is what the middleware is put around.
type service struct {
	pb.UnimplementedTestServiceServer
	unary func(ctx context.Context) error
}

func (s service) UnaryCall(ctx context.Context, in *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	if s.unary != nil {
		if err := s.unary(ctx); err != nil {
			return nil, err
		}
	}
	return &pb.SimpleResponse{Payload: in.Payload}, nil
}

func (s service) FullDuplexCall(stream grpc.BidiStreamingServer[pb.StreamingOutputCallRequest, pb.StreamingOutputCallResponse]) error {
	if s.unary != nil {
		if err := s.unary(stream.Context()); err != nil {
			return err
		}
	}
	for {
		in, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = stream.Send(&pb.StreamingOutputCallResponse{Payload: in.Payload})
		}
		if err != nil {
			return err
		}
	}
}

// setup is the middleware of one test.
type setup struct {
	service service

	serverUnary  []grpc.UnaryServerInterceptor
	serverStream []grpc.StreamServerInterceptor
	clientUnary  []grpc.UnaryClientInterceptor
	clientStream []grpc.StreamClientInterceptor
	serverStats  stats.Handler
	clientStats  stats.Handler
	faults       *resilience.Faults
	policy       resilience.Policy // of the server
}

// eachPath runs a test on the path within the process and over TCP.
func eachPath(t *testing.T, build func() *setup, run func(t *testing.T, c pb.TestServiceClient)) {
	for _, path := range []rpc.Path{rpc.InProcess, rpc.TCP} {
		t.Run(string(path), func(t *testing.T) {
			s := build()
			srv := &rpc.Server{Name: "test", UnaryInterceptors: s.serverUnary, StreamInterceptors: s.serverStream, Faults: s.faults, Policy: s.policy, Logger: slog.New(slog.DiscardHandler)}
			if s.serverStats != nil {
				srv.StatsHandlers = []stats.Handler{s.serverStats}
			}
			pb.RegisterTestServiceServer(srv, s.service)
			if err := srv.Err(); err != nil {
				t.Fatal(err)
			}
			srv.Start()
			t.Cleanup(srv.Stop)

			opts := []rpc.ConnOption{rpc.WithUnaryInterceptors(s.clientUnary...), rpc.WithStreamInterceptors(s.clientStream...)}
			var conn *rpc.Conn
			if path == rpc.InProcess {
				client := &rpc.Client{Service: "caller", Local: map[string]*rpc.Server{"test": srv}}
				if s.clientStats != nil {
					client.StatsHandlers = []stats.Handler{s.clientStats}
				}
				t.Cleanup(func() { client.Close() })
				conn = rpc.NewConn("test", opts...)
				if err := conn.Bind(client); err != nil {
					t.Fatal(err)
				}
			} else {
				lis, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				port := &rpc.Port{Servers: []*rpc.Server{srv}}
				done := serve(port, lis)
				t.Cleanup(func() {
					if err := errors.Join(port.Close(), <-done); err != nil {
						t.Error(err)
					}
				})
				if s.clientStats != nil {
					opts = append(opts, rpc.WithStatsHandlers(s.clientStats))
				}
				if conn, err = rpc.Dial(lis.Addr().String(), opts...); err != nil {
					t.Fatal(err)
				}
			}
			t.Cleanup(func() { conn.Close() })
			run(t, pb.NewTestServiceClient(conn))
		})
	}
}

func serve(port *rpc.Port, lis net.Listener) chan error {
	done := make(chan error, 1)
	go func() { done <- port.Serve(lis) }()
	return done
}

// call makes a unary call and a stream with one message each way.
func call(ctx context.Context, c pb.TestServiceClient, opts ...grpc.CallOption) (unary, stream error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	payload := &pb.Payload{Body: []byte("body")}
	out, unary := c.UnaryCall(ctx, &pb.SimpleRequest{Payload: payload}, opts...)
	if unary == nil && string(out.Payload.Body) != "body" {
		unary = fmt.Errorf("got %v", out)
	}
	return unary, callStream(ctx, c, payload, opts)
}

func callStream(ctx context.Context, c pb.TestServiceClient, payload *pb.Payload, opts []grpc.CallOption) error {
	s, err := c.FullDuplexCall(ctx, opts...)
	if err != nil {
		return err
	}
	if err := s.Send(&pb.StreamingOutputCallRequest{Payload: payload}); err != nil && err != io.EOF {
		return err
	}
	if err := s.CloseSend(); err != nil {
		return err
	}
	if _, err := s.Recv(); err != nil {
		return err
	}
	if _, err := s.Recv(); err != io.EOF {
		return fmt.Errorf("at the end: %v", err)
	}
	return nil
}

func TestLogging(t *testing.T) {
	var mu sync.Mutex
	var lines []string
	logger := logging.LoggerFunc(func(_ context.Context, _ logging.Level, msg string, fields ...any) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, fmt.Sprint(append([]any{msg}, fields...)...))
	})
	eachPath(t, func() *setup {
		lines = nil
		events := logging.WithLogOnEvents(logging.StartCall, logging.FinishCall, logging.PayloadReceived, logging.PayloadSent)
		return &setup{
			serverUnary:  []grpc.UnaryServerInterceptor{logging.UnaryServerInterceptor(logger, events)},
			serverStream: []grpc.StreamServerInterceptor{logging.StreamServerInterceptor(logger, events)},
			clientUnary:  []grpc.UnaryClientInterceptor{logging.UnaryClientInterceptor(logger, events)},
			clientStream: []grpc.StreamClientInterceptor{logging.StreamClientInterceptor(logger, events)},
		}
	}, func(t *testing.T, c pb.TestServiceClient) {
		if unary, stream := call(t.Context(), c); unary != nil || stream != nil {
			t.Fatal(unary, stream)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, want := range []string{"started call", "finished call", "request received", "response sent", "request sent", "response received"} {
			for _, method := range []string{"UnaryCall", "FullDuplexCall"} {
				if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, want) && strings.Contains(l, method) }) {
					t.Errorf("no %q of %s in\n%s", want, method, strings.Join(lines, "\n"))
				}
			}
		}
	})
}

func TestRecovery(t *testing.T) {
	handler := recovery.WithRecoveryHandler(func(p any) error { return status.Errorf(codes.DataLoss, "recovered %v", p) })
	eachPath(t, func() *setup {
		return &setup{
			service:      service{unary: func(context.Context) error { panic("x") }},
			serverUnary:  []grpc.UnaryServerInterceptor{recovery.UnaryServerInterceptor(handler)},
			serverStream: []grpc.StreamServerInterceptor{recovery.StreamServerInterceptor(handler)},
		}
	}, func(t *testing.T, c pb.TestServiceClient) {
		unary, stream := call(t.Context(), c)
		for _, err := range []error{unary, stream} {
			if status.Code(err) != codes.DataLoss || status.Convert(err).Message() != "recovered x" {
				t.Errorf("got %v", err)
			}
		}
	})
}

func TestAuth(t *testing.T) {
	check := func(ctx context.Context) (context.Context, error) {
		token, err := auth.AuthFromMD(ctx, "bearer")
		if err != nil {
			return nil, err
		}
		return context.WithValue(ctx, t, token), nil
	}
	eachPath(t, func() *setup {
		return &setup{
			service: service{unary: func(ctx context.Context) error {
				if ctx.Value(t) != "token" {
					return status.Errorf(codes.Internal, "the handler has the token %v", ctx.Value(t))
				}
				return nil
			}},
			serverUnary:  []grpc.UnaryServerInterceptor{auth.UnaryServerInterceptor(check)},
			serverStream: []grpc.StreamServerInterceptor{auth.StreamServerInterceptor(check)},
		}
	}, func(t *testing.T, c pb.TestServiceClient) {
		unary, stream := call(t.Context(), c)
		for _, err := range []error{unary, stream} {
			if status.Code(err) != codes.Unauthenticated {
				t.Errorf("without a token: %v", err)
			}
		}
		unary, stream = call(metadata.AppendToOutgoingContext(t.Context(), "authorization", "bearer token"), c)
		if unary != nil || stream != nil {
			t.Errorf("with a token: %v, %v", unary, stream)
		}
	})
}

func TestRetry(t *testing.T) {
	eachPath(t, func() *setup {
		var mu sync.Mutex
		calls := map[string]int{}
		return &setup{
			service: service{unary: func(ctx context.Context) error {
				mu.Lock()
				defer mu.Unlock()
				method, _ := grpc.Method(ctx)
				if calls[method]++; calls[method] < 3 {
					return status.Error(codes.ResourceExhausted, "not yet")
				}
				return nil
			}},
			clientUnary: []grpc.UnaryClientInterceptor{retry.UnaryClientInterceptor(retry.WithMax(5), retry.WithBackoff(retry.BackoffLinear(time.Millisecond)))},
		}
	}, func(t *testing.T, c pb.TestServiceClient) {
		// Its own call options are taken out by the interceptor.
		if unary, _ := call(t.Context(), c, retry.WithMax(4)); unary != nil {
			t.Error(unary)
		}
	})
}

func TestOpenTelemetry(t *testing.T) {
	var spans *tracetest.SpanRecorder
	var reader *sdkmetric.ManualReader
	var done spanEnds
	eachPath(t, func() *setup {
		spans = tracetest.NewSpanRecorder()
		reader = sdkmetric.NewManualReader()
		done = make(spanEnds, 16)
		opts := []otelgrpc.Option{
			otelgrpc.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans), sdktrace.WithSpanProcessor(done))),
			otelgrpc.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))),
			otelgrpc.WithPropagators(propagation.TraceContext{}),
		}
		return &setup{serverStats: otelgrpc.NewServerHandler(opts...), clientStats: otelgrpc.NewClientHandler(opts...)}
	}, func(t *testing.T, c pb.TestServiceClient) {
		if unary, stream := call(t.Context(), c); unary != nil || stream != nil {
			t.Fatal(unary, stream)
		}
		for range 4 { // over TCP the server's span ends a moment after the call
			<-done
		}
		byKind := map[string]map[trace.SpanKind]sdktrace.ReadOnlySpan{}
		for _, s := range spans.Ended() {
			if byKind[s.Name()] == nil {
				byKind[s.Name()] = map[trace.SpanKind]sdktrace.ReadOnlySpan{}
			}
			byKind[s.Name()][s.SpanKind()] = s
		}
		for _, name := range []string{"grpc.testing.TestService/UnaryCall", "grpc.testing.TestService/FullDuplexCall"} {
			client, server := byKind[name][trace.SpanKindClient], byKind[name][trace.SpanKindServer]
			if client == nil || server == nil {
				t.Fatalf("spans of %s: %v", name, byKind[name])
			}
			if server.Parent().SpanID() != client.SpanContext().SpanID() || server.SpanContext().TraceID() != client.SpanContext().TraceID() {
				t.Errorf("%s: the server's span is not the client's child", name)
			}
		}

		var got metricdata.ResourceMetrics
		if err := reader.Collect(t.Context(), &got); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, scope := range got.ScopeMetrics {
			for _, m := range scope.Metrics {
				names = append(names, m.Name)
			}
		}
		for _, want := range []string{"rpc.client.call.duration", "rpc.server.call.duration"} {
			if !slices.Contains(names, want) {
				t.Errorf("no metric %s in %q", want, names)
			}
		}
	})
}

// spanEnds tells of each span that ended.
type spanEnds chan struct{}

func (spanEnds) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (e spanEnds) OnEnd(sdktrace.ReadOnlySpan)                   { e <- struct{}{} }
func (spanEnds) Shutdown(context.Context) error                  { return nil }
func (spanEnds) ForceFlush(context.Context) error                { return nil }

// Many interceptors ask the connection for its target.
func TestTargetOfConnection(t *testing.T) {
	var targets []string
	note := func(cc *grpc.ClientConn) { targets = append(targets, cc.Target()) }
	eachPath(t, func() *setup {
		targets = nil
		return &setup{
			clientUnary: []grpc.UnaryClientInterceptor{func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
				note(cc)
				return invoker(ctx, method, req, reply, cc, opts...)
			}},
			clientStream: []grpc.StreamClientInterceptor{func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
				note(cc)
				return streamer(ctx, desc, cc, method, opts...)
			}},
		}
	}, func(t *testing.T, c pb.TestServiceClient) {
		if unary, stream := call(t.Context(), c); unary != nil || stream != nil {
			t.Fatal(unary, stream)
		}
		if len(targets) != 2 || !strings.HasPrefix(targets[0], "hanse:///") || targets[0] != targets[1] {
			t.Errorf("targets %q", targets)
		}
	})
}
