package rpc_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/hanse-go/hanse/internal/otlptest"
	"github.com/hanse-go/hanse/resilience"
	"github.com/hanse-go/hanse/rpc"
	pb "github.com/hanse-go/hanse/rpc/internal/paritypb"
	"github.com/hanse-go/hanse/telemetry"
	"go.opentelemetry.io/otel/baggage"
	oteltrace "go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// told is telemetry whose spans can be looked at.
type told struct {
	*otlptest.Receiver
	*telemetry.Telemetry
}

func tell(t *testing.T, change func(*telemetry.Config)) *told {
	r := otlptest.New(t)
	config := telemetry.Config{
		Traces: telemetry.Export{URL: r.URL}, Sampler: telemetry.ParentBasedOn, Batch: telemetry.Batch{Delay: time.Millisecond},
	}
	if change != nil {
		change(&config)
	}
	tel, err := telemetry.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- tel.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return &told{r, tel}
}

// one returns the span of the kind among them.
func one(t *testing.T, spans []otlptest.Span, kind string) otlptest.Span {
	t.Helper()
	i := slices.IndexFunc(spans, func(s otlptest.Span) bool { return s.Kind == kind })
	if i < 0 {
		t.Fatalf("no span of kind %s in %+v", kind, spans)
	}
	return spans[i]
}

const (
	sentTrace = "0af7651916cd43dd8448eb211c80319c"
	sentSpan  = "b7ad6b7169203331"
)

// TestSpans makes calls of each kind on each path, and holds what is told of them.
func TestSpans(t *testing.T) {
	const service = "hanse.parity.v1.Parity"
	all := func(s grpc.ClientStream, out any) error {
		for {
			if err := s.RecvMsg(out); err != nil {
				return err
			}
		}
	}
	for _, tt := range []struct {
		name           string
		handlers       handlers
		call           func(t *testing.T, client calls, ctx context.Context) error
		method         string
		code           string
		server, client string // status
	}{
		{
			name: "unary", method: "Unary", code: "OK",
			call: func(_ *testing.T, c calls, ctx context.Context) error {
				_, err := c.Unary(ctx, &pb.Request{})
				return err
			},
		}, {
			name: "server stream", method: "Download", code: "OK",
			call: func(_ *testing.T, c calls, ctx context.Context) error {
				s, err := c.Download(ctx, &pb.Request{Count: 3})
				if err != nil {
					return err
				}
				return all(s, &pb.Reply{})
			},
		}, {
			name: "client stream", method: "Upload", code: "OK",
			call: func(_ *testing.T, c calls, ctx context.Context) error {
				s, err := c.Upload(ctx)
				if err != nil {
					return err
				}
				if err := s.Send(&pb.Request{}); err != nil {
					return err
				}
				_, err = s.CloseAndRecv()
				return err
			},
		}, {
			name: "both ways", method: "Chat", code: "OK",
			call: func(_ *testing.T, c calls, ctx context.Context) error {
				s, err := c.Chat(ctx)
				if err != nil {
					return err
				}
				if err := s.CloseSend(); err != nil {
					return err
				}
				return all(s, &pb.Reply{})
			},
		}, {
			name: "not found", method: "Unary", code: "NOT_FOUND", client: "error",
			handlers: handlers{unary: func(context.Context, *pb.Request) (*pb.Reply, error) {
				return nil, status.Error(codes.NotFound, "gone")
			}},
			call: func(_ *testing.T, c calls, ctx context.Context) error {
				_, err := c.Unary(ctx, &pb.Request{})
				return err
			},
		}, {
			name: "failed", method: "Unary", code: "DATA_LOSS", client: "error", server: "error",
			handlers: handlers{unary: func(context.Context, *pb.Request) (*pb.Reply, error) {
				return nil, status.Error(codes.DataLoss, "gone")
			}},
			call: func(_ *testing.T, c calls, ctx context.Context) error {
				_, err := c.Unary(ctx, &pb.Request{})
				return err
			},
		}, {
			name: "failed stream", method: "Download", code: "INTERNAL", client: "error", server: "error",
			handlers: handlers{download: func(*pb.Request, grpc.ServerStreamingServer[pb.Reply]) error {
				return status.Error(codes.Internal, "gone")
			}},
			call: func(_ *testing.T, c calls, ctx context.Context) error {
				s, err := c.Download(ctx, &pb.Request{})
				if err != nil {
					return err
				}
				return all(s, &pb.Reply{})
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, col := range columns {
				if col.assembled || !col.ourClient && !col.ourServer {
					continue
				}
				t.Run(col.name, func(t *testing.T) {
					r := tell(t, nil)
					s := setup{handlers: tt.handlers}
					s.client.telemetry, s.server.telemetry = r.Service("shop", "v1", "i1"), r.Service("parity", "v2", "i2")
					ctx := soon(t)
					want := 0
					parent := sentSpan
					if col.ourClient {
						want++
						id, _ := oteltrace.TraceIDFromHex(sentTrace)
						span, _ := oteltrace.SpanIDFromHex(sentSpan)
						ctx = oteltrace.ContextWithSpanContext(ctx, oteltrace.NewSpanContext(oteltrace.SpanContextConfig{TraceID: id, SpanID: span, TraceFlags: oteltrace.FlagsSampled}))
					} else {
						ctx = metadata.AppendToOutgoingContext(ctx, "traceparent", "00-"+sentTrace+"-"+sentSpan+"-01")
					}
					if col.ourServer {
						want++
					}
					client := col.serve(t, s)
					if err := tt.call(t, client, ctx); err != nil && !errors.Is(err, io.EOF) && tt.client == "" {
						t.Fatal(err)
					}
					spans := r.Wait(t, want)
					if len(spans) != want {
						t.Fatalf("%d spans, want %d: %+v", len(spans), want, spans)
					}
					if col.ourClient {
						c := one(t, spans, "client")
						parent = c.ID
						check(t, &c, service+"/"+tt.method, tt.code, tt.client, sentSpan)
						if c.Service != "shop" || c.Attributes["server.address"] != "parity" || c.Attributes["hanse.path"] != string(col.path) && col.path != "" {
							t.Errorf("the client's span has %+v", c)
						}
						if col.ourServer && c.Attributes["hanse.instance"] != instance {
							t.Errorf("the client's span has the instance %q", c.Attributes["hanse.instance"])
						}
					}
					if col.ourServer {
						s := one(t, spans, "server")
						check(t, &s, service+"/"+tt.method, tt.code, tt.server, parent)
						if s.Service != "parity" || s.Instance != "i2" || s.ResourceAttributes["service.version"] != "v2" {
							t.Errorf("the server's span has %+v", s)
						}
						if col.path != "" && s.Attributes["hanse.path"] != string(col.path) {
							t.Errorf("the server's span has the path %q, want %q", s.Attributes["hanse.path"], col.path)
						}
					}
				})
			}
		})
	}
}

func check(t *testing.T, s *otlptest.Span, name, code, status, parent string) {
	t.Helper()
	if s.Name != name || s.Trace != sentTrace || s.Parent != parent || s.Status != status || s.End < s.Start {
		t.Errorf("the %s's span is %+v", s.Kind, s)
	}
	errorType := ""
	if status == "error" {
		errorType = code
	}
	for key, want := range map[string]string{
		"rpc.system.name": "grpc", "rpc.method": name, "rpc.response.status_code": code, "error.type": errorType,
	} {
		if s.Attributes[key] != want {
			t.Errorf("the %s's span has %s=%q, want %q", s.Kind, key, s.Attributes[key], want)
		}
	}
}

// ours is the columns with both sides of ours, made by hand.
func ours(t *testing.T, f func(t *testing.T, c *column)) {
	for _, col := range columns {
		if col.ourClient && col.ourServer && !col.assembled {
			t.Run(col.name, func(t *testing.T) { f(t, &col) })
		}
	}
}

// TestSpanOfHandler holds that a handler has its span where OpenTelemetry looks for it, may say things of it, and may keep it.
func TestSpanOfHandler(t *testing.T) {
	ours(t, func(t *testing.T, c *column) {
		r := tell(t, nil)
		parity := r.Service("parity", "", "")
		var kept oteltrace.Span
		s := setup{handlers: handlers{unary: func(ctx context.Context, _ *pb.Request) (*pb.Reply, error) {
			span := oteltrace.SpanFromContext(ctx)
			span.AddEvent("halfway")
			span.End() // the handler's own affair is not the call's
			inner, child := parity.TracerProvider().Tracer("mine").Start(ctx, "look it up")
			resilience.Annotate(inner, "tested")
			child.End()
			kept = span
			return &pb.Reply{}, nil
		}}}
		s.client.telemetry, s.server.telemetry = r.Service("shop", "", ""), parity
		if _, err := c.serve(t, s).Unary(soon(t), &pb.Request{}); err != nil {
			t.Fatal(err)
		}
		kept.AddEvent("too late")
		kept.SetName("too late")
		if kept.IsRecording() {
			t.Error("the span records after its call has ended")
		}
		spans := r.Wait(t, 3)
		client, server, child := one(t, spans, "client"), one(t, spans, "server"), one(t, spans, "internal")
		if child.Parent != server.ID || server.Parent != client.ID || client.Parent != "" || child.Trace != client.Trace {
			t.Errorf("spans are not below each other: %+v", spans)
		}
		if !slices.Equal(server.Events, []string{"halfway"}) || !slices.Equal(child.Events, []string{"hanse.tested"}) || child.Scope != "mine" {
			t.Errorf("the server's span has %q, its child %q, by %q", server.Events, child.Events, child.Scope)
		}
	})
}

// TestSpanTimes holds that the span of a call lasts as long as the call does, with its interceptors, and begins when it does; and the handler's within it.
func TestSpanTimes(t *testing.T) {
	const pause, tolerance = 20 * time.Millisecond, 3 * time.Millisecond // clocks are set while the test runs
	take := func() { <-time.After(pause) }
	for _, intercepted := range []bool{false, true} {
		t.Run(fmt.Sprint("intercepted=", intercepted), func(t *testing.T) {
			ours(t, func(t *testing.T, c *column) {
				r := tell(t, nil)
				s := setup{handlers: handlers{unary: func(context.Context, *pb.Request) (*pb.Reply, error) {
					take()
					return &pb.Reply{}, nil
				}}}
				s.client.telemetry, s.server.telemetry = r.Service("shop", "", ""), r.Service("parity", "", "")
				least := pause
				if intercepted {
					least = 3 * pause
					s.client.unary = []grpc.UnaryClientInterceptor{func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
						take()
						defer take()
						return invoker(ctx, method, req, reply, cc, opts...)
					}}
				}
				client := c.serve(t, s)
				if _, err := client.Unary(soon(t), &pb.Request{}); err != nil { // it connects
					t.Fatal(err)
				}
				begin := time.Now()
				if _, err := client.Unary(soon(t), &pb.Request{}); err != nil {
					t.Fatal(err)
				}
				took := time.Since(begin)
				spans := r.Wait(t, 4)
				slices.SortFunc(spans, func(a, b otlptest.Span) int { return cmp.Compare(a.Start, b.Start) })
				made, served := one(t, spans[2:], "client"), one(t, spans[2:], "server")
				lasts := func(s *otlptest.Span) time.Duration { return time.Duration(s.End - s.Start) }
				if late := time.Unix(0, int64(made.Start)).Sub(begin); late < -tolerance || late > took-least+tolerance {
					t.Errorf("the call's span begins %v after the call", late)
				}
				if d := lasts(&made); d < least || d > took {
					t.Errorf("the call takes %v, and its span %v", took, d)
				}
				if d := lasts(&served); d < pause || d > lasts(&made) || intercepted && d > lasts(&made)-2*pause {
					t.Errorf("the handler takes %v, its span %v, and that of the call %v", pause, d, lasts(&made))
				}
			})
		})
	}
}

// TestTraceThroughServices holds that a handler's calls belong to its own call, and that what was sent before is not sent again.
func TestTraceThroughServices(t *testing.T) {
	ours(t, func(t *testing.T, c *column) {
		r := tell(t, nil)
		var last metadata.MD
		end := setup{handlers: handlers{unary: func(ctx context.Context, _ *pb.Request) (*pb.Reply, error) {
			last, _ = metadata.FromIncomingContext(ctx)
			return &pb.Reply{Text: baggage.FromContext(ctx).Member("who").Value()}, nil
		}}}
		middle := r.Service("middle", "", "")
		end.client.telemetry, end.server.telemetry = middle, r.Service("end", "", "")
		next := c.serve(t, end)
		first := setup{handlers: handlers{unary: func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
			md, _ := metadata.FromIncomingContext(ctx)
			return next.Unary(metadata.NewOutgoingContext(ctx, metadata.MD{"traceparent": md["traceparent"]}), in) // as a proxy does
		}}}
		first.client.telemetry, first.server.telemetry = r.Service("shop", "", ""), middle
		member, err := baggage.NewMember("who", "me")
		if err != nil {
			t.Fatal(err)
		}
		bag, err := baggage.New(member)
		if err != nil {
			t.Fatal(err)
		}
		out, err := c.serve(t, first).Unary(baggage.ContextWithBaggage(soon(t), bag), &pb.Request{})
		if err != nil || out.Text != "me" {
			t.Errorf("the baggage is %q, %v", out.GetText(), err)
		}
		spans := r.Wait(t, 4)
		for _, s := range spans {
			if s.Trace != spans[0].Trace {
				t.Fatalf("two traces: %+v", spans)
			}
		}
		inner := slices.IndexFunc(spans, func(s otlptest.Span) bool { return s.Kind == "client" && s.Service == "middle" })
		want := "00-" + spans[inner].Trace + "-" + spans[inner].ID + "-03"
		if got := last.Get("traceparent"); len(got) != 1 || got[0] != want {
			t.Errorf("the last service was sent %q, want %q", got, want)
		}
	})
}

// TestTraceOfInterceptor holds that the traceparent of an interceptor is the one that is sent.
func TestTraceOfInterceptor(t *testing.T) {
	ours(t, func(t *testing.T, c *column) {
		r := tell(t, nil)
		s := setup{}
		s.client.telemetry, s.server.telemetry = r.Service("shop", "", ""), r.Service("parity", "", "")
		s.client.unary = []grpc.UnaryClientInterceptor{func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			return invoker(metadata.AppendToOutgoingContext(ctx, "traceparent", "00-"+sentTrace+"-"+sentSpan+"-01", "tracestate", "a=b"), method, req, reply, cc, opts...)
		}}
		if _, err := c.serve(t, s).Unary(soon(t), &pb.Request{}); err != nil {
			t.Fatal(err)
		}
		if s := one(t, r.Wait(t, 2), "server"); s.Trace != sentTrace || s.Parent != sentSpan || s.State != "a=b" {
			t.Errorf("the server's span is %+v", s)
		}
	})
}

// TestUnsampled holds that of a trace which is not recorded nothing is sent but its IDs, until one of its calls fails.
func TestUnsampled(t *testing.T) {
	ours(t, func(t *testing.T, c *column) {
		r := tell(t, func(c *telemetry.Config) { c.Ratio, c.Sampler = -1, telemetry.ParentBasedRatio })
		fail := false
		s := setup{handlers: handlers{unary: func(ctx context.Context, _ *pb.Request) (*pb.Reply, error) {
			if span := oteltrace.SpanFromContext(ctx); span.IsRecording() || !span.SpanContext().IsValid() || span.SpanContext().IsSampled() {
				t.Errorf("the handler's span is %v", span.SpanContext())
			}
			if fail {
				return nil, status.Error(codes.Internal, "broken")
			}
			return &pb.Reply{}, nil
		}}}
		s.client.telemetry, s.server.telemetry = r.Service("shop", "", ""), r.Service("parity", "", "")
		client := c.serve(t, s)
		if _, err := client.Unary(soon(t), &pb.Request{}); err != nil {
			t.Fatal(err)
		}
		fail = true
		ctx, parent := r.Service("shop", "", "").TracerProvider().Tracer("mine").Start(soon(t), "sell")
		if _, err := client.Unary(ctx, &pb.Request{}); err == nil {
			t.Fatal("it did not fail")
		}
		parent.End()
		spans := r.Wait(t, 3)
		for _, s := range spans {
			if s.Trace != parent.SpanContext().TraceID().String() || s.Attributes["hanse.kept"] == "" || s.Flags&1 != 0 {
				t.Errorf("came: %+v", s)
			}
		}
		if s := one(t, spans, "server"); s.Message != "broken" || s.Attributes["hanse.kept"] != "error" {
			t.Errorf("the server's span is %+v", s)
		}
	})
}

// TestSpanOfCancelled holds what is told of a call that its caller has given up, and of handlers that panic.
func TestSpanOfCancelled(t *testing.T) {
	ours(t, func(t *testing.T, c *column) {
		r := tell(t, nil)
		runs := make(chan struct{}, 1)
		s := setup{handlers: handlers{unary: func(ctx context.Context, in *pb.Request) (*pb.Reply, error) {
			if in.Text == "panic" {
				panic("on purpose")
			}
			runs <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		}}}
		s.log = io.Discard
		s.client.telemetry, s.server.telemetry = r.Service("shop", "", ""), r.Service("parity", "", "")
		client := c.serve(t, s)
		ctx, cancel := context.WithCancel(soon(t))
		go func() {
			<-runs
			cancel()
		}()
		if _, err := client.Unary(ctx, &pb.Request{}); status.Code(err) != codes.Canceled {
			t.Fatal(err)
		}
		for _, s := range r.Wait(t, 2) {
			if s.Attributes["rpc.response.status_code"] != "CANCELLED" {
				t.Errorf("the %s's span is %+v", s.Kind, s)
			}
		}
		client.Unary(soon(t), &pb.Request{Text: "panic"})
		for _, s := range r.Wait(t, 4)[2:] {
			if s.Attributes["rpc.response.status_code"] != "INTERNAL" || s.Status != "error" {
				t.Errorf("the %s's span is %+v", s.Kind, s)
			}
		}
	})
}

// TestSpanOfUnknownMethod holds that callers cannot make up names.
func TestSpanOfUnknownMethod(t *testing.T) {
	ours(t, func(t *testing.T, c *column) {
		r := tell(t, nil)
		s := setup{}
		s.client.telemetry, s.server.telemetry = r.Service("shop", "", ""), r.Service("parity", "", "")
		conn := c.serve(t, s).conn
		err := conn.Invoke(soon(t), "/hanse.parity.v1.Parity/Nothing", &pb.Request{}, &pb.Reply{})
		if status.Code(err) != codes.Unimplemented {
			t.Fatal(err)
		}
		if s := one(t, r.Wait(t, 2), "server"); s.Name != "_OTHER" || s.Attributes["rpc.response.status_code"] != "UNIMPLEMENTED" {
			t.Errorf("the server's span is %+v", s)
		}
	})
}

// TestSpanOfAttempts holds that a call has one span with all its attempts.
func TestSpanOfAttempts(t *testing.T) {
	for _, tt := range []struct {
		name     string
		policy   resilience.Policy
		first    func(context.Context, string) error
		others   func(context.Context, string) error
		event    string
		attempts string
	}{
		{"repeated", resilience.Policy{}, func(context.Context, string) error { return status.Error(codes.Unavailable, "down") }, nil, "hanse.retry-failed", "2"},
		{"hedged", resilience.Policy{Hedge: resilience.Hedge{After: 20 * time.Millisecond}}, takes(time.Minute), takes(time.Millisecond), "hanse.hedge", "2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := tell(t, nil)
			tel := r.Service("shop", "", "")
			protected(t, 2, tt.policy, func(t *testing.T, client *rpc.Client, conn *rpc.Conn, instances []*echoService) {
				client.Telemetry = tel
				failed := false
				instances[1].hook = func(ctx context.Context, text string) error { // it is called next
					if failed {
						return nil
					}
					failed = true
					return tt.first(ctx, text)
				}
				instances[0].hook = tt.others
				if _, err := callEcho(context.Background(), conn, readMethod, "x"); err != nil {
					t.Error(err)
				}
			})
			spans := r.Wait(t, 1)
			if s := spans[0]; len(spans) != 1 || !slices.Contains(s.Events, tt.event) || s.Attributes["hanse.attempts"] != tt.attempts || s.Attributes["hanse.instance"] != "a" || s.Status != "" {
				t.Errorf("spans %+v", spans)
			}
		})
	}
}
