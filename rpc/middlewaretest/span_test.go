package middlewaretest

import (
	"context"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hanse-go/hanse/resilience"
	"github.com/hanse-go/hanse/rpc"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// TestReasonsOnSpans holds that what policies do to a call is told by the spans that there are: the caller's own, and those of the server.
func TestReasonsOnSpans(t *testing.T) {
	var spans *tracetest.SpanRecorder
	var provider *sdktrace.TracerProvider
	var done spanEnds
	var failures atomic.Int32
	eachPath(t, func() *setup {
		spans, done = tracetest.NewSpanRecorder(), make(spanEnds, 16)
		provider = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans), sdktrace.WithSpanProcessor(done))
		failures.Store(1)
		faults := new(resilience.Faults)
		if _, err := faults.Add(resilience.Fault{Delay: 1}); err != nil {
			t.Fatal(err)
		}
		return &setup{
			faults: faults,
			service: service{unary: func(context.Context) error {
				if failures.Add(-1) >= 0 {
					return status.Error(codes.Unavailable, "not yet")
				}
				return nil
			}},
			serverStats: otelgrpc.NewServerHandler(otelgrpc.WithTracerProvider(provider), otelgrpc.WithPropagators(propagation.TraceContext{})),
		}
	}, func(t *testing.T, c pb.TestServiceClient) {
		ctx, span := provider.Tracer("test").Start(metadata.AppendToOutgoingContext(t.Context(), resilience.IdempotencyKey, "1"), "caller")
		_, err := c.UnaryCall(ctx, &pb.SimpleRequest{})
		span.End()
		attempts, code, want := 1, codes.Unavailable, map[trace.SpanKind][]string{trace.SpanKindServer: {"hanse.fault-delay"}}
		if strings.HasSuffix(t.Name(), string(rpc.TCP)) { // in process nothing is repeated
			attempts, code = 2, codes.OK
			want = map[trace.SpanKind][]string{trace.SpanKindInternal: {"hanse.retry-failed"}, trace.SpanKindServer: {"hanse.fault-delay", "hanse.fault-delay"}}
		}
		if status.Code(err) != code {
			t.Error(err)
		}
		for range 1 + attempts { // over TCP a server's span ends a moment after the call
			<-done
		}
		have := make(map[trace.SpanKind][]string)
		for _, s := range spans.Ended() {
			for _, e := range s.Events() {
				have[s.SpanKind()] = append(have[s.SpanKind()], e.Name)
			}
		}
		if !reflect.DeepEqual(have, want) {
			t.Errorf("events of spans: %v, want %v", have, want)
		}
	})
}

// TestRefusalsOnSpans holds that the span of a server has why the call was refused, or that its answer is an old one. Over a wire a call that comes too
// often is refused before there is a span.
func TestRefusalsOnSpans(t *testing.T) {
	var spans *tracetest.SpanRecorder
	var done spanEnds
	eachPath(t, func() *setup {
		spans, done = tracetest.NewSpanRecorder(), make(spanEnds, 16)
		provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans), sdktrace.WithSpanProcessor(done))
		return &setup{
			policy:      resilience.Policy{Rate: resilience.Rate{PerSecond: 0.01, Burst: 2}},
			serverStats: otelgrpc.NewServerHandler(otelgrpc.WithTracerProvider(provider), otelgrpc.WithPropagators(propagation.TraceContext{})),
		}
	}, func(t *testing.T, c pb.TestServiceClient) {
		ctx := metadata.AppendToOutgoingContext(t.Context(), resilience.IdempotencyKey, "1")
		want, ends := []string{"", "hanse.idempotent-replayed", "hanse.rate-limited"}, 3
		if strings.HasSuffix(t.Name(), string(rpc.TCP)) {
			want, ends = want[:2], 2
		}
		for i := range 3 {
			if _, err := c.UnaryCall(ctx, &pb.SimpleRequest{}); (err == nil) != (i < 2) {
				t.Errorf("call %d: %v", i, err)
			}
			if i < ends {
				<-done
			}
		}
		var have []string
		for _, s := range spans.Ended() {
			name := ""
			for _, e := range s.Events() {
				name += e.Name
			}
			have = append(have, name)
		}
		if !reflect.DeepEqual(have, want) {
			t.Errorf("events of spans: %q, want %q", have, want)
		}
	})
}
