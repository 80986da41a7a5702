package sqltrace

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// poolMeters are the numbers of pools of connections.
type poolMeters struct {
	meter  metric.Meter
	count  metric.Int64ObservableUpDownCounter
	max    metric.Int64ObservableUpDownCounter
	create metric.Float64Histogram
	wait   metric.Float64Histogram
}

func (p *poolMeters) make(m metric.Meter) {
	p.meter = m
	p.count, _ = m.Int64ObservableUpDownCounter("db.client.connection.count", metric.WithUnit("{connection}"),
		metric.WithDescription("The number of connections that are currently in state described by the `state` attribute."))
	p.max, _ = m.Int64ObservableUpDownCounter("db.client.connection.max", metric.WithUnit("{connection}"), metric.WithDescription("The maximum number of open connections allowed."))
	p.create, _ = m.Float64Histogram("db.client.connection.create_time", metric.WithUnit("s"), metric.WithDescription("The time it took to create a new connection."))
	p.wait, _ = m.Float64Histogram("db.client.connection.wait_time", metric.WithUnit("s"), metric.WithDescription("The time it took to obtain an open connection from the pool."))
}

// PoolState is how many connections a pool has.
type PoolState struct{ Idle, Used, Max int } // Max 0: as many as are needed

// ObservePool has the numbers of a pool be told, as state gives them, until stop is called. state is called from any goroutine.
func (r *Recorder) ObservePool(state func() PoolState) (stop func()) {
	if r == nil {
		return func() {}
	}
	name := attribute.String("db.client.connection.pool.name", r.options.Pool)
	of := func(more ...attribute.KeyValue) metric.ObserveOption {
		return metric.WithAttributes(append(r.with(), append(more, name)...)...)
	}
	idle, used, all := of(attribute.String("db.client.connection.state", "idle")), of(attribute.String("db.client.connection.state", "used")), of()
	registration, err := r.pool.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := state()
		o.ObserveInt64(r.pool.count, int64(s.Idle), idle)
		o.ObserveInt64(r.pool.count, int64(s.Used), used)
		if s.Max > 0 {
			o.ObserveInt64(r.pool.max, int64(s.Max), all)
		}
		return nil
	}, r.pool.count, r.pool.max)
	if err != nil {
		return func() {}
	}
	return func() { _ = registration.Unregister() } // there is nobody to tell when it fails
}

// Connected tells of a connection that was begun to be made at a time and is there now, or failed.
func (r *Recorder) Connected(ctx context.Context, began time.Time, err error) {
	if r != nil && err == nil {
		r.pool.create.Record(ctx, time.Since(began).Seconds(), r.ofPool())
	}
}

// Waited tells of a connection of the pool that was waited for since a time, and is there now.
func (r *Recorder) Waited(ctx context.Context, began time.Time) {
	if r != nil {
		r.pool.wait.Record(ctx, time.Since(began).Seconds(), r.ofPool())
	}
}

func (r *Recorder) ofPool() metric.MeasurementOption {
	return metric.WithAttributes(append(r.with(), attribute.String("db.client.connection.pool.name", r.options.Pool))...)
}
