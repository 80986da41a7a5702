package middlewaretest

import (
	"context"
	"net"
	"testing"

	"github.com/hanse-go/hanse/rpc"
	"github.com/hanse-go/hanse/telemetry"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
)

// TestStockPeers holds that calls between Hanse's telemetry and stock grpc-go with OpenTelemetry's own instrumentation belong to one trace.
func TestStockPeers(t *testing.T) {
	tell, err := telemetry.New(telemetry.Config{})
	if err != nil {
		t.Fatal(err)
	}
	spans, done := tracetest.NewSpanRecorder(), make(spanEnds, 16)
	opts := []otelgrpc.Option{
		otelgrpc.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.AlwaysSample()), sdktrace.WithSpanProcessor(spans), sdktrace.WithSpanProcessor(done))),
		otelgrpc.WithPropagators(propagation.TraceContext{}),
	}
	listen := func() net.Listener {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return lis
	}

	// From stock: the handler's span is below the client's.
	var inHandler trace.SpanContext
	srv := &rpc.Server{Name: "ours", Telemetry: tell.Service("ours", "", "")}
	pb.RegisterTestServiceServer(srv, service{unary: func(ctx context.Context) error {
		inHandler = trace.SpanContextFromContext(ctx)
		return nil
	}})
	srv.Start()
	lis := listen()
	port := &rpc.Port{Servers: []*rpc.Server{srv}}
	served := serve(port, lis)
	stock, err := grpc.NewClient(lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithStatsHandler(otelgrpc.NewClientHandler(opts...)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pb.NewTestServiceClient(stock).UnaryCall(t.Context(), &pb.SimpleRequest{}); err != nil {
		t.Fatal(err)
	}
	<-done
	client := spans.Ended()[0].SpanContext()
	if inHandler.TraceID() != client.TraceID() || inHandler.SpanID() == client.SpanID() || !inHandler.IsSampled() {
		t.Errorf("the handler's span is %v, the client's %v", inHandler, client)
	}
	if err := stock.Close(); err != nil {
		t.Error(err)
	}

	// To stock: the server's span is below ours.
	other := grpc.NewServer(grpc.StatsHandler(otelgrpc.NewServerHandler(opts...)))
	pb.RegisterTestServiceServer(other, service{})
	lis = listen()
	otherDone := make(chan error, 1)
	go func() { otherDone <- other.Serve(lis) }()
	var begun trace.SpanContext
	conn, err := rpc.Dial(lis.Addr().String(), rpc.WithTelemetry(tell.Service("caller", "", "")), rpc.WithUnaryInterceptors(
		func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			begun = trace.SpanContextFromContext(ctx)
			return invoker(ctx, method, req, reply, cc, opts...)
		}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pb.NewTestServiceClient(conn).UnaryCall(t.Context(), &pb.SimpleRequest{}); err != nil {
		t.Fatal(err)
	}
	<-done
	if served := spans.Ended()[1]; served.Parent().SpanID() != begun.SpanID() || served.SpanContext().TraceID() != begun.TraceID() || !served.Parent().IsRemote() {
		t.Errorf("the server's span is below %v, ours is %v", served.Parent(), begun)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	other.Stop()
	<-otherDone
	port.Close()
	<-served
}
