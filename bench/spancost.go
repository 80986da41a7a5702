package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hanse-go/hanse/bench/sample"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/rpc"
	"github.com/hanse-go/hanse/telemetry"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// throwAway is the process of a receiver of spans that keeps none.
func throwAway(string) error {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })}
	fmt.Println("http://" + lis.Addr().String())
	go srv.Serve(lis)
	defer srv.Close()
	return eachLine(func(string) string { return "" }) // until the other process ends
}

// The ways to be told of calls, in the order of the columns.
var tellings = [...]string{"off", "not sampled", "sampled"}

// told is one of them: a program's telemetry.
type told struct {
	mode string
	url  string               // of the receiver
	its  *telemetry.Telemetry // nil: off
	stop func() error
}

// tell makes what Hanse's telemetry is by default, but for who is sampled and for its queue, which has room for all.
func tell(mode, url string) (told, error) {
	config := telemetry.Config{Off: mode == "off", Traces: telemetry.Export{URL: url + "/v1/traces"}, Sampler: telemetry.ParentBasedOff, Batch: telemetry.Batch{Queue: 1 << 17}}
	if mode == "sampled" {
		config.Sampler = telemetry.AlwaysOn
	}
	t, err := telemetry.New(config)
	if err != nil {
		return told{}, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- t.Run(ctx) }()
	return told{mode, url, t, func() error {
		cancel()
		return <-done
	}}, nil
}

// spending is what something took, for each time that it was done.
type spending struct{ cpu, objects float64 } // nanoseconds

// spend has f done n times, by several at once. CPU time and objects are of the whole process, with who sends spans.
func spend(n, workers int, f func() error) (s spending, err error) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	begin, err := ownCPU()
	if err != nil {
		return s, err
	}
	var wg sync.WaitGroup
	errs := make([]error, workers)
	for w := range workers {
		wg.Go(func() {
			for range n / workers {
				if errs[w] = f(); errs[w] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	end, err := ownCPU()
	if err != nil {
		return s, err
	}
	runtime.ReadMemStats(&after)
	for _, err := range errs {
		if err != nil {
			return s, err
		}
	}
	done := float64(n / workers * workers)
	return spending{float64(end-begin) / done, float64(after.Mallocs-before.Mallocs) / done}, nil
}

// ownCPU is the time of processors that this process has had.
func ownCPU() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

// tellingCell is what is done with telemetry off, without and with the trace recorded.
type tellingCell struct {
	name    string
	n       int
	workers int
	ways    [len(tellings)]func() error // [0] may be nil: then it takes nothing
}

// measure does them in turn, and returns the row.
func (c *tellingCell) measure(rounds int) ([]string, error) {
	var off []float64
	var more [len(tellings)][]float64
	var objects [len(tellings)][]float64
	for round := range rounds + 1 {
		var took [len(tellings)]spending
		for i := range c.ways {
			i = (i + round) % len(c.ways)
			if c.ways[i] == nil {
				continue
			}
			var err error
			if took[i], err = spend(c.n, c.workers, c.ways[i]); err != nil {
				return nil, fmt.Errorf("%s, %s: %w", c.name, tellings[i], err)
			}
		}
		if round == 0 { // connections and memory are made
			continue
		}
		off = append(off, took[0].cpu)
		for i := range took {
			more[i] = append(more[i], took[i].cpu-took[0].cpu)
			objects[i] = append(objects[i], took[i].objects-took[0].objects)
		}
	}
	row := []string{c.name, fmt.Sprintf("%.1f µs", sample.Median(off)/1e3)}
	if c.ways[0] == nil {
		row[1] = ""
	}
	for i := 1; i < len(tellings); i++ {
		low, median, high := sample.Quartiles(more[i])
		row = append(row, fmt.Sprintf("%+.2f µs (%.2f to %.2f)", median/1e3, low/1e3, high/1e3), fmt.Sprintf("%+.1f", sample.Median(objects[i])))
	}
	return row, nil
}

func telemetryBench(ctx context.Context, env *environment) (sec *section, err error) {
	sink, err := startHelper(ctx, "sink", "")
	if err != nil {
		return nil, err
	}
	defer sink.end()
	url, err := sink.line()
	if err != nil {
		return nil, err
	}
	rounds, calls := 21, 20_000
	if env.quick {
		rounds, calls = 2, 1_000
	}
	spans := &tellingCell{name: "both spans of a call alone", n: 10 * calls, workers: 1}
	here := &tellingCell{name: "a call in process", n: calls, workers: 1}
	tcp1 := &tellingCell{name: "a call over TCP, c=1", n: calls / 4, workers: 1}
	tcp64 := &tellingCell{name: "a call over TCP, c=64", n: calls, workers: 64}
	grpc1 := &tellingCell{name: "grpc-go with otelgrpc, c=1", n: calls / 4, workers: 1}
	grpc64 := &tellingCell{name: "grpc-go with otelgrpc, c=64", n: calls / 2, workers: 64}
	event := &tellingCell{name: "an event: sent, and handled", n: calls, workers: 1}
	cells := []*tellingCell{spans, here, tcp1, tcp64, grpc1, grpc64, event}
	var closers []func()
	defer func() {
		for _, f := range closers {
			defer f()
		}
	}()
	var all [len(tellings)]told
	for i, mode := range tellings {
		t, err := tell(mode, url)
		if err != nil {
			return nil, err
		}
		all[i] = t
		closers = append(closers, func() { t.stop() })
		if t.its != nil {
			spans.ways[i] = bothSpans(ctx, t.its)
		}
		for _, subject := range []struct {
			open func(context.Context, told) (func() error, func(), error)
			in   []*tellingCell
		}{{toldInProcess, []*tellingCell{here}}, {toldTCP, []*tellingCell{tcp1, tcp64}}, {toldGRPC, []*tellingCell{grpc1, grpc64}}, {toldEvent, []*tellingCell{event}}} {
			f, end, err := subject.open(ctx, t)
			if err != nil {
				return nil, err
			}
			closers = append(closers, end)
			for _, c := range subject.in {
				c.ways[i] = f
			}
		}
	}
	sec = &section{
		intro: fmt.Sprintf("CPU time of both sides of a call, and of who sends spans to a receiver in another process, by `getrusage`; objects likewise. Unary calls of 100 B, each under "+
			"`context.WithTimeout`, %d rounds of up to %d, interleaved; what telemetry adds is the median of the differences within rounds, with quartiles. All of Hanse's has its defaults: "+
			"numbers by method and status, errors and slow calls kept, no compression. otelgrpc has OpenTelemetry's SDK with its batches over OTLP/HTTP, a reader of metrics and W3C trace context, "+
			"keeps nothing of traces that are not sampled, and both have a queue of 131,072 spans. The bounds: not sampled 0.4 µs and one object, sampled 3 µs.", rounds, calls),
		header: []string{"", "off", "not sampled", "objects", "sampled", "objects"},
	}
	for _, c := range cells {
		row, err := c.measure(rounds)
		if err != nil {
			return nil, err
		}
		sec.add(row...)
		fmt.Println(strings.Join(row, " · "))
	}
	for i, t := range all {
		if n := t.its.SpanCounts(); n.Dropped > 0 {
			sec.notes = append(sec.notes, fmt.Sprintf("%s: of %d spans %d were dropped, because they could not be sent in time.", tellings[i], n.Sent+n.Dropped, n.Dropped))
		}
	}
	scraped, err := scrape(rounds)
	if err != nil {
		return nil, err
	}
	sec.notes = append(sec.notes, scraped)
	return sec, nil
}

// bothSpans does about a call what both sides do, without the call.
func bothSpans(ctx context.Context, t *telemetry.Telemetry) func() error {
	caller, called := t.Service("shop", "", "").Calls("/p.S/M", "cart"), t.Service("cart", "", "").Serves("/p.S/M")
	reached := telemetry.NewReached("tcp", "0123456789abcdef0123456789abcdef", "tcp://127.0.0.1:12345")
	served := make([]telemetry.Span, 1024)
	n := 0
	return func() error {
		span := &served[n%len(served)]
		n++
		*span = telemetry.Span{}
		call := caller.Begin(ctx)
		var room telemetry.TraceParentRoom
		h := telemetry.HeadersOf(call.Ctx())
		span.Serve(called, h.TraceParent(&room), h.TraceState)
		span.Served(nil, "tcp")
		call.At(reached, 1)
		call.End(nil)
		return nil
	}
}

// callOf makes a call with a stub.
func callOf(ctx context.Context, conn grpc.ClientConnInterface) func() error {
	stub := testpb.NewBenchmarkServiceClient(conn)
	in := &testpb.SimpleRequest{Payload: &testpb.Payload{Body: make([]byte, 100)}}
	return func() error {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		_, err := stub.UnaryCall(ctx, in)
		return err
	}
}

func toldServer(t told) *rpc.Server {
	srv := &rpc.Server{Name: "bench", Telemetry: t.its.Service("bench", "", "b1")}
	testpb.RegisterBenchmarkServiceServer(srv, benchmarkService{})
	srv.Start()
	return srv
}

func toldInProcess(ctx context.Context, t told) (func() error, func(), error) {
	srv := toldServer(t)
	client := &rpc.Client{Local: map[string]*rpc.Server{"bench": srv}, Telemetry: t.its.Service("caller", "", "c1")}
	conn := rpc.NewConn("bench")
	if err := conn.Bind(client); err != nil {
		return nil, nil, err
	}
	return callOf(ctx, conn), func() {
		client.Close()
		srv.Stop()
	}, nil
}

func toldTCP(ctx context.Context, t told) (func() error, func(), error) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	srv := toldServer(t)
	port := &rpc.Port{Servers: []*rpc.Server{srv}}
	go port.Serve(lis)
	conn, err := rpc.Dial("tcp://"+lis.Addr().String(), rpc.WithTelemetry(t.its.Service("caller", "", "c1")))
	if err != nil {
		return nil, nil, err
	}
	return callOf(ctx, conn), func() {
		conn.Close()
		port.Close()
		srv.Stop()
	}, nil
}

// toldGRPC is grpc-go with OpenTelemetry's own instrumentation and SDK.
func toldGRPC(ctx context.Context, t told) (func() error, func(), error) {
	var server []grpc.ServerOption
	client := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	stop := func() {}
	if t.mode != "off" {
		sampler := sdktrace.NeverSample()
		if t.mode == "sampled" {
			sampler = sdktrace.AlwaysSample()
		}
		exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(t.url+"/v1/traces"))
		if err != nil {
			return nil, nil, err
		}
		tracers := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.ParentBased(sampler)), sdktrace.WithBatcher(exporter, sdktrace.WithMaxQueueSize(1<<17)))
		meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
		options := []otelgrpc.Option{otelgrpc.WithTracerProvider(tracers), otelgrpc.WithMeterProvider(meters), otelgrpc.WithPropagators(propagation.TraceContext{})}
		server = append(server, grpc.StatsHandler(otelgrpc.NewServerHandler(options...)))
		client = append(client, grpc.WithStatsHandler(otelgrpc.NewClientHandler(options...)))
		stop = func() {
			tracers.Shutdown(context.WithoutCancel(ctx))
			meters.Shutdown(context.WithoutCancel(ctx))
		}
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	srv := grpc.NewServer(server...)
	testpb.RegisterBenchmarkServiceServer(srv, benchmarkService{})
	go srv.Serve(lis)
	conn, err := grpc.NewClient("passthrough:///"+lis.Addr().String(), client...)
	if err != nil {
		return nil, nil, err
	}
	return callOf(ctx, conn), func() {
		conn.Close()
		srv.Stop()
		stop()
	}, nil
}

// toldEvent publishes an event, and waits until it was handled. What that costs is both of it.
func toldEvent(ctx context.Context, t told) (func() error, func(), error) {
	bus := &events.Bus{Broker: new(events.Memory), Telemetry: t.its.Service("bench", "", "b1")}
	topic := events.NewTopic[*wrapperspb.StringValue]("bench.told", events.Limits{MaxMessages: 1 << 10, DropOldest: true})
	handled := make(chan struct{}, 1)
	topic.Subscribe(bus, "g", func(context.Context, *events.Event[*wrapperspb.StringValue]) error {
		handled <- struct{}{}
		return nil
	})
	if err := bus.Declare(ctx); err != nil {
		return nil, nil, err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- bus.Run(running) }()
	msg := wrapperspb.String("order 4711")
	return func() error {
			if err := topic.Publish(ctx, bus, msg); err != nil {
				return err
			}
			<-handled
			return nil
		}, func() {
			cancel()
			<-done
		}, nil
}

// scrape is what it takes to show a thousand series to Prometheus.
func scrape(rounds int) (string, error) {
	t, err := telemetry.New(telemetry.Config{})
	if err != nil {
		return "", err
	}
	s := t.Service("bench", "", "")
	for i := range 500 {
		for range 100 {
			var span telemetry.Span
			span.Serve(s.Serves(fmt.Sprintf("/bench.v1.S/Method%d", i)), "", "")
			span.Served(nil, "tcp")
			s.Calls(fmt.Sprintf("/bench.v1.S/Method%d", i), "other").Begin(context.Background()).End(nil)
		}
	}
	handler := t.MetricsHandler()
	var cpu, objects []float64
	size := 0
	for range rounds {
		s, err := spend(5, 1, func() error {
			w := httptest.NewRecorder()
			r := httptest.NewRequest("GET", "/metrics", nil)
			r.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
			handler.ServeHTTP(w, r)
			size = w.Body.Len()
			return nil
		})
		if err != nil {
			return "", err
		}
		cpu, objects = append(cpu, s.cpu), append(objects, s.objects)
	}
	return fmt.Sprintf("A scrape of `/metrics` with 1,000 histograms takes %.1f ms of CPU and %.0f objects, for %.1f MB.",
		sample.Median(cpu)/1e6, sample.Median(objects), float64(size)/1e6), nil
}
