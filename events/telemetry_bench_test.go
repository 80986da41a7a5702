package events_test

import (
	"context"
	"testing"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/telemetry"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// BenchmarkTelemetry publishes an event, handles it and waits for that: not told, told of a trace that is not recorded, and of one that is.
func BenchmarkTelemetry(b *testing.B) {
	for _, bb := range []struct {
		name   string
		config telemetry.Config
	}{
		{"off", telemetry.Config{Off: true}},
		{"not sampled", telemetry.Config{}},
		{"sampled", telemetry.Config{Traces: telemetry.Export{URL: "http://127.0.0.1:1/v1/traces"}, Sampler: telemetry.AlwaysOn}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			tells, err := telemetry.New(bb.config)
			if err != nil {
				b.Fatal(err)
			}
			bus := newBus(new(events.Memory))
			bus.Telemetry = tells.Service("bench", "", "")
			topic := events.NewTopic[text]("bench.told", events.Limits{MaxMessages: 1 << 10, DropOldest: true})
			handled := make(chan struct{}, 1)
			topic.Subscribe(bus, "g", func(context.Context, *events.Event[text]) error {
				handled <- struct{}{}
				return nil
			})
			ctx, cancel := context.WithCancel(b.Context())
			if err := bus.Declare(ctx); err != nil {
				b.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- bus.Run(ctx) }()
			msg := wrapperspb.String("order 4711")
			b.ReportAllocs()
			for b.Loop() {
				if err := topic.Publish(ctx, bus, msg); err != nil {
					b.Fatal(err)
				}
				<-handled
			}
			cancel()
			if err := <-done; err != nil {
				b.Fatal(err)
			}
		})
	}
}
