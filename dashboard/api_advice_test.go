package dashboard_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/hanse-go/hanse/dashboard"
	"github.com/hanse-go/hanse/telemetry"
	"github.com/hanse-go/hanse/telemetry/advise"
	"github.com/hanse-go/hanse/telemetry/collector"
	"go.opentelemetry.io/otel/trace"
)

// TestAdvice holds that the page is told of what the traces show, that those who do not wait get what was found just now, and that nobody is told
// of what is not there.
func TestAdvice(t *testing.T) {
	kept := &collector.Collector{Dir: t.TempDir()}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- kept.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	if err := kept.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	otlp := httptest.NewServer(kept.Handler())
	defer otlp.Close()
	// orders has a waiter who asks the menu for each of eight dishes.
	orders := func(n int) {
		t.Helper()
		tel, err := telemetry.New(telemetry.Config{Traces: telemetry.Export{URL: otlp.URL + "/v1/traces"}, Sampler: telemetry.AlwaysOn})
		if err != nil {
			t.Fatal(err)
		}
		sending, end := context.WithCancel(context.Background())
		sent := make(chan error, 1)
		go func() { sent <- tel.Run(sending) }()
		waiter, menu := tel.Service("waiter", "", ""), tel.Service("menu", "", "")
		price, there := menu.Serves("/tavern.Menu/Price"), telemetry.NewReached("tcp", "m1", "tcp://127.0.0.1:1")
		for range n {
			ctx, order := waiter.TracerProvider().Tracer("tavern").Start(t.Context(), "tavern.Waiter/Order", trace.WithSpanKind(trace.SpanKindServer))
			for range 8 {
				call := waiter.Calls("/tavern.Menu/Price", "menu").Begin(ctx)
				var span telemetry.Span
				span.ServeFor(price, &call.Span)
				span.Served(nil, "tcp")
				call.At(there, 1)
				call.End(nil)
			}
			order.End()
		}
		end()
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
	c, base := in(t, &dashboard.Server{System: newSystem(), Collector: kept})
	advice := func(query string) (r advise.Report) {
		t.Helper()
		res, text := ask(t, c, "GET", base+"/api/advice"+query, "")
		if err := json.Unmarshal([]byte(text), &r); err != nil || res.StatusCode != 200 {
			t.Fatalf("%s: %s %v: %s", query, res.Status, err, text)
		}
		return r
	}
	if r := advice(""); r.Requests != 0 || len(r.Findings) != 0 {
		t.Errorf("of nothing: %+v", r)
	}
	orders(6)
	r := advice("")
	if len(r.Findings) != 1 || r.Requests != 6 {
		t.Fatalf("%+v", r)
	}
	f := r.Findings[0]
	if got := fmt.Sprint(f.Kind, f.Path, f.Calls, f.Requests, f.Flag); got != "n+1[waiter menu] 8 6--services=menu,waiter" {
		t.Errorf("%s: %+v", got, f)
	}
	if _, err := kept.Trace(t.Context(), f.Traces[0]); err != nil {
		t.Errorf("its example is not there: %v", err)
	}
	if r := advice("?limit=2"); r.Requests != 2 {
		t.Errorf("of two traces: %+v", r)
	}
	if r := advice("?from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z"); r.Requests != 0 {
		t.Errorf("of another time: %+v", r)
	}
	// Who does not wait gets the last answer for a while; who waits gets a new one.
	if r := advice("?wait=no"); r.Requests != 6 || len(r.Findings) != 1 {
		t.Errorf("without waiting: %+v", r)
	}
	orders(1)
	if r := advice("?wait=no"); r.Requests != 6 {
		t.Errorf("without waiting, again: %+v", r)
	}
	if r := advice(""); r.Requests != 7 {
		t.Errorf("now: %+v", r)
	}
	for _, query := range []string{"?limit=0", "?limit=x", "?window=long"} {
		if res, text := ask(t, c, "GET", base+"/api/advice"+query, ""); res.StatusCode != 400 {
			t.Errorf("%s: %s %s", query, res.Status, text)
		}
	}
	c, base = in(t, &dashboard.Server{System: newSystem()})
	if r := advice(""); len(r.Findings) != 0 {
		t.Errorf("without a collector: %+v", r)
	}
}
