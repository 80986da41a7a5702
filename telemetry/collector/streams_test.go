package collector_test

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/hanse-go/hanse/telemetry/collector"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	metricsv1 "go.opentelemetry.io/proto/slim/otlp/collector/metrics/v1"
	common "go.opentelemetry.io/proto/slim/otlp/common/v1"
	metricpb "go.opentelemetry.io/proto/slim/otlp/metrics/v1"
	trace "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	tracing "google.golang.org/grpc/experimental/opentelemetry"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/stats/opentelemetry"
)

const (
	getOrder   = "shop.v1.Orders/Get"
	watchOrder = "shop.v1.Orders/Watch"
)

// message is an event of a span, by the semantic conventions.
func message(name, key, direction string, number int64) *trace.Span_Event {
	return &trace.Span_Event{Name: name, TimeUnixNano: nano(time.Now()), Attributes: []*common.KeyValue{num("message.id", number), str(key, direction)}}
}

// perCall is a histogram of how many messages ten calls had.
func perCall(name, method string, at time.Time, messages float64) *metricpb.Metric {
	return exponential(name, at, 10, messages, str("rpc.system", "grpc"), str("rpc.service", "shop.v1.Orders"), str("rpc.method", method))
}

// byHanse has metrics told by Hanse.
func byHanse(m *metricsv1.ExportMetricsServiceRequest) *metricsv1.ExportMetricsServiceRequest {
	m.ResourceMetrics[0].ScopeMetrics[0].Scope = &common.InstrumentationScope{Name: "github.com/hanse-go/hanse/telemetry"}
	return m
}

// TestStreamsOfOthers has programs without Hanse tell of calls that take a minute. Where anything tells that their method is a stream, that minute is
// no latency, and neither is what was told before.
func TestStreamsOfOthers(t *testing.T) {
	at := time.Now().Add(-3 * time.Second)
	span := func(kind trace.Span_SpanKind, method string, took time.Duration, events ...*trace.Span_Event) *trace.Span {
		return &trace.Span{
			TraceId: id(16), SpanId: id(8), Name: "grpc.shop.v1.Orders/" + method, Kind: kind, StartTimeUnixNano: nano(at.Add(-took)), EndTimeUnixNano: nano(at), Events: events,
			Attributes: []*common.KeyValue{str("rpc.system", "grpc"), str("rpc.service", "shop.v1.Orders"), str("rpc.method", method), num("rpc.grpc.status_code", 0)},
		}
	}
	duration := func(method string, seconds float64) *metricpb.Metric {
		return exponential("rpc.server.duration", at, 10, seconds, str("rpc.system", "grpc"), str("rpc.service", "shop.v1.Orders"), str("rpc.method", method), num("rpc.grpc.status_code", 0))
	}
	one := []*trace.Span_Event{message("message", "message.type", "RECEIVED", 1), message("message", "message.type", "SENT", 1)}
	spans := func(c *collector.Collector) {
		for range 10 {
			send(t, c, spansOf("orders", span(trace.Span_SPAN_KIND_SERVER, "Get", 10*time.Millisecond, one...), span(trace.Span_SPAN_KIND_SERVER, "Watch", time.Minute)))
		}
	}
	numbers := func(c *collector.Collector) {
		send(t, c, metricsOf("orders", duration("Get", 0.010), duration("Watch", 60)))
	}
	for name, tt := range map[string]struct {
		tell   func(c *collector.Collector)
		stream bool
	}{
		"nothing tells": {func(*collector.Collector) {}, false},
		"one message in each direction": {func(c *collector.Collector) {
			send(t, c, spansOf("orders", span(trace.Span_SPAN_KIND_SERVER, "Watch", time.Second, one...)))
		}, false},
		"other events": {func(c *collector.Collector) {
			send(t, c, spansOf("orders", span(trace.Span_SPAN_KIND_SERVER, "Watch", time.Second, &trace.Span_Event{Name: "cache"}, &trace.Span_Event{Name: "cache"})))
		}, false},
		"a caller with Hanse, by numbers": {func(c *collector.Collector) {
			send(t, c, metricsOf("web", exponential("rpc.client.call.duration", at, 1, 60, str("rpc.method", watchOrder), flag("hanse.rpc.stream"))))
		}, true},
		"a caller with Hanse, by a span": {func(c *collector.Collector) {
			s := span(trace.Span_SPAN_KIND_CLIENT, "Watch", time.Second)
			s.Attributes = append(s.Attributes, flag("hanse.rpc.stream"))
			send(t, c, spansOf("web", s))
		}, true},
		"a caller with Hanse that knows, beside one that passes it on": {func(c *collector.Collector) {
			send(t, c, byHanse(metricsOf("web", exponential("rpc.client.call.duration", at, 1, 60, str("rpc.method", watchOrder), flag("hanse.rpc.stream")))))
			send(t, c, byHanse(metricsOf("door", exponential("rpc.client.call.duration", at, 1, 60, str("rpc.method", watchOrder)))))
		}, true},
		"messages of a span": {func(c *collector.Collector) {
			send(t, c, spansOf("orders", span(trace.Span_SPAN_KIND_SERVER, "Watch", time.Second, append(one, message("message", "message.type", "SENT", 2))...)))
		}, true},
		"messages of a span, older names": {func(c *collector.Collector) {
			send(t, c, spansOf("orders", span(trace.Span_SPAN_KIND_SERVER, "Watch", time.Second, message("message", "rpc.message.type", "RECEIVED", 1), message("message", "rpc.message.type", "RECEIVED", 2))))
		}, true},
		"messages of a span, newer names": {func(c *collector.Collector) {
			send(t, c, spansOf("orders", span(trace.Span_SPAN_KIND_SERVER, "Watch", time.Second, message("rpc.message", "rpc.message.type", "SENT", 1), message("rpc.message", "rpc.message.type", "SENT", 2))))
		}, true},
		"messages of a caller's span": {func(c *collector.Collector) {
			send(t, c, spansOf("web", span(trace.Span_SPAN_KIND_CLIENT, "Watch", time.Second, message("message", "message.type", "SENT", 1), message("message", "message.type", "SENT", 2))))
		}, true},
		"numbers of messages": {func(c *collector.Collector) {
			send(t, c, metricsOf("orders", perCall("rpc.server.responses_per_rpc", "Watch", at, 7), perCall("rpc.server.responses_per_rpc", "Get", at, 1)))
		}, true},
		"numbers of messages, of a caller": {func(c *collector.Collector) {
			send(t, c, metricsOf("web", perCall("rpc.client.requests_per_rpc", "Watch", at, 7)))
		}, true},
		"numbers of messages, one for each": {func(c *collector.Collector) {
			send(t, c, metricsOf("orders", perCall("rpc.server.responses_per_rpc", "Watch", at, 1)))
		}, false},
	} {
		for told, tell := range map[string]func(*collector.Collector){"spans": spans, "numbers": numbers} {
			t.Run(name+"/"+told, func(t *testing.T) {
				c := new(collector.Collector)
				start(t, c)
				tell(c)
				tt.tell(c)
				d, err := c.Service(t.Context(), "orders", collector.Window{})
				if err != nil || len(d.Methods) != 2 || d.Methods[0].Name != getOrder || d.Methods[1].Name != watchOrder {
					t.Fatalf("%+v, %v", d.Methods, err)
				}
				if get := d.Methods[0]; get.Streams != 0 || !near(float64(get.P99), 1e7, 0.1) {
					t.Errorf("the method that is none: %+v", get.Numbers)
				}
				watch := d.Methods[1]
				if stream := watch.Streams == watch.Calls && watch.P99 == 0; stream != tt.stream || watch.Calls == 0 {
					t.Errorf("a stream: %v, want %v: %+v", stream, tt.stream, watch.Numbers)
				}
				if latency := d.P99 > 20*time.Millisecond; latency == tt.stream {
					t.Errorf("the service: %+v", d.Numbers)
				}
			})
		}
	}
}

// A WebSocket lives as long as it likes; its status tells it. Of server-sent events programs with Hanse say it.
func TestSwitchedProtocols(t *testing.T) {
	c := new(collector.Collector)
	start(t, c)
	at := time.Now().Add(-3 * time.Second)
	of := func(seconds float64, route string, status int64, more ...*common.KeyValue) *metricpb.Metric {
		return exponential("http.server.request.duration", at, 10, seconds, append(more, str("http.request.method", "GET"), str("http.route", route), num("http.response.status_code", status))...)
	}
	send(t, c, metricsOf("web", of(0.010, "/", 200), of(60, "/chat", 101), of(60, "/news", 200, flag("hanse.rpc.stream"))))
	d, err := c.Service(t.Context(), "web", collector.Window{})
	if err != nil || len(d.Methods) != 3 || d.Methods[1].Name != "GET /chat" || d.Methods[2].Name != "GET /news" {
		t.Fatalf("%+v, %v", d, err)
	}
	for _, m := range d.Methods[1:] {
		if m.Streams != m.Calls || m.P99 != 0 || d.P99 > 20*time.Millisecond {
			t.Errorf("%s: %+v of %+v", m.Name, m.Numbers, d.Numbers)
		}
	}
}

// TestStreamsOfGRPC has a server and a client of grpc-go tell of themselves by gRPC's own plugin, which has no attributes of the conventions.
func TestStreamsOfGRPC(t *testing.T) {
	told := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(told))
	options := opentelemetry.Options{TraceOptions: tracing.TraceOptions{TracerProvider: provider, TextMapPropagator: propagation.TraceContext{}}}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, state := grpc.NewServer(opentelemetry.ServerOption(options)), health.NewServer()
	healthpb.RegisterHealthServer(server, state)
	done := make(chan error, 1)
	go func() { done <- server.Serve(lis) }()
	cc, err := grpc.NewClient(lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()), opentelemetry.DialOption(options))
	if err != nil {
		t.Fatal(err)
	}
	client := healthpb.NewHealthClient(cc)
	if _, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	watch, err := client.Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []healthpb.HealthCheckResponse_ServingStatus{healthpb.HealthCheckResponse_SERVING, healthpb.HealthCheckResponse_NOT_SERVING} {
		if got, err := watch.Recv(); err != nil || got.Status != want {
			t.Fatalf("%v, %v", got, err)
		}
		state.SetServingStatus("", healthpb.HealthCheckResponse_NOT_SERVING)
	}
	cc.Close() // ends the stream
	server.GracefulStop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}

	c := new(collector.Collector)
	start(t, c)
	for _, s := range told.GetSpans() {
		send(t, c, spansOf("stock", wire(s)))
	}
	d, err := c.Service(t.Context(), "stock", collector.Window{})
	if err != nil || len(d.Methods) != 2 || len(d.Calls) != 2 {
		t.Fatalf("%+v, %v", d, err)
	}
	for side, list := range map[string][]collector.Method{"server": d.Methods, "client": d.Calls} {
		if check := list[0]; check.Name != "grpc.health.v1.Health/Check" || check.Streams != 0 || check.P99 == 0 {
			t.Errorf("%s: %+v", side, check)
		}
		if watch := list[1]; watch.Name != "grpc.health.v1.Health/Watch" || watch.Streams == 0 || watch.P99 != 0 {
			t.Errorf("%s: %+v", side, watch)
		}
	}
}

// wire is a span as OTLP has it.
func wire(s tracetest.SpanStub) *trace.Span {
	traceID, spanID, parent := s.SpanContext.TraceID(), s.SpanContext.SpanID(), s.Parent.SpanID()
	out := &trace.Span{TraceId: traceID[:], SpanId: spanID[:], Name: s.Name, Kind: trace.Span_SpanKind(s.SpanKind), StartTimeUnixNano: nano(s.StartTime), EndTimeUnixNano: nano(s.EndTime), Attributes: wireAttributes(s.Attributes)}
	if s.Parent.IsValid() {
		out.ParentSpanId = parent[:]
	}
	for _, e := range s.Events {
		out.Events = append(out.Events, &trace.Span_Event{Name: e.Name, TimeUnixNano: nano(e.Time), Attributes: wireAttributes(e.Attributes)})
	}
	return out
}

func wireAttributes(list []attribute.KeyValue) (out []*common.KeyValue) {
	for _, kv := range list {
		if kv.Value.Type() == attribute.INT64 {
			out = append(out, num(string(kv.Key), kv.Value.AsInt64()))
			continue
		}
		out = append(out, str(string(kv.Key), fmt.Sprint(kv.Value.AsInterface())))
	}
	return out
}
