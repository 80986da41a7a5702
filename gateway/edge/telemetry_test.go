package edge_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/gateway/edge"
	"github.com/hanse-go/hanse/internal/otlptest"
	"github.com/hanse-go/hanse/rpc"
	"github.com/hanse-go/hanse/telemetry"
)

// TestTelemetry holds that a trace goes through the gateway, from the client to the service, and that what the gateway asks by itself is in none.
func TestTelemetry(t *testing.T) {
	const asked, asker = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	received := otlptest.New(t)
	tel, err := telemetry.New(telemetry.Config{
		Traces: telemetry.Export{URL: received.URL}, Sampler: telemetry.ParentBasedOn, Batch: telemetry.Batch{Delay: time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- tel.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	w := newWorld(t)
	w.client.Telemetry = tel.Service("gateway", "", "")
	w.serve("books", &library{name: "one"}, func(s *rpc.Server) { s.Telemetry = tel.Service("books", "", "") })
	w.open(&edge.Gateway{Telemetry: tel.Service("gateway", "", "")})
	const header = "00-" + asked + "-" + asker + "-01"
	for _, tt := range []struct {
		call func()
		want []string // each below the one before
	}{
		{
			func() { w.get("/v1/shelves/1/books/2", "Traceparent", header).want(t, 200, "books/2") },
			[]string{"gateway server GET /v1/{name=shelves/*/books/*} calls", "gateway server library.Library/GetBook", "gateway client library.Library/GetBook", "books server library.Library/GetBook"},
		},
		{
			func() {
				w.do(http.MethodPost, getBook, `{"name":"faust"}`, "Traceparent", header).want(t, 200, "faust")
			},
			[]string{"gateway server library.Library/GetBook", "gateway client library.Library/GetBook", "books server library.Library/GetBook"},
		},
		{
			func() {
				w.get("/v1/books:watch?pages=2", "Accept", "application/x-ndjson", "Traceparent", header).want(t, 200, "page 2")
			},
			[]string{"gateway server GET /v1/books:watch calls", "gateway server library.Library/WatchBooks stream", "gateway client library.Library/WatchBooks stream", "books server library.Library/WatchBooks stream"},
		},
	} {
		before := len(received.Spans())
		tt.call()
		spans := received.Wait(t, before+len(tt.want))[before:]
		below := asker
		for _, want := range tt.want {
			at := slices.IndexFunc(spans, func(s otlptest.Span) bool { return s.Trace == asked && s.Parent == below })
			if at < 0 {
				t.Fatalf("nothing is below %s, where %s should be: %+v", below, want, spans)
			}
			s := spans[at]
			got := s.Service + " " + s.Kind + " " + s.Name
			if s.Attributes["hanse.rpc.stream"] == "true" {
				got += " stream"
			}
			if s.Attributes["hanse.http.calls"] == "true" {
				got += " calls"
			}
			if strings.TrimSpace(got) != want {
				t.Errorf("%q, want %q: %+v", got, want, s)
			}
			below = s.ID
		}
	}
	for _, s := range received.Spans() {
		if s.Trace != asked {
			t.Errorf("nobody asked for %+v", s)
		}
	}
}
