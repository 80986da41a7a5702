//go:build unix

package telemetry_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/hanse-go/hanse/telemetry"
)

// BenchmarkSpan is what both spans of a call cost, that of the caller and that of the called, with all that is done about them on the way.
// That of the called is in an object which is there anyway.
func BenchmarkSpan(b *testing.B) {
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }))
	defer receiver.Close()
	for _, mode := range []struct {
		name    string
		sampler telemetry.Sampler
	}{{"unsampled", telemetry.ParentBasedOff}, {"sampled", telemetry.AlwaysOn}} {
		b.Run(mode.name, func(b *testing.B) {
			tel, err := telemetry.New(telemetry.Config{Traces: telemetry.Export{URL: receiver.URL}, Sampler: mode.sampler})
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- tel.Run(ctx) }()
			caller, called := tel.Service("shop", "", "").Calls("/p.S/M", "cart"), tel.Service("cart", "", "").Serves("/p.S/M")
			spans := make([]telemetry.Span, 1024)
			reached := telemetry.NewReached("tcp", "0123456789abcdef0123456789abcdef", "tcp://127.0.0.1:12345")
			b.ReportAllocs()
			before := cpu(b)
			for i := 0; b.Loop(); i++ {
				served := &spans[i%len(spans)]
				*served = telemetry.Span{}
				call := caller.Begin(ctx)
				var room telemetry.TraceParentRoom
				h := telemetry.HeadersOf(call.Ctx())
				served.Serve(called, h.TraceParent(&room), h.TraceState)
				served.Served(nil, "tcp")
				call.At(reached, 1)
				call.End(nil)
			}
			b.StopTimer()
			cancel()
			if err := <-done; err != nil {
				b.Error(err)
			}
			b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op") // with what it takes to send them
		})
	}
}

// cpu is the processor time that the program has had.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
