package telemetry

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/hanse-go/hanse/internal/otlp"
)

// inOrder are the services in the order in which they came.
func (t *Telemetry) inOrder() []*Service {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]*Service, 0, len(t.services))
	for _, s := range t.services {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *Service) int { return cmp.Compare(a.number, b.number) })
	return all
}

// read reads all numbers: those of each service, and with the first of them those of the process.
func (t *Telemetry) read(ctx context.Context, r *reading) []otlp.ResourceMetrics {
	var all []otlp.ResourceMetrics
	for i, s := range t.inOrder() {
		rm := otlp.ResourceMetrics{Resource: &otlp.Resource{Attributes: s.otlp.Attributes, SchemaURL: schemaURL}}
		if calls := s.callMetrics(r); len(calls) > 0 {
			rm.Scopes = append(rm.Scopes, otlp.ScopeMetrics{Scope: otlp.Scope{Name: ownScope, SchemaURL: schemaURL}, Metrics: calls})
		}
		if i == 0 {
			rm.Scopes = append(rm.Scopes, otlp.ScopeMetrics{Scope: otlp.Scope{Name: processScope, SchemaURL: schemaURL}, Metrics: slices.Concat(processMetrics(r), runtimeMetrics(r), t.ownMetrics(r))})
		}
		rm.Scopes = append(rm.Scopes, s.workMetrics(r)...)
		users, err := s.meterMetrics(ctx, r.shown)
		if err != nil && ctx.Err() == nil {
			t.logger().Warn("some numbers cannot be read", "service", s.Name(), "error", err)
		}
		rm.Scopes = append(rm.Scopes, users...)
		if len(rm.Scopes) > 0 || r.shown {
			all = append(all, rm)
		}
	}
	return all
}

// points counts those of some metrics.
func points(all []otlp.ResourceMetrics) (n int) {
	for _, rm := range all {
		for _, sm := range rm.Scopes {
			for _, m := range sm.Metrics {
				n += len(m.Numbers) + len(m.Histograms) + len(m.Exponentials)
			}
		}
	}
	return n
}

const (
	defaultMetricInterval = time.Minute
	defaultMetricTimeout  = 30 * time.Second
)

// runMetrics sends all numbers again and again until ctx ends, and once more then.
func (t *Telemetry) runMetrics(ctx context.Context) error {
	to := t.config.Metrics
	if !to.On() {
		<-ctx.Done()
		return nil
	}
	sender, err := otlp.NewSender(to.endpoint(), t.logger().With("signal", "metrics"))
	if err != nil {
		<-ctx.Done()
		return err
	}
	defer sender.Close()
	t.metricSender.Store(sender)
	r := newReading(&t.config)
	var body []byte
	send := func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, cmp.Or(t.config.MetricTimeout, defaultMetricTimeout))
		defer cancel()
		r.next(time.Now())
		all := t.read(ctx, r)
		n := points(all)
		if n == 0 {
			return nil
		}
		body = otlp.AppendMetrics(body[:0], all)
		return sender.Send(ctx, body, n)
	}
	sending, cut := outlast(ctx, flushTimeout) // what is on its way when ctx ends arrives
	defer cut()
	tick := time.NewTicker(cmp.Or(t.config.MetricInterval, defaultMetricInterval))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			send(sending) // logs and counts what is lost
		case <-ctx.Done():
			return send(sending)
		}
	}
}

// endpoint is the place as the sender wants it.
func (e Export) endpoint() otlp.Endpoint {
	return otlp.Endpoint{URL: e.URL, Header: e.Headers, Timeout: e.Timeout, Gzip: e.Gzip, CA: e.CAFile, Certificate: e.CertFile, Key: e.KeyFile}
}
