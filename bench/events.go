package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/bench/sample"
	"github.com/hanse-go/hanse/embednats"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/natsevents"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// eventsWindow is how many events either side has on the way, and how many it fetches ahead.
const eventsWindow = 1024

// eventSide is one of the two that are compared: package events, or a program that uses nats.go's jetstream for the same messages.
type eventSide interface {
	// publish publishes n events as fast as it can, and returns when all are stored.
	publish(ctx context.Context, n int) error
	// consume handles n events that are there, in a new group, and returns how long it took from the first to the last one.
	consume(ctx context.Context, n int) (time.Duration, error)
	// latency publishes n events, one after the other, and returns how long each took until it was handled.
	latency(ctx context.Context, n int) ([]float64, error)
	// clear removes all events.
	clear(ctx context.Context) error
}

func eventsBench(ctx context.Context, env *environment) (*section, error) {
	rounds, many, few := 11, 40_000, 400
	if env.quick {
		rounds, many, few = 2, 2_000, 20
	}
	sec := &section{
		intro: fmt.Sprintf("Events of 200 B through package events (typed, CloudEvents, trace context) over natsevents, and the same messages through nats.go's `jetstream` by hand: "+
			"protobuf, the same headers, deduplication, explicit acknowledgements, %d on the way, one server in the same process. %d rounds, interleaved, of %d events (%d with *sync*) published and "+
			"then consumed, and of %d one at a time, from before Publish until the handler has it. *sync* is the default: an event that was acknowledged is on the disk.",
			eventsWindow, rounds, many, many/2, few),
		header: []string{"", "nats.go", "events", "events / nats.go"},
	}
	for _, mode := range []struct {
		name string
		fast bool
		many int
	}{{"sync", false, many / 2}, {"no sync", true, many}} {
		if err := eventsMode(ctx, filepath.Join(env.tmp, "events-"+strings.ReplaceAll(mode.name, " ", "-")), mode.name, mode.fast, rounds, mode.many, few, sec); err != nil {
			return nil, fmt.Errorf("%s: %w", mode.name, err)
		}
	}
	return sec, nil
}

func eventsMode(ctx context.Context, dir, name string, fast bool, rounds, many, few int, sec *section) error {
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	server := &embednats.Server{Dir: dir, NoSync: fast, Logger: slog.New(slog.DiscardHandler)}
	var running sync.WaitGroup
	running.Go(func() { _ = server.Run(serving) })
	defer running.Wait()
	defer stop()
	var sides [2]eventSide
	for i, open := range []func(context.Context, *nats.Conn) (eventSide, error){openRaw, openTyped} {
		conn, err := server.Connect(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		if sides[i], err = open(ctx, conn); err != nil {
			return err
		}
	}
	var published, consumed, latency [2][]float64
	for round := range rounds + 1 { // the first one warms up
		for i := range sides {
			i = (i + round) % len(sides)
			side := sides[i]
			begin := time.Now()
			if err := side.publish(ctx, many); err != nil {
				return fmt.Errorf("publish: %w", err)
			}
			p := float64(many) / time.Since(begin).Seconds()
			took, err := side.consume(ctx, many)
			if err != nil {
				return fmt.Errorf("consume: %w", err)
			}
			l, err := side.latency(ctx, few)
			if err != nil {
				return fmt.Errorf("latency: %w", err)
			}
			if err := side.clear(ctx); err != nil {
				return err
			}
			if round > 0 {
				published[i], consumed[i] = append(published[i], p), append(consumed[i], float64(many-1)/took.Seconds())
				latency[i] = append(latency[i], sample.Median(l))
			}
		}
	}
	rate := func(v []float64) string { return fmt.Sprintf("%.0f/s", sample.Median(v)) }
	micros := func(v []float64) string { return fmt.Sprintf("%.0f µs", sample.Median(v)) }
	sec.add("publish, "+name, rate(published[0]), rate(published[1]), ratio(sample.Ratios(published[1], published[0])))
	sec.add("consume, "+name, rate(consumed[0]), rate(consumed[1]), ratio(sample.Ratios(consumed[1], consumed[0])))
	sec.add("end to end p50, "+name, micros(latency[0]), micros(latency[1]), ratio(sample.Ratios(latency[1], latency[0])))
	return nil
}

func eventPayload() *wrapperspb.StringValue {
	return wrapperspb.String(strings.Repeat("x", 200))
}

// stopwatch counts events until all are there.
type stopwatch struct {
	mu    sync.Mutex
	left  int
	first time.Time
	took  time.Duration
	done  chan struct{}
}

func newStopwatch(n int) *stopwatch { return &stopwatch{left: n, done: make(chan struct{})} }

func (s *stopwatch) count() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first.IsZero() {
		s.first = time.Now()
	}
	if s.left--; s.left == 0 {
		s.took = time.Since(s.first)
		close(s.done)
	}
}

func (s *stopwatch) wait(ctx context.Context) (time.Duration, error) {
	select {
	case <-s.done:
		return s.took, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// raw is a program that uses nats.go.
type raw struct {
	js     jetstream.JetStream
	stream jetstream.Stream
	number int
	group  int
}

func openRaw(ctx context.Context, conn *nats.Conn) (eventSide, error) {
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(eventsWindow))
	if err != nil {
		return nil, err
	}
	s, err := js.CreateStream(ctx, jetstream.StreamConfig{
		Name: "raw", Subjects: []string{"raw.events.t", "raw.events.t._.*"}, Discard: jetstream.DiscardNew, MaxBytes: 1 << 30, MaxAge: 7 * 24 * time.Hour, AllowDirect: true,
	})
	return &raw{js: js, stream: s}, err
}

func (r *raw) message() (*nats.Msg, error) {
	data, err := proto.Marshal(eventPayload())
	r.number++
	id := fmt.Sprintf("0123456789abcdef0123-%d", r.number)
	return &nats.Msg{Subject: "raw.events.t", Data: data, Header: nats.Header{
		"ce-specversion": {"1.0"}, "ce-id": {id}, "ce-source": {"hanse:///bench"}, "ce-type": {"google.protobuf.StringValue"},
		"ce-time": {time.Now().UTC().Format(time.RFC3339Nano)}, "content-type": {"application/protobuf"}, "Nats-Msg-Id": {"hanse:///bench#" + id},
	}}, err
}

func (r *raw) publish(ctx context.Context, n int) error {
	var all []jetstream.PubAckFuture
	for range n {
		m, err := r.message()
		if err != nil {
			return err
		}
		f, err := r.js.PublishMsgAsync(m, jetstream.WithStallWait(time.Minute))
		if err != nil {
			return err
		}
		all = append(all, f)
	}
	for _, f := range all {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (r *raw) handle(ctx context.Context, policy jetstream.DeliverPolicy, f func()) (stop func(), err error) {
	r.group++
	c, err := r.stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		Durable: fmt.Sprint("g", r.group), AckPolicy: jetstream.AckExplicitPolicy, DeliverPolicy: policy, MaxAckPending: 1 << 16, MaxDeliver: -1,
	})
	if err != nil {
		return nil, err
	}
	consuming, err := c.Consume(func(m jetstream.Msg) {
		if err := proto.Unmarshal(m.Data(), new(wrapperspb.StringValue)); err == nil {
			f()
			_ = m.Ack()
		}
	}, jetstream.PullMaxMessages(eventsWindow))
	if err != nil {
		return nil, err
	}
	return func() { consuming.Drain(); <-consuming.Closed() }, nil
}

func (r *raw) consume(ctx context.Context, n int) (time.Duration, error) {
	w := newStopwatch(n)
	stop, err := r.handle(ctx, jetstream.DeliverAllPolicy, w.count)
	if err != nil {
		return 0, err
	}
	defer stop()
	return w.wait(ctx)
}

func (r *raw) latency(ctx context.Context, n int) ([]float64, error) {
	got := make(chan struct{}, 1)
	stop, err := r.handle(ctx, jetstream.DeliverNewPolicy, func() { got <- struct{}{} })
	if err != nil {
		return nil, err
	}
	defer stop()
	return each(ctx, n, got, func() error {
		m, err := r.message()
		if err == nil {
			_, err = r.js.PublishMsg(ctx, m)
		}
		return err
	})
}

func (r *raw) clear(ctx context.Context) error {
	for i := range 2 {
		if err := r.stream.DeleteConsumer(ctx, fmt.Sprint("g", r.group-i)); err != nil {
			return err
		}
	}
	return r.stream.Purge(ctx)
}

// each publishes one event after the other has arrived, and returns the microseconds that each took.
func each(ctx context.Context, n int, got <-chan struct{}, publish func() error) ([]float64, error) {
	var all []float64
	for i := range n + 10 {
		begin := time.Now()
		if err := publish(); err != nil {
			return nil, err
		}
		select {
		case <-got:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if i >= 10 {
			all = append(all, float64(time.Since(begin).Microseconds()))
		}
	}
	return all, nil
}

// typed is a program that uses package events.
type typed struct {
	broker *natsevents.Broker
	topic  *events.Topic[*wrapperspb.StringValue]
	bus    *events.Bus // that publishes
	js     jetstream.JetStream
	group  int
}

func openTyped(_ context.Context, conn *nats.Conn) (eventSide, error) {
	js, err := jetstream.New(conn)
	t := &typed{
		broker: natsevents.New(conn, natsevents.Options{System: "bench"}), js: js,
		topic: events.NewTopic[*wrapperspb.StringValue]("t"),
	}
	t.bus = &events.Bus{Broker: t.broker, Source: "hanse:///bench", Window: eventsWindow}
	return t, err
}

func (t *typed) publish(ctx context.Context, n int) error {
	var all []*events.Receipt
	for range n {
		all = append(all, t.topic.PublishAsync(ctx, t.bus, eventPayload()))
	}
	for _, r := range all {
		if err := r.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (t *typed) handle(ctx context.Context, f func(), opts ...events.SubscribeOption) (stop func() error, err error) {
	t.group++
	bus := &events.Bus{Broker: t.broker, Source: "hanse:///bench"}
	t.topic.Subscribe(bus, fmt.Sprint("g", t.group), func(context.Context, *events.Event[*wrapperspb.StringValue]) error {
		f()
		return nil
	}, append(slices.Clip(opts), events.MaxInFlight(eventsWindow))...)
	if err := bus.Declare(ctx); err != nil {
		return nil, err
	}
	running, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- bus.Run(running) }()
	return func() error { cancel(); return <-ended }, nil
}

func (t *typed) consume(ctx context.Context, n int) (took time.Duration, err error) {
	w := newStopwatch(n)
	stop, err := t.handle(ctx, w.count, events.Start{All: true})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	return w.wait(ctx)
}

func (t *typed) latency(ctx context.Context, n int) (all []float64, err error) {
	got := make(chan struct{}, 1)
	stop, err := t.handle(ctx, func() { got <- struct{}{} })
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	return each(ctx, n, got, func() error { return t.topic.Publish(ctx, t.bus, eventPayload()) })
}

func (t *typed) clear(ctx context.Context) error {
	s, err := t.js.Stream(ctx, "bench_t")
	if err != nil {
		return err
	}
	for i := range 2 {
		if err := s.DeleteConsumer(ctx, fmt.Sprint("g", t.group-i)); err != nil {
			return err
		}
	}
	return s.Purge(ctx)
}
