package collector_test

import (
	"testing"
	"time"

	"github.com/hanse-go/hanse/telemetry/collector"
	common "go.opentelemetry.io/proto/slim/otlp/common/v1"
	metricpb "go.opentelemetry.io/proto/slim/otlp/metrics/v1"
	resource "go.opentelemetry.io/proto/slim/otlp/resource/v1"
)

// The calls of a program that is restarted are counted once, whoever of the old and the new process tells last: with an instance ID of each,
// with none, as programs that only call, and with the same one.
func TestRestart(t *testing.T) {
	now := time.Now()
	made := func(temporality metricpb.AggregationTemporality, from, at time.Time, n uint64) *metricpb.Metric {
		m := exponential("rpc.client.call.duration", at, n, 0.01, str("rpc.method", "shop.v1.Carts/Get"), str("rpc.response.status_code", "OK"), str("server.address", "cart"))
		h := m.GetExponentialHistogram()
		h.AggregationTemporality, h.DataPoints[0].StartTimeUnixNano = temporality, nano(from)
		return m
	}
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	const second = time.Second
	type told struct {
		instance string
		from, at time.Time
		n        uint64
	}
	old := func(instance string, at time.Duration, n uint64) told {
		return told{instance, ago(time.Hour), ago(at), n}
	}
	fresh := func(instance string, at time.Duration, n uint64) told {
		return told{instance, ago(60 * second), ago(at), n}
	}
	for name, c := range map[string]struct {
		told        []told
		temporality metricpb.AggregationTemporality
		want        float64
	}{
		"own IDs":          {[]told{old("a", 80*second, 72000), fresh("b", 50*second, 200), old("a", 48*second, 72100), fresh("b", 30*second, 500)}, cumulative, 600},
		"no ID":            {[]told{old("", 80*second, 72000), fresh("", 50*second, 200), old("", 48*second, 72100), fresh("", 30*second, 500)}, cumulative, 600},
		"the same ID":      {[]told{old("a", 80*second, 72000), fresh("a", 50*second, 200), fresh("a", 30*second, 500)}, cumulative, 500},
		"the old one late": {[]told{fresh("", 50*second, 200), old("", 48*second, 72100), fresh("", 30*second, 500), old("", 20*second, 72150)}, cumulative, 550},
		"sent twice":       {[]told{fresh("", 50*second, 200), old("", 48*second, 72100), fresh("", 50*second, 200), old("", 48*second, 72100)}, cumulative, 200},
		"delta": {[]told{{"", ago(90 * second), ago(80 * second), 100}, {"", ago(60 * second), ago(50 * second), 200},
			{"", ago(80 * second), ago(48 * second), 100}, {"", ago(50 * second), ago(30 * second), 300}}, delta, 700},
	} {
		t.Run(name, func(t *testing.T) {
			collects := new(collector.Collector)
			start(t, collects)
			for _, p := range c.told {
				req := metricsOf("web", made(c.temporality, p.from, p.at, p.n))
				req.ResourceMetrics[0].Resource = &resource.Resource{Attributes: []*common.KeyValue{str("service.name", "web"), str("service.instance.id", p.instance)}}
				send(t, collects, req)
			}
			m, err := collects.Map(t.Context(), collector.Window{})
			if err != nil || len(m.Edges) != 1 || !near(m.Edges[0].Calls*300, c.want, 0.01) {
				t.Errorf("%v calls, want %v: %+v, %v", m.Edges[0].Calls*300, c.want, m.Edges, err)
			}
		})
	}
}

// More programs than there is room for tell of one series: what is not known is not counted, and nothing twice.
func TestManyWriters(t *testing.T) {
	c := new(collector.Collector)
	start(t, c)
	now := time.Now()
	for round := range 5 {
		for i := range 20 {
			at := now.Add(time.Duration(round-60) * time.Second).Add(time.Duration(i) * time.Millisecond)
			send(t, c, metricsOf("web", sum("orders", cumulative, now.Add(time.Duration(i-100)*time.Second), at, float64(100+round))))
		}
	}
	r, err := c.Series(t.Context(), collector.SeriesQuery{Metric: "orders", Stat: "sum"})
	if err != nil || len(r.Series) != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	if n := total(r.Series[0].Values); n < 800 || n > 20*104 {
		t.Errorf("%v were counted, of 20 programs that counted 104 each", n)
	}
}

// A histogram whose buckets become wider goes on.
func TestWiderBuckets(t *testing.T) {
	c := new(collector.Collector)
	start(t, c)
	begin := time.Now().Add(-time.Minute)
	at := begin
	for _, p := range []struct {
		scale, offset int32
		counts        []uint64
	}{
		{20, -6966000, []uint64{60, 40}}, // 10 ms
		{3, -54, []uint64{50, 60}},       // of those 110, 10 came since
		{1, -14, []uint64{110, 5}},
		{0, -7, []uint64{115, 0, 0, 0, 0, 0, 0, 0, 3}},
		{-1, -4, []uint64{115, 0, 0, 0, 5}},
	} {
		at = at.Add(5 * time.Second)
		n := uint64(0)
		for _, c := range p.counts {
			n += c
		}
		total := float64(n) / 100
		send(t, c, metricsOf("cart", &metricpb.Metric{Name: "latency", Unit: "s", Data: &metricpb.Metric_ExponentialHistogram{ExponentialHistogram: &metricpb.ExponentialHistogram{
			AggregationTemporality: cumulative, DataPoints: []*metricpb.ExponentialHistogramDataPoint{{
				StartTimeUnixNano: nano(begin), TimeUnixNano: nano(at), Count: n, Sum: &total, Scale: p.scale,
				Positive: &metricpb.ExponentialHistogramDataPoint_Buckets{Offset: p.offset, BucketCounts: p.counts},
			}},
		}}}))
	}
	for stat, want := range map[string]float64{"count": 120, "p50": 0.01, "p99": 2.9} {
		r, err := c.Series(t.Context(), collector.SeriesQuery{Metric: "latency", Stat: stat, Step: 10 * time.Minute})
		if err != nil || len(r.Series) != 1 {
			t.Fatalf("%+v, %v", r, err)
		}
		if n := total(r.Series[0].Values); !near(n, want, 0.1) {
			t.Errorf("%s is %v, want %v", stat, n, want)
		}
	}
}

// What was counted while nobody was told belongs to all of that time, not to its end.
func TestLongSilence(t *testing.T) {
	c := new(collector.Collector)
	start(t, c)
	now := time.Now()
	begin := now.Add(-2 * time.Hour)
	send(t, c, metricsOf("web", sum("orders", cumulative, begin, now.Add(-time.Hour), 1000)))
	send(t, c, metricsOf("web", sum("orders", cumulative, begin, now, 1000+3600)))
	for ago, want := range map[time.Duration]float64{5 * time.Minute: 300, time.Hour: 3600} {
		r, err := c.Series(t.Context(), collector.SeriesQuery{Metric: "orders", Stat: "sum", Window: collector.Window{From: now.Add(-ago)}})
		if err != nil || len(r.Series) != 1 || !near(total(r.Series[0].Values), want, 0.1) {
			t.Errorf("in %v: %v, want %v; %v", ago, r.Series, want, err)
		}
	}
}
