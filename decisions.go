package hanse

import (
	"context"
	"strings"

	"github.com/hanse-go/hanse/resilience"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// tellDecisions has what the policies did to calls told as a number, with the reason: to those that the service makes by the called service,
// to those that it takes by the method.
func (m *member) tellDecisions() {
	meter := m.tells.MeterProvider().Meter("github.com/hanse-go/hanse")
	_, err := meter.Int64ObservableCounter("hanse.policy.decisions",
		metric.WithDescription("What policies did to calls and instances, by reason."), metric.WithUnit("{decision}"),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			for name, t := range m.client.Targets() {
				observe(o, t.Counts, attribute.String("server.address", name))
			}
			for path, s := range m.server.PolicyState() {
				observe(o, s.Counts, attribute.String("rpc.method", strings.TrimPrefix(path, "/")))
			}
			return nil
		}))
	if err != nil {
		m.log.Warn("what policies do is not told", "error", err)
	}
}

func observe(o metric.Int64Observer, counts map[resilience.Reason]uint64, of attribute.KeyValue) {
	for reason, n := range counts {
		o.Observe(int64(n), metric.WithAttributes(of, attribute.String("hanse.reason", string(reason))))
	}
}
