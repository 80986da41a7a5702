package main

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/embednats"
	"github.com/nats-io/nats.go"
)

// BenchmarkConsume handles events that are there, without syncing, from the first to the last one: ns/op and events/s are of that alone.
func BenchmarkConsume(b *testing.B) {
	for name, open := range map[string]func(context.Context, *nats.Conn) (eventSide, error){"nats.go": openRaw, "events": openTyped} {
		b.Run(name, func(b *testing.B) {
			serving, stop := context.WithCancel(context.Background())
			server := &embednats.Server{Dir: b.TempDir(), NoSync: true, Logger: slog.New(slog.DiscardHandler)}
			var running sync.WaitGroup
			running.Go(func() { _ = server.Run(serving) })
			defer running.Wait()
			defer stop()
			conn, err := server.Connect(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			side, err := open(b.Context(), conn)
			if err != nil {
				b.Fatal(err)
			}
			if err := side.publish(b.Context(), b.N); err != nil {
				b.Fatal(err)
			}
			before, err := ownCPU()
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			took, err := side.consume(b.Context(), b.N)
			b.StopTimer()
			if err != nil {
				b.Fatal(err)
			}
			after, err := ownCPU()
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/took.Seconds(), "events/s")
			b.ReportMetric(float64(b.N)/max(after-before, time.Microsecond).Seconds(), "events/CPU-s")
		})
	}
}
