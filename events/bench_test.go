package events_test

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-go/hanse/events"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// BenchmarkMemory publishes events and handles them: each is encoded, stored, delivered, decoded, handled and settled.
func BenchmarkMemory(b *testing.B) {
	limits := events.Limits{MaxMessages: 1 << 16, DropOldest: true}
	for _, bb := range []struct {
		name  string
		topic *events.Topic[text]
		keys  int
		async bool
	}{
		{"publish", events.NewTopic[text]("bench.plain", limits), 1, false},
		{"async", events.NewTopic[text]("bench.async", limits), 1, true},
		{"keyed", events.NewTopic[text]("bench.keyed", limits, events.Key(text.GetValue)), 1000, false},
	} {
		b.Run(bb.name, func(b *testing.B) {
			msgs := make([]text, bb.keys)
			for i := range msgs {
				msgs[i] = wrapperspb.String(fmt.Sprint("order ", i))
			}
			bus := newBus(new(events.Memory))
			const ahead = 1 << 14 // so that nothing is dropped before it is handled
			var handled atomic.Int64
			room := make(chan struct{}, ahead/1024)
			bb.topic.Subscribe(bus, "g", func(context.Context, *events.Event[text]) error {
				if handled.Add(1)%1024 == 0 {
					<-room
				}
				return nil
			})
			ctx, cancel := context.WithCancel(b.Context())
			done := make(chan error)
			if err := bus.Declare(ctx); err != nil {
				b.Fatal(err)
			}
			go func() { done <- bus.Run(ctx) }()
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				if bb.async {
					bb.topic.PublishAsync(ctx, bus, msgs[i%bb.keys])
				} else if err := bb.topic.Publish(ctx, bus, msgs[i%bb.keys]); err != nil {
					b.Fatal(err)
				}
				if (i+1)%1024 == 0 {
					room <- struct{}{}
				}
			}
			for handled.Load() < int64(b.N) {
				select {
				case <-done:
					b.Fatal("it ended")
				default:
					runtime.Gosched()
				}
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			cancel()
			if err := <-done; err != nil {
				b.Fatal(err)
			}
			if s := bus.Stats().Subscriptions[0]; s.Handled != uint64(b.N) {
				b.Fatalf("%+v", s)
			}
		})
	}
}

// BenchmarkMemoryBroker is the broker alone, below topics: messages are stored, delivered and settled, and neither encoded nor handled.
func BenchmarkMemoryBroker(b *testing.B) {
	const batch = 256
	memory := new(events.Memory)
	limits := events.Limits{MaxMessages: 1 << 16, DropOldest: true}
	info := events.TopicInfo{Name: "bench", Limits: limits.WithDefaults()}
	if err := memory.Declare(b.Context(), info); err != nil {
		b.Fatal(err)
	}
	source, err := memory.Subscribe(b.Context(), events.SubscriptionInfo{Topic: "bench", Group: "g", Member: "m", AckWait: time.Minute, MaxInFlight: batch})
	if err != nil {
		b.Fatal(err)
	}
	stored := func(err error) {
		if err != nil {
			b.Error(err)
		}
	}
	data := []byte("order 4711")
	b.ReportAllocs()
	b.ResetTimer()
	for taken := 0; taken < b.N; {
		n := min(batch, b.N-taken)
		for i := range n {
			memory.Publish(b.Context(), "bench", &events.Message{ID: strconv.Itoa(taken + i), Source: "/bench", Type: "t", Data: data}, stored)
		}
		for end := taken + n; taken < end; {
			deliveries, err := source.Next(b.Context(), batch)
			if err != nil {
				b.Fatal(err)
			}
			for _, d := range deliveries {
				if err := d.Ack(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			taken += len(deliveries)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	if err := source.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
}
