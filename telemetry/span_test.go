package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/internal/otlptest"
	"github.com/hanse-go/hanse/telemetry"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	grpccodes "google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// collect runs telemetry, and returns what f had it tell.
func collect(t *testing.T, config telemetry.Config, f func(*telemetry.Telemetry)) []otlptest.Span {
	t.Helper()
	r := otlptest.New(t)
	config.Traces.URL = r.URL
	tel, err := telemetry.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- tel.Run(ctx) }()
	f(tel)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	return r.Spans()
}

// TestOwnSpans holds what a program says of spans of its own.
func TestOwnSpans(t *testing.T) {
	at := time.Unix(1700000000, 5)
	spans := collect(t, telemetry.Config{Sampler: telemetry.AlwaysOn, Limits: telemetry.Limits{Attributes: 3, Events: 2, Links: 1, AttributeLength: 4}}, func(tel *telemetry.Telemetry) {
		tracer := tel.Service("cart", "v1", "i1").TracerProvider().Tracer("lib", trace.WithInstrumentationVersion("v9"))
		outer, parent := tracer.Start(context.Background(), "parent", trace.WithTimestamp(at), trace.WithSpanKind(trace.SpanKindProducer))
		_, child := tracer.Start(outer, "child", trace.WithAttributes(attribute.String("a", "1234567")), trace.WithLinks(trace.LinkFromContext(outer), trace.LinkFromContext(outer)))
		child.SetAttributes(attribute.String("a", "abcdef"), attribute.Int("b", 2), attribute.Int("c", 3), attribute.Int("d", 4))
		for i := range 4 {
			child.AddEvent(fmt.Sprint("e", i))
		}
		child.RecordError(errors.New("broken"))
		child.SetStatus(codes.Error, "it broke")
		child.SetStatus(codes.Unset, "")
		child.SetName("renamed")
		child.End()
		child.SetAttributes(attribute.Bool("late", true))
		child.SetStatus(codes.Ok, "")
		child.End()
		_, root := tracer.Start(outer, "root", trace.WithNewRoot())
		root.SetStatus(codes.Ok, "dropped")
		root.SetStatus(codes.Error, "too late")
		root.End()
		parent.End(trace.WithTimestamp(at.Add(time.Second)))
		if child.TracerProvider().Tracer("x") == nil || child.IsRecording() || !child.SpanContext().IsValid() {
			t.Error("a span that has ended must be of use")
		}
	})
	if len(spans) != 3 {
		t.Fatalf("%d spans: %+v", len(spans), spans)
	}
	slices.SortFunc(spans, func(a, b otlptest.Span) int { return strings.Compare(a.Name, b.Name) })
	parent, child, root := spans[0], spans[1], spans[2]
	if child.Name != "renamed" || child.Parent != parent.ID || child.Trace != parent.Trace || root.Parent != "" || root.Trace == parent.Trace {
		t.Errorf("spans %+v", spans)
	}
	if parent.Kind != "producer" || parent.Start != uint64(at.UnixNano()) || parent.End-parent.Start != 1e9 || parent.Scope != "lib" || parent.Service != "cart" {
		t.Errorf("the parent is %+v", parent)
	}
	if child.Attributes["a"] != "abcd" || child.Attributes["b"] != "2" || child.Attributes["c"] != "3" || child.DroppedAttributes != 1 || len(child.Attributes) != 3 {
		t.Errorf("attributes %v, %d dropped", child.Attributes, child.DroppedAttributes)
	}
	if !slices.Equal(child.Events, []string{"e3", "exception"}) || child.DroppedEvents != 3 || child.Links != 1 || child.DroppedLinks != 1 || child.FirstEventAttribute != "exception.type=*err" {
		t.Errorf("the child is %+v", child)
	}
	if child.Status != "error" || child.Message != "it broke" || root.Status != "ok" || root.Message != "" {
		t.Errorf("status %q %q, %q %q", child.Status, child.Message, root.Status, root.Message)
	}
}

// TestSharedProvider holds that a library's spans belong to the service whose call they are part of.
func TestSharedProvider(t *testing.T) {
	spans := collect(t, telemetry.Config{Sampler: telemetry.AlwaysOn}, func(tel *telemetry.Telemetry) {
		tracer := tel.Service("first", "", "").SharedTracerProvider().Tracer("lib")
		ctx, call := tel.Service("second", "", "").TracerProvider().Tracer("own").Start(t.Context(), "call")
		_, inner := tracer.Start(ctx, "inner")
		_, outer := tracer.Start(t.Context(), "outer")
		inner.End()
		outer.End()
		call.End()
	})
	got := map[string]string{}
	for _, s := range spans {
		got[s.Name] = s.Service + "/" + s.Scope
	}
	if want := map[string]string{"call": "second/own", "inner": "second/lib", "outer": "first/lib"}; !maps.Equal(got, want) {
		t.Errorf("spans of %v, want %v", got, want)
	}
}

// TestCallAttributes is the golden list of what the spans of calls say, by the semantic conventions and by Hanse.
func TestCallAttributes(t *testing.T) {
	spans := collect(t, telemetry.Config{Sampler: telemetry.AlwaysOn}, func(tel *telemetry.Telemetry) {
		s := tel.Service("shop", "", "")
		c := s.Calls("/p.S/M", "cart").Begin(context.Background())
		c.At(telemetry.NewReached("tcp", "i9", "tcp://h:1"), 2)
		var served telemetry.Span
		served.ServeFor(s.Serves("/p.S/M"), &c.Span)
		served.Served(status.Error(grpccodes.Internal, "broken"), "tcp")
		served.Served(nil, "again")
		c.End(status.Error(grpccodes.NotFound, "gone"))
	})
	want := map[string]map[string]string{
		"server": {
			string(semconv.RPCSystemNameKey): "grpc", string(semconv.RPCMethodKey): "p.S/M", string(semconv.RPCResponseStatusCodeKey): "INTERNAL",
			string(semconv.ErrorTypeKey): "INTERNAL", "hanse.path": "tcp",
		},
		"client": {
			string(semconv.RPCSystemNameKey): "grpc", string(semconv.RPCMethodKey): "p.S/M", string(semconv.RPCResponseStatusCodeKey): "NOT_FOUND",
			string(semconv.ErrorTypeKey): "NOT_FOUND", string(semconv.ServerAddressKey): "cart",
			"hanse.path": "tcp", "hanse.instance": "i9", "hanse.endpoint": "tcp://h:1", "hanse.attempts": "2",
		},
	}
	if len(spans) != 2 {
		t.Fatalf("%d spans: %+v", len(spans), spans)
	}
	for _, s := range spans {
		if s.Name != "p.S/M" || fmt.Sprint(s.Attributes) != fmt.Sprint(want[s.Kind]) || s.Status != "error" {
			t.Errorf("the %s's span is %+v\nwant %v", s.Kind, s, want[s.Kind])
		}
	}
	slices.SortFunc(spans, func(a, b otlptest.Span) int { return strings.Compare(b.Kind, a.Kind) })
	if spans[0].Message != "broken" || spans[1].Message != "gone" || spans[0].Parent != spans[1].ID {
		t.Errorf("spans %+v", spans)
	}
}

// TestPlainCallAttributes is the same of calls that went well, which are written in a shorter way.
func TestPlainCallAttributes(t *testing.T) {
	spans := collect(t, telemetry.Config{Sampler: telemetry.AlwaysOn}, func(tel *telemetry.Telemetry) {
		s := tel.Service("shop", "", "")
		c := s.Calls("/p.S/M", "cart").Begin(context.Background())
		c.At(telemetry.NewReached("unix", "i9", "unix:///s"), 1)
		var served telemetry.Span
		served.ServeFor(s.Serves("/p.S/M"), &c.Span)
		served.Served(status.Error(grpccodes.NotFound, "gone"), "connect")
		c.End(nil)
	})
	if len(spans) != 2 {
		t.Fatalf("%d spans: %+v", len(spans), spans)
	}
	slices.SortFunc(spans, func(a, b otlptest.Span) int { return strings.Compare(a.Kind, b.Kind) })
	made, taken := spans[0], spans[1]
	if got, want := fmt.Sprint(made.Attributes), "map[hanse.endpoint:unix:///s hanse.instance:i9 hanse.path:unix rpc.method:p.S/M rpc.response.status_code:OK rpc.system.name:grpc server.address:cart]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(taken.Attributes), "map[hanse.path:connect rpc.method:p.S/M rpc.response.status_code:NOT_FOUND rpc.system.name:grpc]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	now := uint64(time.Now().UnixNano())
	for _, s := range spans {
		if s.Name != "p.S/M" || s.Status != "" && s.Status != "unset" || s.Message != "" || s.Start > s.End || s.End > now || now-s.Start > uint64(time.Minute) || s.Trace != made.Trace {
			t.Errorf("at %d: %+v", now, s)
		}
	}
	if made.Kind != "client" || taken.Kind != "server" || taken.Parent != made.ID || made.Parent != "" {
		t.Errorf("spans %+v", spans)
	}
}

// TestNobodyIsTold holds that telemetry that is off can be used all the same.
func TestNobodyIsTold(t *testing.T) {
	off, err := telemetry.New(telemetry.Config{Off: true, Traces: telemetry.Export{URL: "http://127.0.0.1:1/"}})
	if err != nil || off != nil {
		t.Fatalf("%v, %v", off, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := off.Run(ctx); err != nil {
		t.Error(err)
	}
	s := off.Service("cart", "", "")
	_, span := s.TracerProvider().Tracer("x").Start(t.Context(), "x")
	span.End()
	c := s.Calls("/p.S/M", "cart").Begin(t.Context())
	c.At(telemetry.NewReached("", "", ""), 1)
	c.End(nil)
	if c != nil || s.Name() != "" || s.Resource() != nil || off.SpanCounts() != (telemetry.SpanCounts{}) || s.Baggage() {
		t.Error("it is not off")
	}
	var one telemetry.Span
	one.Serve(s.Serves("/p.S/M"), "", "")
	one.SetAttributes(attribute.Int("a", 1))
	one.SetStatus(codes.Error, "")
	one.AddEvent("x")
	one.End()
	one.Served(nil, "")
	if one.Begun() || one.IsRecording() || one.SpanContext().IsValid() {
		t.Error("the span was begun")
	}
	one.TracerProvider().Tracer("x")
}

// TestIDsOnly holds that where nothing is sent calls have IDs, and pass on what their caller has decided.
func TestIDsOnly(t *testing.T) {
	tel, err := telemetry.New(telemetry.Config{})
	if err != nil {
		t.Fatal(err)
	}
	m := tel.Service("cart", "", "").Serves("/p.S/M")
	for _, flags := range []string{"00", "01", "03"} {
		var s telemetry.Span
		s.Serve(m, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"+flags, "a=b")
		c := s.SpanContext()
		if c.TraceID().String() != "0af7651916cd43dd8448eb211c80319c" || c.SpanID().String() == "b7ad6b7169203331" || c.TraceFlags().String() != flags || c.TraceState().String() != "a=b" || s.IsRecording() {
			t.Errorf("flags %s: %v", flags, c)
		}
		if parent, state := s.Parent(); parent != "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"+flags || state != "a=b" {
			t.Errorf("flags %s: the parent is %q, %q", flags, parent, state)
		}
	}
	var root telemetry.Span
	root.Serve(m, "", "")
	if c := root.SpanContext(); !c.IsValid() || c.IsSampled() || !c.TraceFlags().IsRandom() {
		t.Errorf("a trace that begins here is %v", c)
	}
	if parent, _ := root.Parent(); parent != "" {
		t.Errorf("its parent is %q", parent)
	}
}

// TestFull holds that what does not fit is counted, and nothing else is.
func TestFull(t *testing.T) {
	r := otlptest.New(t)
	tel, err := telemetry.New(telemetry.Config{Traces: telemetry.Export{URL: r.URL}, Sampler: telemetry.AlwaysOn, Batch: telemetry.Batch{Queue: 10, Size: 4}})
	if err != nil {
		t.Fatal(err)
	}
	tracer := tel.Service("cart", "", "").TracerProvider().Tracer("x")
	for range 25 { // nobody sends yet
		_, span := tracer.Start(t.Context(), "x")
		span.End()
	}
	if c := tel.SpanCounts(); c.Dropped != 15 || c.Waiting != 10 {
		t.Errorf("counts %+v", c)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tel.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if c := tel.SpanCounts(); c.Sent != 10 || c.Dropped != 15 || c.Waiting != 0 || len(r.Spans()) != 10 {
		t.Errorf("counts %+v, %d came", c, len(r.Spans()))
	}
}

// TestRefused holds that spans that the receiver refuses are counted, and that Run says so at the end.
func TestRefused(t *testing.T) {
	r := otlptest.New(t)
	r.Fail(1)
	tel, err := telemetry.New(telemetry.Config{Traces: telemetry.Export{URL: r.URL}, Sampler: telemetry.AlwaysOn})
	if err != nil {
		t.Fatal(err)
	}
	_, span := tel.Service("cart", "", "").TracerProvider().Tracer("x").Start(t.Context(), "x")
	span.End()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tel.Run(ctx); err == nil {
		t.Error("Run does not say that spans were lost")
	}
	if c := tel.SpanCounts(); c.Dropped != 1 || c.Waiting != 0 || c.Sent != 0 {
		t.Errorf("counts %+v", c)
	}
}
